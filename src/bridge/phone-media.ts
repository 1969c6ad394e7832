import { createOpusDecoder, createOpusEncoder, type OpusDecoder, type OpusEncoder } from '../audio/opus.ts';
import type { Endpoint } from '../base/addresses.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { FRAME_MS } from '../base/ticker.ts';
import { type EModelRating, rateSpeech } from '../rtp/e-model.ts';
import { parseRtp } from '../rtp/packet.ts';
import type { RtpPorts } from '../rtp/ports.ts';
import { RtcpReporter, type RtcpSnapshot } from '../rtp/rtcp-reporter.ts';
import { RtpSender } from '../rtp/rtp-sender.ts';
import { SourceLearning, type SourceSnapshot } from '../rtp/source-learning.ts';
import { TelephoneEventSender } from '../rtp/telephone-event-sender.ts';
import type { NegotiatedAudio } from '../sdp/phone-audio.ts';
import type { InnerConnection } from './inner-connection.ts';
import { PhoneDownlink, type PhoneDownlinkSnapshot } from './phone-downlink.ts';
import { PhoneUplink, type PhoneUplinkSnapshot } from './phone-uplink.ts';

/** How often reports and the media timeout are looked at. */
const LOOK_MS = 500;

export interface PhoneMediaDeps {
  readonly clock: Clock;
  readonly ports: RtpPorts;
  readonly inner: InnerConnection;
  readonly onDigit: (digit: string, durationMs: number) => void;
  /** To the phone and back, as its newest report tells it. */
  readonly onRoundTrip: (ms: number) => void;
  /** Nothing has come from the phone for too long. Called once. */
  readonly onTimeout: () => void;
  /** The first audible packet has left for the phone. */
  readonly onFirstAudio: () => void;
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
  readonly malformed: number;
  /** Packets that were not sent: before the ACK, on hold, or to an address that never answered. */
  readonly held: number;
}

/** The RTP of one phone, both ways, and its RTCP. Moved by packets alone. */
export class PhoneMedia {
  readonly #deps: PhoneMediaDeps;
  readonly #options: PhoneMediaOptions;
  readonly #source: SourceLearning;
  readonly #uplink: PhoneUplink;
  readonly #downlink: PhoneDownlink;
  readonly #rtcp: RtcpReporter;
  #audio: NegotiatedAudio;
  /** Of the coders in use. */
  #rateHz: number;
  #started = false;
  #stopped = false;
  #firstAudioSent = false;
  #heardAt = 0;
  #malformed = 0;
  #held = 0;
  #waitTimer: Timer | undefined;
  #lookTimer: Timer | undefined;
  readonly #keys = new TelephoneEventSender();
  #keyTimer: Timer | undefined;

  static async create(deps: PhoneMediaDeps, audio: NegotiatedAudio, options: PhoneMediaOptions): Promise<PhoneMedia> {
    const { encoder, decoder } = await createCoders(audio);
    const { inner, onDigit } = deps;
    const sender = new RtpSender({ payloadType: inner.payloadType, ssrc: inner.ssrc });
    const uplink = new PhoneUplink(encoder, sender, audio, { onPacket: (packet) => inner.sendRtp(packet), onDigit });
    return new PhoneMedia(deps, audio, options, {
      uplink,
      downlink: (onPacket) => new PhoneDownlink(decoder, audio, onPacket),
    });
  }

  private constructor(
    deps: PhoneMediaDeps,
    audio: NegotiatedAudio,
    options: PhoneMediaOptions,
    stages: { uplink: PhoneUplink; downlink: (onPacket: (packet: Buffer, audible: boolean) => void) => PhoneDownlink },
  ) {
    this.#deps = deps;
    this.#audio = audio;
    this.#rateHz = audio.sampleRateHz;
    this.#options = options;
    this.#source = new SourceLearning(audio.remote, { signallingAddress: options.signallingAddress });
    this.#uplink = stages.uplink;
    this.#downlink = stages.downlink((packet, audible) => this.#send(packet, audible));
    this.#rtcp = new RtcpReporter({ ssrc: this.#downlink.sender.ssrc, clockRateHz: 8000 });
    deps.ports.rtp.onDatagram = (datagram, from) => this.#handleRtp(datagram, from);
    deps.ports.rtcp.onDatagram = (datagram, from) => this.#handleRtcp(datagram, from);
    deps.inner.onRtp = (packet, now) => {
      this.#downlink.handlePacket(packet, now);
      this.#armWait(now);
    };
  }

