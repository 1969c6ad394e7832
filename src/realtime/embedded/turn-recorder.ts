import { MODEL_RATE_HZ } from '../model.ts';

const BLOCK_MS = 100;
const BLOCK_SAMPLES = (MODEL_RATE_HZ * BLOCK_MS) / 1000;

/** Between turns the last second is kept: a turn begins at most 300 ms before its onset, and that is known 60–160 ms late. */
const KEPT_BLOCKS = 10;

/** A turn may be taken back and go on for so long after its commit. */
const KEPT_AFTER_TURN_MS = 2000;

/** Of a longer turn the last 30 s are said back (1.4 MB for that time). */
const MOST_BLOCKS = 300;

/** The caller's audio, kept only as long as a turn needs it. Times are milliseconds of audio since the beginning. */
export class TurnRecorder {
  readonly #blocks: Int16Array[] = [];
  readonly #spare: Int16Array[] = [];
  /** Samples that went before the first block. */
  #droppedSamples = 0;
  #samples = 0;
  /** A turn runs from here, or has ended a moment ago. */
  #turnStartMs: number | undefined;
  #releaseAtMs = Number.POSITIVE_INFINITY;

  append(pcm: Int16Array): void {
    for (let at = 0; at < pcm.length; ) {
      const offset = (this.#samples - this.#droppedSamples) % BLOCK_SAMPLES;
      if (offset === 0) this.#grow();
      const take = Math.min(BLOCK_SAMPLES - offset, pcm.length - at);
      this.#blocks.at(-1)?.set(take === pcm.length ? pcm : pcm.subarray(at, at + take), offset);
      at += take;
      this.#samples += take;
    }
  }

  beginTurn(startMs: number): void {
    this.#turnStartMs = startMs;
    this.#releaseAtMs = Number.POSITIVE_INFINITY;
  }

  /** A copy of what was said; shorter than asked for where it is not kept. */
  endTurn(startMs: number, endMs: number): Int16Array {
    this.#releaseAtMs = endMs + KEPT_AFTER_TURN_MS;
    const from = Math.max(this.#droppedSamples, Math.round((startMs * MODEL_RATE_HZ) / 1000));
    const to = Math.min(this.#samples, Math.round((endMs * MODEL_RATE_HZ) / 1000));
    const turn = new Int16Array(Math.max(0, to - from));
    for (let at = from; at < to; ) {
      const position = at - this.#droppedSamples;
      const offset = position % BLOCK_SAMPLES;
      const take = Math.min(BLOCK_SAMPLES - offset, to - at);
      const block = this.#blocks[Math.floor(position / BLOCK_SAMPLES)];
      if (block) turn.set(block.subarray(offset, offset + take), at - from);
      at += take;
    }
    return turn;
  }

  /** Nothing of the turn that runs is needed any more. */
  forgetTurn(): void {
    this.#turnStartMs = undefined;
  }

  #grow(): void {
    const nowMs = (this.#samples * 1000) / MODEL_RATE_HZ;
    if (nowMs >= this.#releaseAtMs) this.#turnStartMs = undefined;
    const neededFromMs = Math.min(this.#turnStartMs ?? nowMs, nowMs - KEPT_BLOCKS * BLOCK_MS);
    while (this.#blocks.length > 0 && (this.#blocks.length >= MOST_BLOCKS || this.#firstBlockEndMs() <= neededFromMs)) this.#dropFirst();
    this.#blocks.push(this.#spare.pop() ?? new Int16Array(BLOCK_SAMPLES));
  }

  #firstBlockEndMs(): number {
    return ((this.#droppedSamples + BLOCK_SAMPLES) * 1000) / MODEL_RATE_HZ;
  }

  #dropFirst(): void {
    const block = this.#blocks.shift();
    this.#droppedSamples += BLOCK_SAMPLES;
    if (block && this.#spare.length === 0) this.#spare.push(block);
  }
}
