import type { Clock, Timer } from './clock.ts';

/** A protocol without I/O: it is fed inputs and the time, and gives outputs and the time it wants to be woken. */
export interface Machine<Output> {
  /** The next thing to do, or undefined when there is nothing. */
  pollOutput(): Output | undefined;
  /** When to call handleTimeout (Clock.now milliseconds), or undefined for never. */
  nextTimeout(): number | undefined;
  handleTimeout(now: number): void;
}

/** Moves one machine: change, drain its outputs, arm one timer. The only place where a machine meets the clock. */
export class Driver<Output> {
  readonly #clock: Clock;
  readonly #machine: Machine<Output>;
  readonly #onOutput: (output: Output) => void;
  #timer: Timer | undefined;
  #armedFor: number | undefined;
  #draining = false;
  #stopped = false;

  constructor(clock: Clock, machine: Machine<Output>, onOutput: (output: Output) => void) {
    this.#clock = clock;
    this.#machine = machine;
    this.#onOutput = onOutput;
  }

  /** Applies a change to the machine and carries out what follows from it. Safe to call from within an output. */
  run(change?: (now: number) => void): void {
    if (this.#stopped) return;
    change?.(this.#clock.now());
    if (this.#draining) return; // the outer call drains what this change made
    this.#draining = true;
    try {
      for (let output = this.#machine.pollOutput(); output !== undefined; output = this.#machine.pollOutput()) {
        this.#onOutput(output);
        if (this.#stopped) return;
      }
    } finally {
      this.#draining = false;
    }
    this.#arm();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(): void {
    const at = this.#machine.nextTimeout();
    if (at === this.#armedFor && this.#timer) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#armedFor = at;
    if (at === undefined) return;
    this.#timer = this.#clock.setTimer(at - this.#clock.now(), () => {
      this.#timer = undefined;
      this.run((now) => this.#machine.handleTimeout(Math.max(now, at)));
    });
  }
}
