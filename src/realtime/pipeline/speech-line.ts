import { samplesToMs } from '../playout-ledger.ts';
import type { CallBoard } from './call-board.ts';
import type { PhraseBook } from './phrase-book.ts';
import type { SpeechOptions } from './pipeline-options.ts';
import type { Quirks } from './quirks.ts';
import type { ServiceCall, StageTimings } from './service-call.ts';
import { speakable } from './speakable.ts';
import { SpeechReader } from './speech-reader.ts';
import { speechRequest, type VoiceManner } from './speech-request.ts';
import type { StageFault } from './stage.ts';

/** Sentences that are asked for beside the one that is being said. */
const MOST_AHEAD = 2;

/** No more is asked for while so much waits to be heard: what is interrupted was paid for, and the playout keeps two minutes. */
const MOST_LEAD_MS = 20_000;

/** A voice that falls behind its own sentence by this is broken. */
const MOST_DEFICIT_MS = 2000;

const DEFAULT_RATE_HZ = 24_000;

export interface SpeechLineDeps {
  readonly board: CallBoard;
  readonly speech: SpeechOptions;
  readonly book: PhraseBook;
  readonly quirks: Quirks;
}

export interface SpeechLineHooks {
  /** The first sound of this text comes now. */
  readonly onBegin: (text: string) => void;
  readonly onSound: (pcm: Int16Array, now: number) => void;
  /** A sentence is over, or cannot be said. */
  readonly onProgress: (fault: StageFault | undefined, now: number) => void;
}

interface Sentence {
  readonly text: string;
  /** The same each time: worth keeping. */
  readonly keep: boolean;
  call: ServiceCall<Int16Array> | undefined;
  fault: StageFault | undefined;
  /** Sound that is not passed on yet. */
  readonly waiting: Int16Array[];
  /** All of it, where it is kept. */
  readonly kept: Int16Array[];
  received: number;
  /** Of the sound that comes again. */
  skip: number;
  firstAt: number | undefined;
  begun: boolean;
  whole: boolean;
}

/** Sentences on their way to sound: asked for a little ahead, passed on in their order as they come. */
export class SpeechLine {
  readonly #deps: SpeechLineDeps;
  readonly #manner: VoiceManner;
  readonly #hooks: SpeechLineHooks;
  readonly #timings: Partial<StageTimings> | undefined;
  readonly #sentences: Sentence[] = [];
  /** When all that was passed on will have been heard, if it is heard as it comes. */
  #heardBy = 0;

  /** @param timings other than the stage's */
  constructor(deps: SpeechLineDeps, manner: VoiceManner, hooks: SpeechLineHooks, timings?: Partial<StageTimings>) {
    this.#deps = deps;
    this.#manner = manner;
    this.#hooks = hooks;
    this.#timings = timings;
  }

  get isEmpty(): boolean {
    return this.#sentences.length === 0;
  }

  /** Is a sentence in the middle of being said? */
  get isInSentence(): boolean {
    return this.#sentences[0]?.begun ?? false;
  }

  add(text: string, keep: boolean, now: number): void {
    const common = { call: undefined, fault: undefined, received: 0, skip: 0, firstAt: undefined, begun: false };
    const sentence: Sentence = { text, keep, ...common, waiting: [], kept: [], whole: false };
    const known = this.#deps.book.get(text, this.#manner);
    if (known || speakable(text) === '') {
      if (known) sentence.waiting.push(known);
      sentence.whole = true;
    }
    this.#sentences.push(sentence);
    this.#advance(now);
  }

  nextTimeout(): number | undefined {
    let at: number | undefined;
    for (const { firstAt, received, whole, call } of this.#sentences) {
      if (whole || firstAt === undefined || !call) continue;
      const by = firstAt + samplesToMs(received) + MOST_DEFICIT_MS;
      if (at === undefined || by < at) at = by;
    }
    const paced = this.#nextToAsk() ? this.#heardBy - MOST_LEAD_MS : undefined;
    return paced === undefined ? at : Math.min(at ?? paced, paced);
  }

