import type { DiscardReason, ReorderSnapshot } from './reorder-buffer.ts';

/** Why a packet that came was not used: before the order was restored, or after. */
export type DiscardCause = DiscardReason | 'unknown_payload' | 'bad_length' | 'undecodable';

/**
 * Where every packet of a stream went: framesIn = framesOut + concealed + beside + waiting + all of `discarded`. One that came late
 * stands there twice, because its place had been filled when it came: in `concealed`, and in `discarded.late`.
 */
export interface StreamAccountSnapshot {
  /** What came, and what the numbers say should have come. */
  readonly framesIn: number;
  readonly framesOut: number;
  /** Numbered by the sender, and not there when their turn came. */
  readonly concealed: number;
  /** Came and are no audio: keys, comfort noise, empty packets that keep a NAT open. */
  readonly beside: number;
  /** Came and are held behind a gap, or wait for a successor to vouch for them. */
  readonly waiting: number;
  readonly discarded: Readonly<Record<DiscardCause, number>>;
  /** Of what should have been heard, how much was concealed; 0 to 100. */
  readonly lossPercent: number;
  /** Mean length of the losses over what it would be for random loss (ITU-T G.107 §3.5); at least 1. */
  readonly burstRatio: number;
  /** What went in and was told of nowhere. Anything but 0 is a mistake of ours. */
  readonly unaccounted: number;
}

/** The books of one incoming stream, kept by whoever empties its ReorderBuffer. */
export class StreamAccount {
  #out = 0;
  #concealed = 0;
  #bursts = 0;
  #inBurst = false;
  #beside = 0;
  readonly #discarded: Record<Exclude<DiscardCause, DiscardReason>, number> = { unknown_payload: 0, bad_length: 0, undecodable: 0 };

  /** A packet's audio went on. */
  pass(): void {
    this.#out += 1;
    this.#inBurst = false;
  }

  /** So many packets in a row never came, or not in time: what ReorderBuffer calls lost. */
  conceal(count: number): void {
    if (count <= 0) return;
    this.#concealed += count;
    if (!this.#inBurst) this.#bursts += 1;
    this.#inBurst = true;
  }

  /** A packet in order that is no audio. */
  setAside(): void {
    this.#beside += 1;
  }

  /** A packet in order that cannot be used. */
  discard(cause: Exclude<DiscardCause, DiscardReason>): void {
    this.#discarded[cause] += 1;
  }

  /** @param reorder what the stream's ReorderBuffer says at the same moment, drained */
  snapshot(reorder: ReorderSnapshot): StreamAccountSnapshot {
    const { late, duplicate, stray, overflow } = reorder.discarded;
    const waiting = reorder.received - reorder.released - late - duplicate - stray - overflow;
    const { unknown_payload, bad_length, undecodable } = this.#discarded;
    const told = this.#out + this.#beside + unknown_payload + bad_length + undecodable;
    const heard = this.#out + this.#concealed;
    const lossShare = heard === 0 ? 0 : this.#concealed / heard;
    const meanBurst = this.#bursts === 0 ? 1 : this.#concealed / this.#bursts;
    return {
      framesIn: reorder.received + this.#concealed,
      framesOut: this.#out,
      concealed: this.#concealed,
      beside: this.#beside,
      waiting,
      discarded: { ...reorder.discarded, ...this.#discarded },
      lossPercent: 100 * lossShare,
      // Random losses are 1 / (1 - p) long on average.
      burstRatio: Math.max(1, meanBurst * (1 - lossShare)),
      unaccounted: reorder.released - told,
    };
  }
}
