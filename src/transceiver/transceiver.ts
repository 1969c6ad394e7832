import { GatewayError } from '../base/errors.ts';
import type { Counter, Metrics } from '../base/metrics.ts';
import type { EndCause, Leg, LegHost, LegOpening, OpenedLeg } from '../leg/leg.ts';
import type { NodeKeys } from '../ownership/cluster-keys.ts';
import type { NodeId } from '../ownership/node-id.ts';
import type { RelayLink } from '../ownership/relay-link.ts';
import { makeSessionId } from '../ownership/session-id.ts';
import { icePwd, makeUfrag } from '../ownership/ufrag.ts';
import { answerWebRtcOffer, parseWebRtcOffer, type WebRtcAudio, type WebRtcDescription } from '../sdp/webrtc.ts';
import { packetKind } from '../webrtc/packet-kind.ts';
import type { Path } from '../webrtc/path.ts';
import { loadSctp } from '../webrtc/sctp/werift-sctp.ts';
import { readUsername } from '../webrtc/stun/read-username.ts';
import { HostedSession, type HostedSessionDeps } from './hosted-session.ts';
import { PathOwners } from './path-owners.ts';
import { SendLateness } from './send-lateness.ts';

export interface TransceiverDeps extends HostedSessionDeps {
  readonly metrics: Metrics;
  readonly keys: NodeKeys;
  readonly link: RelayLink;
}

export interface TransceiverOptions {
  readonly nodeId: NodeId;
  /** Sessions at the same time; beyond it opening fails with ERR_OVERLOADED. */
  readonly maxSessions: number;
}

/** Owns sessions: terminates ICE, DTLS, SRTP and SCTP of all of them on one port, behind the relays. */
export class Transceiver implements LegHost {
  readonly #deps: TransceiverDeps;
  readonly #options: TransceiverOptions;
  readonly #byUfrag = new Map<string, HostedSession>();
  /** By verified paths what is not STUN finds its session. At most 8 a session. */
  readonly #byPath = new PathOwners<HostedSession>();
  readonly #ended: Counter<'cause'>;
  readonly #stray: Counter<'kind'>;
  readonly #lateness: SendLateness;
  #opening = 0;
  #draining = false;
  /** Everybody is being hung up on: what was being opened meanwhile ends, too. */
  #over: EndCause | undefined;
  #whenEmpty: (() => void)[] = [];

  constructor(deps: TransceiverDeps, options: TransceiverOptions) {
    this.#lateness = new SendLateness(deps.clock);
    this.#deps = { ...deps, ticker: this.#lateness.watch(deps.ticker) };
    this.#options = options;
    this.#ended = deps.metrics.counter('sessions_ended_total', 'Sessions that have ended, by cause.', ['cause']);
    this.#stray = deps.metrics.counter('transceiver_stray_total', 'Datagrams that belong to no session here, by kind.', ['kind']);
    deps.metrics.observe('sessions', 'Sessions at this moment.', () => this.sessions);
    deps.metrics.observe('send_lateness_ms', 'Worst lateness of the audio beat since the last look.', () =>
      deps.ticker.takeWorstLatenessMs(),
    );
    deps.metrics.observe('audio_overloaded', '1 while new sessions are refused because audio leaves late.', () => Number(this.overloaded));
    deps.link.onDatagram = (datagram, path) => this.#route(datagram, path);
  }

  /** Compiles what the first session would otherwise wait for. */
  static async warmUp(): Promise<void> {
    await loadSctp();
  }

  /** Sessions that live, pending ones included. */
  get sessions(): number {
    return this.#byUfrag.size;
  }

  /** Is there a relay to send clients to? */
  get ready(): boolean {
    return this.#deps.link.candidates.length > 0;
  }

  /** Does audio leave so late that new sessions are refused? Those there are go on. */
  get overloaded(): boolean {
    return this.#lateness.overloaded;
  }