  handleTimeout(now: number): void {
    for (const { firstAt, received, whole, call } of [...this.#sentences]) {
      if (whole || firstAt === undefined || now < firstAt + samplesToMs(received) + MOST_DEFICIT_MS) continue;
      call?.giveUp('too_slow', now);
    }
    this.#advance(now);
  }

  cancel(): void {
    for (const { call } of this.#sentences) call?.cancel();
    this.#sentences.length = 0;
  }

  /** Passes on what can be, and asks for what may be. */
  #advance(now: number): void {
    for (let head = this.#sentences[0]; head; head = this.#sentences[0]) {
      this.#pass(head, now);
      if (head !== this.#sentences[0]) return; // somebody cancelled
      if (head.fault) {
        this.#hooks.onProgress(head.fault, now);
        return;
      }
      if (!head.whole) break;
      this.#sentences.shift();
      this.#ask(now);
      this.#hooks.onProgress(undefined, now);
    }
    this.#ask(now);
  }

  #pass(head: Sentence, now: number): void {
    if (!head.begun && (head.waiting.length > 0 || head.whole)) {
      head.begun = true;
      this.#hooks.onBegin(head.text);
    }
    for (const pcm of head.waiting.splice(0)) {
      this.#heardBy = Math.max(this.#heardBy, now) + samplesToMs(pcm.length);
      this.#hooks.onSound(pcm, now);
    }
  }

  #nextToAsk(): Sentence | undefined {
    return this.#sentences.slice(0, 1 + MOST_AHEAD).find(({ call, whole, fault }) => !call && !whole && !fault);
  }

  #ask(now: number): void {
    while (this.#heardBy - now <= MOST_LEAD_MS) {
      const sentence = this.#nextToAsk();
      if (!sentence) return;
      sentence.call = this.#open(sentence, now);
    }
  }

  #open(sentence: Sentence, now: number): ServiceCall<Int16Array> {
    const { board, speech, book, quirks } = this.#deps;
    const words = speakable(sentence.text);
    let voice = quirks.hasNot(this.#manner.voice) ? speech.voice : this.#manner.voice;
    return board.open<Int16Array>(
      'speech',
      {
        request: () => speechRequest(speech, words, { ...this.#manner, voice }),
        reader: (type) => (isSound(type) ? new SpeechReader(speech.rateHz ?? DEFAULT_RATE_HZ) : undefined),
        adapt: ({ code }) => {
          if (voice === speech.voice || (code !== 'refused' && code !== 'not_found')) return false;
          quirks.addMissingVoice(voice);
          voice = speech.voice;
          return true;
        },
        restart: () => {
          // The same sentence sounds nearly the same: it goes on where it broke off.
          sentence.skip = sentence.received;
          sentence.firstAt = undefined;
          return true;
        },
        onEvent: (pcm, at) => this.#take(sentence, pcm, at),
        onDone: (at) => {
          sentence.whole = true;
          if (sentence.keep) book.add(sentence.text, this.#manner, joined(sentence.kept));
          this.#advance(at);
        },
        onFault: (fault, at) => {
          sentence.fault = fault;
          this.#advance(at);
        },
      },
      now,
      this.#timings,
    );
  }

  #take(sentence: Sentence, pcm: Int16Array, now: number): void {
    const skipped = Math.min(sentence.skip, pcm.length);
    sentence.skip -= skipped;
    if (skipped === pcm.length) return;
    const rest = skipped === 0 ? pcm : pcm.slice(skipped);
    sentence.firstAt ??= now - samplesToMs(sentence.received);
    sentence.received += rest.length;
    sentence.waiting.push(rest);
    if (sentence.keep) sentence.kept.push(rest);
    if (sentence === this.#sentences[0]) this.#advance(now);
  }
}

/** Servers of one's own name raw samples in many ways. */
function isSound(type: string): boolean {
  return type === '' || type.startsWith('audio/') || type === 'application/octet-stream' || type === 'binary/octet-stream';
}

function joined(pieces: readonly Int16Array[]): Int16Array {
  const whole = new Int16Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
