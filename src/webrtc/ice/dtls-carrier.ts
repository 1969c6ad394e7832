import { crc32 } from 'node:zlib';
import { packetKind } from '../packet-kind.ts';
import { type RawAttribute, StunAttribute, type StunMessage } from '../stun/stun-message.ts';

/** Of a flight that is carried; ours have one or two. */
const MAX_PENDING = 8;
/** The draft allows four in one attribute. */
const MAX_ACKS = 4;
/** What an answer carries fits into 1200 bytes with the rest of it, which is below 100. */
const MAX_CARRIED_BYTES = 1100;

/**
 * DTLS in STUN (SPED, draft-hancke-webrtc-sped), the side that answers: takes datagrams out of authentic checks, puts ours into the answers, and tells
 * which came. It speaks as long as the far side does: to a check with neither of the attributes the answer has none, then and from then on.
 */
export class DtlsCarrier {
  #isOff = false;
  #isDone = false;
  #flight: number | undefined;
  /** By checksum what the far side has not confirmed of our flight, oldest first. */
  readonly #pending = new Map<number, Buffer>();
  /** Checksums of the last datagrams that came, in whatever way. */
  #received: number[] = [];
  #carried = 0;

  get isOff(): boolean {
    return this.#isOff;
  }

  /** Datagrams that were taken out of checks. */
  get carried(): number {
    return this.#carried;
  }

  /**
   * Looks at a check that was found authentic.
   * @returns whether its answer may carry something, and the datagram for DTLS that was in it
   */
  handleCheck({ dtlsInStun, dtlsAcks }: Pick<StunMessage, 'dtlsInStun' | 'dtlsAcks'>): {
    readonly speaks: boolean;
    readonly datagram?: Buffer;
  } {
    if (this.#isOff || (!dtlsInStun && !dtlsAcks)) {
      this.#isOff = true;
      this.#pending.clear();
      return { speaks: false };
    }
    if (dtlsAcks && dtlsAcks.length % 4 === 0 && dtlsAcks.length <= 4 * MAX_ACKS) {
      for (let at = 0; at < dtlsAcks.length; at += 4) this.#pending.delete(dtlsAcks.readUInt32BE(at));
    }
    if (!dtlsInStun || packetKind(dtlsInStun) !== 'dtls') return { speaks: true };
    this.#carried += 1;
    // A flight stands in every check until it is confirmed; DTLS would take that for a sign that its answer was lost.
    const isKnown = this.#received.includes(crc32(dtlsInStun));
    this.handleReceived(dtlsInStun);
    return isKnown ? { speaks: true } : { speaks: true, datagram: Buffer.from(dtlsInStun) };
  }

  /** A DTLS datagram came, in a check or by itself. */
  handleReceived(datagram: Buffer): void {
    if (this.#isOff) return;
    const sum = crc32(datagram);
    this.#received = [...this.#received.filter((each) => each !== sum), sum].slice(-MAX_ACKS);
  }

  /** A datagram of our handshake. @param flight the same number for all that belong together */
  handleSent(datagram: Buffer, flight: number): void {
    if (this.#isOff || this.#isDone) return;
    if (flight !== this.#flight) this.#pending.clear();
    this.#flight = flight;
    if (this.#pending.size < MAX_PENDING && datagram.length <= MAX_CARRIED_BYTES) this.#pending.set(crc32(datagram), datagram);
  }

  /** DTLS is connected: there is nothing left to carry, only to confirm. */
  handleDone(): void {
    this.#isDone = true;
    this.#pending.clear();
  }

  /** What the answer to a check carries: one datagram of the flight, another one each time, and what came. The latter even when it is nothing. */
  attributes(): { readonly extra: readonly RawAttribute[]; readonly datagram?: Buffer } {
    const acks = Buffer.alloc(4 * this.#received.length);
    this.#received.forEach((sum, i) => {
      acks.writeUInt32BE(sum, 4 * i);
    });
    const ack = { type: StunAttribute.dtlsInStunAck, value: acks };
    const [next] = this.#pending;
    if (!next) return { extra: [ack] };
    const [sum, datagram] = next;
    this.#pending.delete(sum);
    this.#pending.set(sum, datagram);
    return { extra: [{ type: StunAttribute.dtlsInStun, value: datagram }, ack], datagram };
  }
}
