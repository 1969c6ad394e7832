import { Framer } from '../audio/framer.ts';
import type { OpusDecoder } from '../audio/opus.ts';
import { FRAME_MS } from '../base/ticker.ts';
import { parseRtp, type RtpPacket } from '../rtp/packet.ts';
import { ReorderBuffer } from '../rtp/reorder-buffer.ts';
import { type Digit, TelephoneEventReceiver } from '../rtp/telephone-event.ts';

/** RFC 7587 §4.1: the RTP clock of Opus is 48 kHz whatever rate the codec runs at. */
const OPUS_CLOCK_HZ = 48_000;
const FRAME_TICKS = (OPUS_CLOCK_HZ * FRAME_MS) / 1000;

/** Longer holes are silence: concealment beyond 200 ms only drones. */
const MAX_CONCEALED_FRAMES = 10;

/**
 * Without a packet for this long the person is silent (suppressed silence, hold, or a dead network): time goes on without
 * them. Three lost packets in a row look the same for 20 + 60 ms and the 30 ms that the bridge waits for them: those are
 * to be concealed, not taken for silence.
 */
const SILENCE_AFTER_MS = 120;

export interface UplinkOptions {
  /** Payload type of Opus. */
  readonly payloadType: number;
  /** Of telephone-event, where the peer may send keys as RTP. */
  readonly telephoneEventPayloadType?: number;
  readonly telephoneEventRateHz?: number;
  readonly frameSamples: number;
}

export interface UplinkHandlers {
  /** 20 ms of the person's audio; the buffer is valid during the call only. */
  readonly onFrame: (pcm: Int16Array, concealed: boolean) => void;
  readonly onDigit: (digit: Digit) => void;
}

export interface UplinkSnapshot {
  readonly frames: number;
  readonly concealedFrames: number;
  readonly silenceFrames: number;
  readonly undecodable: number;
  readonly unknownPayload: number;
}

/**
 * One peer's Opus on its way to the session: reorder, mark lost, decode, cut into frames. It does no playout clocking:
 * a machine listens, so packets in order pass at once (design: the wait is spent once, where the lossy network ends).
 */
export class Uplink {
  readonly #decoder: OpusDecoder;
  readonly #options: UplinkOptions;
  readonly #handlers: UplinkHandlers;
  readonly #reorder = new ReorderBuffer({ clockRateHz: OPUS_CLOCK_HZ });
  readonly #events: TelephoneEventReceiver;
  readonly #framer: Framer;
  readonly #silence: Int16Array;
  #concealing = false;
  /** A key is or was held since the last audio: the hole it leaves is silence, not loss. */
  #keyHeld = false;
  #expectedTimestamp: number | undefined;
  #lastArrivalAt: number | undefined;
  #silent = false;
  #frames = 0;
  #concealedFrames = 0;
  #silenceFrames = 0;
  #undecodable = 0;
  #unknownPayload = 0;

