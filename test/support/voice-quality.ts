import { Decimator } from '../../src/audio/decimate.ts';
import type { HeardFrame } from './probe-model.ts';
import type { Mangle, OutgoingRtp, Said } from './rtp-phone.ts';
import { importTool } from './test-data.ts';
import { concat, PHONE_RATE_HZ, silence } from './tones.ts';

/** What quality.mjs of the outside test data says of a recording against what was said. */
export interface QualityScore {
  readonly delayMs: { readonly median: number; readonly p5: number; readonly p95: number; readonly driftMsPerS: number };
  readonly segSnrDb: number;
  /** Of the frames with sound, in percent. */
  readonly lostActivePct: number;
  readonly deadActivePct: number;
  readonly longestGapMs: number;
  readonly stoiNB: number;
}

export interface QualityTool {
  artificialSpeech(seconds: number, options?: { readonly seed?: number }): Float64Array;
  score(said: Int16Array, heard: Int16Array): QualityScore;
  /** How many samples later the `length` samples at `at` lie, `most` at the most, and how alike they are (0 … 1); null in silence. */
  lagAt(
    said: Float64Array,
    heard: Float64Array,
    at: number,
    length: number,
    most: number,
  ): { readonly lag: number; readonly corr: number } | null;
}

/** What udp-impair.mjs of the outside test data does to datagrams; shares in percent. */
export interface ImpairOptions {
  readonly loss?: number;
  readonly ge?: { readonly p: number; readonly r: number };
  readonly jitter?: number;
  readonly reorder?: number;
  readonly reorderMs?: number;
  readonly dup?: number;
  readonly dupMs?: number;
  readonly seed?: number;
}

interface ImpairTool {
  readonly Impairment: new (
    options: ImpairOptions,
  ) => {
    plan(datagram: Buffer, now: number): { readonly at: number }[];
    readonly st: { readonly in: number; readonly lost: number; readonly dup: number; readonly reordered: number };
  };
}

/** A bad network for one phone, and what it has done. */
export interface BadNetwork {
  readonly mangle: Mangle;
  readonly done: { readonly in: number; readonly lost: number; readonly dup: number; readonly reordered: number };
}

/** Loads the impairment of the outside test data. */
export async function loadBadNetwork(): Promise<(options: ImpairOptions) => BadNetwork> {
  const { Impairment } = await importTool<ImpairTool>('udp-impair.mjs');
  const datagram = Buffer.alloc(172);
  return (options) => {
    const impairment = new Impairment(options);
    const mangle = (packet: OutgoingRtp): OutgoingRtp[] =>
      impairment.plan(datagram, performance.now()).map(({ at }) => ({ ...packet, delayMs: at }));
    return { mangle, done: impairment.st };
  };
}

export function loadQuality(): Promise<QualityTool> {
  return importTool<QualityTool>('quality.mjs');
}

/** Floats of ±1 as samples. */
export function toSamples(sound: Float64Array): Int16Array {
  return Int16Array.from(sound, (value) => Math.round(Math.max(-1, Math.min(1, value)) * 32_767));
}

/** A piece of what was said, found again in what was heard. */
export interface FoundPiece {
  /** How much later it lies in the audio that was heard. */
  readonly lagMs: number;
  /** From the packet with its middle to the model. */
  readonly wallMs: number;
  /** When the model had heard its beginning (performance.now() ms). */
  readonly heardAt: number;
}

export interface Judgement extends QualityScore {
  /** From packet to model by the clock on the wall, over pieces of half a second. */
  readonly wallMs: { readonly median: number; readonly p95: number };
}

/** What is heard may lie this much earlier in its audio than what was said, when a frame of silence before it was lost. */
const EARLY_MS = 200;
const PIECE_MS = 500;
const PER_MS = PHONE_RATE_HZ / 1000;
/** Two pieces of speech that have nothing to do with each other stay below. */
const ALIKE = 0.6;

/** Compares what was said with the frames that the model heard since. */
export class Hearing {
  readonly #tool: QualityTool;
  readonly #said: Int16Array;
  readonly #when: Said;
  readonly #frames: readonly HeardFrame[];
  readonly #heard: Int16Array;
  readonly #floats: { readonly said: Float64Array; readonly heard: Float64Array };

  constructor(tool: QualityTool, said: Int16Array, when: Said, frames: readonly HeardFrame[]) {
    this.#tool = tool;
    this.#said = said;
    this.#when = when;
    this.#frames = frames.filter(({ at }) => at >= when.startedAt);
    this.#heard = concat(silence(EARLY_MS), decimated(this.#frames));
    this.#floats = { said: toFloats(said), heard: toFloats(this.#heard) };
  }

  judge(): Judgement {
    const score = this.#tool.score(this.#said, this.#heard);
    const { median, p5, p95, driftMsPerS } = score.delayMs;
    const walls: number[] = [];
    for (let at = 0; at + PIECE_MS < this.#said.length / PER_MS; at += PIECE_MS / 2) {
      const found = this.find(at, PIECE_MS);
      if (found) walls.push(found.wallMs);
    }
    walls.sort((a, b) => a - b);
    return {
      ...score,
      delayMs: { median: median - EARLY_MS, p5: p5 - EARLY_MS, p95: p95 - EARLY_MS, driftMsPerS },
      wallMs: { median: share(walls, 0.5), p95: share(walls, 0.95) },
    };
  }

  /** Looks for a piece of what was said, `atMs` from its beginning; undefined when nothing is alike. */
  find(atMs: number, ms: number, mostMs = 800): FoundPiece | undefined {
    const { said, heard } = this.#floats;
    const found = this.#tool.lagAt(said, heard, Math.round(atMs * PER_MS), ms * PER_MS, (mostMs + EARLY_MS) * PER_MS);
    if (!found || found.corr < ALIKE) return undefined;
    const lagMs = found.lag / PER_MS - EARLY_MS;
    const middleMs = atMs + ms / 2;
    const heardAt = (inHeardMs: number): number => this.#frames[Math.floor(inHeardMs / 20)]?.at ?? Number.NaN;
    return {
      lagMs,
      wallMs: heardAt(middleMs + lagMs) - this.#when.sentAt(Math.round(middleMs * PER_MS)),
      heardAt: heardAt(atMs + lagMs),
    };
  }

  /** How long after this moment (performance.now() ms) what is said from then on is heard again; undefined when it is not. */
  backAfter(moment: number, withinMs = 1000): number | undefined {
    for (let atMs = this.#saidAt(moment); atMs < this.#saidAt(moment + withinMs); atMs += 20) {
      const found = this.find(atMs, 120, 400);
      if (found) return found.heardAt - moment;
    }
    return undefined;
  }

  /** The delay of what was said in the half second from this moment on; undefined when it is not heard. */
  delayAfter(moment: number): FoundPiece | undefined {
    return this.find(this.#saidAt(moment), PIECE_MS);
  }

  #saidAt(moment: number): number {
    for (let atMs = 0; atMs < this.#said.length / PER_MS; atMs += 20) if (this.#when.sentAt(atMs * PER_MS) >= moment) return atMs;
    return Number.NaN;
  }
}

function share(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

/** Frames of 24 kHz as one recording of 8 kHz. */
function decimated(frames: readonly HeardFrame[]): Int16Array {
  const decimator = new Decimator();
  return concat(
    ...frames.map(({ pcm }) => {
      const out = new Int16Array(pcm.length / 3);
      decimator.process(pcm, out);
      return out;
    }),
  );
}

function toFloats(samples: Int16Array): Float64Array {
  return Float64Array.from(samples, (sample) => sample / 32_768);
}