  /** The dialog is acknowledged: media may flow to the phone, and silence from it is counted. */
  start(): void {
    if (this.#started || this.#stopped) return;
    this.#started = true;
    this.#heardAt = this.#deps.clock.now();
    this.#look();
  }

  /** A new SDP of the phone. */
  renegotiate(audio: NegotiatedAudio): void {
    this.#audio = audio;
    this.#source.signal(audio.remote, this.#deps.clock.now());
    if (audio.sampleRateHz === this.#rateHz) {
      this.#uplink.renegotiate(audio);
      this.#downlink.renegotiate(audio);
      return;
    }
    createCoders(audio).then(
      (coders) => this.#changeRate(audio, coders),
      // Without coders for what was agreed no sound can pass.
      () => this.#deps.onTimeout(),
    );
  }

  #changeRate(audio: NegotiatedAudio, { encoder, decoder }: Coders): void {
    // The call is over, or the next description came first.
    if (this.#stopped || this.#audio !== audio) {
      encoder.free();
      decoder.free();
      return;
    }
    this.#rateHz = audio.sampleRateHz;
    this.#uplink.renegotiate(audio, encoder);
    this.#downlink.renegotiate(audio, decoder);
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
    const { sender } = this.#downlink;
    const step = this.#keys.step(sender.nextTimestamp);
    const payloadType = this.#audio.telephoneEventPayloadType;
    this.#downlink.muted = step?.type === 'packet';
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
    const { clock, ports, inner } = this.#deps;
    if (this.#started) this.#sendRtcp(this.#rtcp.goodbye(clock.now(), clock.wallclock()));
    ports.rtp.onDatagram = undefined;
    ports.rtcp.onDatagram = undefined;
    inner.onRtp = undefined;
    this.#uplink.close();
    this.#downlink.close();
  }

  snapshot(): PhoneMediaSnapshot {
    const uplink = this.#uplink.snapshot();
    const rtcp = this.#rtcp.snapshot();
    return {
      codec: this.#audio.codec,
      source: this.#source.snapshot(),
      uplink,
      downlink: this.#downlink.snapshot(),
      rtcp,
      rating: { in: rateUplink(uplink, rtcp), out: rateDownlink(rtcp, this.#audio.ptimeMs) },
      malformed: this.#malformed,
      held: this.#held,
    };
  }

  #handleRtp(datagram: Buffer, from: Endpoint): void {
    const packet = parseRtp(datagram);
    if (!packet) {
      this.#malformed += 1;
      return;
    }
    const now = this.#deps.clock.now();
    if (!this.#source.accept(from, packet, now)) return;
    this.#heardAt = now;
    this.#rtcp.handleRtp(packet, now);
    this.#uplink.handlePacket(packet, now);
    this.#armWait(now);
  }

  #handleRtcp(datagram: Buffer, from: Endpoint): void {
    if (!this.#source.acceptRtcp(from)) return;
    const now = this.#deps.clock.now();
    const { rttMs } = this.#rtcp;
    if (this.#rtcp.handleRtcp(datagram, now) === undefined) this.#malformed += 1;
    else this.#heardAt = now;
    if (this.#rtcp.rttMs !== undefined && this.#rtcp.rttMs !== rttMs) this.#deps.onRoundTrip(this.#rtcp.rttMs);
  }

  #send(packet: Buffer, audible: boolean): void {
    const now = this.#deps.clock.now();
    const target = this.#source.target;
    const listens = this.#audio.direction === 'sendrecv' || this.#audio.direction === 'sendonly';
    if (!this.#started || !listens || !target || !this.#source.mayReceive(now)) {
      this.#held += 1;
      return;
    }
    this.#deps.ports.rtp.send(packet, target);
    this.#rtcp.handleSent(this.#downlink.sender.lastTimestamp, packet.length - 12, now);
    if (audible && !this.#firstAudioSent) {
      this.#firstAudioSent = true;
      this.#deps.onFirstAudio();
    }
  }

  #sendRtcp(report: Buffer): void {
    const { target } = this.#source;
    if (!target || !this.#source.mayReceive(this.#deps.clock.now())) return;
    // Behind a NAT the address of the SDP is nobody's: the port beside the RTP is the best guess there is (RFC 3550 §11).
    const { remoteRtcp } = this.#audio;
    const to = target.address === remoteRtcp.address ? remoteRtcp : { address: target.address, port: target.port + 1 };
    this.#deps.ports.rtcp.send(report, to);
  }

  /** Gaps and unfinished keys are the only things that wait; a timer is made only while there is one. */
  #armWait(now: number): void {
    if (this.#waitTimer || this.#stopped) return;
    const up = this.#uplink.nextTimeout() ?? Number.POSITIVE_INFINITY;
    const down = this.#downlink.nextTimeout() ?? Number.POSITIVE_INFINITY;
    const at = Math.min(up, down);
    if (at === Number.POSITIVE_INFINITY) return;
    this.#waitTimer = this.#deps.clock.setTimer(at - now, () => {
      this.#waitTimer = undefined;
      const woken = Math.max(this.#deps.clock.now(), at);
      this.#uplink.drain(woken);
      // A key may have ended the call.
      if (this.#stopped) return;
      this.#downlink.drain(woken);
      this.#armWait(woken);
    });
  }

  #look(): void {
    const { clock } = this.#deps;
    const now = clock.now();
    const report = this.#rtcp.poll(now, clock.wallclock());
    if (report) this.#sendRtcp(report);
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

interface Coders {
  readonly encoder: OpusEncoder;
  readonly decoder: OpusDecoder;
}

/** The inner leg's coders at the rate of the phone's codec. */
async function createCoders({ sampleRateHz }: NegotiatedAudio): Promise<Coders> {
  const encoder = await createOpusEncoder({ sampleRateHz, profile: 'interior', narrowband: sampleRateHz === 8000 });
  const decoder = await createOpusDecoder({ sampleRateHz }).catch((thrown: unknown) => {
    encoder.free();
    throw thrown;
  });
  return { encoder, decoder };
}
