import { GapWait } from './gap-wait.ts';
import type { RtpPacket } from './packet.ts';
import { distance16, distance32, nextSequence } from './sequence.ts';

/** What comes out, in the order of the stream. */
export type ReorderOutput =
  | { readonly type: 'packet'; readonly packet: RtpPacket }
  /** This many packets before the next one never came, or not in time. */
  | { readonly type: 'lost'; readonly count: number }
  /** The next packet does not continue what came before: forget timestamps, decoder history may stay. */
  | { readonly type: 'resync'; readonly reason: 'ssrc' | 'sequence' | 'timestamp' };

export interface ReorderOptions {
  /** RTP clock of the stream; 8000 for G.711, 48000 for Opus. */
  readonly clockRateHz?: number;
  /** How long a gap may hold up what came after it, as long as nothing comes later. */
  readonly waitMs?: number;
  /** The same at most, on a network whose packets do come later. */
  readonly longestWaitMs?: number;
}

export interface ReorderSnapshot {
  readonly received: number;
  readonly released: number;
  /** Sequence numbers that were given up. */
  readonly lost: number;
  readonly discarded: Readonly<Record<DiscardReason, number>>;
  readonly resyncs: number;
}

export type DiscardReason =
  /** Came after its gap had been given up. */
  | 'late'
  | 'duplicate'
  /** Belonged to no stream: a single packet far away from the others. */
  | 'stray'
  /** Nobody polled. */
  | 'overflow';

/** Reordering on real paths is below this; more would be felt as delay (docs/media.md). */
const WAIT_MS = 30;
/** A network with more jitter than that is waited for as long as it needs, up to this: a person waits for the answer too. */
const LONGEST_WAIT_MS = 100;
/** Beyond this a jump is not a gap but another stream: two seconds at 20 ms a packet, RFC 3550 A.1's MAX_MISORDER. */
const MAX_GAP = 100;
/** One wait's worth of 10 ms packets many times over: a faster burst behind a gap gives the gap up. */
const MAX_HELD = 50;
/** Outputs that nobody fetched; the oldest go first. */
const MAX_READY = 256;
/** After a silence this long a jump needs no second packet to be believed. */
const HOLE_MS = 200;
/** A new SSRC is believed at once when the old one has been silent for three packets. */
const SSRC_HANDOVER_MS = 60;
/** A timestamp that moves by more than this while the sequence goes on has been started anew. */
const MAX_TIMESTAMP_JUMP_S = 10;
/** How old a packet may look and still be a late one instead of the start of another stream. */
const MAX_LATE_S = 3;
/** Sequence numbers remembered to tell duplicates from late ones; a power of two above MAX_GAP. */
const REMEMBERED = 128;

interface Held {
  readonly packet: RtpPacket;
  readonly arrivedAt: number;
}

/**
 * Puts one stream in order for a listener that is a machine: what is in order passes at once, a gap holds things up for
 * 30 ms, or as long as late packets have needed of late, and no jump of sequence, timestamp or SSRC makes it deaf for more than one packet.
 */
export class ReorderBuffer {
  readonly #clockRateHz: number;
  readonly #wait: GapWait;
  /** By sequence number: since when a gap had held things up that was given up; 0 for none. */
  readonly #gapSince = new Float64Array(REMEMBERED);
  readonly #ready: ReorderOutput[] = [];
  /** Packets behind a gap, by sequence number. */
  readonly #held: Held[] = [];
  readonly #seen = new Int32Array(REMEMBERED).fill(-1);
  readonly #discarded: Record<DiscardReason, number> = { late: 0, duplicate: 0, stray: 0, overflow: 0 };
  #started = false;
  #ssrc = 0;
  #next = 0;
  #lastTimestamp = 0;
  #lastArrivalAt = 0;
  /** A packet that fits nowhere, waiting for its successor to vouch for it. */
  #suspect: RtpPacket | undefined;
  #received = 0;
  #released = 0;
  #lost = 0;
  #resyncs = 0;

  constructor({ clockRateHz = 8000, waitMs = WAIT_MS, longestWaitMs = LONGEST_WAIT_MS }: ReorderOptions = {}) {
    this.#clockRateHz = clockRateHz;
    this.#wait = new GapWait(waitMs, longestWaitMs);
  }

