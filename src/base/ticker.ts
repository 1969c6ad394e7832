import { Worker } from 'node:worker_threads';
import type { Clock } from './clock.ts';

/** Audio frames are 20 ms long everywhere in the gateway. */
export const FRAME_MS = 20;

/** Legs are spread over this many 1 ms slots, so that 50 calls do not all send in the same millisecond. */
const SLOTS = FRAME_MS;

/** After a stall longer than this, missed ticks are dropped instead of being made up in a burst. */
const MAX_CATCH_UP_MS = 60;

/** Calls back every 20 ms, on a steady beat. `dueAt` is when the tick should have run (Clock.now milliseconds). */
export type Tick = (dueAt: number) => void;

/** One beat for all paced legs of a process. */
export interface Ticker {
  /** Starts calling `tick` every 20 ms; the returned function ends it. */
  add(tick: Tick): () => void;
  /** The worst lateness of a tick since the last call, in milliseconds: what admission control looks at. */
  takeWorstLatenessMs(): number;
  stop(): Promise<void>;
}

// Runs in a worker: it sleeps in Atomics.wait, which is far more even than a timer of a busy event loop
// (p99 0.1–0.2 ms against 2.6 ms; docs/decisions/pacing.md). Source text, so that it needs no loader.
const WORKER = `
const { parentPort, workerData } = require('node:worker_threads');
const cell = new Int32Array(workerData.cell);
const start = performance.now();
let n = 0;
while (Atomics.load(cell, 0) === 0) {
  n += 1;
  const wait = start + n - performance.now();
  if (wait > 0) Atomics.wait(cell, 0, 0, wait);
  else if (wait < -20) n = Math.floor(performance.now() - start);
  // One message in flight at the most: a stalled main thread finds one wake-up waiting, not hundreds.
  if (Atomics.compareExchange(cell, 1, 0, 1) === 0) parentPort.postMessage(0);
}
`;

/** The real beat: a worker that only ticks. It runs while there is a leg to move. */
export class WorkerTicker implements Ticker {
  readonly #clock: Clock;
  readonly #slots: Set<Tick>[] = Array.from({ length: SLOTS }, () => new Set());
  #count = 0;
  #cell: Int32Array | undefined;
  #worker: Worker | undefined;
  #nextSlotAt = 0;
  #slot = 0;
  #worstLatenessMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(tick: Tick): () => void {
    // The emptiest slot; ticks are wrapped so that the same function can be added twice.
    const slot = this.#slots.reduce((best, each) => (each.size < best.size ? each : best));
    const entry: Tick = (dueAt) => tick(dueAt);
    slot.add(entry);
    this.#count += 1;
    if (!this.#worker) this.#startWorker();
    return () => {
      if (!slot.delete(entry)) return;
      this.#count -= 1;
      if (this.#count === 0) void this.#stopWorker();
    };
  }

  takeWorstLatenessMs(): number {
    const worst = this.#worstLatenessMs;
    this.#worstLatenessMs = 0;
    return worst;
  }

  async stop(): Promise<void> {
    for (const slot of this.#slots) slot.clear();
    this.#count = 0;
    await this.#stopWorker();
  }

  #startWorker(): void {
    const cell = new Int32Array(new SharedArrayBuffer(8));
    const worker = new Worker(WORKER, { eval: true, workerData: { cell: cell.buffer } });
    worker.unref();
    worker.on('message', () => {
      Atomics.store(cell, 1, 0);
      if (this.#worker === worker) this.#advance();
    });
    this.#cell = cell;
    this.#worker = worker;
    this.#nextSlotAt = this.#clock.now() + 1;
  }

  async #stopWorker(): Promise<void> {
    const worker = this.#worker;
    const cell = this.#cell;
    this.#worker = undefined;
    this.#cell = undefined;
    if (!worker || !cell) return;
    Atomics.store(cell, 0, 1);
    Atomics.notify(cell, 0);
    await worker.terminate();
  }

  #advance(): void {
    const now = this.#clock.now();
    if (now - this.#nextSlotAt > MAX_CATCH_UP_MS) {
      this.#worstLatenessMs = Math.max(this.#worstLatenessMs, now - this.#nextSlotAt);
      // Skip whole frames, so that each leg keeps its place in the beat.
      this.#nextSlotAt += Math.floor((now - this.#nextSlotAt) / FRAME_MS) * FRAME_MS;
    }
    while (this.#nextSlotAt <= now) {
      const dueAt = this.#nextSlotAt;
      const slot = this.#slots[this.#slot];
      this.#slot = (this.#slot + 1) % SLOTS;
      this.#nextSlotAt += 1;
      if (!slot || slot.size === 0) continue;
      this.#worstLatenessMs = Math.max(this.#worstLatenessMs, this.#clock.now() - dueAt);
      for (const tick of slot) tick(dueAt);
    }
  }
}
