import type { OpusProfile } from '../audio/opus.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { FRAME_MS, type Ticker } from '../base/ticker.ts';
import { MODEL_FRAME_SAMPLES } from '../realtime/model.ts';
import type { Session } from '../realtime/session.ts';
import { RtcpReporter, type RtcpSnapshot } from '../rtp/rtcp-reporter.ts';
import { RtpSender } from '../rtp/rtp-sender.ts';
import { chooseCodec, type WebRtcAudio, type WebRtcCodec } from '../sdp/webrtc.ts';
import { Uplink, type UplinkSnapshot } from './uplink.ts';
import { createVoiceCodec, type VoiceEncoder } from './voice-codec.ts';

/** How often it is looked whether an RTCP report is due; reports are seconds apart. */
const RTCP_LOOK_MS = 500;

/** FEC that is off is missed by the first loss; below this it costs next to nothing. */
const LEAST_LOSS_PERCENT = 2;
/** A loss is believed at once, its end bit by bit: networks that lose lose again. */
const FORGOTTEN_LOSS = 0.5;

/** What media needs of a WebRTC peer. */
export interface MediaPeer {
  sendRtp(packet: Uint8Array): boolean;
  sendRtcp(packet: Uint8Array): boolean;
}

/** What media needs of a session. */
export type MediaSession = Pick<Session, 'handleUplink' | 'pullDownlink' | 'handleLegEvent'>;

export interface MediaDeps {
  readonly clock: Clock;
  readonly ticker: Ticker;
  readonly session: MediaSession;
  readonly peer: MediaPeer;
}

export interface MediaOptions {
  /** What the peer offered: payload types are the same both ways. */
  readonly audio: WebRtcAudio;
  readonly ssrc: number;
  /** How the audio towards the person is coded (profileFor). */
  readonly profile: OpusProfile;
  /** The person listens through a G.711 phone: no bit is spent above 4 kHz. */
  readonly narrowband: boolean;
}

export interface MediaSnapshot {
  readonly uplink: UplinkSnapshot;
  readonly rtcp: RtcpSnapshot;
}

/** The audio of one peer: up to the session as it arrives, down from it on a steady beat. */
export class Media {
  readonly #deps: MediaDeps;
  readonly #uplink: Uplink;
  readonly #encoder: VoiceEncoder;
  readonly #sender: RtpSender;
  readonly #rtcp: RtcpReporter;
  readonly #ssrc: number;
  readonly #frameTicks: number;
  readonly #profile: OpusProfile;
  /** What the person's side loses of ours, in percent. */
  #lossPercent = 0;
  readonly #frame = new Int16Array(MODEL_FRAME_SAMPLES);
  #stopTicking: (() => void) | undefined;
  /** When the last tick should have been. */
  #lastDueAt: number | undefined;
  #gapTimer: Timer | undefined;
  #rtcpTimer: Timer | undefined;
  #closed = false;

  static async create(deps: MediaDeps, options: MediaOptions): Promise<Media> {
    const codec = chooseCodec(options.audio);
    const { opus } = options.audio;
    const limits = {
      ...(opus?.maxAverageBitrate !== undefined && { maxBitrate: opus.maxAverageBitrate }),
      ...(opus?.cbr && { cbr: true }),
    };
    const { decoder, encoder } = await createVoiceCodec(codec, { ...options, ...limits });
    const flags = { concealed: false };
    const { payloadTypes, telephoneEventRateHz } = options.audio;
    const uplink = new Uplink(
      decoder,
      {
        payloadType: codec.payloadType,
        clockRateHz: codec.clockRateHz,
        ...(payloadTypes.telephoneEvent === undefined ? {} : { telephoneEventPayloadType: payloadTypes.telephoneEvent }),
        ...(telephoneEventRateHz === undefined ? {} : { telephoneEventRateHz }),
        frameSamples: MODEL_FRAME_SAMPLES,
      },
      {
        onFrame: (pcm, concealed) => {
          flags.concealed = concealed;
          deps.session.handleUplink(pcm, flags, deps.clock.now());
        },
        onDigit: ({ digit, durationMs }) => deps.session.handleLegEvent({ type: 'dtmf', digit, durationMs }),
      },
    );
    return new Media(deps, { ...options, codec }, uplink, encoder);
  }

