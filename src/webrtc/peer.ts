import type { Timer } from '../base/clock.ts';
import { Driver } from '../base/driver.ts';
import { GatewayError } from '../base/errors.ts';
import { DtlsConnection, type DtlsOutput } from './dtls/dtls-connection.ts';
import type { Fingerprint } from './dtls/fingerprint.ts';
import { writeSuccess } from './ice/answer-check.ts';
import { DtlsCarrier } from './ice/dtls-carrier.ts';
import type { IceAgent, IceOutput } from './ice/ice-agent.ts';
import { IceClient } from './ice/ice-client.ts';
import { type IceGeneration, IceLiteAgent } from './ice/ice-lite-agent.ts';
import { packetKind } from './packet-kind.ts';
import type { Path } from './path.ts';
import type { PeerCloseReason, PeerDeps, PeerDrop, PeerOptions, PeerSnapshot } from './peer-options.ts';
import type { PeerChannel } from './sctp/data-channels.ts';
import { DataTransport } from './sctp/data-transport.ts';
import type { SrtpKeys, SrtpProfile } from './srtp/profile.ts';
import { SrtpReceiver } from './srtp/srtp-receiver.ts';
import { SrtpSender } from './srtp/srtp-sender.ts';

/** A browser on a bad network connects within 4 s; after this the caller is told. */
const SETUP_TIMEOUT_MS = 10_000;

/** SRTP that overtakes the end of the handshake: kept this long and this many, because it may hold the first syllable. */
const EARLY_MS = 1000;
const MAX_EARLY_PACKETS = 32;

/** Of a DTLS datagram that travels in STUN: with that around it, it stays below the 1200 bytes that every path carries. */
const CARRIED_MTU = 1000;

interface EarlyPacket {
  readonly packet: Buffer;
  readonly kind: 'rtp' | 'rtcp';
  readonly at: number;
}

/**
 * One WebRTC connection: ICE, DTLS, SRTP and data channels put together. It owns no socket: datagrams come by `handleDatagram` and leave by the
 * paths they are given with. Nothing that came over the network makes it throw.
 */
export class Peer {
  readonly #deps: PeerDeps;
  readonly #options: PeerOptions;
  readonly #agent: IceAgent;
  readonly #ice: Driver<IceOutput>;
  #connection: DtlsConnection | undefined;
  #dtls: Driver<DtlsOutput> | undefined;
  #sender: SrtpSender | undefined;
  #receiver: SrtpReceiver | undefined;
  #data: DataTransport | undefined;
  /** Where the last DTLS datagram came from: to answer while nothing is selected yet. */
  #dtlsPath: Path | undefined;
  /** DTLS in STUN, where the far side offered it. */
  readonly #carrier: DtlsCarrier | undefined;
  /** While a check is answered: what DTLS says to what was in it. */
  #collected: Buffer[] | undefined;
  #early: EarlyPacket[] = [];
  #setupTimer: Timer | undefined;
  #state: PeerSnapshot['state'] = 'new';
  #closeReason: PeerCloseReason | undefined;
  #remoteFingerprints: PeerOptions['remoteFingerprints'];
  #startedAt = 0;
  #firstCheckAt: number | undefined;
  #connectedAt: number | undefined;
  #srtpProfile: SrtpProfile | undefined;
  #srtpAtEnd: PeerSnapshot['srtp'];
  #rtpReceived = 0;
  #rtpSent = 0;
  readonly #dropped: Record<PeerDrop, number> = { unknown_kind: 0, unverified_path: 0, early_srtp: 0, srtp: 0, not_sendable: 0 };

  constructor(deps: PeerDeps, options: PeerOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#remoteFingerprints = options.remoteFingerprints;
    const isCarrying = options.ice.type === 'lite' && options.takesDtlsInStun === true;
    this.#carrier = isCarrying ? new DtlsCarrier() : undefined;
    this.#agent = options.ice.type === 'lite' ? new IceLiteAgent({ ...options.ice, ownerAnswers: isCarrying }) : new IceClient(options.ice);
    this.#ice = new Driver(deps.clock, this.#agent, (output) => this.#handleIce(output));
  }

