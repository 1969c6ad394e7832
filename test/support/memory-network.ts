import type { Clock } from '../../src/base/clock.ts';
import type { Path } from '../../src/webrtc/path.ts';

export interface Carried {
  readonly from: string;
  readonly to: string;
  readonly datagram: Buffer;
}

export interface MemoryNetworkOptions {
  readonly seed?: number;
  /** 0..1 of the datagrams vanish. */
  readonly loss?: number;
  readonly delayMs?: number;
}

type Receiver = (datagram: Buffer, path: Path) => void;

/** A network in memory, moved by a clock: seeded loss, constant delay, and a record of everything that was sent. */
export class MemoryNetwork {
  readonly #clock: Clock;
  readonly #receivers = new Map<string, Receiver>();
  readonly #delayMs: number;
  #state: number;
  loss: number;
  readonly sent: Carried[] = [];

  constructor(clock: Clock, { seed = 1, loss = 0, delayMs = 5 }: MemoryNetworkOptions = {}) {
    this.#clock = clock;
    this.#state = seed >>> 0;
    this.loss = loss;
    this.#delayMs = delayMs;
  }

  /** `host` looks like `192.0.2.1:4000`. */
  listen(host: string, receiver: Receiver): void {
    this.#receivers.set(host, receiver);
  }

  /** The way from one host to another, as the first sees it. */
  path(from: string, to: string): Path {
    const [address = '', port = ''] = to.split(':');
    return { key: to, address, port: Number(port), send: (datagram) => this.send(from, to, datagram) };
  }

  send(from: string, to: string, datagram: Uint8Array): void {
    const copy = Buffer.from(datagram);
    this.sent.push({ from, to, datagram: copy });
    if (this.#random() < this.loss) return;
    this.#clock.setTimer(this.#delayMs, () => this.#receivers.get(to)?.(Buffer.from(copy), this.path(to, from)));
  }

  /** What anybody sent to this host. */
  sentTo(host: string): Buffer[] {
    return this.sent.filter(({ to }) => to === host).map(({ datagram }) => datagram);
  }

  #random(): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#state / 2 ** 32;
  }
}
