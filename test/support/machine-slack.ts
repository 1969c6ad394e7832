import { readFileSync } from 'node:fs';

const LOOK_EVERY_MS = 20;

/** Looks in a quarter of a second: several short waits in a row make one long gap. */
const WINDOW_LOOKS = 12;

/**
 * How long the machine has kept processes waiting for a core that were ready to run. A time that was taken of an attacked gateway may be longer by
 * as much; how late the gateway ran for the attack's sake is not in it, unlike in `Lateness`. Without /proc, and on a machine with
 * cores to spare, it is next to nothing.
 */
export class MachineSlack {
  readonly #pids: readonly number[];
  readonly #timer: NodeJS.Timeout;
  /** Of all processes together, the newest last. */
  readonly #waits: number[] = [];
  readonly #startedWith: number;
  #dueAt = performance.now() + LOOK_EVERY_MS;
  #waitedMs = 0;
  #oursMs = 0;

  /** Begins to watch this process and these. */
  constructor(...pids: readonly number[]) {
    this.#pids = [process.pid, ...pids];
    this.#startedWith = this.#waited();
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  /** The longest that the machine has kept them waiting within a quarter of a second. */
  get waitedMs(): number {
    this.#look();
    return this.#waitedMs;
  }

  /** That, and how late this process saw things: what any time that it took of another process may be too long by. */
  get worstMs(): number {
    return this.waitedMs + this.#oursMs;
  }

  /** All that the processes have waited together, in milliseconds. */
  get totalMs(): number {
    return this.#waited() - this.#startedWith;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    this.#oursMs = Math.max(this.#oursMs, now - this.#dueAt);
    this.#dueAt = now + LOOK_EVERY_MS;
    const waited = this.#waited();
    this.#waits.push(waited);
    if (this.#waits.length > WINDOW_LOOKS) this.#waits.shift();
    this.#waitedMs = Math.max(this.#waitedMs, waited - (this.#waits[0] ?? waited));
  }

  #waited(): number {
    return this.#pids.reduce((sum, pid) => sum + waitedMs(pid), 0);
  }
}

/** Milliseconds that the main thread of a process has stood in the queue for a core: the second figure of its schedstat. */
function waitedMs(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ')[1] ?? 0) / 1e6;
  } catch {
    // It has ended, or there is no /proc.
    return 0;
  }
}
