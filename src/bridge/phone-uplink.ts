import { Framer } from '../audio/framer.ts';
import { type G711, g711 } from '../audio/g711.ts';
import type { OpusEncoder } from '../audio/opus.ts';
import type { RtpPacket } from '../rtp/packet.ts';
import { ReorderBuffer, type ReorderSnapshot } from '../rtp/reorder-buffer.ts';
import type { RtpSender } from '../rtp/rtp-sender.ts';
import { TelephoneEventReceiver } from '../rtp/telephone-event.ts';
import type { NegotiatedAudio } from '../sdp/phone-answer.ts';

/** G.711: 8 kHz, one byte a sample, RTP clock the same (RFC 3551 §4.5.14). */
const RATE_HZ = 8000;
const FRAME_SAMPLES = 160;
/** The inner leg's RTP clock runs at 48 kHz (RFC 7587 §4.1). */
const TICKS_PER_SAMPLE = 6;
const FRAME_TICKS = FRAME_SAMPLES * TICKS_PER_SAMPLE;

/** 100 ms: no phone packs more into a packet, and a larger one is not audio. */
const MAX_SAMPLES = 800;

/** A stream that starts anew after a longer pause than this has simply been away: the far end need not count all of it. */
const MAX_SKIP_MS = 10_000;

export interface PhoneUplinkHandlers {
  /** An RTP packet for the inner leg. */
  readonly onPacket: (packet: Buffer) => void;
  readonly onDigit: (digit: string, durationMs: number) => void;
}

export interface PhoneUplinkSnapshot {
  readonly reorder: ReorderSnapshot;
  readonly frames: number;
  readonly unknownPayload: number;
  readonly badLength: number;
  readonly digits: number;
}

/**
 * The phone's voice on its way in: reorder, decode, encode, send on at once. Loss is not concealed here: the inner leg's sequence numbers stay
 * contiguous and its timestamp jumps, without marker for loss, with marker for silence, so that it is concealed once, at the far end.
 */
export class PhoneUplink {
  readonly #encoder: OpusEncoder;
  readonly #sender: RtpSender;
  readonly #handlers: PhoneUplinkHandlers;
  readonly #reorder = new ReorderBuffer({ clockRateHz: RATE_HZ });
  readonly #events = new TelephoneEventReceiver();
  readonly #framer: Framer;
  readonly #pcm = new Int16Array(MAX_SAMPLES);
  #audio: NegotiatedAudio;
  #codec: G711;
  #expectedTimestamp: number | undefined;
  #lastAudioAt = 0;
  /** A key is or was held since the last audio: the hole it leaves is silence, not loss. */
  #keyHeld = false;
  #frames = 0;
  #unknownPayload = 0;
  #badLength = 0;
  #digits = 0;

  constructor(encoder: OpusEncoder, sender: RtpSender, audio: NegotiatedAudio, handlers: PhoneUplinkHandlers) {
    this.#encoder = encoder;
    this.#sender = sender;
    this.#audio = audio;
    this.#codec = g711(audio.codec);
    this.#handlers = handlers;
    this.#framer = new Framer(FRAME_SAMPLES, (frame) => {
      this.#frames += 1;
      handlers.onPacket(sender.next(encoder.encode(frame), FRAME_TICKS));
    });
  }

  renegotiate(audio: NegotiatedAudio): void {
    this.#audio = audio;
    this.#codec = g711(audio.codec);
  }

  handlePacket(packet: RtpPacket, now: number): void {
    this.#reorder.push(packet, now);
    this.drain(now);
  }

  /** When something that waits must be given up (Clock.now milliseconds): a gap, or a key whose end never came. */
  nextTimeout(): number | undefined {
    const gap = this.#reorder.nextTimeout();
    const key = this.#events.nextTimeout();
    if (gap === undefined) return key;
    return key === undefined ? gap : Math.min(gap, key);
  }

  drain(now: number): void {
    for (let next = this.#reorder.poll(now); next; next = this.#reorder.poll(now)) {
      if (next.type === 'packet') this.#release(next.packet, now);
      else if (next.type === 'resync') this.#resync(now);
      // A 'lost' shows as a jump of the timestamp of the next packet.
    }
    for (let key = this.#events.poll(now); key; key = this.#events.poll(now)) {
      this.#digits += 1;
      this.#handlers.onDigit(key.digit, key.durationMs);
    }
  }

  close(): void {
    this.#encoder.free();
  }

  snapshot(): PhoneUplinkSnapshot {
    return {
      reorder: this.#reorder.snapshot(),
      frames: this.#frames,
      unknownPayload: this.#unknownPayload,
      badLength: this.#badLength,
      digits: this.#digits,
    };
  }

  #release(packet: RtpPacket, now: number): void {
    if (packet.payloadType === this.#audio.payloadType) this.#decode(packet, now);
    else if (packet.payloadType === this.#audio.telephoneEventPayloadType) {
      this.#keyHeld = true;
      this.#events.push(packet, now);
    } else this.#unknownPayload += 1;
  }

  #decode({ payload, timestamp, marker }: RtpPacket, now: number): void {
    // An empty packet only keeps a NAT binding alive (RFC 6263).
    if (payload.length === 0) return;
    if (payload.length > MAX_SAMPLES) {
      this.#badLength += 1;
      return;
    }
    if (this.#expectedTimestamp !== undefined) this.#skip((timestamp - this.#expectedTimestamp) | 0, marker || this.#keyHeld);
    this.#expectedTimestamp = (timestamp + payload.length) >>> 0;
    this.#lastAudioAt = now;
    this.#keyHeld = false;
    const pcm = this.#pcm.subarray(0, payload.length);
    this.#codec.decode(payload, pcm);
    this.#framer.push(pcm);
  }

  /** Lets time pass on the inner leg, in whole frames: what is left of a frame is filled up by the audio that follows. */
  #skip(samples: number, silent: boolean): void {
    const frames = Math.round(samples / FRAME_SAMPLES);
    if (frames <= 0) return;
    this.#framer.reset();
    this.#sender.skip(frames * FRAME_TICKS, silent ? 'silence' : 'lost');
  }

  /** The stream begins anew, with numbers that say nothing about the time between: the clock on the wall does. */
  #resync(now: number): void {
    const goneMs = Math.min(now - this.#lastAudioAt, MAX_SKIP_MS);
    if (this.#expectedTimestamp !== undefined) this.#skip((goneMs * RATE_HZ) / 1000 - FRAME_SAMPLES, false);
    this.#expectedTimestamp = undefined;
    this.#keyHeld = false;
  }
}
