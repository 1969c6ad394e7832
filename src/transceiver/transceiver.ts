import { GatewayError } from '../base/errors.ts';
import type { Counter, Metrics } from '../base/metrics.ts';
import type { EndCause, JoinedSession, Leg, LegOpening, LegWish, OfferedLeg, OpenedLeg } from '../leg/leg.ts';
import type { Access, CallCommand, CallView, ChannelOpening, EventChannel, OpenedChannel, SessionHost } from '../leg/session-host.ts';
import { MAX_LISTED } from '../leg/session-messages.ts';
import type { NodeKeys } from '../ownership/cluster-keys.ts';
import type { NodeId } from '../ownership/node-id.ts';
import type { RelayLink } from '../ownership/relay-link.ts';
import { makeSessionId } from '../ownership/session-id.ts';
import { packetKind } from '../webrtc/packet-kind.ts';
import type { Path } from '../webrtc/path.ts';
import { loadSctp } from '../webrtc/sctp/werift-sctp.ts';
import { readUsername } from '../webrtc/stun/read-username.ts';
import { HostedSession, type HostedSessionDeps } from './hosted-session.ts';
import { IceRestarts } from './ice-restarts.ts';
import { type AudioOffer, Negotiation, readOffer } from './negotiation.ts';
import { mirroredOffer, readAnswer } from './our-offer.ts';
import { PathOwners } from './path-owners.ts';
import type { PeerMedia } from './peer-media.ts';
import { SendLateness } from './send-lateness.ts';
import { Wires } from './wires.ts';

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

/** What opens a leg: an offer, or the wish for one of ours. */
type Arriving = LegWish & { readonly awaitsAnswer?: boolean };

/** Descriptions that come after the first one of a connection. */
type LaterDescriptions = Pick<OfferedLeg, 'reoffer' | 'accept'>;

/** By which names checks find a peer. */
interface UfragEntries {
  learn(): void;
  forget(): void;
}

/** Owns sessions: terminates ICE, DTLS, SRTP and SCTP of all of them on one port, behind the relays. */
export class Transceiver implements SessionHost {
  readonly #deps: TransceiverDeps;
  readonly #options: TransceiverOptions;
  readonly #byId = new Map<string, HostedSession>();
  readonly #byUfrag = new Map<string, PeerMedia>();
  /** Of browsers: a phone's own light client moves between addresses without. */
  readonly #restarts = new Map<string, Pick<LaterDescriptions, 'reoffer'>>();
  /** By verified paths what is not STUN finds its peer. At most 8 a peer. */
  readonly #byPath = new PathOwners<PeerMedia>();
  readonly #ended: Counter<'cause'>;
  readonly #stray: Counter<'kind'>;
  readonly #lateness: SendLateness;
  readonly #wires = new Wires();
  #opening = 0;
  #draining = false;
  /** Everybody is being hung up on: what was being opened meanwhile ends, too. */
  #over: EndCause | undefined;
  #whenEmpty: (() => void)[] = [];

