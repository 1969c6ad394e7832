import type { Clock, Timer } from '../base/clock.ts';
import { FRAME_MS } from '../base/ticker.ts';
import { type EModelRating, rateSpeech } from '../rtp/e-model.ts';
import type { RtpPacket } from '../rtp/packet.ts';
import type { RtpPorts } from '../rtp/ports.ts';
import type { RtcpPacket } from '../rtp/rtcp.ts';
import { RtcpReporter, type RtcpSnapshot } from '../rtp/rtcp-reporter.ts';
import { RtpSender } from '../rtp/rtp-sender.ts';
import type { SourceSnapshot } from '../rtp/source-learning.ts';
import { TelephoneEventSender } from '../rtp/telephone-event-sender.ts';
import type { NegotiatedAudio } from '../sdp/phone-audio.ts';
import { clockRateOf } from '../sdp/phone-format.ts';
import type { Identity } from '../webrtc/dtls/identity.ts';
import type { InnerConnection } from './inner-connection.ts';
import { joinFigures, type LineFigures } from './line-figures.ts';
import type { PhoneDownlinkSnapshot } from './phone-downlink.ts';
import type { PhoneFlowSnapshot } from './phone-flow.ts';
import { createPhoneLine, lineKindOf, type PhoneLine, type PhoneLineDeps } from './phone-line.ts';
import { PhonePath } from './phone-path.ts';
import type { PhoneUplinkSnapshot } from './phone-uplink.ts';

/** How often reports and the media timeout are looked at. */
const LOOK_MS = 500;

export interface PhoneMediaDeps {
  readonly clock: Clock;
  readonly ports: RtpPorts;
  readonly inner: InnerConnection;
  /** Whose certificate a phone is shown that speaks DTLS. */
  readonly identity: Identity;
  readonly onDigit: (digit: string, durationMs: number) => void;
  /** To the phone and back, as its newest report tells it. */
  readonly onRoundTrip: (ms: number) => void;
  /** Nothing has come from the phone for too long. Called once. */
  readonly onTimeout: () => void;
  /** The first audible packet has left for the phone. */
  readonly onFirstAudio: () => void;
  /** The phone's keys and way are there: media can leave. Never called where there is nothing to wait for. */
  readonly onReady: () => void;
  /** What was agreed on cannot be: the phone has another certificate, or no handshake came to its end. */
  readonly onFailed: (reason: string) => void;
}

export interface PhoneMediaOptions {
  readonly mediaTimeoutMs: number;
  /** Where the call's SIP messages come from. */
  readonly signallingAddress: string;
}

export interface PhoneMediaSnapshot {
  readonly codec: NegotiatedAudio['codec'];
  readonly source: SourceSnapshot;
  readonly uplink: PhoneUplinkSnapshot;
  readonly downlink: PhoneDownlinkSnapshot;
  readonly rtcp: RtcpSnapshot;
  /** Of the phone's network alone, each way: from the phone to us, and to the phone as far as it has said what it gets. */
  readonly rating: { readonly in: EModelRating; readonly out: EModelRating | undefined };
  /** How the media is protected and finds its way, without any key; undefined for plain RTP. */
  readonly secure: PhoneFlowSnapshot | undefined;
  readonly malformed: number;
  /** Packets that were not sent: before the ACK, on hold, or to an address that never answered. */
  readonly held: number;
}

/** The RTP of one phone, both ways, and its RTCP. Moved by packets alone. */
export class PhoneMedia {
  readonly #deps: PhoneMediaDeps;
  readonly #options: PhoneMediaOptions;
  readonly #path: PhonePath;
  /** Of the inner leg: whatever the phone speaks, this stream goes on. */
  readonly #innerSender: RtpSender;
  #audio: NegotiatedAudio;
  #line: PhoneLine;
  #lineKind: string;
  #rtcp: RtcpReporter;
  #keys: TelephoneEventSender;
  /** Of lines before this one. */
  #past: LineFigures | undefined;
  #started = false;
  #stopped = false;
  #firstAudioSent = false;
  #heardAt = 0;
  #malformed = 0;
  #held = 0;
  #waitTimer: Timer | undefined;
  #lookTimer: Timer | undefined;
  #keyTimer: Timer | undefined;

  static async create(deps: PhoneMediaDeps, audio: NegotiatedAudio, options: PhoneMediaOptions): Promise<PhoneMedia> {
    const { inner } = deps;
    const sender = new RtpSender({ payloadType: inner.payloadType, ssrc: inner.ssrc });
    // The line is made before its owner, and sends nothing before it is fed.
    const owner: { media?: PhoneMedia } = {};
    const line = await createPhoneLine(
      lineDeps(deps, sender, (packet, audible) => {
        const { media } = owner;
        if (media) media.#send(packet, audible);
      }),
      audio,
    );
    owner.media = new PhoneMedia(deps, audio, options, line, sender);
    return owner.media;
  }

