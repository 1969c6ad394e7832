import { DtmfDetector } from '../audio/dtmf-detector.ts';
import { Framer } from '../audio/framer.ts';
import type { OpusEncoder } from '../audio/opus.ts';
import { createPhoneCodec, type PhoneCodec } from '../audio/phone-codec.ts';
import type { RtpPacket } from '../rtp/packet.ts';
import { ReorderBuffer, type ReorderSnapshot } from '../rtp/reorder-buffer.ts';
import type { RtpSender } from '../rtp/rtp-sender.ts';
import { StreamAccount, type StreamAccountSnapshot } from '../rtp/stream-account.ts';
import { TelephoneEventReceiver } from '../rtp/telephone-event.ts';
import type { NegotiatedAudio } from '../sdp/phone-audio.ts';

/** RTP clock of every codec of phones, and so the bytes of a second: G.722 has one byte for two samples (RFC 3551 §4.5.2). */
const CLOCK_HZ = 8000;
const FRAME_TICKS = 160;
/** The inner leg's RTP clock runs at 48 kHz (RFC 7587 §4.1). */
const INNER_TICKS = 6;

/** 100 ms: no phone packs more into a packet, and a larger one is not audio. */
const MAX_BYTES = 800;

/** A stream that starts anew after a longer pause than this has simply been away: the far end need not count all of it. */
const MAX_SKIP_MS = 10_000;

/** 200 ms more than the lost packets explain are a pause whose marker got lost, and concealing them would only drone. */
const PAUSE_TICKS = 1600;

export interface PhoneUplinkHandlers {
  /** An RTP packet for the inner leg. */
  readonly onPacket: (packet: Buffer) => void;
  readonly onDigit: (digit: string, durationMs: number) => void;
}

export interface PhoneUplinkSnapshot {
  readonly reorder: ReorderSnapshot;
  /** Where every packet went. */
  readonly account: StreamAccountSnapshot;
  /** What the last packet of audio held. */
  readonly packetMs: number;
  /** Of 20 ms, to the inner leg. */
  readonly frames: number;
  readonly digits: number;
}

/**
 * The phone's voice on its way in: reorder, decode, encode, send on at once. Loss is not concealed here: the inner leg's sequence numbers stay
 * contiguous and its timestamp jumps, without marker for loss, with marker for silence, so that it is concealed once, at the far end.
 */
export class PhoneUplink {
  readonly #sender: RtpSender;
  readonly #handlers: PhoneUplinkHandlers;
  readonly #reorder = new ReorderBuffer({ clockRateHz: CLOCK_HZ });
  readonly #account = new StreamAccount();
  readonly #events = new TelephoneEventReceiver();
  #encoder: OpusEncoder;
  #audio: NegotiatedAudio;
  #codec: PhoneCodec;
  /** Of what is decoded now: the agreed one, or an alternative the phone has changed to. */
  #payloadType: number;
  #framer: Framer;
  #pcm: Int16Array;
  /** Listens for keys in the sound of a phone that has no telephone events. */
  #detector: DtmfDetector | undefined;
  #expectedTimestamp: number | undefined;
  #lastAudioAt = 0;
  #lastTicks = FRAME_TICKS;
  /** Time of the phone that the inner leg has not been told of, less than a frame. */
  #untoldTicks = 0;
  /** Packets that were lost since the last audio. */
  #lostPackets = 0;
  /** A key is or was held since the last audio, or the phone said how its silence sounds: the hole is silence, not loss. */
  #quiet = false;
  #frames = 0;
  #digits = 0;

  constructor(encoder: OpusEncoder, sender: RtpSender, audio: NegotiatedAudio, handlers: PhoneUplinkHandlers) {
    this.#encoder = encoder;
    this.#sender = sender;
    this.#audio = audio;
    this.#handlers = handlers;
    this.#codec = createPhoneCodec(audio.codec);
    this.#payloadType = audio.payloadType;
    this.#framer = this.#makeFramer();
    this.#pcm = new Int16Array(MAX_BYTES * this.#samplesPerTick);
    this.#listenForKeys();
  }

