import { MODEL_RATE_HZ } from './model.ts';

/** What happened to the audio of one item. Samples at 24 kHz. */
export interface LedgerEntry {
  readonly responseId: string;
  readonly itemId: string;
  receivedSamples: number;
  /** Samples that left on the wire, counted from the start of the item; what was said twice counts once. */
  sentSamples: number;
  firstSentAt: number | undefined;
  lastSentAt: number | undefined;
  /** When which of its samples left, lately. */
  readonly log: SendLog;
}

/** 1.3 s: a hold comes within 200 ms of an onset, and nobody is farther away than a second. */
const LOGGED_FRAMES = 64;

/** What left on the wire lately, frame by frame. One for all items. */
class SendLog {
  readonly #at = new Float64Array(LOGGED_FRAMES);
  readonly #samples = new Float64Array(LOGGED_FRAMES);
  readonly #entries: (LedgerEntry | undefined)[] = new Array(LOGGED_FRAMES).fill(undefined);
  #next = 0;

  note(entry: LedgerEntry, now: number): void {
    this.#at[this.#next] = now;
    this.#samples[this.#next] = entry.sentSamples;
    this.#entries[this.#next] = entry;
    this.#next = (this.#next + 1) % LOGGED_FRAMES;
  }

  /** Samples of this item that had left by then; what left longer ago than is remembered counts as the oldest that is. */
  sentBefore(entry: LedgerEntry, at: number): number {
    let before = -1;
    let oldest = Number.POSITIVE_INFINITY;
    for (let n = 0; n < LOGGED_FRAMES; n++) {
      if (this.#entries[n] !== entry) continue;
      const samples = this.#samples[n] ?? 0;
      oldest = Math.min(oldest, samples);
      if ((this.#at[n] ?? 0) <= at) before = Math.max(before, samples);
    }
    if (before >= 0) return before;
    // Only what began within what is remembered began after `at`.
    const first = entry.firstSentAt ?? Number.POSITIVE_INFINITY;
    return first <= at ? Math.min(oldest, entry.sentSamples) : 0;
  }
}

/** Enough to look back over the last turns; older ones are told by the event stream. */
const KEPT_ENTRIES = 32;

export function samplesToMs(samples: number): number {
  return (samples * 1000) / MODEL_RATE_HZ;
}

export function msToSamples(ms: number): number {
  return Math.round((ms * MODEL_RATE_HZ) / 1000);
}

/** The truth about what was said: per item, which samples left on the wire and when. */
export class PlayoutLedger {
  readonly #entries: LedgerEntry[] = [];
  readonly #log = new SendLog();

  /** Newest last. */
  get entries(): readonly LedgerEntry[] {
    return this.#entries;
  }

  /** The entry of this item, made when it is new. */
  receive(responseId: string, itemId: string, samples: number): LedgerEntry {
    let entry = this.#entries.findLast((each) => each.itemId === itemId && each.responseId === responseId);
    if (!entry) {
      entry = { responseId, itemId, receivedSamples: 0, sentSamples: 0, firstSentAt: undefined, lastSentAt: undefined, log: this.#log };
      this.#entries.push(entry);
      if (this.#entries.length > KEPT_ENTRIES) this.#entries.shift();
    }
    entry.receivedSamples += samples;
    return entry;
  }
}

/** The item left on the wire up to this sample. */
export function markSent(entry: LedgerEntry, upToSample: number, now: number): void {
  entry.firstSentAt ??= now;
  entry.lastSentAt = now;
  if (upToSample > entry.sentSamples) entry.sentSamples = upToSample;
  entry.log.note(entry, now);
}
