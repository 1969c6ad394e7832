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

  /** Newest last. */
  get entries(): readonly LedgerEntry[] {
    return this.#entries;
  }

  /** The entry of this item, made when it is new. */
  receive(responseId: string, itemId: string, samples: number): LedgerEntry {
    let entry = this.#entries.findLast((each) => each.itemId === itemId && each.responseId === responseId);
    if (!entry) {
      entry = { responseId, itemId, receivedSamples: 0, sentSamples: 0, firstSentAt: undefined, lastSentAt: undefined };
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
}
