import { distance16, distance32 } from './sequence.ts';

/** A forward jump up to this is loss, RFC 3550 A.1's MAX_DROPOUT; beyond it another numbering has begun. */
const MAX_DROPOUT = 3000;
const MAX_MISORDER = 100;
/** A change of transit by more than this is not jitter but a clock that was set anew. */
const MAX_TRANSIT_STEP_S = 2;

/** Loss and jitter of one incoming stream as RFC 3550 A.1, A.3 and A.8 count them. */
export class ReceiveStatistics {
  readonly #clockRateHz: number;
  #base: number | undefined;
  /** Highest extended sequence number. */
  #highest = 0;
  #received = 0;
  /** Of earlier numberings. */
  #earlierExpected = 0;
  #earlierReceived = 0;
  #expectedBefore = 0;
  #receivedBefore = 0;
  #jitter = 0;
  #transit: number | undefined;
  #timestamp: number | undefined;
  /** First number of what may be a new numbering. */
  #badSequence = -1;

  constructor(clockRateHz: number) {
    this.#clockRateHz = clockRateHz;
  }

  get received(): number {
    return this.#earlierReceived + this.#received;
  }

  /** Packets that should have come and have not; negative when some came twice. */
  get lost(): number {
    return this.#expected() - this.received;
  }

  get highestSequence(): number {
    return this.#highest;
  }

  /** In RTP clock units. */
  get jitter(): number {
    return this.#jitter;
  }

  get jitterMs(): number {
    return (this.#jitter * 1000) / this.#clockRateHz;
  }

  handle(sequenceNumber: number, timestamp: number, now: number): void {
    this.#count(sequenceNumber);
    // A key keeps its timestamp while it is held (RFC 4733 §2.2): when its packets come says nothing of jitter.
    if (timestamp === this.#timestamp) return;
    this.#timestamp = timestamp;
    const transit = (Math.round((now * this.#clockRateHz) / 1000) - timestamp) | 0;
    if (this.#transit !== undefined) {
      const step = Math.abs(distance32(this.#transit, transit));
      if (step <= MAX_TRANSIT_STEP_S * this.#clockRateHz) this.#jitter += (step - this.#jitter) / 16;
    }
    this.#transit = transit;
  }

  /** The fraction lost since the last call, of 256 (A.3). */
  takeFractionLost(): number {
    const expected = this.#expected() - this.#expectedBefore;
    const received = this.received - this.#receivedBefore;
    this.#expectedBefore = this.#expected();
    this.#receivedBefore = this.received;
    const lost = expected - received;
    return expected <= 0 || lost <= 0 ? 0 : Math.min(255, Math.floor((lost * 256) / expected));
  }

  #count(sequenceNumber: number): void {
    if (this.#base === undefined) {
      this.#start(sequenceNumber);
      return;
    }
    const ahead = distance16(this.#highest & 0xffff, sequenceNumber);
    if (ahead >= MAX_DROPOUT || ahead < -MAX_MISORDER) {
      // Two in a row are a new numbering; one alone is an accident and counts for nothing.
      if (sequenceNumber !== this.#badSequence) {
        this.#badSequence = (sequenceNumber + 1) & 0xffff;
        return;
      }
      this.#earlierExpected = this.#expected();
      this.#earlierReceived = this.received;
      this.#start((sequenceNumber - 1) & 0xffff);
      this.#received += 1;
      this.#highest += 1;
      return;
    }
    this.#badSequence = -1;
    this.#received += 1;
    if (ahead > 0) this.#highest += ahead;
  }

  #start(sequenceNumber: number): void {
    this.#base = sequenceNumber;
    this.#highest = sequenceNumber;
    this.#received = 1;
    this.#badSequence = -1;
  }

  #expected(): number {
    return this.#base === undefined ? 0 : this.#earlierExpected + this.#highest - this.#base + 1;
  }
}
