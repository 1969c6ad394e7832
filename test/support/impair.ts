import { type Endpoint, endpointText, LOOPBACK, openUdp, type UdpPort } from './endpoint.ts';
import { seededRandom } from './random.ts';

/** What a bad network does to datagrams in one direction. Shares are 0 … 1. */
export interface Impairment {
  readonly lossShare?: number;
  /** Gilbert-Elliott: chance to fall into a burst of loss, and to come out of it, at each datagram. */
  readonly burst?: { readonly begin: number; readonly end: number };
  readonly delayMs?: number;
  /** Evenly spread between 0 and this, on top of the delay; it reorders. */
  readonly jitterMs?: number;
  readonly duplicateShare?: number;
  readonly reorderShare?: number;
  /** How late a reordered datagram is. */
  readonly reorderMs?: number;
  /** Loses what it says, whatever the shares are; `number` counts from 0. */
  readonly drop?: (datagram: Buffer, number: number) => boolean;
}

export interface ProxyOptions {
  readonly to: Endpoint;
  /** From the clients to the target. */
  readonly up?: Impairment;
  /** From the target to the clients. */
  readonly down?: Impairment;
  readonly seed?: number;
  readonly listen?: Endpoint;
}

export interface ImpairmentFigures {
  received: number;
  lost: number;
  duplicated: number;
  delayed: number;
}

/** Decides the fate of datagrams: how late each copy of one goes on. Same seed, same fate. */
class Fate {
  readonly #impairment: Impairment;
  readonly #random: () => number;
  readonly figures: ImpairmentFigures = { received: 0, lost: 0, duplicated: 0, delayed: 0 };
  #inBurst = false;

  constructor(impairment: Impairment, seed: number) {
    this.#impairment = impairment;
    this.#random = seededRandom(seed);
  }

  of(datagram: Buffer): number[] {
    const { delayMs = 0, jitterMs = 0, duplicateShare = 0, reorderShare = 0, reorderMs = 45, drop } = this.#impairment;
    const number = this.figures.received++;
    if (drop?.(datagram, number) || this.#isLost()) {
      this.figures.lost += 1;
      return [];
    }
    let late = delayMs + jitterMs * this.#random();
    if (this.#random() < reorderShare) late += reorderMs;
    if (late > 0) this.figures.delayed += 1;
    if (this.#random() >= duplicateShare) return [late];
    this.figures.duplicated += 1;
    return [late, late];
  }

  #isLost(): boolean {
    const { lossShare = 0, burst } = this.#impairment;
    if (!burst) return this.#random() < lossShare;
    this.#inBurst = this.#random() < (this.#inBurst ? 1 - burst.end : burst.begin);
    return this.#inBurst;
  }
}

/**
 * A bad network in user space: clients send to `local`, the target sees each of them from a port of its own. Both
 * directions have their own impairment and figures; `cut` takes the line away and gives it back.
 */
export class ImpairedPath {
  readonly #front: UdpPort;
  readonly #to: Endpoint;
  readonly #up: Fate;
  readonly #down: Fate;
  readonly #backs = new Map<string, Promise<UdpPort>>();
  readonly #held = new Set<NodeJS.Timeout>();
  readonly local: Endpoint;
  /** Nothing passes while this is true. */
  cut = false;

  constructor(front: UdpPort, { to, up = {}, down = {}, seed = 1 }: ProxyOptions) {
    this.#front = front;
    this.#to = to;
    this.local = front.local;
    this.#up = new Fate(up, seed);
    this.#down = new Fate(down, seed + 1);
    front.onDatagram = (datagram, client) => void this.#forward(datagram, client);
  }

  static async open(options: ProxyOptions): Promise<ImpairedPath> {
    const { address = LOOPBACK, port = 0 } = options.listen ?? {};
    return new ImpairedPath(await openUdp(address, port), options);
  }

  get up(): Readonly<ImpairmentFigures> {
    return this.#up.figures;
  }

  get down(): Readonly<ImpairmentFigures> {
    return this.#down.figures;
  }

  async close(): Promise<void> {
    for (const timer of this.#held) clearTimeout(timer);
    this.#front.close();
    for (const back of this.#backs.values()) (await back).close();
  }

  async #forward(datagram: Buffer, client: Endpoint): Promise<void> {
    const key = endpointText(client);
    let back = this.#backs.get(key);
    if (!back) {
      back = this.#openBack(client);
      this.#backs.set(key, back);
    }
    this.#pass(datagram, this.#up, await back, this.#to);
  }

  async #openBack(client: Endpoint): Promise<UdpPort> {
    const back = await openUdp(this.local.address);
    back.onDatagram = (datagram) => this.#pass(datagram, this.#down, this.#front, client);
    return back;
  }

  #pass(datagram: Buffer, fate: Fate, out: UdpPort, to: Endpoint): void {
    if (this.cut) return;
    for (const late of fate.of(datagram)) {
      if (late <= 0) {
        out.send(datagram, to);
        continue;
      }
      const timer = setTimeout(() => {
        this.#held.delete(timer);
        out.send(datagram, to);
      }, late);
      this.#held.add(timer);
    }
  }
}