  private constructor(
    deps: MediaDeps,
    { codec, ssrc, profile }: MediaOptions & { codec: WebRtcCodec },
    uplink: Uplink,
    encoder: VoiceEncoder,
  ) {
    const { payloadType, clockRateHz } = codec;
    this.#deps = deps;
    this.#uplink = uplink;
    this.#encoder = encoder;
    this.#ssrc = ssrc;
    this.#profile = profile;
    this.#frameTicks = (clockRateHz * FRAME_MS) / 1000;
    this.#sender = new RtpSender({ ssrc, payloadType });
    this.#rtcp = new RtcpReporter({ ssrc, clockRateHz });
    this.#lookForReports();
  }

  /** The leg is answered: from now on the person is sent 20 ms of audio every 20 ms. */
  start(): void {
    if (this.#closed || this.#stopTicking) return;
    this.#uplink.begin(this.#deps.clock.now());
    this.#stopTicking = this.#deps.ticker.add((dueAt) => this.#tick(dueAt));
  }

  handleRtp(datagram: Buffer, now: number): void {
    if (this.#closed) return;
    const packet = this.#uplink.handlePacket(datagram, now);
    if (packet) this.#rtcp.handleRtp(packet, now);
    this.#armGapTimer(now);
  }

  handleRtcp(datagram: Buffer, now: number): void {
    const packets = this.#rtcp.handleRtcp(datagram, now);
    if (this.#closed || this.#profile !== 'edge') return;
    for (const packet of packets ?? []) {
      if (packet.type !== 'sender_report' && packet.type !== 'receiver_report') continue;
      const report = packet.reports.find(({ ssrc }) => ssrc === this.#ssrc);
      if (report) this.#noteLoss((report.fractionLost * 100) / 256);
    }
  }

  /** Stops the beat and frees the codecs. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopTicking?.();
    this.#gapTimer?.cancel();
    this.#rtcpTimer?.cancel();
    this.#uplink.close();
    this.#encoder.free();
  }

  get rttMs(): number | undefined {
    return this.#rtcp.rttMs;
  }

  snapshot(): MediaSnapshot {
    return { uplink: this.#uplink.snapshot(), rtcp: this.#rtcp.snapshot() };
  }

  #noteLoss(percent: number): void {
    this.#lossPercent = Math.max(percent, this.#lossPercent * FORGOTTEN_LOSS);
    this.#encoder.setPacketLossPercent?.(Math.max(LEAST_LOSS_PERCENT, this.#lossPercent));
  }

  #tick(dueAt: number): void {
    const now = this.#deps.clock.now();
    // Ticks are left out after a stall: the far end is told of time that went by, or it would play the rest late for ever.
    const missed = this.#lastDueAt === undefined ? 0 : Math.round((dueAt - this.#lastDueAt) / FRAME_MS) - 1;
    this.#lastDueAt = dueAt;
    if (missed > 0) this.#sender.skip(missed * this.#frameTicks, 'silence');
    this.#uplink.tick(now);
    this.#deps.session.pullDownlink(this.#frame, now);
    // The session may have ended while it was asked.
    if (this.#closed) return;
    const payload = this.#encoder.encode(this.#frame);
    const packet = this.#sender.next(payload, this.#frameTicks);
    if (this.#deps.peer.sendRtp(packet)) this.#rtcp.handleSent(this.#sender.lastTimestamp, payload.length, now);
  }

  /** A gap in the sequence is the only thing that waits; a timer is made only while there is one. */
  #armGapTimer(now: number): void {
    const at = this.#uplink.nextTimeout();
    if (at === undefined || this.#gapTimer) return;
    this.#gapTimer = this.#deps.clock.setTimer(at - now, () => {
      this.#gapTimer = undefined;
      if (this.#closed) return;
      const woken = this.#deps.clock.now();
      this.#uplink.drain(Math.max(woken, at));
      this.#armGapTimer(woken);
    });
  }

  #lookForReports(): void {
    const report = this.#rtcp.poll(this.#deps.clock.now(), this.#deps.clock.wallclock());
    if (report) this.#deps.peer.sendRtcp(report);
    this.#rtcpTimer = this.#deps.clock.setTimer(RTCP_LOOK_MS, () => this.#lookForReports());
  }
}
