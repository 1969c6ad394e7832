import { DtmfDetector } from '../audio/dtmf-detector.ts';
import type { OpusDecoder } from '../audio/opus.ts';
import { opusTicks } from '../audio/opus-packet.ts';
import type { RtpPacket } from '../rtp/packet.ts';
import { ReorderBuffer } from '../rtp/reorder-buffer.ts';
import type { RtpSender } from '../rtp/rtp-sender.ts';
import { StreamAccount } from '../rtp/stream-account.ts';
import { TelephoneEventReceiver } from '../rtp/telephone-event.ts';
import type { NegotiatedAudio } from '../sdp/phone-audio.ts';
import type { PhoneUplinkHandlers, PhoneUplinkSnapshot } from './phone-uplink.ts';

/** Ticks of a second, here and on the inner leg (RFC 7587 §4.1). */
const CLOCK_HZ = 48_000;
const FRAME_TICKS = 960;
/** RFC 6716 §3.2.1: no frame has more, and a phone's packets hold one or a few. */
const MAX_BYTES = 4000;
/** A stream that starts anew after a longer pause has simply been away: the far end need not count all of it. */
const MAX_SKIP_MS = 10_000;
/** So much more than the lost packets explain is a pause whose marker got lost. */
const PAUSE_TICKS = 9600;
/** As many as the far end makes anything up for (transceiver/uplink.ts). */
const MAX_TOLD_LOSSES = 10;
/** In place of a packet that was lost on the phone's network: the decoder at the far end is to know, and to look for it in the next (FEC). */
const LOST = new Uint8Array(0);

/**
 * The voice of a phone that speaks Opus, on its way in: put in order and sent on as it is. What was lost is told by an empty packet each, in its
 * place: the decoder is the session's, and so is what can be done about it.
 */
export class OpusUplink {
  readonly #sender: RtpSender;
  readonly #handlers: PhoneUplinkHandlers;
  readonly #reorder = new ReorderBuffer({ clockRateHz: CLOCK_HZ });
  readonly #account = new StreamAccount();
  readonly #events: TelephoneEventReceiver;
  #audio: NegotiatedAudio;
  /** Listens for keys in the sound of a phone that has no telephone events. */
  readonly #ear: { readonly decoder: OpusDecoder; readonly detector: DtmfDetector } | undefined;
  #expectedTimestamp: number | undefined;
  #lastAudioAt = 0;
  #lastTicks = FRAME_TICKS;
  #lostPackets = 0;
  /** A key is or was held since the last audio: the hole is silence, not loss. */
  #quiet = false;
  #frames = 0;
  #digits = 0;

  /** @param decoder at 8 kHz, for a phone without telephone events; this line's to free */
  constructor(sender: RtpSender, audio: NegotiatedAudio, handlers: PhoneUplinkHandlers, decoder?: OpusDecoder) {
    this.#sender = sender;
    this.#audio = audio;
    this.#handlers = handlers;
    this.#events = new TelephoneEventReceiver({ clockRateHz: audio.telephoneEventRateHz ?? 8000 });
    this.#ear = decoder && { decoder, detector: new DtmfDetector((digit, durationMs) => this.#tellDigit(digit, durationMs)) };
  }

  renegotiate(audio: NegotiatedAudio): void {
    this.#audio = audio;
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
      else {
        this.#account.conceal(next.count);
        this.#lostPackets += next.count;
      }
    }
    for (let key = this.#events.poll(now); key; key = this.#events.poll(now)) this.#tellDigit(key.digit, key.durationMs);
  }

  close(): void {
    this.#ear?.decoder.free();
  }

  snapshot(): PhoneUplinkSnapshot {
    const reorder = this.#reorder.snapshot();
    return {
      reorder,
      account: this.#account.snapshot(reorder),
      packetMs: (this.#lastTicks * 1000) / CLOCK_HZ,
      frames: Math.round(this.#frames),
      digits: this.#digits,
    };
  }

  #tellDigit(digit: string, durationMs: number): void {
    this.#digits += 1;
    this.#handlers.onDigit(digit, durationMs);
  }

  #release(packet: RtpPacket, now: number): void {
    const { payloadType, payload } = packet;
    if (payloadType === this.#audio.telephoneEventPayloadType) {
      this.#account.setAside();
      this.#quiet = true;
      this.#events.push(packet, now);
      return;
    }
    if (payloadType !== this.#audio.payloadType) {
      this.#account.discard('unknown_payload');
      return;
    }
    // An empty packet only keeps a NAT binding alive (RFC 6263).
    if (payload.length === 0) {
      this.#account.setAside();
      return;
    }
    const ticks = opusTicks(payload);
    if (payload.length > MAX_BYTES) this.#account.discard('bad_length');
    else if (ticks === undefined) this.#account.discard('undecodable');
    else this.#pass(packet, ticks, now);
  }

  #pass({ payload, timestamp, marker }: RtpPacket, ticks: number, now: number): void {
    if (this.#expectedTimestamp !== undefined) this.#skip((timestamp - this.#expectedTimestamp) | 0, marker);
    this.#expectedTimestamp = (timestamp + ticks) >>> 0;
    this.#lastAudioAt = now;
    this.#lastTicks = ticks;
    this.#lostPackets = 0;
    this.#quiet = false;
    this.#account.pass();
    this.#frames += ticks / FRAME_TICKS;
    this.#handlers.onPacket(this.#sender.next(payload, ticks));
    if (!this.#ear) return;
    const pcm = this.#ear.decoder.decode(payload);
    if (pcm) this.#ear.detector.push(pcm);
  }

  #skip(ticks: number, marker: boolean): void {
    if (ticks <= 0) return;
    this.#ear?.detector.skip((ticks * 1000) / CLOCK_HZ);
    const silent = marker || this.#quiet || ticks > this.#lostPackets * this.#lastTicks + PAUSE_TICKS;
    if (!silent) this.#tellLosses();
    this.#sender.skip(ticks, silent ? 'silence' : 'lost');
  }

  #tellLosses(): void {
    const { nextTimestamp: timestamp, payloadType } = this.#sender;
    for (let n = 0; n < Math.min(this.#lostPackets, MAX_TOLD_LOSSES); n++) {
      this.#handlers.onPacket(this.#sender.beside(LOST, { payloadType, timestamp, marker: false }));
    }
  }

  /** The stream begins anew, with numbers that say nothing about the time between: the clock on the wall does. */
  #resync(now: number): void {
    const goneMs = Math.min(now - this.#lastAudioAt, MAX_SKIP_MS);
    if (this.#expectedTimestamp !== undefined) this.#skip(Math.round((goneMs * CLOCK_HZ) / 1000) - this.#lastTicks, false);
    this.#expectedTimestamp = undefined;
    this.#lostPackets = 0;
    this.#quiet = false;
  }
}