  async open(opening: LegOpening, leg: Leg): Promise<OpenedLeg> {
    if (this.#draining) throw new GatewayError('ERR_OVERLOADED', 'draining');
    if (this.sessions + this.#opening >= this.#options.maxSessions) throw new GatewayError('ERR_OVERLOADED', 'all sessions are taken');
    if (this.overloaded) throw new GatewayError('ERR_OVERLOADED', 'audio leaves late');
    if (!this.ready) throw new GatewayError('ERR_NODE_UNREACHABLE', 'no relay has been heard');
    const { offer, audio } = readOffer(opening.offer);
    this.#opening += 1;
    try {
      const hosted = await this.#host(opening, leg, offer, audio);
      if (this.#over) {
        hosted.end(this.#over);
        throw new GatewayError('ERR_OVERLOADED', 'shutting down');
      }
      const answer = this.#answer(hosted, offer);
      hosted.start();
      return { sessionId: hosted.id, answer, tell: (event) => hosted.handleLegEvent(event) };
    } finally {
      this.#opening -= 1;
      this.#tellIfEmpty();
    }
  }

  /** Takes no new sessions; resolves when the last one has ended. */
  drain(): Promise<void> {
    this.#draining = true;
    if (this.sessions + this.#opening === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenEmpty.push(resolve));
  }

  hangUpAll(cause: EndCause): void {
    this.#draining = true;
    this.#over = cause;
    for (const hosted of [...this.#byUfrag.values()]) hosted.end(cause);
  }

  /** Ends every session and lets go of the relays. */
  close(): void {
    this.hangUpAll('shutdown');
    this.#deps.link.onDatagram = undefined;
  }

  /** State of every session, for people who look at a running gateway. */
  snapshot(): unknown[] {
    return [...this.#byUfrag.values()].map((hosted) => hosted.snapshot());
  }

  async #host(opening: LegOpening, leg: Leg, offer: WebRtcDescription, audio: WebRtcAudio): Promise<HostedSession> {
    const { nodeId } = this.#options;
    const ufrag = makeUfrag({ nodeId, generation: 0 }, this.#deps.keys);
    const pwd = icePwd(ufrag, this.#deps.keys);
    if (!pwd) throw new GatewayError('ERR_INTERNAL', 'a ufrag of ours without its password');
    const hosted = await HostedSession.create(
      this.#deps,
      {
        id: makeSessionId(nodeId),
        credentials: { ufrag, pwd },
        offer,
        audio,
        // Active saves a round trip: our ClientHello follows the first verified check at once.
        dtlsRole: offer.setup === 'active' ? 'server' : 'client',
        onPathVerified: (path) => this.#byPath.add(path.key, hosted),
        onPathDropped: (path) => this.#byPath.remove(path.key, hosted),
        onEnded: (cause) => this.#forget(ufrag, cause),
      },
      opening,
      leg,
    );
    this.#byUfrag.set(ufrag, hosted);
    return hosted;
  }

  #answer(hosted: HostedSession, offer: WebRtcDescription): string {
    const pwd = icePwd(hosted.ufrag, this.#deps.keys) ?? '';
    return answerWebRtcOffer(offer, {
      ufrag: hosted.ufrag,
      pwd,
      fingerprint: this.#deps.identity.fingerprint,
      setup: offer.setup === 'active' ? 'passive' : 'active',
      candidates: this.#deps.link.candidates,
      ssrc: hosted.ssrc,
    });
  }

  /** RFC 7983: STUN finds its session by the ufrag, everything else by a path that a verified check has made known. */
  #route(datagram: Buffer, path: Path): void {
    const kind = packetKind(datagram);
    const owners = this.#byPath.of(path.key);
    const now = this.#deps.clock.now();
    if (kind === 'stun') {
      const hosted = this.#byStun(datagram);
      if (hosted) {
        hosted.peer.handleDatagram(datagram, path, now);
        return;
      }
    } else if (owners) {
      // A peer decrypts in place.
      for (const { peer } of owners) peer.handleDatagram(owners.length > 1 ? Buffer.from(datagram) : datagram, path, now);
      return;
    }
    this.#stray.inc({ kind });
    // A forged datagram with a client's address must not make the relay forget that client.
    if (!owners) this.#deps.link.gone(path);
  }

  #byStun(datagram: Buffer): HostedSession | undefined {
    const username = readUsername(datagram);
    return username === undefined ? undefined : this.#byUfrag.get(username.split(':', 1)[0] ?? '');
  }

  #forget(ufrag: string, cause: EndCause): void {
    if (!this.#byUfrag.delete(ufrag)) return;
    this.#ended.inc({ cause });
    this.#tellIfEmpty();
  }

  #tellIfEmpty(): void {
    if (this.sessions + this.#opening > 0) return;
    for (const resolve of this.#whenEmpty) resolve();
    this.#whenEmpty = [];
  }
}

function readOffer(text: string): { offer: WebRtcDescription; audio: WebRtcAudio } {
  const offer = parseWebRtcOffer(text);
  if ('fault' in offer) {
    const { reason, detail } = offer.fault;
    throw new GatewayError(reason === 'no_common_codec' ? 'ERR_NO_COMMON_CODEC' : 'ERR_BAD_OFFER', detail);
  }
  if (!offer.audio) throw new GatewayError('ERR_BAD_OFFER', 'the offer has no audio');
  return { offer, audio: offer.audio };
}
