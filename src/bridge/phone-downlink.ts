import type { OpusDecoder } from '../audio/opus.ts';
import type { PhoneCodec } from '../audio/phone-codec.ts';
import { FRAME_MS } from '../base/ticker.ts';
import { parseRtp, type RtpPacket } from '../rtp/packet.ts';
import { ReorderBuffer } from '../rtp/reorder-buffer.ts';
import { RtpSender } from '../rtp/rtp-sender.ts';
import { StreamAccount, type StreamAccountSnapshot } from '../rtp/stream-account.ts';
import type { NegotiatedAudio } from '../sdp/phone-audio.ts';
import { lineCodec } from './line-codec.ts';

/** 20 ms on the inner leg's 48 kHz clock. */
const INNER_FRAME_TICKS = 960;
/** The longest packet towards a phone, 60 ms (sdp/phone-audio.ts), and a frame more. */
const MAX_FILLED_MS = 80;
/**
 * How long a gap holds up what came after it. What reorders on the inner network comes within milliseconds, and whoever
 * listens has waited long enough already.
 */
const GAP_WAIT_MS = 10;

/** A longer hole lies in the phone's past already: made-up audio for it would only come as a burst, behind time. */
const MAX_CONCEALED_FRAMES = 2;

export interface PhoneDownlinkSnapshot {
  readonly packets: number;
  readonly concealedFrames: number;
  /** Lost on the way to us, or never sent because everything stood still: left to the phone. */
  readonly missedFrames: number;
  readonly undecodable: number;
  /** Where every packet of the inner leg went. */
  readonly account: StreamAccountSnapshot;
}

/** The agent's voice on its way out: decode, encode, send on at once. The transceiver's beat is the only pace there is. */
export class PhoneDownlink {
  readonly sender: RtpSender;
  /** While a key is sent its packets stand in for the audio, whose clock goes on. */
  muted = false;
  readonly #onPacket: (packet: Buffer, audible: boolean) => void;
  readonly #reorder = new ReorderBuffer({ clockRateHz: 48_000, waitMs: GAP_WAIT_MS, longestWaitMs: GAP_WAIT_MS });
  readonly #account = new StreamAccount();
  /** Coded, and waiting until there is a packet of it. */
  readonly #bytes: Buffer;
  #filled = 0;
  #audible = false;
  #packetBytes: number;
  #decoder: OpusDecoder;
  #codec: PhoneCodec;
  #expectedTimestamp: number | undefined;
  #lastAt = 0;
  #packets = 0;
  #concealedFrames = 0;
  #missedFrames = 0;
  #undecodable = 0;

  /** @param onPacket gets each RTP packet for the phone, and whether there is anything to hear in it */
  constructor(decoder: OpusDecoder, audio: NegotiatedAudio, onPacket: (packet: Buffer, audible: boolean) => void) {
    this.#decoder = decoder;
    this.#codec = lineCodec(audio.codec);
    this.#bytes = Buffer.allocUnsafe(this.#bytesOf(MAX_FILLED_MS));
    this.#packetBytes = this.#bytesOf(audio.ptimeMs);
    this.#onPacket = onPacket;
    this.sender = new RtpSender({ payloadType: audio.payloadType });
  }

