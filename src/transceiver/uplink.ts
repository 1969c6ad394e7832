import { Concealer } from '../audio/concealer.ts';
import { Framer } from '../audio/framer.ts';
import { FRAME_MS } from '../base/ticker.ts';
import { parseRtp, type RtpPacket } from '../rtp/packet.ts';
import { ReorderBuffer } from '../rtp/reorder-buffer.ts';
import { StreamAccount, type StreamAccountSnapshot } from '../rtp/stream-account.ts';
import { type Digit, TelephoneEventReceiver } from '../rtp/telephone-event.ts';
import { PacedFrames } from './paced-frames.ts';
import type { VoiceDecoder } from './voice-codec.ts';

/** RFC 7587 §4.1: the RTP clock of Opus is 48 kHz whatever rate the codec runs at. */
const OPUS_CLOCK_HZ = 48_000;

/** Longer holes are silence: concealment beyond 200 ms only drones. */
const MAX_CONCEALED_FRAMES = 10;

/** What comes after a gap says more of its end than what came before, from the third frame on (measured: STOI over 24 times 10 s). */
const AIMED_FRAMES = 3;

/**
 * Without a packet for this long the person is silent (suppressed silence, hold, or a dead network): time goes on without
 * them. A packet may be late by 100 ms and the next one wait 100 ms more for one before it, at worst; no turn is over in less than
 * 300 ms of silence, so that nothing is answered later for it.
 */
const SILENCE_AFTER_MS = 240;
const SILENCE_AFTER_FRAMES = SILENCE_AFTER_MS / FRAME_MS;

/** So much of the time that has passed is not let pass yet: should it have been loss, the bridge waits for it and all comes later. */
const HELD_BACK_FRAMES = 1;

/** A second of silence; more follows with the next tick. */
const MOST_AT_ONCE = 50;

/** When ticks are so far apart the process stood still, and what came meanwhile is about to be read: it is no silence yet. */
const STALL_MS = 60;

export interface UplinkOptions {
  /** Of the audio. */
  readonly payloadType: number;
  /** Of its timestamps; that of Opus when absent. */
  readonly clockRateHz?: number;
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

/** The session has heard frames + silenceFrames + addedFrames - droppedFrames. */
export interface UplinkSnapshot {
  /** Heard or made up for lost ones. */
  readonly frames: number;
  readonly concealedFrames: number;
  /** Let pass because nothing came. */
  readonly silenceFrames: number;
  /** Put in and taken out, to keep step with the clock on the wall. */
  readonly addedFrames: number;
  readonly droppedFrames: number;
  /** Where every packet went. */
  readonly account: StreamAccountSnapshot;
  readonly undecodable: number;
  readonly unknownPayload: number;
}

/**
 * One peer's audio on its way to the session: reorder, mark lost, decode, cut into frames. It does no playout clocking:
 * a machine listens, so packets in order pass at once (design: the wait is spent once, where the lossy network ends).
 */
export class Uplink {
  readonly #decoder: VoiceDecoder;
  readonly #options: UplinkOptions;
  readonly #handlers: UplinkHandlers;
  readonly #reorder: ReorderBuffer;
  readonly #frameTicks: number;
  readonly #events: TelephoneEventReceiver;
  readonly #account = new StreamAccount();
  readonly #framer: Framer;
  readonly #concealer: Concealer;
  readonly #paced: PacedFrames;
  readonly #silence: Int16Array;
  /** Made up for a gap, and to let time pass. */
  readonly #made: Int16Array;
  #concealing = false;
  #now = 0;
  #lastTickAt: number | undefined;
  /** Packets of this leg that were lost since the last audio. */
  #lostPackets = 0;
  /** A key is or was held since the last audio: the hole it leaves is silence, not loss. */
  #keyHeld = false;
  #expectedTimestamp: number | undefined;
  #lastArrivalAt: number | undefined;
  /** When the call was answered, until the first packet after that. */
  #beganAt: number | undefined;
  /** Let pass since the last packet. */
  #guessedFrames = 0;
  #frames = 0;
  #concealedFrames = 0;
  #silenceFrames = 0;
  #undecodable = 0;
  #unknownPayload = 0;

