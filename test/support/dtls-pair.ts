import { Driver } from '../../src/base/driver.ts';
import { DtlsConnection, type DtlsOptions, type DtlsOutput } from '../../src/webrtc/dtls/dtls-connection.ts';
import { createIdentity, type Identity } from '../../src/webrtc/dtls/identity.ts';
import { parseRecords } from '../../src/webrtc/dtls/record.ts';
import { FakeClock } from './fake-clock.ts';
import { seededRandom } from './random.ts';

export type Side = 'client' | 'server';

/** A network between two DTLS connections that loses, repeats and delays, the same way for the same seed. */
export interface DtlsNetwork {
  readonly seed?: number;
  /** Shares of datagrams, 0 to 1. */
  readonly loss?: number;
  readonly duplicates?: number;
  readonly delayMs?: number;
  /** Added at random, so that datagrams overtake each other. */
  readonly jitterMs?: number;
  /** Each record travels in a datagram of its own. */
  readonly splitsRecords?: boolean;
  /** Sees every datagram, and may change or withhold it. */
  readonly tap?: (from: Side, datagram: Buffer) => Buffer | undefined;
}

export interface DtlsPairOptions extends DtlsNetwork {
  readonly client?: Partial<DtlsOptions>;
  readonly server?: Partial<DtlsOptions>;
}

export const clientIdentity: Identity = createIdentity(1_700_000_000_000);
export const serverIdentity: Identity = createIdentity(1_700_000_000_000);

/** Everything of a datagram, record by record, each as a datagram. */
export function splitRecords(datagram: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  let at = 0;
  for (const { fragment, unified } of parseRecords(datagram).records) {
    const bytes = (unified?.length ?? 13) + fragment.length;
    parts.push(datagram.subarray(at, at + bytes));
    at += bytes;
  }
  return parts;
}

export type DtlsEvent = Exclude<DtlsOutput, { type: 'datagram' }>;

/** A pair that speaks 1.3, and 1.2 where it must. */
export function pair13(options: DtlsPairOptions = {}): DtlsPair {
  const versions = ['1.3', '1.2'] as const;
  return new DtlsPair({ ...options, client: { versions, ...options.client }, server: { versions, ...options.server } });
}

/** A client and a server on a fake clock, started together. They speak 1.2, unless they are told otherwise. */
export class DtlsPair {
  readonly clock = new FakeClock();
  readonly client: DtlsConnection;
  readonly server: DtlsConnection;
  /** What came out of each side, datagrams apart. */
  readonly events: Record<Side, DtlsEvent[]> = { client: [], server: [] };
  /** Every datagram that a side sent, before the network touched it. */
  readonly sent: Record<Side, Buffer[]> = { client: [], server: [] };
  readonly #drivers: Record<Side, Driver<DtlsOutput>>;
  readonly #network: DtlsNetwork;
  readonly #random: () => number;

  constructor(options: DtlsPairOptions = {}) {
    this.#network = options;
    this.#random = seededRandom(options.seed ?? 1);
    this.client = new DtlsConnection({
      role: 'client',
      identity: clientIdentity,
      remoteFingerprints: [(options.server?.identity ?? serverIdentity).fingerprint],
      versions: ['1.2'],
      ...options.client,
    });
    this.server = new DtlsConnection({
      role: 'server',
      identity: serverIdentity,
      remoteFingerprints: [(options.client?.identity ?? clientIdentity).fingerprint],
      versions: ['1.2'],
      ...options.server,
    });
    this.#drivers = {
      client: new Driver(this.clock, this.client, (output) => this.#handle('client', output)),
      server: new Driver(this.clock, this.server, (output) => this.#handle('server', output)),
    };
  }

  get areConnected(): boolean {
    return this.client.state === 'connected' && this.server.state === 'connected';
  }

  /** Starts both and lets time pass. */
  run(ms = 25_000): this {
    this.start();
    this.clock.advance(ms);
    return this;
  }

  start(): void {
    this.change('server', (connection, now) => connection.start(now));
    this.change('client', (connection, now) => connection.start(now));
  }

  change(side: Side, change: (connection: DtlsConnection, now: number) => void): void {
    this.#drivers[side].run((now) => change(this[side], now));
  }

  /** A datagram that nobody of the two sent, or sent before, arrives now. */
  inject(at: Side, datagram: Buffer): void {
    this.change(at, (connection, now) => connection.handleDatagram(Buffer.from(datagram), now));
  }

  #handle(from: Side, output: DtlsOutput): void {
    if (output.type !== 'datagram') {
      this.events[from].push(output);
      return;
    }
    this.sent[from].push(Buffer.from(output.bytes));
    const { splitsRecords, tap, loss = 0, duplicates = 0 } = this.#network;
    for (const part of splitsRecords ? splitRecords(output.bytes) : [output.bytes]) {
      const datagram = tap ? tap(from, part) : part;
      if (!datagram || this.#random() < loss) continue;
      this.#deliver(from, datagram);
      if (this.#random() < duplicates) this.#deliver(from, datagram);
    }
  }

  #deliver(from: Side, datagram: Buffer): void {
    const { delayMs = 10, jitterMs = 0 } = this.#network;
    const to = from === 'client' ? 'server' : 'client';
    this.clock.setTimer(delayMs + this.#random() * jitterMs, () => this.inject(to, datagram));
  }
}