  constructor(deps: TransceiverDeps, options: TransceiverOptions) {
    this.#lateness = new SendLateness(deps.clock);
    this.#deps = {
      ...deps,
      ticker: this.#lateness.watch(deps.ticker),
      others: {
        seatOf: (sessionId, leg, project) => {
          const hosted = this.#byId.get(sessionId);
          return hosted?.isOf({ project, ephemeral: false }) ? hosted.seatOf(leg) : undefined;
        },
        wires: this.#wires,
      },
    };
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
    return this.#byId.size;
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
    const { accept: _nothing, ...opened } = await this.#open(opening, leg, () => readOffer(opening.offer));
    return opened;
  }

  async offer(opening: LegWish, leg: Leg): Promise<OfferedLeg> {
    const { answer: offer, accept, ...opened } = await this.#open({ ...opening, awaitsAnswer: true }, leg, mirroredOffer);
    return { ...opened, offer, accept };
  }

  async #open(opening: Arriving, leg: Leg, read: () => AudioOffer): Promise<OpenedLeg & LaterDescriptions> {
    if (!opening.origin.joins) this.#admit();
    if (!this.ready) throw new GatewayError('ERR_NODE_UNREACHABLE', 'no relay has been heard');
    const offer = read();
    const { joins } = opening.origin;
    if (joins) return this.#join(joins, opening, leg, offer);
    this.#opening += 1;
    try {
      const { nodeId } = this.#options;
      const negotiation = new Negotiation(this.#deps, offer, { nodeId, dataChannelId: opening.policy?.dataChannelId });
      const { hosted, media, later } = await this.#host(opening, leg, offer, negotiation);
      if (this.#over) {
        hosted.end(this.#over);
        throw new GatewayError('ERR_OVERLOADED', 'shutting down');
      }
      const answer = negotiation.answerTo(offer, media.ssrc);
      hosted.start();
      const tell: OpenedLeg['tell'] = (event) => hosted.handleLegEvent(event);
      return { sessionId: hosted.id, answer, tell, ...later };
    } finally {
      this.#opening -= 1;
      this.#tellIfEmpty();
    }
  }

  async connect({ access, session }: ChannelOpening, channel: EventChannel): Promise<OpenedChannel> {
    this.#admit();
    const id = makeSessionId(this.#options.nodeId);
    const hosted = HostedSession.connect(this.#deps, { id, onEnded: (cause) => this.#forget(id, cause) }, access, session);
    this.#byId.set(id, hosted);
    try {
      const opened = hosted.attach(access, channel);
      hosted.start();
      return opened;
    } catch (thrown) {
      hosted.end('internal_error');
      throw thrown;
    }
  }

  async attach(sessionId: string, access: Access, channel: EventChannel): Promise<OpenedChannel> {
    return this.#find(sessionId, access).attach(access, channel);
  }

  async command(sessionId: string, access: Access, command: CallCommand): Promise<void> {
    // Which calls the bearer of a secret may end at all, the door knows that gave it out.
    if (access.ephemeral && command.type !== 'hangup') throw new GatewayError('ERR_FORBIDDEN', 'an ephemeral secret decides on no call');
    await this.#find(sessionId, access).command(command);
  }

  async restart(sessionId: string, access: Access, offer: string): Promise<string> {
    const restarts = this.#restarts.get(this.#find(sessionId, access).id);
    if (!restarts) throw new GatewayError('ERR_INVALID_STATE', 'only the connection of a browser is restarted');
    return restarts.reoffer(offer);
  }

  async list(access: Access): Promise<readonly CallView[]> {
    const own = [...this.#byId.values()].filter((hosted) => hosted.isOf(access));
    // A Map keeps the order in which they came.
    return own
      .slice(-MAX_LISTED)
      .reverse()
      .map((hosted) => hosted.view());
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
    for (const hosted of [...this.#byId.values()]) hosted.end(cause);
  }

  /** Ends every session and lets go of the relays. */
  close(): void {
    this.hangUpAll('shutdown');
    this.#deps.link.onDatagram = undefined;
  }

  /** State of every session, for people who look at a running gateway. */
  snapshot(): unknown[] {
    return [...this.#byId.values()].map((hosted) => hosted.snapshot());
  }

  /** @throws GatewayError ERR_OVERLOADED */
  #admit(): void {
    if (this.#draining) throw new GatewayError('ERR_OVERLOADED', 'draining');
    if (this.sessions + this.#opening >= this.#options.maxSessions) throw new GatewayError('ERR_OVERLOADED', 'all sessions are taken');
    if (this.overloaded) throw new GatewayError('ERR_OVERLOADED', 'audio leaves late');
  }

  /** @throws GatewayError ERR_NOT_FOUND */
  #find(sessionId: string, access: Access): HostedSession {
    const hosted = this.#byId.get(sessionId);
    if (!hosted?.isOf(access)) throw new GatewayError('ERR_NOT_FOUND', 'no such call');
    return hosted;
  }

  async #host(
    opening: Arriving,
    leg: Leg,
    offer: AudioOffer,
    negotiation: Negotiation,
  ): Promise<{ readonly hosted: HostedSession; readonly media: PeerMedia; readonly later: LaterDescriptions }> {
    const id = makeSessionId(this.#options.nodeId);
    let ufrags: UfragEntries | undefined;
    const made = await HostedSession.create(
      this.#deps,
      {
        id,
        credentials: negotiation.credentials,
        offer,
        audio: offer.audio,
        ...(opening.awaitsAnswer && { awaitsAnswer: true }),
        setUp: negotiation.setUp.peer,
        onPathVerified: (path) => this.#byPath.add(path.key, made.media),
        onPathDropped: (path) => this.#byPath.remove(path.key, made.media),
        onGone: () => ufrags?.forget(),
        onEnded: (cause) => {
          this.#restarts.delete(id);
          this.#forget(id, cause);
        },
      },
      opening,
      leg,
    );
    ufrags = this.#enterUfrags(made.media);
    this.#byId.set(id, made.hosted);
    const later = this.#later(made.media, negotiation, ufrags);
    if (opening.origin.kind === 'browser') this.#restarts.set(id, later);
    return { ...made, later };
  }

  #enterUfrags(media: PeerMedia): UfragEntries {
    let ufrags: readonly string[] = [];
    const forget = (): void => {
      for (const ufrag of ufrags) this.#byUfrag.delete(ufrag);
    };
    const learn = (): void => {
      forget();
      ufrags = media.peer.ufrags;
      for (const ufrag of ufrags) this.#byUfrag.set(ufrag, media);
    };
    learn();
    return { learn, forget };
  }

  /** What descriptions may still say of a connection. */
  #later({ peer, ssrc }: PeerMedia, negotiation: Negotiation, ufrags: UfragEntries): LaterDescriptions {
    const { clock } = this.#deps;
    const restarts = new IceRestarts({ clock, peer, negotiation }, { ssrc, onRestarted: ufrags.learn });
    return {
      reoffer: async (text) => restarts.restart(text),
      accept: async (text) => {
        const answer = readAnswer(text);
        negotiation.accept(answer);
        peer.identify(answer.fingerprints);
      },
    };
  }

  /** One more leg of a session that lives: taken also while we drain, since its call goes on. */
  async #join(
    { sessionId, leg: name }: JoinedSession,
    opening: Arriving,
    leg: Leg,
    offer: AudioOffer,
  ): Promise<OpenedLeg & LaterDescriptions> {
    const hosted = this.#byId.get(sessionId);
    if (!hosted) throw new GatewayError('ERR_NOT_FOUND', 'no such call');
    const { nodeId } = this.#options;
    const negotiation = new Negotiation(this.#deps, offer, { nodeId, dataChannelId: undefined });
    let joined: PeerMedia | undefined;
    let ufrags: UfragEntries | undefined;
    const { media, tell } = await hosted.join(name, opening, leg, {
      credentials: negotiation.credentials,
      offer,
      audio: offer.audio,
      ...(opening.awaitsAnswer && { awaitsAnswer: true }),
      setUp: negotiation.setUp.peer,
      onPathVerified: (path) => joined && this.#byPath.add(path.key, joined),
      onPathDropped: (path) => joined && this.#byPath.remove(path.key, joined),
      onGone: () => ufrags?.forget(),
    });
    joined = media;
    ufrags = this.#enterUfrags(media);
    media.start();
    return { sessionId, answer: negotiation.answerTo(offer, media.ssrc), tell, ...this.#later(media, negotiation, ufrags) };
  }

  /** RFC 7983: STUN finds its session by the ufrag, everything else by a path that a verified check has made known. */
  #route(datagram: Buffer, path: Path): void {
    const kind = packetKind(datagram);
    const owners = this.#byPath.of(path.key);
    const now = this.#deps.clock.now();
    if (kind === 'stun') {
      const media = this.#byStun(datagram);
      if (media) {
        media.peer.handleDatagram(datagram, path, now);
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

  #byStun(datagram: Buffer): PeerMedia | undefined {
    const username = readUsername(datagram);
    return username === undefined ? undefined : this.#byUfrag.get(username.split(':', 1)[0] ?? '');
  }

  #forget(id: string, cause: EndCause): void {
    if (!this.#byId.delete(id)) return;
    this.#wires.forget(id);
    this.#ended.inc({ cause });
    this.#tellIfEmpty();
  }

  #tellIfEmpty(): void {
    if (this.sessions + this.#opening > 0) return;
    for (const resolve of this.#whenEmpty) resolve();
    this.#whenEmpty = [];
  }
}
