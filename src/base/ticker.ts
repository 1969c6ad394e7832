import { Worker } from 'node:worker_threads';
import type { Clock } from './clock.ts';

/** Audio frames are 20 ms long everywhere in the gateway. */
export const FRAME_MS = 20;

/** Legs are spread over this many 1 ms slots, so that 50 calls do not all send in the same millisecond. */
const SLOTS = FRAME_MS;

/** Legs in one slot before another one is opened: five are done in half a millisecond, and every slot in use wakes both threads 50 times a second. */
const LEGS_A_SLOT = 5;

/** Slots are opened in this stride, so that the few that are in use lie apart; it has no divisor in common with their number. */
const SLOT_STRIDE = 7;

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
// (p99 0.1–0.2 ms against 2.6 ms; docs/decisions/pacing.md). Source text, so that it needs no loader. Cells: 0 is 1 at the end,
// 1 is 1 while a message is on its way, 2 has a bit for each slot that has legs: for the others nobody is woken.
const WORKER = `
const { parentPort, workerData } = require('node:worker_threads');
const cell = new Int32Array(workerData.cell);
const now = () => { const [s, ns] = process.hrtime(); return s * 1000 + ns / 1e6 - workerData.startAt; };
let last = -1;
while (Atomics.load(cell, 0) === 0) {
  const occupied = Atomics.load(cell, 2);
  let next = Math.max(last + 1, Math.floor(now()));
  while (occupied !== 0 && (occupied >> next % ${SLOTS} & 1) === 0) next += 1;
  const wait = occupied === 0 ? Infinity : next - now();
  if (wait > 0 && Atomics.wait(cell, 2, occupied, wait) !== 'timed-out') continue; // legs have come or gone
  last = next;
  // One message in flight at the most: a stalled main thread finds one wake-up waiting, not hundreds.
  if (Atomics.compareExchange(cell, 1, 0, 1) === 0) parentPort.postMessage(0);
}
`;

/** The cells of the worker. */
const END = 0;
const IN_FLIGHT = 1;
const OCCUPIED = 2;

/** The worker's clock and ours agree to a few microseconds: a slot that is due so soon is due. */
const EARLY_MS = 0.1;

/** The real beat: a worker that only ticks, and sleeps while there is no leg to move. */
export class WorkerTicker implements Ticker {
  readonly #clock: Clock;
  readonly #slots: Set<Tick>[] = Array.from({ length: SLOTS }, () => new Set());
  #count = 0;
  #cell: Int32Array | undefined;
  #worker: Worker | undefined;
  #nextSlotAt = 0;
  #slot = 0;
  /** The worker has begun to tick. */
  #ticking = false;
  #worstLatenessMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Starts the worker, which takes some 40 ms: the first leg need not wait for it. */
  start(): void {
    if (!this.#worker) this.#startWorker();
  }

  add(tick: Tick): () => void {
    const slot = this.#chooseSlot();
    // Wrapped so that the same function can be added twice.
    const entry: Tick = (dueAt) => tick(dueAt);
    // Nobody was late while there was nobody.
    if (this.#count === 0) this.#ticking = false;
    slot.add(entry);
    this.#count += 1;
    this.start();
    this.#tellOccupied();
    return () => {
      if (!slot.delete(entry)) return;
      this.#count -= 1;
      this.#tellOccupied();
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

  /** One that is in use and has room, or a new one; when all are in use, the emptiest. */
  #chooseSlot(): Set<Tick> {
    let best: Set<Tick> | undefined;
    let fresh: Set<Tick> | undefined;
    for (let n = 0; n < SLOTS; n++) {
      const slot = this.#slots[(n * SLOT_STRIDE) % SLOTS] as Set<Tick>;
      if (slot.size === 0) fresh ??= slot;
      else if (!best || slot.size < best.size) best = slot;
    }
    return best && (best.size < LEGS_A_SLOT || !fresh) ? best : (fresh as Set<Tick>);
  }

  #tellOccupied(): void {
    if (!this.#cell) return;
    const occupied = this.#slots.reduce((bits, slot, n) => (slot.size > 0 ? bits | (1 << n) : bits), 0);
    Atomics.store(this.#cell, OCCUPIED, occupied);
    Atomics.notify(this.#cell, OCCUPIED);
  }

  #startWorker(): void {
    const cell = new Int32Array(new SharedArrayBuffer(3 * Int32Array.BYTES_PER_ELEMENT));
    // The same moment on our clock and on the one that all threads share; performance.now() begins at another moment in each.
    this.#nextSlotAt = this.#clock.now() + 1;
    const [seconds, nanoseconds] = process.hrtime();
    const startAt = seconds * 1000 + nanoseconds / 1e6 + 1;
    const worker = new Worker(WORKER, { eval: true, workerData: { cell: cell.buffer, startAt } });
    worker.unref();
    worker.on('message', () => {
      Atomics.store(cell, IN_FLIGHT, 0);
      if (this.#worker === worker) this.#advance();
    });
    this.#cell = cell;
    this.#worker = worker;
    this.#slot = 0;
    this.#ticking = false;
  }

  async #stopWorker(): Promise<void> {
    const worker = this.#worker;
    const cell = this.#cell;
    this.#worker = undefined;
    this.#cell = undefined;
    if (!worker || !cell) return;
    Atomics.store(cell, END, 1);
    Atomics.store(cell, OCCUPIED, ~0);
    Atomics.notify(cell, OCCUPIED);
    await worker.terminate();
  }

  #advance(): void {
    const now = this.#clock.now();
    if (now - this.#nextSlotAt > MAX_CATCH_UP_MS || !this.#ticking) {
      if (this.#ticking) this.#worstLatenessMs = Math.max(this.#worstLatenessMs, now - this.#nextSlotAt);
      this.#ticking = true;
      // Skip whole frames, so that each leg keeps its place in the beat.
      this.#nextSlotAt += Math.max(0, Math.floor((now - this.#nextSlotAt) / FRAME_MS)) * FRAME_MS;
    }
    while (this.#nextSlotAt <= now + EARLY_MS) {
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