  constructor(decoder: OpusDecoder, options: UplinkOptions, handlers: UplinkHandlers) {
    this.#decoder = decoder;
    this.#options = options;
    this.#handlers = handlers;
    this.#events = new TelephoneEventReceiver({ clockRateHz: options.telephoneEventRateHz ?? OPUS_CLOCK_HZ });
    this.#silence = new Int16Array(options.frameSamples);
    this.#framer = new Framer(options.frameSamples, (frame) => {
      this.#frames += 1;
      this.#handlers.onFrame(frame, this.#concealing);
    });
  }

  /** A decrypted RTP packet. Returns what it parsed to, for the RTCP statistics of the stream. */
  handlePacket(datagram: Buffer, now: number): RtpPacket | undefined {
    const packet = parseRtp(datagram);
    if (!packet) return undefined;
    const { payloadType, telephoneEventPayloadType } = this.#options;
    if (packet.payloadType !== payloadType && packet.payloadType !== telephoneEventPayloadType) {
      this.#unknownPayload += 1;
      return undefined;
    }
    // While a key is held no audio comes, and time goes on all the same.
    if (packet.payloadType === payloadType) {
      this.#lastArrivalAt = now;
      this.#silent = false;
    }
    this.#reorder.push(packet, now);
    this.drain(now);
    return packet;
  }

  /** When something that waits must be given up (Clock.now milliseconds): a gap, or a key whose end never came. */
  nextTimeout(): number | undefined {
    const gap = this.#reorder.nextTimeout();
    const key = this.#events.nextTimeout();
    return gap === undefined || key === undefined ? (gap ?? key) : Math.min(gap, key);
  }

  /** Hands on what is in order, or has waited long enough. */
  drain(now: number): void {
    for (let next = this.#reorder.poll(now); next; next = this.#reorder.poll(now)) {
      switch (next.type) {
        case 'packet':
          this.#release(next.packet, now);
          break;
        case 'lost':
          // What was lost shows as a jump of the timestamp of the next packet; nothing to do yet.
          break;
        case 'resync':
          this.#expectedTimestamp = undefined;
          this.#framer.reset();
          break;
      }
    }
    for (let digit = this.#events.poll(now); digit; digit = this.#events.poll(now)) this.#handlers.onDigit(digit);
  }

  /** Every 20 ms: lets time pass for the session when no packets come. */
  tick(now: number): void {
    if (this.#lastArrivalAt === undefined) this.#lastArrivalAt = now;
    if (now - this.#lastArrivalAt < SILENCE_AFTER_MS) return;
    // The first frame of silence also stands for the ones we waited through.
    const frames = this.#silent ? 1 : SILENCE_AFTER_MS / FRAME_MS;
    this.#silent = true;
    for (let n = 0; n < frames; n++) this.#pushSilence();
  }

  close(): void {
    this.#decoder.free();
  }

  snapshot(): UplinkSnapshot {
    return {
      frames: this.#frames,
      concealedFrames: this.#concealedFrames,
      silenceFrames: this.#silenceFrames,
      undecodable: this.#undecodable,
      unknownPayload: this.#unknownPayload,
    };
  }

  #release(packet: RtpPacket, now: number): void {
    if (packet.payloadType === this.#options.payloadType) {
      this.#decode(packet);
      this.#keyHeld = false;
      return;
    }
    this.#keyHeld = true;
    this.#events.push(packet, now);
  }

  #decode(packet: RtpPacket): void {
    this.#fillGap(packet);
    const pcm = this.#decoder.decode(packet.payload);
    if (!pcm) {
      this.#undecodable += 1;
      return;
    }
    this.#expectedTimestamp = (packet.timestamp + (pcm.length * FRAME_TICKS) / this.#silence.length) >>> 0;
    this.#framer.push(pcm);
  }

  /** A jump of the timestamp: lost audio is concealed, a marker or a key says that the sender was silent. */
  #fillGap(packet: RtpPacket): void {
    if (this.#expectedTimestamp === undefined) return;
    const jump = (packet.timestamp - this.#expectedTimestamp) | 0;
    const frames = Math.round(jump / FRAME_TICKS);
    if (frames <= 0) return;
    if (packet.marker || this.#keyHeld) {
      // The ticks have let this silence pass already, but for what lies below their threshold.
      for (let n = 0; n < Math.min(frames, SILENCE_AFTER_MS / FRAME_MS) && !this.#silent; n++) this.#pushSilence();
      return;
    }
    const concealed = Math.min(frames, MAX_CONCEALED_FRAMES);
    this.#concealing = true;
    for (let n = 0; n < concealed; n++) {
      const pcm = this.#decoder.conceal();
      this.#concealedFrames += 1;
      this.#framer.push(pcm);
    }
    this.#concealing = false;
  }

  #pushSilence(): void {
    this.#silenceFrames += 1;
    if (this.#expectedTimestamp !== undefined) this.#expectedTimestamp = (this.#expectedTimestamp + FRAME_TICKS) >>> 0;
    this.#handlers.onFrame(this.#silence, true);
  }
}