  /** Begins to wait, or to check. A peer that is not connected in time closes itself. */
  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'checking';
    this.#startedAt = this.#deps.clock.now();
    const timeoutMs = this.#options.setupTimeoutMs ?? SETUP_TIMEOUT_MS;
    this.#setupTimer = this.#deps.clock.setTimer(timeoutMs, () => {
      const suspicion = this.#connection?.snapshot().suspicion;
      this.#finish(suspicion === undefined ? 'setup_timeout' : `dtls_failed: ${suspicion}`);
    });
    this.#ice.run((now) => this.#agent.start(now));
  }

  /** The far side has answered our offer: with whom DTLS may be done. Until then nobody is spoken to. */
  identify(fingerprints: readonly Fingerprint[]): void {
    this.#remoteFingerprints ??= fingerprints;
    if (this.#agent.selected) this.#secure();
  }

  get state(): PeerSnapshot['state'] {
    return this.#state;
  }

  /** The paths whose checks are verified: by their keys the owner of a shared port finds this peer. */
  get paths(): readonly Path[] {
    return this.#agent.paths;
  }

  /** Our ufrags that checks may name now: two between a restart and its first check. None of a light client. */
  get ufrags(): readonly string[] {
    return this.#agent instanceof IceLiteAgent ? this.#agent.ufrags : [];
  }

  /**
   * An ICE restart by a new pair of descriptions: other credentials for the same connection. DTLS, SRTP and data channels go on. Of a lite agent.
   * @throws GatewayError ERR_INVALID_STATE for a light client
   */
  restartIce(generation: IceGeneration): void {
    if (!(this.#agent instanceof IceLiteAgent)) throw new GatewayError('ERR_INVALID_STATE', 'only a lite agent is restarted from outside');
    this.#agent.restart(generation);
  }

  /**
   * Takes a datagram of any kind; the buffer then belongs to this peer.
   * @param now Clock.now milliseconds of its arrival, handed on with the RTP
   */
  handleDatagram(datagram: Buffer, path: Path, now: number): void {
    if (this.#state === 'closed' || this.#state === 'new') return;
    const kind = packetKind(datagram);
    if (kind === 'stun') this.#ice.run((at) => this.#agent.handleStun(datagram, path, at));
    else if (kind === 'unknown') this.#dropped.unknown_kind += 1;
    else if (!this.#agent.isVerified(path)) this.#dropped.unverified_path += 1;
    else if (kind === 'dtls') this.#handleDtlsDatagram(datagram, path);
    else this.#handleSrtp(datagram, kind, now);
  }

  /**
   * Protects and sends an RTP packet. False when that is not possible now (not connected, no consent).
   * @throws GatewayError ERR_INVALID_STATE for bytes that are no RTP packet
   */
  sendRtp(packet: Uint8Array): boolean {
    const path = this.#agent.selected;
    if (!this.#sender || !path || this.#state !== 'connected') return this.#refuse();
    path.send(this.#sender.protectRtp(packet));
    this.#rtpSent += 1;
    return true;
  }

  /**
   * Protects and sends a compound RTCP packet. False when that is not possible now.
   * @throws GatewayError ERR_INVALID_STATE for bytes that are no RTCP packet
   */
  sendRtcp(packet: Uint8Array): boolean {
    const path = this.#agent.selected;
    if (!this.#sender || !path || this.#state !== 'connected') return this.#refuse();
    path.send(this.#sender.protectRtcp(packet));
    return true;
  }

  /** Opens a data channel, now or as soon as the peer is connected; `onChannel` tells when it can be written. Undefined: too many. */
  openChannel(label: string, options?: { protocol?: string; ordered?: boolean }): PeerChannel | undefined {
    return this.#state === 'closed' ? undefined : this.#ensureData().open(label, options);
  }

  /** Queues a message. False when the channel is not open, the message too large, or too much is waiting. */
  sendMessage(channel: PeerChannel, message: string | Uint8Array): boolean {
    return this.#data?.send(channel, message) ?? false;
  }

  closeChannel(channel: PeerChannel): void {
    this.#data?.closeChannel(channel);
  }

  /** Says goodbye and frees everything. Idempotent; `onClosed` is called before it returns. */
  close(): void {
    this.#finish('closed');
  }

  snapshot(): PeerSnapshot {
    const since = (at: number | undefined) => (at === undefined ? undefined : at - this.#startedAt);
    return {
      state: this.#state,
      closeReason: this.#closeReason,
      firstCheckMs: since(this.#firstCheckAt),
      connectedMs: since(this.#connectedAt),
      srtpProfile: this.#srtpProfile,
      rtpReceived: this.#rtpReceived,
      rtpSent: this.#rtpSent,
      ice: this.#agent.snapshot(),
      dtls: this.#connection?.snapshot(),
      srtp: this.#receiver?.snapshot() ?? this.#srtpAtEnd,
      data: this.#data?.snapshot(),
      dtlsInStun: this.#carrier?.carried ?? 0,
      dropped: { ...this.#dropped },
    };
  }

  #handleIce(output: IceOutput): void {
    const { handlers } = this.#options;
    switch (output.type) {
      case 'send':
        output.path.send(output.datagram);
        break;
      case 'check':
        this.#answerCheck(output);
        break;
      case 'verified':
        this.#firstCheckAt ??= this.#deps.clock.now();
        handlers.onPathVerified?.(output.path);
        break;
      case 'selected':
        this.#secure();
        break;
      case 'dropped':
        handlers.onPathDropped?.(output.path);
        break;
      case 'lost':
        this.#finish('consent_lost');
        break;
    }
  }

  /**
   * DTLS answers at once what was in the check, and the first of it goes into the answer; the rest follows by itself. The path is the far side's: the
   * check was authentic.
   */
  #answerCheck({ message, path, local }: Extract<IceOutput, { type: 'check' }>): void {
    const carrier = this.#carrier;
    if (!carrier) return;
    const { speaks, datagram } = carrier.handleCheck(message);
    this.#collected = speaks ? [] : undefined;
    this.#secure();
    if (datagram) this.#injectDtls(datagram, path);
    const said = this.#collected ?? [];
    this.#collected = undefined;
    if (this.#isClosed()) return;
    const carried = speaks ? carrier.attributes() : undefined;
    path.send(writeSuccess(message, path, local, carried?.extra));
    for (const each of said) if (each !== carried?.datagram) path.send(each);
  }

  /** A handler may have ended it meanwhile. */
  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  /** Starts DTLS once: a path is known to be the far side's, and its certificate. */
  #secure(): void {
    if (!this.#remoteFingerprints) return;
    if (this.#state === 'checking') this.#state = 'securing';
    this.#ensureDtls(this.#remoteFingerprints);
  }

  #ensureDtls(remoteFingerprints: readonly Fingerprint[]): Driver<DtlsOutput> {
    if (this.#dtls) return this.#dtls;
    const { dtlsRole: role, dtlsVersions: versions, srtpProfiles } = this.#options;
    const { rttMs } = this.#agent.snapshot();
    const connection = new DtlsConnection({
      role,
      identity: this.#deps.identity,
      remoteFingerprints,
      ...(srtpProfiles && { srtpProfiles }),
      ...(versions && { versions }),
      ...(this.#carrier && { mtu: CARRIED_MTU }),
      ...(rttMs !== undefined && { pathRttMs: rttMs }),
    });
    this.#connection = connection;
    this.#dtls = new Driver(this.#deps.clock, connection, (output) => this.#handleDtls(output));
    this.#dtls.run((now) => connection.start(now));
    return this.#dtls;
  }

  #handleDtlsDatagram(datagram: Buffer, path: Path): void {
    this.#carrier?.handleReceived(datagram);
    this.#injectDtls(datagram, path);
  }

  #injectDtls(datagram: Buffer, path: Path): void {
    // It comes again: nobody has said yet who this is.
    if (!this.#remoteFingerprints) return;
    this.#dtlsPath = path;
    this.#ensureDtls(this.#remoteFingerprints).run((now) => this.#connection?.handleDatagram(datagram, now));
  }

  #handleDtls(output: DtlsOutput): void {
    switch (output.type) {
      case 'datagram':
        if (output.flight !== undefined) this.#carrier?.handleSent(output.bytes, output.flight);
        if (this.#collected) this.#collected.push(output.bytes);
        else this.#dtlsTarget()?.send(output.bytes);
        break;
      case 'connected':
        this.#connected(output.srtp);
        break;
      case 'data':
        this.#ensureData().handlePacket(output.bytes);
        break;
      case 'closed':
        this.#finish('remote_closed');
        break;
      case 'failed':
        this.#finish(`dtls_failed: ${output.reason}${output.detail === undefined ? '' : ` (${output.detail})`}`);
        break;
    }
  }

  /** While nothing is selected yet, an answer goes where the question came from; after the end only consent counts. */
  #dtlsTarget(): Path | undefined {
    return this.#agent.selected ?? (this.#state === 'closed' ? undefined : this.#dtlsPath);
  }

  #connected({ profile, localKey, localSalt, remoteKey, remoteSalt }: SrtpKeys): void {
    if (this.#state === 'closed') return;
    this.#state = 'connected';
    this.#connectedAt = this.#deps.clock.now();
    this.#srtpProfile = profile;
    this.#setupTimer?.cancel();
    if (this.#options.dtlsRole === 'server') this.#carrier?.handleDone();
    this.#sender = new SrtpSender({ profile, key: localKey, salt: localSalt });
    this.#receiver = new SrtpReceiver({ profile, key: remoteKey, salt: remoteSalt });
    this.#options.handlers.onConnected?.();
    const { startsSctp, sctpInits, negotiatedChannels } = this.#options;
    if (startsSctp || sctpInits || negotiatedChannels) this.#ensureData();
    this.#data?.handleSecured();
    for (const { packet, kind, at } of this.#early.splice(0)) {
      if (this.#connectedAt - at <= EARLY_MS) this.#handleSrtp(packet, kind, at);
      else this.#dropped.early_srtp += 1;
    }
  }

  #handleSrtp(datagram: Buffer, kind: 'rtp' | 'rtcp', now: number): void {
    const receiver = this.#receiver;
    if (!receiver) {
      this.#keepEarly({ packet: datagram, kind, at: now });
      return;
    }
    const packet = kind === 'rtp' ? receiver.unprotectRtp(datagram) : receiver.unprotectRtcp(datagram);
    if (!packet) {
      this.#dropped.srtp += 1;
    } else if (kind === 'rtcp') {
      this.#options.handlers.onRtcp?.(packet, now);
    } else {
      this.#rtpReceived += 1;
      this.#options.handlers.onRtp?.(packet, now);
    }
  }

  #keepEarly(packet: EarlyPacket): void {
    if (this.#early.push(packet) <= MAX_EARLY_PACKETS) return;
    this.#early.shift();
    this.#dropped.early_srtp += 1;
  }

  #ensureData(): DataTransport {
    if (this.#data) return this.#data;
    const { dtlsRole, remoteSctpPort, remoteMaxMessageBytes, startsSctp, sctpInits, negotiatedChannels, handlers } = this.#options;
    this.#data = new DataTransport(
      {
        dtlsRole,
        ...(remoteSctpPort !== undefined && { remotePort: remoteSctpPort }),
        ...(remoteMaxMessageBytes !== undefined && { maxSendBytes: remoteMaxMessageBytes }),
        ...(startsSctp && { isEager: true }),
        ...(sctpInits && { inits: sctpInits }),
        ...(negotiatedChannels && { negotiated: negotiatedChannels }),
      },
      {
        send: (packet) => this.#dtls?.run(() => this.#connection?.send(packet)),
        onOpen: (channel) => handlers.onChannel?.(channel),
        onMessage: (channel, message) => handlers.onMessage?.(channel, message),
        onClosed: (channel) => handlers.onChannelClosed?.(channel),
        // Some stacks (libdatachannel) end SCTP when they leave, and their DTLS goodbye gets lost. Without their channels alone, the audio goes on.
        onEnded: (reason) => reason === 'remote_closed' && this.#finish('remote_closed'),
        onFault: (err) => {
          if (this.#data?.snapshot().faults === 1) this.#deps.log?.warn({ err }, 'data channel fault');
        },
      },
    );
    if (this.#state === 'connected') this.#data.handleSecured();
    return this.#data;
  }

  #finish(reason: PeerCloseReason): void {
    if (this.#state === 'closed') return;
    const wasConnected = this.#state === 'connected';
    this.#state = 'closed';
    this.#closeReason = reason;
    this.#setupTimer?.cancel();
    this.#data?.close();
    this.#sayGoodbye(wasConnected);
    this.#dtls?.stop();
    this.#ice.stop();
    this.#early = [];
    this.#sender = undefined;
    this.#srtpAtEnd = this.#receiver?.snapshot();
    this.#receiver = undefined;
    this.#options.handlers.onClosed?.(reason);
  }

  // The driver may be in the middle of draining (this was called from a handler): what is left is drained here, before it stops.
  #sayGoodbye(wasConnected: boolean): void {
    const connection = this.#connection;
    if (!connection) return;
    if (wasConnected) connection.close();
    const path = this.#agent.selected;
    for (let output = connection.pollOutput(); output; output = connection.pollOutput()) {
      if (output.type === 'datagram') path?.send(output.bytes);
    }
  }

  #refuse(): false {
    this.#dropped.not_sendable += 1;
    return false;
  }
}
