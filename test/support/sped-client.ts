import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { Driver } from '../../src/base/driver.ts';
import { DtlsConnection, type DtlsOptions, type DtlsOutput } from '../../src/webrtc/dtls/dtls-connection.ts';
import { packetKind } from '../../src/webrtc/packet-kind.ts';
import { verifyIntegrity } from '../../src/webrtc/stun/integrity.ts';
import { parseStun } from '../../src/webrtc/stun/parse-stun.ts';
import { type RawAttribute, StunAttribute, type StunMessage } from '../../src/webrtc/stun/stun-message.ts';
import { writeStun } from '../../src/webrtc/stun/write-stun.ts';
import type { FakeClock } from './fake-clock.ts';
import type { MemoryNetwork } from './memory-network.ts';
import { CLIENT, clientIce, SERVER, serverIce } from './peer-pair.ts';

export interface SpedClientOptions {
  readonly dtls: DtlsOptions;
  /** False: it offered DTLS in STUN, and then knows nothing of it. */
  readonly speaks?: boolean;
  /** Takes no DTLS by itself, and sends none: all must go in checks. */
  readonly onlyInStun?: boolean;
}

/** A browser that carries DTLS in its checks, as Chromium does: one datagram of its flight in each, and checksums of what came. */
export class SpedClient {
  readonly dtls: DtlsConnection;
  readonly responses: StunMessage[] = [];
  readonly #clock: FakeClock;
  readonly #network: MemoryNetwork;
  readonly #options: SpedClientOptions;
  readonly #driver: Driver<DtlsOutput>;
  #pending: Buffer[] = [];
  #flight: number | undefined;
  #received: number[] = [];
  #checks = 0;
  #speaks: boolean;

  constructor(clock: FakeClock, network: MemoryNetwork, options: SpedClientOptions) {
    this.#clock = clock;
    this.#network = network;
    this.#options = options;
    this.#speaks = options.speaks !== false;
    this.dtls = new DtlsConnection({ mtu: 900, ...options.dtls });
    this.#driver = new Driver(clock, this.dtls, (output) => this.#handleDtls(output));
    network.listen(CLIENT, (datagram) => this.#receive(datagram));
  }

  /** Checks every 50 ms, and whenever there is something new to carry. */
  start(): void {
    this.#driver.run((now) => this.dtls.start(now));
    this.#checkAgain();
  }

  /** What a check carries besides. */
  attributes(): RawAttribute[] {
    if (!this.#speaks) return [];
    const acks = Buffer.alloc(4 * this.#received.length);
    this.#received.forEach((sum, i) => {
      acks.writeUInt32BE(sum, 4 * i);
    });
    const [first, ...others] = this.#pending;
    if (first) this.#pending = [...others, first];
    return [...(first ? [{ type: StunAttribute.dtlsInStun, value: first }] : []), { type: StunAttribute.dtlsInStunAck, value: acks }];
  }

  check(extra: readonly RawAttribute[] = this.attributes(), pwd = serverIce.pwd): Buffer {
    const transactionId = randomBytes(12);
    const username = `${serverIce.ufrag}:${clientIce.ufrag}`;
    return writeStun({ class: 'request', transactionId, username, priority: 1, iceControlling: 1n, useCandidate: true, extra }, pwd);
  }

  #checkAgain(): void {
    this.#checks += 1;
    this.#network.send(CLIENT, SERVER, this.check());
    if (this.#checks < 100) this.#clock.setTimer(50, () => this.#checkAgain());
  }

  #receive(datagram: Buffer): void {
    if (packetKind(datagram) === 'dtls') {
      if (!this.#options.onlyInStun) this.#takeDtls(datagram);
      return;
    }
    const message = parseStun(datagram);
    if (message?.class !== 'success' || !verifyIntegrity(datagram, message, serverIce.pwd)) return;
    this.responses.push(message);
    const { dtlsAcks, dtlsInStun } = message;
    if (this.#speaks && !dtlsAcks && !dtlsInStun && this.dtls.state === 'connecting') this.#fallBack();
    if (dtlsAcks) {
      const sums = new Set(Array.from({ length: dtlsAcks.length / 4 }, (_, i) => dtlsAcks.readUInt32BE(4 * i)));
      this.#pending = this.#pending.filter((each) => !sums.has(crc32(each)));
    }
    if (dtlsInStun && dtlsInStun.length > 0 && this.#speaks) this.#takeDtls(Buffer.from(dtlsInStun));
  }

  /** The server knows nothing of it. */
  #fallBack(): void {
    this.#speaks = false;
    for (const each of this.#pending.splice(0)) this.#network.send(CLIENT, SERVER, each);
  }

  #takeDtls(datagram: Buffer): void {
    this.#received = [...this.#received, crc32(datagram)].slice(-4);
    this.#driver.run((now) => this.dtls.handleDatagram(datagram, now));
  }

  #handleDtls(output: DtlsOutput): void {
    if (output.type !== 'datagram') return;
    const isSpeaking = this.#speaks && output.flight !== undefined;
    if (isSpeaking) {
      if (output.flight !== this.#flight) this.#pending = [];
      this.#flight = output.flight;
      this.#pending.push(output.bytes);
      // The first one goes with the first check.
      if (this.#checks > 0) this.#network.send(CLIENT, SERVER, this.check());
    }
    if (!isSpeaking && !this.#options.onlyInStun && this.#checks > 0) this.#network.send(CLIENT, SERVER, output.bytes);
  }
}
