import type { OpusDecoder, OpusEncoder } from '../audio/opus.ts';
import { opusTicks } from '../audio/opus-packet.ts';
import { FRAME_MS } from '../base/ticker.ts';
import { parseRtp, type RtpPacket } from '../rtp/packet.ts';
import { ReorderBuffer } from '../rtp/reorder-buffer.ts';
import { RtpSender } from '../rtp/rtp-sender.ts';
import { StreamAccount } from '../rtp/stream-account.ts';
import type { NegotiatedAudio } from '../sdp/phone-audio.ts';
import type { PhoneDownlinkSnapshot } from './phone-downlink.ts';

const CLOCK_HZ = 48_000;
const FRAME_TICKS = 960;
/** As for other codecs: what reorders on the inner network comes within milliseconds. */
const GAP_WAIT_MS = 10;
/** Silence has a few bytes, of CELT three and of SILK a dozen; speech at the lowest bitrate of ours has more. */
const AUDIBLE_BYTES = 24;
/** As many as a phone could make up for; a longer hole is time that passed. */
const MAX_LOST_FRAMES = 2;

/** To code what comes anew, where the inner leg was made for another codec. */
export interface Recoder {
  readonly decoder: OpusDecoder;
  readonly encoder: OpusEncoder;
}

/** The agent's voice on its way to a phone that speaks Opus: sent on as it is, under the numbers of the phone's stream. */
export class OpusDownlink {
  readonly sender: RtpSender;
  /** While a key is sent its packets stand in for the audio, whose clock goes on. */
  muted = false;
  readonly #onPacket: (packet: Buffer, audible: boolean) => void;
  readonly #reorder = new ReorderBuffer({ clockRateHz: CLOCK_HZ, waitMs: GAP_WAIT_MS, longestWaitMs: GAP_WAIT_MS });
  readonly #account = new StreamAccount();
  readonly #recoder: Recoder | undefined;
  #expectedTimestamp: number | undefined;
  #lastAt = 0;
  #packets = 0;
  #missedFrames = 0;
  #undecodable = 0;

  /** @param recoder this line's to free; what comes is sent on without it */
  constructor(audio: NegotiatedAudio, onPacket: (packet: Buffer, audible: boolean) => void, recoder?: Recoder) {
    this.#onPacket = onPacket;
    this.#recoder = recoder;
    this.sender = new RtpSender({ payloadType: audio.payloadType });
  }

  renegotiate(audio: NegotiatedAudio): void {
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
      if (next.type === 'packet') this.#pass(next.packet, now);
      else if (next.type === 'resync') this.#resync(now);
      else this.#account.conceal(next.count);
    }
  }

  /** What the phone loses: FEC is made for it. Only where it is coded here; else the session's encoder is told. */
  setPacketLossPercent(percent: number): void {
    this.#recoder?.encoder.setPacketLossPercent(percent);
  }

  close(): void {
    this.#recoder?.decoder.free();
    this.#recoder?.encoder.free();
  }

  snapshot(): PhoneDownlinkSnapshot {
    return {
      packets: this.#packets,
      concealedFrames: 0,
      missedFrames: this.#missedFrames,
      undecodable: this.#undecodable,
      account: this.#account.snapshot(this.#reorder.snapshot()),
    };
  }

  #pass({ payload, timestamp, marker }: RtpPacket, now: number): void {
    const ticks = opusTicks(payload);
    if (ticks === undefined) {
      this.#undecodable += 1;
      this.#account.discard('undecodable');
      return;
    }
    if (this.#expectedTimestamp !== undefined) this.#skip((timestamp - this.#expectedTimestamp) | 0, marker);
    this.#expectedTimestamp = (timestamp + ticks) >>> 0;
    this.#lastAt = now;
    this.#account.pass();
    if (this.#recoder) this.#recode(this.#recoder, payload);
    else this.#send(payload, ticks);
  }

  #recode({ decoder, encoder }: Recoder, payload: Uint8Array): void {
    const pcm = decoder.decode(payload);
    if (!pcm) return;
    const { frameSamples } = encoder;
    for (let at = 0; at + frameSamples <= pcm.length; at += frameSamples) {
      this.#send(encoder.encode(pcm.subarray(at, at + frameSamples)), FRAME_TICKS);
    }
  }

  #send(payload: Uint8Array, ticks: number): void {
    if (this.muted) {
      this.sender.skip(ticks);
      return;
    }
    this.#packets += 1;
    this.#onPacket(this.sender.next(payload, ticks), payload.length >= AUDIBLE_BYTES);
  }

  /** Lost on the way to us, or never sent: the phone's decoder conceals the one, and lets the other pass. */
  #skip(ticks: number, marker: boolean): void {
    if (ticks <= 0) return;
    const frames = Math.round(ticks / FRAME_TICKS);
    this.#missedFrames += frames;
    const silent = marker || frames > MAX_LOST_FRAMES;
    if (!silent) this.sender.lose(frames);
    this.sender.skip(ticks, silent ? 'silence' : 'lost');
  }

  #resync(now: number): void {
    if (this.#expectedTimestamp === undefined) return;
    const frames = Math.round((now - this.#lastAt) / FRAME_MS) - 1;
    if (frames > 0) this.#skip(frames * FRAME_TICKS, true);
    this.#expectedTimestamp = undefined;
  }
}
