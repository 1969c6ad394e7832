/** Levels are counted in bins of 1 dB from here to 0 dBov; G.711 ends at about -72. */
const LOWEST_DB = -95;

/** Until a caller is known: 20 dB below a normal telephone voice (-26 dBov). */
const UNKNOWN_GATE_DB = -45;

/** A caller who interrupts is at most this much quieter than usual; a television in the room is quieter still. */
const GATE_BELOW_CALLER_DB = 13;

/** A turn this much quieter is somebody else in the room … */
const OTHER_BELOW_CALLER_DB = 8;

/** … but not three in a row: then the caller has moved away from the telephone. */
const MOST_OTHER_TURNS = 3;

/** Weight of the newest turn. */
const SMOOTHING = 0.3;

/** Fewer voiced frames (200 ms) say nothing about a voice. */
const MIN_FRAMES = 10;

/** How loud this caller is, learned from finished turns: who interrupts the agent must be about as loud. */
export class CallerLevel {
  readonly #bins = new Uint16Array(-LOWEST_DB + 1);
  #frames = 0;
  #callerDb: number | undefined;
  #otherTurns = 0;

  /** Loudness of this caller's louder frames in dBov; undefined before the first turn. */
  get callerDb(): number | undefined {
    return this.#callerDb;
  }

  /** What is quieter does not interrupt. */
  get gateDb(): number {
    return this.#callerDb === undefined ? UNKNOWN_GATE_DB : this.#callerDb - GATE_BELOW_CALLER_DB;
  }

  /** A voiced frame of the turn that runs. */
  add(levelDb: number): void {
    const bin = Math.round(Math.min(0, Math.max(LOWEST_DB, levelDb))) - LOWEST_DB;
    this.#bins[bin] = (this.#bins[bin] ?? 0) + 1;
    this.#frames += 1;
  }

  /** The frames since the last call were a turn (or were not: then they are forgotten). */
  endTurn(wasTurn: boolean): void {
    if (wasTurn && this.#frames >= MIN_FRAMES) this.#learn(this.#percentile90());
    this.#bins.fill(0);
    this.#frames = 0;
  }

  #learn(loudDb: number): void {
    const callerDb = this.#callerDb ?? loudDb;
    const isOther = loudDb < callerDb - OTHER_BELOW_CALLER_DB;
    this.#otherTurns = isOther ? this.#otherTurns + 1 : 0;
    if (isOther && this.#otherTurns < MOST_OTHER_TURNS) return;
    this.#callerDb = callerDb + SMOOTHING * (loudDb - callerDb);
  }

  #percentile90(): number {
    let above = 0;
    for (let bin = this.#bins.length - 1; bin > 0; bin--) {
      above += this.#bins[bin] ?? 0;
      if (above * 10 >= this.#frames) return bin + LOWEST_DB;
    }
    return LOWEST_DB;
  }
}
