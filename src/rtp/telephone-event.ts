import { DTMF_DIGITS } from '../audio/dtmf-tones.ts';
import type { RtpPacket } from './packet.ts';
import { distance32 } from './sequence.ts';

/** A key that was pressed and released. */
export interface Digit {
  readonly digit: string;
  readonly durationMs: number;
}

/** The payload of RFC 4733 §2.3. */
export interface TelephoneEvent {
  /** 0 to 15 are the keys; 16 is a hook flash, which is ignored here. */
  readonly event: number;
  readonly end: boolean;
  /** Attenuation in dB below 0 dBm0, 0 to 63. */
  readonly volume: number;
  /** In RTP clock units, so far. */
  readonly duration: number;
}

const EVENT_BYTES = 4;
const MAX_DURATION = 0xffff;

/** An event whose end never comes is over when nothing was heard of it for this long; its packets come every 20 to 50 ms. */
const ABANDONED_MS = 120;
/** Nobody means anything by holding a key longer; bounds what a peer can claim. */
const MAX_DIGIT_MS = 60_000;
/** An event that starts so far before the last one is not late: the sender's clock was started anew. */
const MAX_LATE_S = 10;
/** Digits that nobody fetched. */
const MAX_READY = 64;

export function parseTelephoneEvent(payload: Uint8Array): TelephoneEvent | undefined {
  if (payload.length < EVENT_BYTES) return undefined;
  const flags = payload[1] as number;
  return {
    event: payload[0] as number,
    end: flags > 0x7f,
    volume: flags & 0x3f,
    duration: ((payload[2] as number) << 8) | (payload[3] as number),
  };
}

export function writeTelephoneEvent({ event, end, volume, duration }: TelephoneEvent): Buffer {
  const payload = Buffer.allocUnsafe(EVENT_BYTES);
  payload[0] = event;
  payload[1] = (end ? 0x80 : 0) | volume;
  payload.writeUInt16BE(Math.min(MAX_DURATION, duration), 2);
  return payload;
}

interface Pressed {
  readonly event: number;
  readonly startedAt: number;
  /** Timestamp of the segment: a key held for more than 0xffff units goes on in another one (§2.5.1.3). */
  segmentTimestamp: number;
  segmentDuration: number;
  earlierDuration: number;
  heardAt: number;
}

/**
 * Turns the telephone events of a stream into digits, each exactly once: when an end packet comes, when an event of another
 * timestamp begins, or when the event falls silent. The marker bit decides nothing; it gets lost.
 */
export class TelephoneEventReceiver {
  readonly #clockRateHz: number;
  readonly #ready: Digit[] = [];
  #ssrc: number | undefined;
  #pressed: Pressed | undefined;
  /** The last event that was told: its repeated end packets say nothing new. */
  #told: { readonly timestamp: number; readonly event: number } | undefined;

  constructor({ clockRateHz = 8000 }: { readonly clockRateHz?: number } = {}) {
    this.#clockRateHz = clockRateHz;
  }

  push(packet: RtpPacket, now: number): void {
    const heard = parseTelephoneEvent(packet.payload);
    if (!heard || heard.event >= DTMF_DIGITS.length) return;
    if (packet.ssrc !== this.#ssrc) {
      this.#finish();
      this.#ssrc = packet.ssrc;
      this.#told = undefined;
    }
    const pressed = this.#pressed;
    if (pressed && this.#continues(pressed, heard, packet.timestamp)) {
      pressed.heardAt = now;
      pressed.segmentDuration = Math.max(pressed.segmentDuration, heard.duration);
    } else {
      if (this.#isTold(heard, packet.timestamp)) return;
      this.#finish();
      this.#pressed = {
        event: heard.event,
        startedAt: now,
        segmentTimestamp: packet.timestamp,
        segmentDuration: heard.duration,
        earlierDuration: 0,
        heardAt: now,
      };
    }
    if (heard.end || now - (this.#pressed as Pressed).startedAt >= MAX_DIGIT_MS) this.#finish();
  }

  /** The next digit. Call after each push and when nextTimeout has come, until undefined. */
  poll(now: number): Digit | undefined {
    const timeout = this.nextTimeout();
    if (timeout !== undefined && now >= timeout) this.#finish();
    return this.#ready.shift();
  }

  /** When the event under way counts as over, or undefined when there is none. */
  nextTimeout(): number | undefined {
    return this.#pressed && this.#pressed.heardAt + ABANDONED_MS;
  }

  #continues(pressed: Pressed, heard: TelephoneEvent, timestamp: number): boolean {
    if (heard.event !== pressed.event) return false;
    if (timestamp === pressed.segmentTimestamp) return true;
    const passed = distance32(pressed.segmentTimestamp, timestamp);
    // A late packet of an earlier segment.
    if (passed < 0) return passed >= -pressed.earlierDuration && pressed.earlierDuration > 0;
    if (passed !== pressed.segmentDuration || pressed.segmentDuration !== MAX_DURATION) return false;
    pressed.earlierDuration += passed;
    pressed.segmentTimestamp = timestamp;
    pressed.segmentDuration = 0;
    return true;
  }

  /** Of the event told last, or older than it. */
  #isTold(heard: TelephoneEvent, timestamp: number): boolean {
    const latest = this.#pressed ? { timestamp: this.#pressed.segmentTimestamp, event: this.#pressed.event } : this.#told;
    if (!latest) return false;
    const ahead = distance32(latest.timestamp, timestamp);
    // Some senders give every digit the same timestamp: another digit is then another event.
    if (ahead === 0) return heard.event === latest.event;
    return ahead < 0 && ahead > -MAX_LATE_S * this.#clockRateHz;
  }

  #finish(): void {
    const pressed = this.#pressed;
    if (!pressed) return;
    this.#pressed = undefined;
    this.#told = { timestamp: pressed.segmentTimestamp, event: pressed.event };
    const units = pressed.earlierDuration + pressed.segmentDuration;
    const durationMs = Math.min(MAX_DIGIT_MS, Math.round((units * 1000) / this.#clockRateHz));
    if (this.#ready.length < MAX_READY) this.#ready.push({ digit: DTMF_DIGITS[pressed.event] as string, durationMs });
  }
}
