import { type Endpoint, formatEndpoint, sameEndpoint } from '../base/addresses.ts';
import type { Clock } from '../base/clock.ts';
import { Driver } from '../base/driver.ts';
import type { DatagramSocket } from '../base/udp.ts';
import type { SourceLearning } from '../rtp/source-learning.ts';
import { isSameAssociation } from '../sdp/phone-security.ts';
import type { PhoneSecurity, PhoneTerms } from '../sdp/phone-terms.ts';
import { DtlsConnection, type DtlsOutput } from '../webrtc/dtls/dtls-connection.ts';
import type { Identity } from '../webrtc/dtls/identity.ts';
import type { IceOutput } from '../webrtc/ice/ice-agent.ts';
import { IceLiteAgent } from '../webrtc/ice/ice-lite-agent.ts';
import { packetKind } from '../webrtc/packet-kind.ts';
import type { Path } from '../webrtc/path.ts';
import type { SrtpProfile } from '../webrtc/srtp/profile.ts';
import { PhoneKeys } from './phone-keys.ts';

/**
 * RFC 7675's consent is asked for by browsers alone; SIP phones check until they have a pair, and keep it open with indications that prove nothing
 * (RFC 8445 §11). Whether the phone is still there, its media says (--media-timeout). A day is longer than any call.
 */
const CONSENT_MS = 86_400_000;

type Dtls = Extract<PhoneSecurity, { type: 'dtls' }>;

export interface PhoneFlowDeps {
  readonly clock: Clock;
  readonly identity: Identity;
  readonly socket: DatagramSocket;
  readonly carries: 'rtp' | 'rtcp';
  /** Whose packets count where no ICE finds the way. */
  readonly source: SourceLearning;
  /** Where packets go then; undefined for nowhere, or no longer. */
  readonly target: (now: number) => Endpoint | undefined;
}

export interface PhoneFlowHandlers {
  /** Decrypted, of somebody who may be the phone. */
  readonly onRtp: (packet: Buffer, from: Endpoint, now: number) => void;
  readonly onRtcp: (packet: Buffer, from: Endpoint, now: number) => void;
  /** Media can leave from now on: again after a new handshake. */
  readonly onReady: () => void;
  readonly onFailed: (reason: string) => void;
}

/** Why a datagram was dropped before anything was made of it. */
export type PhoneFlowDrop =
  /** Neither STUN, DTLS, RTP nor RTCP (RFC 7983), or what was not agreed on. */
  | 'unexpected'
  /** Of somebody who has not proved to be the phone. */
  | 'foreign'
  /** SRTP before there were keys. */
  | 'early';

export interface PhoneFlowSnapshot {
  readonly srtp: SrtpProfile | undefined;
  /** Packets that were not authentic, or were there before. */
  readonly srtpDropped: number;
  readonly dtls: { readonly state: string; readonly role: 'client' | 'server'; readonly version: string } | undefined;
  readonly ice: { readonly state: string; readonly checks: number; readonly refused: number } | undefined;
  readonly dropped: Readonly<Record<PhoneFlowDrop, number>>;
}

/**
 * A port of a phone that more than plain RTP goes by: ICE answers, the DTLS handshake and SRTP, sorted by the first byte of a datagram (RFC 7983).
 * Who may send and be sent to is said by checks where there is ICE, else by source learning, of authentic packets only.
 */
export class PhoneFlow {
  readonly #deps: PhoneFlowDeps;
  readonly #handlers: PhoneFlowHandlers;
  readonly #dropped: Record<PhoneFlowDrop, number> = { unexpected: 0, foreign: 0, early: 0 };
  #agent: IceLiteAgent | undefined;
  #ice: Driver<IceOutput> | undefined;
  #iceTerms: PhoneTerms['ice'];
  #security: PhoneSecurity | undefined;
  #connection: DtlsConnection | undefined;
  #dtls: Driver<DtlsOutput> | undefined;
  /** Where the last datagram of the handshake came from. */
  #dtlsFrom: Endpoint | undefined;
  #keys: PhoneKeys | undefined;
  #started = false;
  #lastPath: Path | undefined;