  /** @param decoder for the codec's rate, when that is another one than before; the old decoder is freed */
  renegotiate(audio: NegotiatedAudio, decoder?: OpusDecoder): void {
    this.#flush();
    if (audio.codec !== this.#codec.name) this.#codec = lineCodec(audio.codec);
    this.#packetBytes = this.#bytesOf(audio.ptimeMs);
    this.sender.payloadType = audio.payloadType;
    if (!decoder) return;
    this.#decoder.free();
    this.#decoder = decoder;
  }

  handlePacket(datagram: Buffer, now: number): void {
    const packet = parseRtp(datagram);
    if (!packet) return;
    this.#reorder.push(packet, now);
    this.drain(now);
  }

  nextTimeout(): number | undefined {
    return this.#reorder.nextTimeout();
  }

  drain(now: number): void {
    for (let next = this.#reorder.poll(now); next; next = this.#reorder.poll(now)) {
      if (next.type === 'packet') this.#decode(next.packet, now);
      else if (next.type === 'resync') this.#resync(now);
      else this.#account.conceal(next.count);
    }
  }

  close(): void {
    this.#decoder.free();
  }

  snapshot(): PhoneDownlinkSnapshot {
    return {
      packets: this.#packets,
      concealedFrames: this.#concealedFrames,
      missedFrames: this.#missedFrames,
      undecodable: this.#undecodable,
      account: this.#account.snapshot(this.#reorder.snapshot()),
    };
  }

  #bytesOf(ms: number): number {
    return (ms * this.#codec.rtpClockHz * this.#codec.bytesPerTick) / 1000;
  }

  #decode({ payload, timestamp, marker }: RtpPacket, now: number): void {
    this.#bridgeGap(timestamp, marker);
    const pcm = this.#decoder.decode(payload);
    if (!pcm) {
      this.#undecodable += 1;
      this.#account.discard('undecodable');
      return;
    }
    this.#account.pass();
    const frameSamples = (this.#codec.sampleRateHz * FRAME_MS) / 1000;
    this.#expectedTimestamp = (timestamp + (pcm.length / frameSamples) * INNER_FRAME_TICKS) >>> 0;
    this.#lastAt = now;
    for (let at = 0; at + frameSamples <= pcm.length; at += frameSamples) this.#send(pcm.subarray(at, at + frameSamples));
  }

  #bridgeGap(timestamp: number, marker: boolean): void {
    if (this.#expectedTimestamp === undefined) return;
    const lost = Math.round(((timestamp - this.#expectedTimestamp) | 0) / INNER_FRAME_TICKS);
    // With a marker nothing was said in it: the transceiver stood still.
    if (lost > MAX_CONCEALED_FRAMES || (marker && lost > 0)) {
      this.#leaveOut(lost);
      return;
    }
    for (let n = 0; n < lost; n++) {
      this.#concealedFrames += 1;
      this.#send(this.#decoder.conceal());
    }
  }

  /** The stream begins anew, with numbers that say nothing about the time between: the clock on the wall does. */
  #resync(now: number): void {
    if (this.#expectedTimestamp === undefined) return;
    const frames = Math.round((now - this.#lastAt) / FRAME_MS) - 1;
    if (frames > 0) this.#leaveOut(frames);
    this.#expectedTimestamp = undefined;
  }

  #leaveOut(frames: number): void {
    this.#flush();
    this.#missedFrames += frames;
    this.sender.skip((frames * FRAME_MS * this.#codec.rtpClockHz) / 1000);
  }

  /** A frame becomes a packet, or two, or a part of one, as the phone would have it. */
  #send(pcm: Int16Array): void {
    this.#filled += this.#codec.encode(pcm, this.#bytes.subarray(this.#filled));
    this.#audible ||= isAudible(pcm);
    let at = 0;
    for (; this.#filled - at >= this.#packetBytes; at += this.#packetBytes) this.#sendPacket(at, at + this.#packetBytes);
    this.#bytes.copyWithin(0, at, this.#filled);
    this.#filled -= at;
    if (this.#filled === 0) this.#audible = false;
  }

  /** What waits goes out as a short packet: what comes next does not continue it. */
  #flush(): void {
    if (this.#filled > 0) this.#sendPacket(0, this.#filled);
    this.#filled = 0;
    this.#audible = false;
  }

  #sendPacket(from: number, to: number): void {
    const ticks = (to - from) / this.#codec.bytesPerTick;
    if (this.muted) {
      this.sender.skip(ticks);
      return;
    }
    this.#packets += 1;
    this.#onPacket(this.sender.next(this.#bytes.subarray(from, to), ticks), this.#audible);
  }
}

/** Anything but digital silence, as Opus gives it back. */
function isAudible(pcm: Int16Array): boolean {
  for (let i = 0; i < pcm.length; i++) if (Math.abs(pcm[i] as number) > 16) return true;
  return false;
}
