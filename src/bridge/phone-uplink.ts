import { DtmfDetector } from '../audio/dtmf-detector.ts';
import { Framer } from '../audio/framer.ts';
import type { OpusEncoder } from '../audio/opus.ts';
import type { PhoneCodec } from '../audio/phone-codec.ts';
import type { RtpPacket } from '../rtp/packet.ts';
import { ReorderBuffer, type ReorderSnapshot } from '../rtp/reorder-buffer.ts';
import type { RtpSender } from '../rtp/rtp-sender.ts';
import { StreamAccount, type StreamAccountSnapshot } from '../rtp/stream-account.ts';
import { TelephoneEventReceiver } from '../rtp/telephone-event.ts';
import type { NegotiatedAudio } from '../sdp/phone-audio.ts';
import { lineCodec } from './line-codec.ts';

/** 20 ms of the inner leg's RTP clock of 48 kHz (RFC 7587 §4.1). */
const INNER_FRAME_TICKS = 960;
const FRAMES_PER_S = 50;

/** No phone packs more into a packet, and a larger one is not audio. */
const MAX_PACKET_MS = 100;

/** A stream that starts anew after a longer pause than this has simply been away: the far end need not count all of it. */
const MAX_SKIP_MS = 10_000;

/** So much more than the lost packets explain is a pause whose marker got lost, and concealing it would only drone. */
const PAUSE_MS = 200;

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
  /** RTP clock of the line's codecs; one with another has a line of its own. */
  readonly #clockHz: number;
  readonly #frameTicks: number;
  readonly #reorder: ReorderBuffer;
  readonly #account = new StreamAccount();
  readonly #events: TelephoneEventReceiver;
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
  #lastTicks: number;
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
    this.#codec = lineCodec(audio.codec);
    this.#clockHz = this.#codec.rtpClockHz;
    this.#frameTicks = this.#clockHz / FRAMES_PER_S;
    this.#lastTicks = this.#frameTicks;
    this.#reorder = new ReorderBuffer({ clockRateHz: this.#clockHz });
    this.#events = new TelephoneEventReceiver({ clockRateHz: audio.telephoneEventRateHz ?? 8000 });
    this.#payloadType = audio.payloadType;
    this.#framer = this.#makeFramer();
    this.#pcm = this.#makeRoom();
    this.#listenForKeys();
  }

  /** @param encoder for the codec's rate, when that is another one than before; the old encoder is freed */
  renegotiate(audio: NegotiatedAudio, encoder?: OpusEncoder): void {
    this.#audio = audio;
    this.#payloadType = audio.payloadType;
    if (audio.codec !== this.#codec.name) this.#codec = lineCodec(audio.codec);
    if (encoder) {
      this.#encoder.free();
      this.#encoder = encoder;
      this.#framer = this.#makeFramer();
      this.#pcm = this.#makeRoom();
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
      packetMs: (this.#lastTicks * 1000) / this.#clockHz,
      frames: this.#frames,
      digits: this.#digits,
    };
  }

  get #samplesPerTick(): number {
    return this.#codec.sampleRateHz / this.#clockHz;
  }

  get #maxBytes(): number {
    return (MAX_PACKET_MS * this.#clockHz * this.#codec.bytesPerTick) / 1000;
  }

  /** For the longest packet. */
  #makeRoom(): Int16Array {
    return new Int16Array((MAX_PACKET_MS * this.#codec.sampleRateHz) / 1000);
  }

  #makeFramer(): Framer {
    return new Framer(this.#frameTicks * this.#samplesPerTick, (frame) => {
      this.#frames += 1;
      this.#handlers.onPacket(this.#sender.next(this.#encoder.encode(frame), INNER_FRAME_TICKS));
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
    else if (payload.length > this.#maxBytes || payload.length % this.#codec.bytesPerTick !== 0) this.#account.discard('bad_length');
    else this.#decode(packet, now);
  }

  /** The phone may change between the codecs that both sides named; those of another rate would need another encoder. */
  #changesTo(payloadType: number): boolean {
    const formats = [this.#audio, ...this.#audio.alternatives];
    const format = formats.find((each) => each.payloadType === payloadType);
    if (!format) return false;
    const codec = lineCodec(format.codec);
    if (codec.sampleRateHz !== this.#codec.sampleRateHz) return false;
    this.#codec = codec;
    this.#payloadType = payloadType;
    return true;
  }

  #decode({ payload, timestamp, marker }: RtpPacket, now: number): void {
    if (this.#expectedTimestamp !== undefined) this.#skip((timestamp - this.#expectedTimestamp) | 0, marker);
    const ticks = payload.length / this.#codec.bytesPerTick;
    this.#expectedTimestamp = (timestamp + ticks) >>> 0;
    this.#lastAudioAt = now;
    this.#lastTicks = ticks;
    this.#quiet = false;
    this.#lostPackets = 0;
    this.#account.pass();
    const samples = ticks * this.#samplesPerTick;
    const pcm = this.#pcm.subarray(0, samples);
    this.#codec.decode(payload, pcm);
    this.#framer.push(pcm);
    this.#detector?.push(pcm);
  }

  /** Lets time pass on the inner leg, in whole frames; what is over is remembered, so that holes do not add up to a drift. */
  #skip(ticks: number, marker: boolean): void {
    if (ticks <= 0) return;
    this.#detector?.skip((ticks * 1000) / this.#clockHz);
    const due = ticks + this.#untoldTicks;
    const begun = this.#framer.pending / this.#samplesPerTick;
    const frames = Math.round((begun + due) / this.#frameTicks);
    if (frames <= 0) {
      this.#untoldTicks = due;
      return;
    }
    // What stood before the hole goes with it.
    this.#framer.reset();
    this.#untoldTicks = begun + due - frames * this.#frameTicks;
    const silent = marker || this.#quiet || ticks > this.#lostPackets * this.#lastTicks + (PAUSE_MS * this.#clockHz) / 1000;
    this.#sender.skip(frames * INNER_FRAME_TICKS, silent ? 'silence' : 'lost');
  }

  /** The stream begins anew, with numbers that say nothing about the time between: the clock on the wall does. */
  #resync(anotherSender: boolean, now: number): void {
    // G.722 remembers what it decoded, and another sender starts from nothing.
    if (anotherSender) this.#codec = lineCodec(this.#codec.name);
    const goneMs = Math.min(now - this.#lastAudioAt, MAX_SKIP_MS);
    if (this.#expectedTimestamp !== undefined) this.#skip((goneMs * this.#clockHz) / 1000 - this.#lastTicks, false);
    this.#expectedTimestamp = undefined;
    this.#lostPackets = 0;
    this.#quiet = false;
  }
}
