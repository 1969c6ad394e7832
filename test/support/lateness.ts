import type { GatewayProcess } from './gateway-process.ts';

/** Between two looks at the clock. */
const LOOK_EVERY_MS = 5;

/** Looks that come no further apart than this are in time: timers are late by a few milliseconds on any machine. */
const IN_TIME_MS = 10;

/**
 * How late this process and the gateway have run at worst since the tests of a file began. On a busy machine every time that
 * is taken may be longer by as much, which says nothing about the gateway: tests allow `limit + late`.
 */
export class Lateness {
  readonly #gateways: readonly GatewayProcess[];
  readonly #timer: NodeJS.Timeout;
  #lookedAt = performance.now();
  #oursMs = 0;
  #totalMs = 0;
  #theirsMs = 0;

  /** Begins to watch this process, and the audio beat of these gateways. */
  constructor(...gateways: readonly GatewayProcess[]) {
    this.#gateways = gateways;
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  /** The worst of both together: a time that was taken may have met both. */
  async soFar(): Promise<number> {
    this.#look();
    const told = await Promise.all(this.#gateways.filter(({ running }) => running).map((each) => each.metrics().catch(() => undefined)));
    this.#theirsMs = Math.max(this.#theirsMs, ...told.map((metrics) => metrics?.sum('ringdown_send_lateness_ms') ?? 0));
    return this.#oursMs + this.#theirsMs;
  }

  /** All the time that this process stood still, in milliseconds. */
  get totalMs(): number {
    this.#look();
    return this.#totalMs;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    const stoodMs = now - this.#lookedAt;
    this.#lookedAt = now;
    if (stoodMs <= IN_TIME_MS) return;
    // It may have begun right after the last look.
    this.#oursMs = Math.max(this.#oursMs, stoodMs);
    this.#totalMs += stoodMs;
  }
}
