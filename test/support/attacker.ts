import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type Endpoint, openUdp, type UdpPort } from './endpoint.ts';
import { EventLog, elapse } from './wait.ts';

/** Another machine, as far as addresses tell: all of 127/8 is this one. */
export const ATTACKER_ADDRESS = '127.0.0.66';

/** A socket of somebody who is not part of any call: counts what anybody is made to send to it. */
export class Attacker {
  readonly #socket: UdpPort;
  readonly local: Endpoint;
  readonly replies = new EventLog<{ readonly from: Endpoint; readonly datagram: Buffer; readonly at: number }>();
  sent = 0;
  sentBytes = 0;

  private constructor(socket: UdpPort) {
    this.#socket = socket;
    this.local = socket.local;
    socket.onDatagram = (datagram, from) => this.replies.push({ from, datagram, at: performance.now() });
  }

  static async open(address = ATTACKER_ADDRESS, port = 0): Promise<Attacker> {
    return new Attacker(await openUdp(address, port));
  }

  get replyBytes(): number {
    return this.replies.all.reduce((sum, { datagram }) => sum + datagram.length, 0);
  }

  send(datagram: Uint8Array, to: Endpoint): void {
    this.sent += 1;
    this.sentBytes += datagram.length;
    this.#socket.send(datagram, to);
  }

  close(): void {
    this.#socket.close();
  }
}

/** Datagrams that leave together: small, so that the receivers of this process are not kept waiting. */
const BURST = 10;

/** Does something `count` times at about this pace, and lets everything else run meanwhile. */
export async function paced(count: number, perSecond: number, act: (n: number) => void): Promise<void> {
  const startAt = performance.now();
  for (let n = 0; n < count; n++) {
    act(n);
    if (n % BURST !== BURST - 1) continue;
    const ahead = startAt + ((n + 1) * 1000) / perSecond - performance.now();
    await elapse(Math.max(1, ahead));
  }
}

/**
 * How long this process itself was kept from looking at its sockets: what it sees of a packet's lateness is no better than
 * this. Subtract `worstMs()` from a measured gap.
 */
export class OwnStalls {
  readonly #delays = monitorEventLoopDelay({ resolution: 5 });

  constructor() {
    this.#delays.enable();
  }

  /** Longest stall since the start or the last reset, in milliseconds. */
  worstMs(): number {
    return Math.max(0, this.#delays.max / 1e6 - 5);
  }

  reset(): void {
    this.#delays.reset();
  }
}
