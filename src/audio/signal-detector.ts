import { levelDbov } from './level.ts';
import { type FoundTone, ToneFinder } from './tone-finder.ts';

const FRAME_MS = 20;

/** The window is 40 ms: a tone of 100 ms fills it in four frames. Vowels are steady for three. */
const LEAST_FRAMES = 4;
/** What sways more is a voice. */
const STEADY_SHARE = 0.02;
/** The longest beep there is has a second; what is longer is a signal of the network. */
const LONGEST_BEEP_MS = 1600;
/** ITU-T E.180 §7: the three special information tones follow each other within 30 ms; 100 more for the window. */
const SIT_GAP_MS = 130;
/** ITU-T E.180: 950, 1400 and 1800 Hz, each ±50; in North America 914 or 985, 1371 or 1429, 1777. */
const SIT_HZ = [
  [895, 1005],
  [1345, 1455],
  [1745, 1855],
] as const;
/** ITU-T T.30 §4.2: CED, 2100 ±15 Hz for 2.6 to 4 s; no beep is that high and that long. */
const CED_HZ = [2075, 2125] as const;
const CED_MS = 700;
/** E.180: ringing, busy and dial tones of one frequency. */
const PROGRESS_HZ = [395, 485] as const;
/** The same of two, and the rows and columns of keys (Q.23). */
const PROGRESS_PAIRS: readonly (readonly [number, number])[] = [
  [350, 440],
  [440, 480],
  [480, 620],
  [400, 450],
];
const ROWS_HZ = [697, 770, 852, 941];
const COLUMNS_HZ = [1209, 1336, 1477, 1633];

/** What a far end signals by tones. */
export type Signal =
  /** @property hz of a pair the lower one */
  | { readonly type: 'beep'; readonly hz: number; readonly ms: number }
  /** Special information tones: the network is about to say that the number cannot be reached. */
  | { readonly type: 'network' }
  | { readonly type: 'fax' };

/** Two frames within so much of the tone's level are no silence; noise may come within 8 dB of it. */
const AFTER_DB = 6;
const LOUD_AFTER = 2;

interface Run {
  readonly hz: number;
  readonly secondHz: number | undefined;
  readonly levelDb: number;
  frames: number;
}

/**
 * Hears tones that mean something: the beep of an answering machine, special information tones, a fax machine. Not what telephones sound like on
 * the way there: ringing, busy, dial tones and keys. A push object at 8 kHz, 20 ms a frame.
 */
export class SignalDetector {
  readonly #finder = new ToneFinder();
  #run: Run | undefined;
  /** Heard to its end, and not known yet whether more follows. */
  #ended: { readonly run: Run; readonly levelDb: number; silentMs: number; loudFrames: number } | undefined;
  #sit = 0;
  /** A steady tone is heard now: it is no voice. */
  sounding = false;

  /** Is there a tone, or was there one of which it is not known yet what it means? */
  get isUndecided(): boolean {
    return this.sounding || this.#ended !== undefined;
  }

  /** @param afterVoice somebody has spoken: a tone of 440 Hz is no longer ringing then */
  push(frame: Int16Array, afterVoice: boolean): Signal | undefined {
    const found = this.#finder.process(frame);
    const run = this.#run;
    this.sounding = false;
    if (found && run && continues(run, found)) {
      run.frames += 1;
      this.sounding = run.frames >= LEAST_FRAMES;
      if (within(run.hz, CED_HZ) && run.secondHz === undefined && run.frames * FRAME_MS === CED_MS) return { type: 'fax' };
      return undefined;
    }
    let signal = run && this.#finish(run);
    if (this.#ended && !found) this.#noteAfter(frame);
    this.#run = found && { hz: found.hz, secondHz: found.secondHz, levelDb: levelDbov(frame), frames: 1 };
    if (!signal && this.#ended) {
      const { run: ended } = this.#ended;
      this.#ended.silentMs += FRAME_MS;
      if (this.#ended.silentMs >= SIT_GAP_MS) {
        this.#ended = undefined;
        this.#sit = 0;
        signal = beepOf(ended, afterVoice);
      }
    }
    return signal;
  }

  /** Beeps are followed by silence; a vowel that was held is followed by the rest of the word. */
  #noteAfter(frame: Int16Array): void {
    const ended = this.#ended;
    // The first frame after it still has a part of it.
    if (!ended || ended.silentMs === 0 || levelDbov(frame) < ended.levelDb - AFTER_DB) return;
    ended.loudFrames += 1;
    if (ended.loudFrames >= LOUD_AFTER) this.#ended = undefined;
  }

  /** A tone is over. What cannot be one of three tells at once what it was. */
  #finish(run: Run): Signal | undefined {
    if (run.frames < LEAST_FRAMES) return undefined;
    const expected = SIT_HZ[this.#sit];
    if (run.secondHz === undefined && expected && within(run.hz, expected)) {
      this.#sit += 1;
      if (this.#sit === SIT_HZ.length) {
        this.#sit = 0;
        this.#ended = undefined;
        return { type: 'network' };
      }
    } else this.#sit = 0;
    this.#ended = { run, silentMs: 0, loudFrames: 0, levelDb: run.levelDb };
    return undefined;
  }
}

function continues({ hz, secondHz }: Run, found: FoundTone): boolean {
  if ((secondHz === undefined) !== (found.secondHz === undefined)) return false;
  const near = (a: number, b: number): boolean => Math.abs(a - b) <= a * STEADY_SHARE;
  return near(hz, found.hz) && (secondHz === undefined || near(secondHz, found.secondHz ?? 0));
}

function beepOf({ hz, secondHz, frames }: Run, afterVoice: boolean): Signal | undefined {
  // A frame at each end is half full.
  const ms = (frames + 1) * FRAME_MS;
  if (ms > LONGEST_BEEP_MS) return undefined;
  if (secondHz === undefined) return !afterVoice && within(hz, PROGRESS_HZ) ? undefined : { type: 'beep', hz: Math.round(hz), ms };
  const near = (value: number, list: readonly number[]): boolean => list.some((each) => Math.abs(each - value) < each * 0.03);
  const known = PROGRESS_PAIRS.some(([low, high]) => near(hz, [low]) && near(secondHz, [high]));
  if (known || (near(hz, ROWS_HZ) && near(secondHz, COLUMNS_HZ))) return undefined;
  return { type: 'beep', hz: Math.round(hz), ms };
}

function within(value: number, [low, high]: readonly [number, number]): boolean {
  return value >= low && value <= high;
}