  constructor(decoder: VoiceDecoder, options: UplinkOptions, handlers: UplinkHandlers) {
    this.#decoder = decoder;
    this.#options = options;
    this.#handlers = handlers;
    const { clockRateHz = OPUS_CLOCK_HZ } = options;
    this.#frameTicks = (clockRateHz * FRAME_MS) / 1000;
    this.#reorder = new ReorderBuffer({ clockRateHz });
    this.#events = new TelephoneEventReceiver({ clockRateHz: options.telephoneEventRateHz ?? clockRateHz });
    this.#silence = new Int16Array(options.frameSamples);
    this.#made = new Int16Array(options.frameSamples);
    this.#concealer = new Concealer(decoder.sampleRateHz);
    this.#paced = new PacedFrames(options.frameSamples, this.#concealer, handlers.onFrame);
    this.#framer = new Framer(options.frameSamples, (frame) => {
      this.#frames += 1;
      this.#paced.push(frame, this.#concealing, this.#now);
    });
  }

  /** The call is answered: time counts from now. What was heard before does not go on, and what was not is no loss. */
  begin(now: number): void {
    this.#now = now;
    this.#beganAt = now;
    this.#lastArrivalAt = now;
    this.#expectedTimestamp = undefined;
    this.#guessedFrames = 0;
    this.#lostPackets = 0;
    this.#concealer.forget();
    this.#framer.reset();
    this.#paced.begin(now);
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
    this.#now = now;
    for (let next = this.#reorder.poll(now); next; next = this.#reorder.poll(now)) {
      switch (next.type) {
        case 'packet':
          this.#release(next.packet, now);
          break;
        case 'lost':
          // How much audio was lost shows as a jump of the timestamp of the next packet.
          this.#lostPackets += next.count;
          this.#account.conceal(next.count);
          break;
        case 'resync':
          this.#expectedTimestamp = undefined;
          this.#lostPackets = 0;
          this.#framer.reset();
          break;
      }
    }
    for (let digit = this.#events.poll(now); digit; digit = this.#events.poll(now)) this.#handlers.onDigit(digit);
  }

  /** Every 20 ms: lets time pass for the session when no packets come. */
  tick(now: number): void {
    const stalled = this.#lastTickAt !== undefined && now - this.#lastTickAt > STALL_MS;
    this.#lastTickAt = now;
    this.#now = now;
    if (this.#lastArrivalAt === undefined) this.#lastArrivalAt = now;
    const quietMs = now - this.#lastArrivalAt;
    if (stalled || quietMs < SILENCE_AFTER_MS) return;
    // Also what ticks that were left out should have let pass.
    const due = Math.floor(quietMs / FRAME_MS) - HELD_BACK_FRAMES - this.#guessedFrames;
    for (let n = 0; n < Math.min(due, MOST_AT_ONCE); n++) this.#letTimePass();
  }

  close(): void {
    this.#decoder.free();
  }

  snapshot(): UplinkSnapshot {
    return {
      frames: this.#frames,
      concealedFrames: this.#concealedFrames,
      silenceFrames: this.#silenceFrames,
      addedFrames: this.#paced.added,
      droppedFrames: this.#paced.dropped,
      account: this.#account.snapshot(this.#reorder.snapshot()),
      undecodable: this.#undecodable,
      unknownPayload: this.#unknownPayload,
    };
  }

  #release(packet: RtpPacket, now: number): void {
    if (packet.payloadType === this.#options.payloadType) {
      if (packet.payload.length === 0) this.#noteLostElsewhere();
      else this.#decode(packet);
      this.#keyHeld = false;
      return;
    }
    this.#account.setAside();
    this.#keyHeld = true;
    this.#events.push(packet, now);
  }

  /**
   * An empty packet stands for one that was lost before the bridge of a phone that speaks Opus (bridge/opus-uplink.ts): the decoder is to know of it,
   * as of one that was lost on this leg. Browsers keep bindings open by other means.
   */
  #noteLostElsewhere(): void {
    this.#account.setAside();
    this.#account.conceal(1);
    this.#lostPackets += 1;
  }

  #decode(packet: RtpPacket): void {
    this.#passSinceAnswer();
    const gap = this.#gapBefore(packet);
    const ours = this.#lostPackets > 0;
    this.#lostPackets = 0;
    this.#guessedFrames = 0;
    // A decoder with a memory that lost packets of this leg makes them up itself before it goes on; the packet after them may still hold the
    // last one (FEC).
    const remembers = ours && this.#decoder.conceal !== undefined;
    if (remembers) this.#fillGap(gap, (n) => this.#fromDecoder(n === gap - 1, packet));
    const pcm = this.#decoder.decode(packet.payload);
    if (!pcm) {
      this.#undecodable += 1;
      this.#account.discard('undecodable');
      return;
    }
    if (!ours && gap > 0) this.#account.conceal(gap);
    if (!remembers && gap > 0) this.#bridge(gap, pcm);
    this.#account.pass();
    this.#expectedTimestamp = (packet.timestamp + (pcm.length * this.#frameTicks) / this.#silence.length) >>> 0;
    this.#concealer.pass(pcm);
    this.#framer.push(pcm);
  }

  /** A frame that the decoder makes up, or finds in the packet after it. */
  #fromDecoder(nearest: boolean, next: RtpPacket): Int16Array {
    const found = nearest ? this.#decoder.recover?.(next.payload) : this.#decoder.conceal?.();
    return found ?? this.#silence.fill(0);
  }

  /** What went by between the answer and the first packet; but a process that stood still reads late what came in time. */
  #passSinceAnswer(): void {
    const beganAt = this.#beganAt;
    this.#beganAt = undefined;
    if (beganAt === undefined || this.#now - (this.#lastTickAt ?? beganAt) > STALL_MS) return;
    const frames = Math.floor((this.#now - beganAt) / FRAME_MS) - HELD_BACK_FRAMES - this.#guessedFrames;
    for (let n = 0; n < Math.min(frames, SILENCE_AFTER_FRAMES); n++) this.#pushSilence(true);
  }

  /** A jump of the timestamp is lost audio, so many frames of it; a marker or a key says that the sender was silent. */
  #gapBefore(packet: RtpPacket): number {
    if (this.#expectedTimestamp === undefined) return 0;
    const jump = Math.round(((packet.timestamp - this.#expectedTimestamp) | 0) / this.#frameTicks);
    if (jump < 0 && this.#guessedFrames > 0) this.#paced.correct(Math.min(-jump, this.#guessedFrames), this.#now);
    // The ticks let time pass already, but for what lies below their threshold.
    const frames = Math.min(jump, SILENCE_AFTER_FRAMES);
    if (frames <= 0) return 0;
    if (!packet.marker && !this.#keyHeld) return frames;
    for (let n = 0; n < frames; n++) this.#pushSilence();
    return 0;
  }

  /**
   * A loss that the bridge has found: the packets have no gap, so the decoder is to know of none, or it would no longer be where the
   * encoder is. The audio has a piece cut out, as that of a decoder without a memory has after any loss.
   */
  #bridge(frames: number, next: Int16Array): void {
    if (frames >= AIMED_FRAMES && frames <= MAX_CONCEALED_FRAMES) this.#concealer.aim(next, frames);
    this.#fillGap(frames, () => {
      this.#concealer.conceal(this.#made);
      return this.#made;
    });
  }

  #fillGap(frames: number, conceal: (n: number) => Int16Array): void {
    for (let n = 0; n < frames; n++) {
      if (n < MAX_CONCEALED_FRAMES) this.#pushConcealed(conceal(n));
      else this.#pushSilence();
    }
  }

  #pushConcealed(pcm: Int16Array): void {
    this.#concealedFrames += 1;
    this.#concealing = true;
    this.#framer.push(pcm);
    this.#concealing = false;
  }

  /** What was said last fades out: whether it is silence or loss that began then, nobody knows yet. */
  #letTimePass(): void {
    this.#guessedFrames += 1;
    const fades = this.#guessedFrames <= MAX_CONCEALED_FRAMES && !this.#keyHeld && this.#expectedTimestamp !== undefined;
    if (fades) {
      this.#concealer.conceal(this.#made);
      this.#letPass(this.#made, true);
    } else this.#pushSilence(true);
  }

  /** @param guessed because nothing has come, not because a packet said so */
  #pushSilence(guessed = false): void {
    this.#concealer.forget();
    this.#silence.fill(0);
    this.#letPass(this.#silence, guessed);
  }

  /** 20 ms that nothing came for. */
  #letPass(frame: Int16Array, guessed: boolean): void {
    this.#silenceFrames += 1;
    if (this.#expectedTimestamp !== undefined) this.#expectedTimestamp = (this.#expectedTimestamp + this.#frameTicks) >>> 0;
    this.#paced.push(frame, true, this.#now, guessed);
  }
}