  private constructor(deps: PhoneMediaDeps, audio: NegotiatedAudio, options: PhoneMediaOptions, line: PhoneLine, sender: RtpSender) {
    this.#deps = deps;
    this.#audio = audio;
    this.#options = options;
    this.#line = line;
    this.#lineKind = lineKindOf(audio);
    this.#innerSender = sender;
    this.#rtcp = this.#makeReporter();
    this.#keys = new TelephoneEventSender(audio.telephoneEventRateHz);
    const { signallingAddress } = options;
    this.#path = new PhonePath(
      deps,
      audio,
      { signallingAddress },
      {
        onRtp: (packet, now) => this.#handleRtp(packet, now),
        onRtcp: (report, now) => this.#handleRtcp(report, now),
        onReady: deps.onReady,
        onFailed: deps.onFailed,
      },
    );
    deps.inner.onRtp = (packet, now) => {
      this.#line.downlink.handlePacket(packet, now);
      this.#armWait(now);
    };
  }

  /** Is there nothing to wait for before media leaves? */
  get isReady(): boolean {
    return this.#path.isReady;
  }

  /** The dialog is acknowledged: media may flow to the phone, and silence from it is counted. */
  start(): void {
    if (this.#started || this.#stopped) return;
    this.#started = true;
    this.#heardAt = this.#deps.clock.now();
    this.#path.start();
    this.#look();
  }

  /** A new SDP of the phone. */
  renegotiate(audio: NegotiatedAudio): void {
    const isSameKind = lineKindOf(audio) === this.#lineKind;
    this.#audio = audio;
    this.#path.renegotiate(audio);
    const done = isSameKind ? this.#line.renegotiate(audio) : this.#changeLine(audio);
    // Without coders for what was agreed no sound can pass.
    done?.catch(() => this.#deps.onTimeout());
  }

  /** Another clock is another stream (RFC 7160 §4.1): with an SSRC and reports of its own. */
  async #changeLine(audio: NegotiatedAudio): Promise<void> {
    const line = await createPhoneLine(
      lineDeps(this.#deps, this.#innerSender, (packet, audible) => this.#send(packet, audible)),
      audio,
    );
    // The call is over, or the next description came first.
    if (this.#stopped || this.#audio !== audio) {
      line.close();
      return;
    }
    this.#past = this.#figures();
    this.#line.close();
    this.#line = line;
    this.#lineKind = lineKindOf(audio);
    this.#rtcp = this.#makeReporter();
    this.#keys = new TelephoneEventSender(audio.telephoneEventRateHz);
  }

  #makeReporter(): RtcpReporter {
    return new RtcpReporter({ ssrc: this.#line.downlink.sender.ssrc, clockRateHz: clockRateOf(this.#audio.codec) });
  }

  /** Presses keys towards the phone. False when it takes no RTP events. */
  sendKeys(digits: string): boolean {
    if (this.#audio.telephoneEventPayloadType === undefined) return false;
    if (!this.#started || this.#stopped) return true;
    this.#keys.push(digits);
    if (!this.#keyTimer) this.#beatKeys();
    return true;
  }

  /** A timer of its own for as long as keys are pressed: the audio's beat stops when nobody speaks. */
  #beatKeys(): void {
    const { sender } = this.#line.downlink;
    const step = this.#keys.step(sender.nextTimestamp);
    const payloadType = this.#audio.telephoneEventPayloadType;
    this.#line.downlink.muted = step?.type === 'packet';
    this.#keyTimer = undefined;
    if (!step || this.#stopped) return;
    if (step.type === 'packet' && payloadType !== undefined) {
      this.#send(sender.beside(step.payload, { payloadType, timestamp: step.timestamp, marker: step.marker }), false);
    }
    this.#keyTimer = this.#deps.clock.setTimer(FRAME_MS, () => this.#beatKeys());
  }

  /** Says goodbye by RTCP and frees the codecs; the sockets belong to whoever opened them. Idempotent. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#waitTimer?.cancel();
    this.#keyTimer?.cancel();
    this.#lookTimer?.cancel();
    const { clock, inner } = this.#deps;
    const now = clock.now();
    if (this.#started) this.#path.sendRtcp(this.#rtcp.goodbye(now, clock.wallclock()), now);
    this.#path.stop();
    inner.onRtp = undefined;
    this.#line.close();
  }

  snapshot(): PhoneMediaSnapshot {
    const { uplink, downlink, rtcp } = this.#figures();
    const { source, malformed, secure } = this.#path.snapshot();
    return {
      codec: this.#audio.codec,
      source,
      uplink,
      downlink,
      rtcp,
      rating: { in: rateUplink(uplink, rtcp), out: rateDownlink(rtcp, this.#audio.ptimeMs) },
      secure,
      malformed: malformed + this.#malformed,
      held: this.#held,
    };
  }

  #figures(): LineFigures {
    const figures = { uplink: this.#line.uplink.snapshot(), downlink: this.#line.downlink.snapshot(), rtcp: this.#rtcp.snapshot() };
    return this.#past ? joinFigures(this.#past, figures) : figures;
  }

  #handleRtp(packet: RtpPacket, now: number): void {
    this.#heardAt = now;
    this.#rtcp.handleRtp(packet, now);
    this.#line.uplink.handlePacket(packet, now);
    this.#armWait(now);
  }

  #handleRtcp(report: Buffer, now: number): void {
    const { rttMs } = this.#rtcp;
    const packets = this.#rtcp.handleRtcp(report, now);
    if (packets === undefined) this.#malformed += 1;
    else this.#heardAt = now;
    if (packets && this.#audio.opus?.fec) this.#tellLoss(packets);
    if (this.#rtcp.rttMs !== undefined && this.#rtcp.rttMs !== rttMs) this.#deps.onRoundTrip(this.#rtcp.rttMs);
  }

  /** Whoever codes for this phone makes as much FEC as it needs. */
  #tellLoss(packets: readonly RtcpPacket[]): void {
    const { sender, setPacketLossPercent } = this.#line.downlink;
    for (const packet of packets) {
      if (packet.type !== 'sender_report' && packet.type !== 'receiver_report') continue;
      const about = packet.reports.find(({ ssrc }) => ssrc === sender.ssrc);
      if (!about) continue;
      const percent = (about.fractionLost * 100) / 256;
      setPacketLossPercent?.call(this.#line.downlink, percent);
      this.#deps.inner.reportLoss(percent);
    }
  }

  #send(packet: Buffer, audible: boolean): void {
    const now = this.#deps.clock.now();
    const listens = this.#audio.direction === 'sendrecv' || this.#audio.direction === 'sendonly';
    if (!this.#started || !listens || !this.#path.sendRtp(packet, now)) {
      this.#held += 1;
      return;
    }
    this.#rtcp.handleSent(this.#line.downlink.sender.lastTimestamp, packet.length - 12, now);
    if (audible && !this.#firstAudioSent) {
      this.#firstAudioSent = true;
      this.#deps.onFirstAudio();
    }
  }

  /** Gaps and unfinished keys are the only things that wait; a timer is made only while there is one. */
  #armWait(now: number): void {
    if (this.#waitTimer || this.#stopped) return;
    const up = this.#line.uplink.nextTimeout() ?? Number.POSITIVE_INFINITY;
    const down = this.#line.downlink.nextTimeout() ?? Number.POSITIVE_INFINITY;
    const at = Math.min(up, down);
    if (at === Number.POSITIVE_INFINITY) return;
    this.#waitTimer = this.#deps.clock.setTimer(at - now, () => {
      this.#waitTimer = undefined;
      const woken = Math.max(this.#deps.clock.now(), at);
      this.#line.uplink.drain(woken);
      // A key may have ended the call.
      if (this.#stopped) return;
      this.#line.downlink.drain(woken);
      this.#armWait(woken);
    });
  }

  #look(): void {
    const { clock } = this.#deps;
    const now = clock.now();
    const report = this.#rtcp.poll(now, clock.wallclock());
    if (report) this.#path.sendRtcp(report, now);
    // A phone that has put us on hold owes us nothing, music included; nor does one that only listens.
    if (this.#audio.direction !== 'sendrecv') this.#heardAt = now;
    if (now - this.#heardAt >= this.#options.mediaTimeoutMs) {
      this.#deps.onTimeout();
      return;
    }
    this.#lookTimer = clock.setTimer(LOOK_MS, () => this.#look());
  }
}

/** Half a round trip, a packet, and what arrives late. */
function rateUplink({ account, packetMs }: PhoneUplinkSnapshot, { received, rttMs = 0 }: RtcpSnapshot): EModelRating {
  const { lossPercent, burstRatio } = account;
  return rateSpeech({ oneWayDelayMs: rttMs / 2 + packetMs + received.jitterMs, lossPercent, burstRatio });
}

/** The phone says how much it lost, and nothing of how it was spread. */
function rateDownlink({ remote, sent, rttMs = 0 }: RtcpSnapshot, packetMs: number): EModelRating | undefined {
  if (!remote || sent.packets === 0) return undefined;
  const lossPercent = Math.max(0, Math.min(100, (100 * remote.lost) / sent.packets));
  return rateSpeech({ oneWayDelayMs: rttMs / 2 + packetMs + remote.jitterMs, lossPercent });
}

function lineDeps(
  { inner, onDigit }: PhoneMediaDeps,
  sender: RtpSender,
  onDownlinkPacket: PhoneLineDeps['onDownlinkPacket'],
): PhoneLineDeps {
  return { sender, voice: inner.voice, uplink: { onPacket: (packet) => inner.sendRtp(packet), onDigit }, onDownlinkPacket };
}