  constructor(deps: PhoneFlowDeps, handlers: PhoneFlowHandlers) {
    this.#deps = deps;
    this.#handlers = handlers;
  }

  /**
   * What a pair of descriptions says. The same again changes nothing.
   * @param sdesKeys of these descriptions, where they hold keys: the same for both ports, which share the index of SRTCP
   */
  agree({ ice, security }: PhoneTerms, sdesKeys: PhoneKeys | undefined): void {
    this.#agreeIce(ice);
    const before = this.#security;
    this.#security = security;
    if (security?.type === 'sdes') {
      this.#endHandshake();
      this.#keys = sdesKeys;
    } else if (security?.type === 'dtls') {
      const isSame = before?.type === 'dtls' && isSameAssociation(before, security.remoteFingerprints, security.remoteTlsId);
      if (!isSame) this.#shakeHands(security);
    } else {
      this.#endHandshake();
      this.#keys = undefined;
    }
  }

  /** The dialog is acknowledged: from now on we may be the first to send. */
  start(): void {
    this.#started = true;
    this.#greet();
  }

  /** Where media goes; undefined while there is no such place, or no keys for it. */
  target(now: number): Endpoint | undefined {
    if (this.#security && !this.#keys) return undefined;
    if (this.#agent) return this.#agent.selected;
    return this.#deps.target(now);
  }

  /** Is there nothing to wait for before media leaves? */
  get isReady(): boolean {
    return (!this.#security || this.#keys !== undefined) && (!this.#agent || this.#agent.selected !== undefined);
  }

  sendRtp(packet: Buffer, to: Endpoint): void {
    this.#deps.socket.send(this.#keys ? this.#keys.protectRtp(packet) : packet, to);
  }

  sendRtcp(report: Buffer, to: Endpoint): void {
    this.#deps.socket.send(this.#keys ? this.#keys.protectRtcp(report) : report, to);
  }

  handleDatagram(datagram: Buffer, from: Endpoint): void {
    const now = this.#deps.clock.now();
    const kind = packetKind(datagram);
    if (kind === 'rtp' || kind === 'rtcp') this.#handleMedia(datagram, kind, from, now);
    else if (kind === 'stun' && this.#agent) this.#ice?.run((at) => this.#agent?.handleStun(datagram, this.#pathOf(from), at));
    else if (kind === 'dtls' && this.#connection) this.#handleDtlsDatagram(datagram, from);
    else this.#dropped.unexpected += 1;
  }

  stop(): void {
    this.#endHandshake();
    this.#ice?.stop();
    this.#ice = undefined;
  }

  snapshot(): PhoneFlowSnapshot {
    const { state, version } = this.#connection?.snapshot() ?? {};
    const ice = this.#agent?.snapshot();
    const refused = ice ? Object.values(ice.dropped).reduce((sum, each) => sum + each, 0) : 0;
    const role = this.#security?.type === 'dtls' ? this.#security.role : undefined;
    return {
      srtp: this.#keys?.profile,
      srtpDropped: this.#keys?.dropped ?? 0,
      dtls: state && role && { state, role, version: version ?? '' },
      ice: ice && { state: ice.state, checks: ice.checks, refused },
      dropped: { ...this.#dropped },
    };
  }

  #handleMedia(datagram: Buffer, kind: 'rtp' | 'rtcp', from: Endpoint, now: number): void {
    if (!this.#believes(from, kind, now)) {
      this.#dropped.foreign += 1;
      return;
    }
    let packet: Buffer | undefined = datagram;
    if (this.#security) {
      // Never in plaintext, whatever comes before the keys.
      if (!this.#keys) this.#dropped.early += 1;
      packet = this.#keys?.unprotect(datagram, kind, now);
    }
    if (!packet) return;
    if (kind === 'rtp') {
      if (this.#deps.carries === 'rtp') this.#handlers.onRtp(packet, from, now);
    } else this.#handlers.onRtcp(packet, from, now);
  }

  #believes(from: Endpoint, kind: 'rtp' | 'rtcp', now: number): boolean {
    if (this.#agent) return this.#agent.isVerified(this.#pathOf(from));
    return kind === 'rtp' ? this.#deps.source.listensTo(from, now) : this.#deps.source.acceptRtcp(from);
  }

  #agreeIce(ice: PhoneTerms['ice']): void {
    const before = this.#iceTerms;
    this.#iceTerms = ice;
    if (!ice) {
      this.#ice?.stop();
      this.#ice = undefined;
      this.#agent = undefined;
      return;
    }
    const generation = { local: ice.local, remoteUfrag: ice.remote.ufrag };
    if (this.#agent) {
      if (before?.local.ufrag !== ice.local.ufrag) this.#agent.restart(generation);
      return;
    }
    this.#agent = new IceLiteAgent({ ...generation, consentMs: CONSENT_MS });
    this.#ice = new Driver(this.#deps.clock, this.#agent, (output) => this.#handleIce(output));
  }

  #handleIce(output: IceOutput): void {
    if (output.type === 'send') output.path.send(output.datagram);
    else if (output.type === 'selected') {
      this.#greet();
      if (this.isReady) this.#handlers.onReady();
    }
  }

  #shakeHands(security: Dtls): void {
    this.#endHandshake();
    const { clock, identity } = this.#deps;
    const connection = new DtlsConnection({ role: security.role, identity, remoteFingerprints: security.remoteFingerprints });
    this.#connection = connection;
    this.#dtls = new Driver(clock, connection, (output) => this.#handleDtls(output));
    if (security.role === 'server') this.#dtls.run((now) => connection.start(now));
    this.#greet();
  }

  /** The client's hello: as soon as it is known where to, and that somebody is there. */
  #greet(): void {
    const connection = this.#connection;
    if (!connection || this.#security?.type !== 'dtls' || this.#security.role !== 'client') return;
    const isWelcome = this.#agent ? this.#agent.selected !== undefined : this.#started;
    if (isWelcome && connection.snapshot().state === 'new') this.#dtls?.run((now) => connection.start(now));
  }

  /** Of the phone's machine only: a stranger could at best make us compute (RFC 5763 §6.7 trusts the fingerprint alone). */
  #handleDtlsDatagram(datagram: Buffer, from: Endpoint): void {
    const isKnown = this.#agent ? this.#agent.isVerified(this.#pathOf(from)) : this.#deps.source.isKnown(from.address);
    if (!isKnown) {
      this.#dropped.foreign += 1;
      return;
    }
    this.#dtlsFrom = from;
    this.#dtls?.run((now) => this.#connection?.handleDatagram(datagram, now));
  }

  #handleDtls(output: DtlsOutput): void {
    const { clock, socket, source, carries, target } = this.#deps;
    switch (output.type) {
      case 'datagram': {
        const to = this.#agent?.selected ?? this.#dtlsFrom ?? target(clock.now());
        if (to) socket.send(output.bytes, to);
        break;
      }
      case 'connected':
        this.#keys = PhoneKeys.ofHandshake(output.srtp);
        if (!this.#agent && this.#dtlsFrom && carries === 'rtp') source.prove(this.#dtlsFrom, clock.now());
        if (this.isReady) this.#handlers.onReady();
        break;
      case 'failed':
        this.#handlers.onFailed(`dtls_failed: ${output.reason}${output.detail === undefined ? '' : ` (${output.detail})`}`);
        break;
      case 'closed':
      case 'data':
        // Its BYE follows, or its silence; and there is no application but SRTP.
        break;
    }
  }

  /** Says goodbye to whom we were connected to. Its keys stay until others take their place. */
  #endHandshake(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    if (!connection) return;
    if (connection.snapshot().state === 'connected') this.#dtls?.run(() => connection.close());
    this.#dtls?.stop();
    this.#dtls = undefined;
  }

  #pathOf(from: Endpoint): Path {
    const last = this.#lastPath;
    if (last && sameEndpoint(last, from)) return last;
    const { address, port } = from;
    const path = { key: formatEndpoint(from), address, port, send: (datagram: Uint8Array) => this.#deps.socket.send(datagram, path) };
    this.#lastPath = path;
    return path;
  }
}
