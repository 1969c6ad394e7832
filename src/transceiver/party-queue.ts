import { Concealer } from '../audio/concealer.ts';
import { mergeFrames } from '../audio/gain.ts';
import { MODEL_FRAME_SAMPLES, MODEL_RATE_HZ } from '../realtime/model.ts';

/** 120 ms: what is spread wider was held up in one piece, and the listener's own buffer would not bridge it either. */
const MOST_FRAMES = 6;

/** Two seconds without an empty moment: a frame less would have done. */
const SHRINK_AFTER = 100;

/** Made-up audio beyond 60 ms only drones. */
const MOST_CONCEALED = 3;

/**
 * What one party says on its way to another one: pushed as it arrives, pulled on the listener's beat. It waits for no more than what the two beats are
 * apart and what has been late: each late frame leaves one frame more in hand, and after two seconds in which none was needed one is taken out.
 */
export class PartyQueue {
  readonly #frames = Array.from({ length: MOST_FRAMES }, () => new Int16Array(MODEL_FRAME_SAMPLES));
  readonly #concealer = new Concealer(MODEL_RATE_HZ);
  readonly #out = new Int16Array(MODEL_FRAME_SAMPLES);
  #first = 0;
  #length = 0;
  /** Least that was left after a pull, and of how many pulls. */
  #least = MOST_FRAMES;
  #pulls = 0;
  #concealed = MOST_CONCEALED;

  /** Milliseconds in hand. */
  get waitingMs(): number {
    return this.#length * 20;
  }

  /** The frame is copied. When there is no room, two become one. */
  push(frame: Int16Array): void {
    if (this.#length === MOST_FRAMES) this.#dropOne();
    this.#at(this.#length).set(frame);
    this.#length += 1;
  }

  /** The next 20 ms, good until the next pull; undefined when there is nothing to hear. */
  pull(): Int16Array | undefined {
    if (this.#length === 0) return this.#conceal();
    const frame = this.#out;
    frame.set(this.#at(0));
    this.#first = (this.#first + 1) % MOST_FRAMES;
    this.#length -= 1;
    this.#concealer.pass(frame);
    this.#concealed = 0;
    this.#watch();
    return frame;
  }

  /** Whoever spoke speaks to others now. */
  clear(): void {
    this.#length = 0;
    this.#least = MOST_FRAMES;
    this.#pulls = 0;
    this.#concealed = MOST_CONCEALED;
    this.#concealer.forget();
  }

  #conceal(): Int16Array | undefined {
    if (this.#concealed >= MOST_CONCEALED) return undefined;
    this.#concealed += 1;
    this.#least = 0;
    this.#concealer.conceal(this.#out);
    return this.#out;
  }

  #watch(): void {
    this.#least = Math.min(this.#least, this.#length);
    this.#pulls += 1;
    if (this.#pulls < SHRINK_AFTER) return;
    if (this.#least > 0 && this.#length > 1) this.#dropOne();
    this.#pulls = 0;
    this.#least = MOST_FRAMES;
  }

  /** The two oldest become one, without a step. */
  #dropOne(): void {
    mergeFrames(this.#at(0), this.#at(1));
    this.#first = (this.#first + 1) % MOST_FRAMES;
    this.#length -= 1;
  }

  #at(n: number): Int16Array {
    return this.#frames[(this.#first + n) % MOST_FRAMES] as Int16Array;
  }
}
