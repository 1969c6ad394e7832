import type { Endpoint } from '../base/addresses.ts';
import type { Clock } from '../base/clock.ts';
import { parseRtp, type RtpPacket } from '../rtp/packet.ts';
import type { RtpPorts } from '../rtp/ports.ts';
import { SourceLearning, type SourceSnapshot } from '../rtp/source-learning.ts';
import type { NegotiatedAudio } from '../sdp/phone-audio.ts';
import { clockRateOf } from '../sdp/phone-format.ts';
import type { Identity } from '../webrtc/dtls/identity.ts';
import { PhoneFlow, type PhoneFlowSnapshot } from './phone-flow.ts';
import { PhoneKeys } from './phone-keys.ts';

export interface PhonePathDeps {
  readonly clock: Clock;
  readonly ports: RtpPorts;
  /** Whose certificate the phone is shown. */
  readonly identity: Identity;
}

export interface PhonePathHandlers {
  readonly onRtp: (packet: RtpPacket, now: number) => void;
  readonly onRtcp: (report: Buffer, now: number) => void;
  /** Keys and way are there: media can leave. Never for plain RTP, which waits for nothing. */
  readonly onReady: () => void;
  readonly onFailed: (reason: string) => void;
}

export interface PhonePathSnapshot {
  readonly source: SourceSnapshot;
  readonly malformed: number;
  /** How the media is protected and finds its way; undefined for plain RTP. */
  readonly secure: PhoneFlowSnapshot | undefined;
}

/**
 * The way between the sockets of a call and the code that speaks RTP: whose packets come in, where ours go, and what lies between: SRTP, DTLS,
 * ICE, RTCP on the port of RTP. Plain RTP passes by all of that: one comparison a packet.
 */
export class PhonePath {
  readonly #deps: PhonePathDeps;
  readonly #handlers: PhonePathHandlers;
  readonly #source: SourceLearning;
  #audio: NegotiatedAudio;
  /** Of the RTP port, and of RTCP's where it has one of its own; undefined for plain RTP. */
  #rtpFlow: PhoneFlow | undefined;
  #rtcpFlow: PhoneFlow | undefined;
  #sdesKeys: PhoneKeys | undefined;
  #started = false;
  #malformed = 0;

  constructor(
    deps: PhonePathDeps,
    audio: NegotiatedAudio,
    { signallingAddress }: { readonly signallingAddress: string },
    handlers: PhonePathHandlers,
  ) {
    this.#deps = deps;
    this.#handlers = handlers;
    this.#audio = audio;
    this.#source = new SourceLearning(audio.remote, { signallingAddress, clockRateHz: clockRateOf(audio.codec) });
    const { rtp, rtcp } = deps.ports;
    rtp.onDatagram = (datagram, from) => this.#handleRtpPort(datagram, from);
    rtcp.onDatagram = (datagram, from) => this.#handleRtcpPort(datagram, from);
    this.#agree(audio);
  }

  /** What another pair of descriptions says. */
  renegotiate(audio: NegotiatedAudio): void {
    this.#audio = audio;
    this.#source.clockRateHz = clockRateOf(audio.codec);
    this.#source.signal(audio.remote, this.#deps.clock.now());
    this.#agree(audio);
  }

  /** The dialog is acknowledged. */
  start(): void {
    this.#started = true;
    this.#rtpFlow?.start();
    this.#rtcpFlow?.start();
  }

  get isReady(): boolean {
    return this.#rtpFlow?.isReady ?? true;
  }

  /** @returns false when there is nobody to send to, or no key for it yet */
  sendRtp(packet: Buffer, now: number): boolean {
    const flow = this.#rtpFlow;
    if (flow) {
      const to = flow.target(now);
      if (to) flow.sendRtp(packet, to);
      return to !== undefined;
    }
    const to = this.#learnedTarget(now);
    if (to) this.#deps.ports.rtp.send(packet, to);
    return to !== undefined;
  }