  /** @param encoder for the codec's rate, when that is another one than before; the old encoder is freed */
  renegotiate(audio: NegotiatedAudio, encoder?: OpusEncoder): void {
    this.#audio = audio;
    this.#payloadType = audio.payloadType;
    if (audio.codec !== this.#codec.name) this.#codec = createPhoneCodec(audio.codec);
    if (encoder) {
      this.#encoder.free();
      this.#encoder = encoder;
      this.#framer = this.#makeFramer();
      this.#pcm = new Int16Array(MAX_BYTES * this.#samplesPerTick);
      this.#detector = undefined;
    }
    this.#listenForKeys();
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
      else if (next.type === 'resync') this.#resync(next.reason === 'ssrc', now);
      else {
        // What it has left shows as a jump of the timestamp of the next packet.
        this.#account.conceal(next.count);
        this.#lostPackets += next.count;
      }
    }
    for (let key = this.#events.poll(now); key; key = this.#events.poll(now)) this.#tellDigit(key.digit, key.durationMs);
  }

  close(): void {
    this.#encoder.free();
  }

  snapshot(): PhoneUplinkSnapshot {
    const reorder = this.#reorder.snapshot();
    return {
      reorder,
      account: this.#account.snapshot(reorder),
      packetMs: (this.#lastTicks * 1000) / CLOCK_HZ,
      frames: this.#frames,
      digits: this.#digits,
    };
  }

  get #samplesPerTick(): number {
    return this.#codec.sampleRateHz / CLOCK_HZ;
  }

  #makeFramer(): Framer {
    return new Framer(FRAME_TICKS * this.#samplesPerTick, (frame) => {
      this.#frames += 1;
      this.#handlers.onPacket(this.#sender.next(this.#encoder.encode(frame), FRAME_TICKS * INNER_TICKS));
    });
  }

  #listenForKeys(): void {
    if (this.#audio.telephoneEventPayloadType !== undefined) this.#detector = undefined;
    else {
      const { sampleRateHz } = this.#codec;
      this.#detector ??= new DtmfDetector((digit, durationMs) => this.#tellDigit(digit, durationMs), { sampleRateHz });
    }
  }

  #tellDigit(digit: string, durationMs: number): void {
    this.#digits += 1;
    this.#handlers.onDigit(digit, durationMs);
  }

  #release(packet: RtpPacket, now: number): void {
    const { payloadType, payload } = packet;
    const { telephoneEventPayloadType, comfortNoisePayloadType } = this.#audio;
    if (payloadType === telephoneEventPayloadType) {
      this.#account.setAside();
      this.#quiet = true;
      this.#events.push(packet, now);
    } else if (payloadType === comfortNoisePayloadType) {
      // The inner leg is left alone until the voice is back: its far end lets silence pass by itself.
      this.#account.setAside();
      this.#quiet = true;
    } else if (payloadType !== this.#payloadType && !this.#changesTo(payloadType)) this.#account.discard('unknown_payload');
    // An empty packet only keeps a NAT binding alive (RFC 6263).
    else if (payload.length === 0) this.#account.setAside();
    else if (payload.length > MAX_BYTES) this.#account.discard('bad_length');
    else this.#decode(packet, now);
  }

  /** The phone may change between the codecs that both sides named; those of another rate would need another encoder. */
  #changesTo(payloadType: number): boolean {
    const formats = [this.#audio, ...this.#audio.alternatives];
    const format = formats.find((each) => each.payloadType === payloadType);
    if (!format) return false;
    const codec = createPhoneCodec(format.codec);
    if (codec.sampleRateHz !== this.#codec.sampleRateHz) return false;
    this.#codec = codec;
    this.#payloadType = payloadType;
    return true;
  }

  #decode({ payload, timestamp, marker }: RtpPacket, now: number): void {
    if (this.#expectedTimestamp !== undefined) this.#skip((timestamp - this.#expectedTimestamp) | 0, marker);
    this.#expectedTimestamp = (timestamp + payload.length) >>> 0;
    this.#lastAudioAt = now;
    this.#lastTicks = payload.length;
    this.#quiet = false;
    this.#lostPackets = 0;
    this.#account.pass();
    const samples = payload.length * this.#samplesPerTick;
    const pcm = this.#pcm.subarray(0, samples);
    this.#codec.decode(payload, pcm);
    this.#framer.push(pcm);
    this.#detector?.push(pcm);
  }

  /** Lets time pass on the inner leg, in whole frames; what is over is remembered, so that holes do not add up to a drift. */
  #skip(ticks: number, marker: boolean): void {
    if (ticks <= 0) return;
    this.#detector?.skip((ticks * 1000) / CLOCK_HZ);
    const due = ticks + this.#untoldTicks;
    const begun = this.#framer.pending / this.#samplesPerTick;
    const frames = Math.round((begun + due) / FRAME_TICKS);
    if (frames <= 0) {
      this.#untoldTicks = due;
      return;
    }
    // What stood before the hole goes with it.
    this.#framer.reset();
    this.#untoldTicks = begun + due - frames * FRAME_TICKS;
    const silent = marker || this.#quiet || ticks > this.#lostPackets * this.#lastTicks + PAUSE_TICKS;
    this.#sender.skip(frames * FRAME_TICKS * INNER_TICKS, silent ? 'silence' : 'lost');
  }

  /** The stream begins anew, with numbers that say nothing about the time between: the clock on the wall does. */
  #resync(anotherSender: boolean, now: number): void {
    // G.722 remembers what it decoded, and another sender starts from nothing.
    if (anotherSender) this.#codec = createPhoneCodec(this.#codec.name);
    const goneMs = Math.min(now - this.#lastAudioAt, MAX_SKIP_MS);
    if (this.#expectedTimestamp !== undefined) this.#skip((goneMs * CLOCK_HZ) / 1000 - this.#lastTicks, false);
    this.#expectedTimestamp = undefined;
    this.#lostPackets = 0;
    this.#quiet = false;
  }
}
