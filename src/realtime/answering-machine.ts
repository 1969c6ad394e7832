import { Decimator } from '../audio/decimate.ts';
import { SignalDetector } from '../audio/signal-detector.ts';
import { VoiceActivity } from '../audio/vad.ts';
import type { Answered, AnsweredBy } from '../leg/answered-by.ts';

const FRAME_MS = 20;
const FRAME_SAMPLES_8K = 160;

/** Who says nothing for so long does not know that a call has come, or is no one. */
const SILENCE_MS = 4000;
/** A person who has said hello waits for an answer. A machine that has said as little goes on, or beeps, before so long; the more was said, the longer is waited. */
const WAITING_MS = 600;
const WAITING_SHARE = 0.35;
/** Few people say so much before they listen, and few machines say less. */
const MACHINE_SPEECH_MS = 3000;
/** A pause inside words; shorter ones are consonants. */
const WORD_GAP_MS = 60;
/** Breath between sentences; what is shorter belongs to speech. */
const PAUSE_MS = 200;
/** Shorter than this is a click or a breath. */
const LEAST_WORD_MS = 80;
/** Speech dips by more than this within a second; the noise of a line that has just opened does not. */
const ABOVE_QUIETEST_DB = 7;
const QUIETEST_FRAMES = 50;
/** Then somebody has to be told something. */
const MOST_MS = 8000;
/** What talks for longer is no greeting. */
const MOST_GREETING_MS = 60_000;
/** A greeting that has ended without a beep: after so long the message may begin. */
const NO_BEEP_MS = 3000;

/**
 * Who has answered a call that we placed: a person who says hello and listens, or a machine that talks and beeps. Knows the rhythm of speech and
 * steady tones, and understands nothing. First a verdict; after `machine_greeting` also the beep, or the end of the greeting without one.
 * A push object; must be freed. Made when the voice detectors are loaded.
 */
export class AnsweringMachine {
  readonly #voice = new VoiceActivity();
  readonly #signals = new SignalDetector();
  readonly #quietest = new Quietest();
  readonly #decimator = new Decimator();
  readonly #frame = new Int16Array(FRAME_SAMPLES_8K);
  #ms = 0;
  #speechMs = 0;
  #words = 0;
  #wordMs = 0;
  #firstWordAt: number | undefined;
  #lastVoiceAt = 0;
  /** Counted as speech so far. */
  #spokenUntil = 0;
  #verdict: AnsweredBy | undefined;
  #done = false;

  /** Is there nothing more to be found out? */
  get isDone(): boolean {
    return this.#done;
  }

  /** 20 ms of the far end at 24 kHz, from the answer on. */
  handleFrame(pcm: Int16Array): Answered | undefined {
    if (this.#done) return undefined;
    this.#decimator.process(pcm, this.#frame);
    return this.hear(this.#frame);
  }

  /** 20 ms in which nothing came of the far end. Silence like this says nothing about the noise of the line. */
  letPass(): Answered | undefined {
    return this.#go(this.#frame.fill(0), false);
  }

  /** The same at 8 kHz. */
  hear(frame: Int16Array): Answered | undefined {
    return this.#go(frame, true);
  }

  #go(frame: Int16Array, came: boolean): Answered | undefined {
    if (this.#done) return undefined;
    this.#ms += FRAME_MS;
    const signal = this.#signals.push(frame, this.#speechMs > 0);
    if (came) this.#listen(frame);
    if (signal?.type === 'beep') return this.#finish('machine_beep', { beep: { hz: signal.hz, ms: signal.ms } });
    if (signal) return this.#verdict ? undefined : this.#finish(signal.type);
    if (this.#signals.isUndecided) return undefined;
    return this.#verdict ? this.#awaitBeep() : this.#judge();
  }

  free(): void {
    this.#voice.free();
  }

  #listen(frame: Int16Array): void {
    const { voiced, levelDb } = this.#voice.process(frame);
    this.#note(voiced && !this.#signals.sounding && levelDb > this.#quietest.track(levelDb) + ABOVE_QUIETEST_DB);
  }

  #note(voiced: boolean): void {
    if (!voiced) return;
    const gapMs = this.#ms - this.#lastVoiceAt - FRAME_MS;
    if (gapMs >= WORD_GAP_MS) {
      // A click or a breath is no word, and does not count.
      if (this.#wordMs >= LEAST_WORD_MS) this.#words += 1;
      this.#wordMs = 0;
    }
    this.#lastVoiceAt = this.#ms;
    this.#wordMs += FRAME_MS;
    if (this.#wordMs < LEAST_WORD_MS) return;
    if (this.#firstWordAt === undefined) this.#firstWordAt = this.#ms - this.#wordMs;
    // What the detector misses inside a sentence is speech, too.
    const sinceMs = this.#ms - this.#spokenUntil;
    this.#speechMs += sinceMs - LEAST_WORD_MS <= PAUSE_MS && this.#speechMs > 0 ? sinceMs : this.#wordMs;
    this.#spokenUntil = this.#ms;
  }

  #judge(): Answered | undefined {
    if (this.#firstWordAt === undefined) return this.#ms >= SILENCE_MS ? this.#finish('silence') : undefined;
    const quietMs = this.#ms - this.#lastVoiceAt;
    if (this.#speechMs >= MACHINE_SPEECH_MS) return this.#tell('machine_greeting');
    if (quietMs >= WAITING_MS + WAITING_SHARE * this.#speechMs) return this.#finish('human');
    return this.#ms >= MOST_MS ? this.#finish('unsure') : undefined;
  }

  #awaitBeep(): Answered | undefined {
    if (this.#ms - this.#lastVoiceAt < NO_BEEP_MS && this.#ms < MOST_GREETING_MS) return undefined;
    return this.#finish('machine_greeting', { greetingOver: true });
  }

  #finish(by: AnsweredBy, more: Pick<Answered, 'beep' | 'greetingOver'> = {}): Answered {
    this.#done = true;
    return this.#tell(by, more);
  }

  #tell(by: AnsweredBy, more: Pick<Answered, 'beep' | 'greetingOver'> = {}): Answered {
    this.#verdict = by;
    return {
      by,
      atMs: this.#ms,
      speechMs: this.#speechMs,
      words: this.#words + (this.#wordMs >= LEAST_WORD_MS ? 1 : 0),
      silenceMs: this.#firstWordAt ?? this.#ms,
      ...more,
    };
  }
}

/** The quietest frame of the last second. */
class Quietest {
  readonly #levels = new Float64Array(QUIETEST_FRAMES).fill(Number.POSITIVE_INFINITY);
  #at = 0;

  track(levelDb: number): number {
    this.#levels[this.#at] = levelDb;
    this.#at = (this.#at + 1) % QUIETEST_FRAMES;
    let least = Number.POSITIVE_INFINITY;
    for (const level of this.#levels) least = Math.min(least, level);
    return least;
  }
}
