import { type G711, g711 } from '../audio/g711.ts';
import type { OpusDecoder } from '../audio/opus.ts';
import { FRAME_MS } from '../base/ticker.ts';
import { parseRtp, type RtpPacket } from '../rtp/packet.ts';
import { ReorderBuffer } from '../rtp/reorder-buffer.ts';
import { RtpSender } from '../rtp/rtp-sender.ts';
import type { NegotiatedAudio } from '../sdp/phone-answer.ts';

const FRAME_SAMPLES = 160;
/** 20 ms on the inner leg's 48 kHz clock. */
const FRAME_TICKS = 960;
/** 120 ms, the longest Opus packet, at 8 kHz. */
const MAX_SAMPLES = 960;
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
  /** Lost on the way to us and left to the phone. */
  readonly missedFrames: number;
  readonly undecodable: number;
}

/** The agent's voice on its way out: decode, encode, send on at once. The transceiver's beat is the only pace there is. */
export class PhoneDownlink {
  readonly sender: RtpSender;
  readonly #decoder: OpusDecoder;
  readonly #onPacket: (packet: Buffer, audible: boolean) => void;
  readonly #reorder = new ReorderBuffer({ clockRateHz: 48_000, waitMs: GAP_WAIT_MS });
  readonly #bytes = Buffer.allocUnsafe(MAX_SAMPLES);
  #codec: G711;
  #expectedTimestamp: number | undefined;
  #lastAt = 0;
  #packets = 0;
  #concealedFrames = 0;
  #missedFrames = 0;
  #undecodable = 0;

  /** @param onPacket gets each RTP packet for the phone, and whether there is anything to hear in it */
  constructor(decoder: OpusDecoder, audio: NegotiatedAudio, onPacket: (packet: Buffer, audible: boolean) => void) {
    this.#decoder = decoder;
    this.#codec = g711(audio.codec);
    this.#onPacket = onPacket;
    this.sender = new RtpSender({ payloadType: audio.payloadType });
  }

  renegotiate(audio: NegotiatedAudio): void {
    this.#codec = g711(audio.codec);
    this.sender.payloadType = audio.payloadType;
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
    };
  }

  #decode({ payload, timestamp }: RtpPacket, now: number): void {
    this.#bridgeGap(timestamp);
    const pcm = this.#decoder.decode(payload);
    if (!pcm) {
      this.#undecodable += 1;
      return;
    }
    this.#expectedTimestamp = (timestamp + (pcm.length / FRAME_SAMPLES) * FRAME_TICKS) >>> 0;
    this.#lastAt = now;
    for (let at = 0; at + FRAME_SAMPLES <= pcm.length; at += FRAME_SAMPLES) this.#send(pcm.subarray(at, at + FRAME_SAMPLES));
  }

  #bridgeGap(timestamp: number): void {
    if (this.#expectedTimestamp === undefined) return;
    const lost = Math.round(((timestamp - this.#expectedTimestamp) | 0) / FRAME_TICKS);
    if (lost > MAX_CONCEALED_FRAMES) {
      this.#missedFrames += lost;
      this.sender.skip(lost * FRAME_SAMPLES);
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
    if (frames > 0) {
      this.#missedFrames += frames;
      this.sender.skip(frames * FRAME_SAMPLES);
    }
    this.#expectedTimestamp = undefined;
  }

  #send(pcm: Int16Array): void {
    const payload = this.#bytes.subarray(0, pcm.length);
    this.#codec.encode(pcm, payload);
    this.#packets += 1;
    this.#onPacket(this.sender.next(payload, pcm.length), isAudible(pcm));
  }
}

/** Anything but digital silence, as Opus gives it back. */
function isAudible(pcm: Int16Array): boolean {
  for (let i = 0; i < pcm.length; i++) if (Math.abs(pcm[i] as number) > 16) return true;
  return false;
}