  sendRtcp(report: Buffer, now: number): void {
    const shared = this.#audio.rtcpMux ? this.#rtpFlow : undefined;
    const flow = shared ?? this.#rtcpFlow;
    const to = flow ? flow.target(now) : this.#learnedRtcpTarget(now);
    if (!to) return;
    if (flow) flow.sendRtcp(report, to);
    else this.#deps.ports.rtcp.send(report, to);
  }

  stop(): void {
    const { rtp, rtcp } = this.#deps.ports;
    rtp.onDatagram = undefined;
    rtcp.onDatagram = undefined;
    this.#rtpFlow?.stop();
    this.#rtcpFlow?.stop();
  }

  snapshot(): PhonePathSnapshot {
    return { source: this.#source.snapshot(), malformed: this.#malformed, secure: this.#rtpFlow?.snapshot() };
  }

  #agree(audio: NegotiatedAudio): void {
    const { security, ice, rtcpMux } = audio;
    const isPlain = !security && !ice;
    if (security?.type !== 'sdes') this.#sdesKeys = undefined;
    else if (this.#sdesKeys) this.#sdesKeys.rekey(security, this.#deps.clock.now());
    else this.#sdesKeys = PhoneKeys.ofSdes(security);
    this.#rtpFlow = isPlain && !rtcpMux ? this.#end(this.#rtpFlow) : (this.#rtpFlow ?? this.#makeFlow('rtp'));
    this.#rtpFlow?.agree(audio, this.#sdesKeys);
    this.#rtcpFlow = isPlain || rtcpMux ? this.#end(this.#rtcpFlow) : (this.#rtcpFlow ?? this.#makeFlow('rtcp'));
    this.#rtcpFlow?.agree(audio, this.#sdesKeys);
  }

  #end(flow: PhoneFlow | undefined): undefined {
    flow?.stop();
  }

  #makeFlow(port: 'rtp' | 'rtcp'): PhoneFlow {
    const { clock, identity, ports } = this.#deps;
    const flow = new PhoneFlow(
      {
        clock,
        identity,
        socket: ports[port],
        carries: port,
        source: this.#source,
        target: (now) => (port === 'rtp' ? this.#learnedTarget(now) : this.#learnedRtcpTarget(now)),
      },
      {
        onRtp: (packet, from, now) => this.#handleRtp(packet, from, now),
        onRtcp: (report, _from, now) => this.#handlers.onRtcp(report, now),
        // Reports may wait; the conversation waits for the audio alone.
        onReady: () => port === 'rtp' && this.#handlers.onReady(),
        onFailed: (reason) => port === 'rtp' && this.#handlers.onFailed(reason),
      },
    );
    if (this.#started) flow.start();
    return flow;
  }

  #handleRtpPort(datagram: Buffer, from: Endpoint): void {
    if (this.#rtpFlow) this.#rtpFlow.handleDatagram(datagram, from);
    else this.#handleRtp(datagram, from, this.#deps.clock.now());
  }

  #handleRtp(datagram: Buffer, from: Endpoint, now: number): void {
    const packet = parseRtp(datagram);
    if (!packet) this.#malformed += 1;
    // Where there is ICE, its checks have said already who it is.
    else if (this.#audio.ice || this.#source.accept(from, packet, now)) this.#handlers.onRtp(packet, now);
  }

  #handleRtcpPort(datagram: Buffer, from: Endpoint): void {
    if (this.#rtcpFlow) this.#rtcpFlow.handleDatagram(datagram, from);
    // With RTCP on the other port nothing belongs here: it would be believed without a key.
    else if (!this.#rtpFlow && this.#source.acceptRtcp(from)) this.#handlers.onRtcp(datagram, this.#deps.clock.now());
  }

  #learnedTarget(now: number): Endpoint | undefined {
    return this.#source.mayReceive(now) ? this.#source.target : undefined;
  }

  /** Behind a NAT the address of the SDP is nobody's: the port beside the RTP is the best guess there is (RFC 3550 §11). */
  #learnedRtcpTarget(now: number): Endpoint | undefined {
    const at = this.#learnedTarget(now);
    const { remoteRtcp } = this.#audio;
    if (!at) return undefined;
    return at.address === remoteRtcp.address ? remoteRtcp : { address: at.address, port: at.port + 1 };
  }
}
