import { MODEL_RATE_HZ } from '../model.ts';

const BLOCK_SAMPLES = MODEL_RATE_HZ / 10;

/** Between turns the last 3 s are kept: an interruption that was held back for 2 s begins 300 ms before the hold. */
const KEPT_SAMPLES = 3 * MODEL_RATE_HZ;

/** Of a longer turn the last 30 s can be sent again (1.4 MB for that time); what was sent before is not lost unless the connection is. */
const MOST_SAMPLES = 30 * MODEL_RATE_HZ;

/** What the caller said lately, counted in samples since the beginning of the call: turns begin before they are known to, and a lost connection needs them again. */
export class CallerAudio {
  readonly #blocks: Int16Array[] = [];
  readonly #spare: Int16Array[] = [];
  readonly #mostSamples: number;
  /** The sample with which the first block begins. */
  #from = 0;
  #end = 0;
  #neededFrom: number | undefined;

  /** @param mostSamples of one turn */
  constructor(mostSamples = MOST_SAMPLES) {
    this.#mostSamples = mostSamples;
  }

  /** Samples appended so far. */
  get end(): number {
    return this.#end;
  }

  /** The oldest sample that is kept. */
  get start(): number {
    return this.#from;
  }

  append(pcm: Int16Array): void {
    for (let at = 0; at < pcm.length; ) {
      const offset = (this.#end - this.#from) % BLOCK_SAMPLES;
      if (offset === 0) this.#grow();
      const take = Math.min(BLOCK_SAMPLES - offset, pcm.length - at);
      this.#blocks.at(-1)?.set(take === pcm.length ? pcm : pcm.subarray(at, at + take), offset);
      at += take;
      this.#end += take;
    }
  }

  /** From this sample on it is needed, as far as it is kept at all; undefined: only the last moments are. */
  need(from: number | undefined): void {
    this.#neededFrom = from;
  }

  /** A copy; shorter at its beginning where that is not kept any more. */
  read(from: number, to: number): Int16Array {
    const first = Math.max(from, this.#from);
    const out = new Int16Array(Math.max(0, Math.min(to, this.#end) - first));
    for (let done = 0; done < out.length; ) {
      const position = first - this.#from + done;
      const offset = position % BLOCK_SAMPLES;
      const take = Math.min(BLOCK_SAMPLES - offset, out.length - done);
      const block = this.#blocks[Math.floor(position / BLOCK_SAMPLES)];
      if (block) out.set(block.subarray(offset, offset + take), done);
      done += take;
    }
    return out;
  }

  #grow(): void {
    const keepFrom = Math.max(this.#end - this.#mostSamples, Math.min(this.#neededFrom ?? this.#end, this.#end - KEPT_SAMPLES));
    while (this.#blocks.length > 0 && this.#from + BLOCK_SAMPLES <= keepFrom) {
      const block = this.#blocks.shift();
      this.#from += BLOCK_SAMPLES;
      if (block && this.#spare.length === 0) this.#spare.push(block);
    }
    this.#blocks.push(this.#spare.pop() ?? new Int16Array(BLOCK_SAMPLES));
  }
}