  push(packet: RtpPacket, now: number): void {
    this.#received += 1;
    if (!this.#started) {
      this.#started = true;
      this.#begin(packet, now);
      return;
    }
    this.#wait.handleTime(now);
    // The owner's timer may be late: what has waited long enough does not stand in this packet's way.
    if (this.#held.length > 0 && now >= (this.nextTimeout() as number)) this.#giveUpGap();
    const quietMs = now - this.#lastArrivalAt;
    if (packet.ssrc !== this.#ssrc) {
      this.#leap(packet, packet.marker || quietMs >= SSRC_HANDOVER_MS, now);
      return;
    }
    const distance = distance16(this.#next, packet.sequenceNumber);
    if (distance === 0) this.#inOrder(packet, now);
    else if (distance > 0 && this.#isNear(packet, distance)) this.#hold(packet, distance, now);
    else if (distance < 0 && distance >= -MAX_GAP && this.#isOld(packet)) this.#tooLate(packet, now);
    else this.#leap(packet, quietMs >= HOLE_MS, now);
  }

  /** The next output, or undefined when there is none yet. Call after each push and when nextTimeout has come, until undefined. */
  poll(now: number): ReorderOutput | undefined {
    const output = this.#ready.shift();
    if (output) return output;
    const timeout = this.nextTimeout();
    if (timeout === undefined || now < timeout) return undefined;
    this.#giveUpGap();
    return this.#ready.shift();
  }

  /** When the gap that holds things up is given up, or undefined when none does. */
  nextTimeout(): number | undefined {
    return this.#held.length === 0 ? undefined : this.#heldSince() + this.#wait.ms;
  }

  snapshot(): ReorderSnapshot {
    return {
      received: this.#received,
      released: this.#released,
      lost: this.#lost,
      discarded: { ...this.#discarded },
      resyncs: this.#resyncs,
    };
  }

  #inOrder(packet: RtpPacket, now: number): void {
    this.#dropSuspect();
    if (this.#held.length > 0) this.#wait.note(now - this.#heldSince());
    this.#lastArrivalAt = now;
    this.#release(packet);
    this.#releaseHeld();
  }

  #tooLate(packet: RtpPacket, now: number): void {
    if (this.#wasSeen(packet)) {
      this.#discard('duplicate');
      return;
    }
    this.#discard('late');
    const since = this.#gapSince[packet.sequenceNumber % REMEMBERED];
    if (since) this.#wait.note(now - since);
  }

  #heldSince(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const held of this.#held) oldest = Math.min(oldest, held.arrivedAt);
    return oldest;
  }

  #hold(packet: RtpPacket, distance: number, now: number): void {
    let at = this.#held.length;
    while (at > 0) {
      const before = distance16(this.#next, (this.#held[at - 1] as Held).packet.sequenceNumber);
      if (before === distance) {
        this.#discard('duplicate');
        return;
      }
      if (before < distance) break;
      at -= 1;
    }
    this.#dropSuspect();
    this.#lastArrivalAt = now;
    this.#held.splice(at, 0, { packet, arrivedAt: now });
    if (this.#held.length > MAX_HELD) this.#giveUpGap();
  }

  #giveUpGap(): void {
    const first = this.#held[0];
    if (!first) return;
    const count = distance16(this.#next, first.packet.sequenceNumber);
    this.#lost += count;
    const since = this.#heldSince();
    for (let n = 0; n < count && n < REMEMBERED; n++) this.#gapSince[(this.#next + n) % REMEMBERED] = since;
    this.#put({ type: 'lost', count });
    this.#next = first.packet.sequenceNumber;
    this.#releaseHeld();
  }

  #releaseHeld(): void {
    while (this.#held[0]?.packet.sequenceNumber === this.#next) this.#release((this.#held.shift() as Held).packet);
  }

  #release(packet: RtpPacket): void {
    const jump = Math.abs(distance32(this.#lastTimestamp, packet.timestamp));
    if (jump > MAX_TIMESTAMP_JUMP_S * this.#clockRateHz) {
      this.#resyncs += 1;
      this.#put({ type: 'resync', reason: 'timestamp' });
    }
    this.#lastTimestamp = packet.timestamp;
    this.#next = nextSequence(packet.sequenceNumber);
    this.#seen[packet.sequenceNumber % REMEMBERED] = packet.sequenceNumber;
    this.#released += 1;
    this.#put({ type: 'packet', packet });
  }

  /** From here on this packet's stream is the one. What was held of the old one goes out first. */
  #resync(packet: RtpPacket, reason: 'ssrc' | 'sequence', now: number): void {
    while (this.#held.length > 0) this.#giveUpGap();
    this.#resyncs += 1;
    this.#put({ type: 'resync', reason });
    this.#begin(packet, now);
  }

  #begin(packet: RtpPacket, now: number): void {
    this.#seen.fill(-1);
    this.#gapSince.fill(0);
    this.#ssrc = packet.ssrc;
    this.#next = packet.sequenceNumber;
    this.#lastTimestamp = packet.timestamp;
    this.#inOrder(packet, now);
  }

  /** A packet that continues nothing. Alone it may be an accident, unless it is believed for another reason; two in a row are a stream. */
  #leap(packet: RtpPacket, believed: boolean, now: number): void {
    const reason = packet.ssrc === this.#ssrc ? 'sequence' : 'ssrc';
    const suspect = this.#suspect;
    if (suspect && suspect.ssrc === packet.ssrc && nextSequence(suspect.sequenceNumber) === packet.sequenceNumber) {
      this.#suspect = undefined;
      this.#resync(suspect, reason, now);
      this.#inOrder(packet, now);
    } else if (believed) {
      this.#resync(packet, reason, now);
    } else {
      this.#dropSuspect();
      this.#suspect = packet;
    }
  }

  #dropSuspect(): void {
    if (!this.#suspect) return;
    this.#suspect = undefined;
    this.#discard('stray');
  }

  /** Within a gap's length of what was released or held last. */
  #isNear(packet: RtpPacket, distance: number): boolean {
    if (distance <= MAX_GAP) return true;
    const last = this.#held[this.#held.length - 1];
    if (!last) return false;
    const beyond = distance16(last.packet.sequenceNumber, packet.sequenceNumber);
    return beyond > 0 && beyond <= MAX_GAP && distance <= 2 * MAX_GAP;
  }

  /** A late or doubled packet has a timestamp of the recent past; a sender that starts anew has not. */
  #isOld(packet: RtpPacket): boolean {
    const age = distance32(packet.timestamp, this.#lastTimestamp);
    return age >= 0 && age <= MAX_LATE_S * this.#clockRateHz;
  }

  #wasSeen(packet: RtpPacket): boolean {
    return this.#seen[packet.sequenceNumber % REMEMBERED] === packet.sequenceNumber;
  }

  #discard(reason: DiscardReason): void {
    this.#discarded[reason] += 1;
  }

  #put(output: ReorderOutput): void {
    if (this.#ready.length >= MAX_READY) {
      const dropped = this.#ready.shift();
      if (dropped?.type === 'packet') {
        this.#released -= 1;
        this.#discard('overflow');
      }
    }
    this.#ready.push(output);
  }
}
