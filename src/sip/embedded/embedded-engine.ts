import type { Alert } from '../../base/alert.ts';
import type { Clock } from '../../base/clock.ts';
import { GatewayError } from '../../base/errors.ts';
import { announcedAddress } from '../../base/local-address.ts';
import type { Logger } from '../../base/log.ts';
import type { MessageSocket } from '../../base/message-socket.ts';
import type { Metrics } from '../../base/metrics.ts';
import type { connectTcp, listenTcp } from '../../base/tcp.ts';
import type { bindUdp } from '../../base/udp.ts';
import type { BindingJournal } from '../binding-journal.ts';
import type { Devices, DialOptions, InboundCall, OutboundCall, RefusedInvite, SipEngine, SipListener, SipSource } from '../engine.ts';
import { SipIdentity } from '../sip-identity.ts';
import type { Trunk } from '../trunk.ts';
import { TrunkBook } from '../trunk-book.ts';
import type { UserBook } from '../user.ts';
import { DigestDoor } from './digest-door.ts';
import { type DoorHandlers, type Doors, EngineDoors, type EngineTls, type OnTraffic } from './engine-doors.ts';
import type { Flow } from './flow.ts';
import { SourceGuard } from './guard.ts';
import { GuessBrake } from './guess-brake.ts';
import { InboundLogin } from './inbound-login.ts';
import { type Fault, MAX_MESSAGE_BYTES, parseMessage, type SipMessage } from './message.ts';
import { OutboundCalls } from './outbound-calls.ts';
import { RefusedInvites } from './refused-invites.ts';
import { Registrar } from './registrar.ts';
import { ScanWatch } from './scan-watch.ts';
import { DEFAULT_SESSION_S, MIN_SESSION_S } from './session-expires.ts';
import { SipMetrics } from './sip-metrics.ts';
import { SCAN_SIGNS, SourceBans, type SourceBansOptions } from './source-bans.ts';
import { TrunkProbes } from './trunk-probes.ts';
import { type RegistrationState, TrunkRegistrations } from './trunk-registrations.ts';
import { UserAgent } from './user-agent.ts';
import { SIP_PORT, SIPS_PORT } from './via.ts';

export interface EmbeddedEngineDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** What may be dialled. Without it nothing may. */
  readonly trunks?: TrunkBook;
  /** Without it there is no TLS. */
  readonly tls?: EngineTls;
  /** Who may register. Nobody without it. */
  readonly users?: UserBook;
  readonly bindingJournal?: BindingJournal;
  /** Told of what whoever runs the gateway should look at, as often as it happens. */
  readonly onAlert?: (alert: Alert) => void;
  /** What registrars know us by; a new one at each start without it. */
  readonly identity?: SipIdentity;
  /** Doors that are somebody else's: a drachtio server's. Own sockets without it. */
  readonly openDoors?: (handlers: DoorHandlers) => Promise<Doors>;
  /** For who wants to show what is said. */
  readonly onTraffic?: OnTraffic;
  /** How a socket is opened; base/udp.ts unless a test puts a bad network in between. */
  readonly bind?: typeof bindUdp;
  /** base/tcp.ts unless a test plays the network. */
  readonly listen?: typeof listenTcp;
  readonly connect?: typeof connectTcp;
}

export interface EmbeddedEngineOptions {
  /** Literal address to listen on; 0.0.0.0 or :: for all. */
  readonly bind: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** What Contact and Via say to peers of its family instead of the interface's address: behind a one-to-one NAT. */
  readonly publicAddress?: string;
  /** Datagrams a second from one source address; more are dropped unread. 0 for no limit. */
  readonly requestsPerSecond: number;
  /** Whose behaviour makes that it is not listened to, and for how long; nobody's when absent. */
  readonly bans?: SourceBansOptions;
  /** Product token for User-Agent. */
  readonly userAgent: string;
  /** Transactions kept at once; beyond them new calls get 503. Bounds memory at about 2 kB each. */
  readonly maxTransactions?: number;
  /** Seconds between refreshes of a session that we ask for (RFC 4028); 1800 unless told otherwise, 0 asks for none. */
  readonly sessionIntervalS?: number;
  /** The shortest interval accepted. 90 as the RFC says; shorter for tests only. */
  readonly minSessionS?: number;
}

/** 800 calls a second hold two transactions for 32 s each: 51,200. */
const MAX_TRANSACTIONS = 60_000;

/** A datagram this short is a NAT keep-alive (RFC 5626 §3.5.1: CRLF), no message. */
const KEEP_ALIVE_BYTES = 4;

/** The SIP stack inside the process: UDP, TCP, TLS and WebSockets, all four transactions, dialogs. Guards the door, parses, and gives to the UserAgent. */
export class EmbeddedEngine implements SipEngine {
  readonly #deps: EmbeddedEngineDeps;
  readonly #options: EmbeddedEngineOptions;
  readonly #metrics: SipMetrics;
  readonly #guard: SourceGuard;
  readonly #refused: RefusedInvites;
  /** Sources that are not listened to. */
  readonly bans: SourceBans;
  onRefused: ((refused: RefusedInvite) => void) | undefined;
  #onInvite: ((invite: InboundCall) => void) | undefined;
  readonly #watch: ScanWatch | undefined;
  #agent: UserAgent | undefined;
  #outbound: OutboundCalls | undefined;
  #probes: TrunkProbes | undefined;
  #doors: Doors | undefined;
  #registrar: Registrar | undefined;
  #registrations: TrunkRegistrations | undefined;

  constructor(deps: EmbeddedEngineDeps, options: EmbeddedEngineOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#metrics = new SipMetrics(deps.metrics);
    this.#refused = new RefusedInvites({ clock: deps.clock, metrics: this.#metrics }, (refused) => this.onRefused?.(refused));
    this.#guard = new SourceGuard({ requestsPerSecond: options.requestsPerSecond });
    const trunkAt = (address: string): boolean => deps.trunks?.ofSource(address) !== undefined;
    const isKnown = (address: string): boolean => this.#registrar?.isAt(address) === true || this.#agent?.hasCallWith(address) === true;
    this.bans = new SourceBans({ isTrusted: trunkAt, isKnown }, options.bans ?? { seconds: 0, after: 1 });
    this.bans.onBanned = ({ source, sign, since, until }) => {
      const detail = `${SCAN_SIGNS[sign]}: not listened to for ${Math.round((until - since) / 1000)} s`;
      deps.onAlert?.({ kind: 'source_banned', subject: source, detail });
    };
    this.#watch = options.bans && new ScanWatch(deps.clock, this.bans);
    deps.metrics.observe('sip_banned_sources', 'Addresses that are not listened to for a while', () => this.bans.count(deps.clock.now()));
    deps.metrics.observe('sip_transactions', 'SIP transactions held', () => this.#agent?.transactionCount ?? 0);
    const count = (of: 'tcp' | 'tls' | 'sockets') => () => this.#doors?.connections[of] ?? 0;
    deps.metrics.observe('sip_connections', 'SIP connections over TCP, both ways', count('tcp'));
    deps.metrics.observe('sip_tls_connections', 'SIP connections over TLS, both ways', count('tls'));
    deps.metrics.observe('sip_web_sockets', 'SIP connections over WebSocket', count('sockets'));
    deps.metrics.observe('sip_dialogs', 'SIP dialogs held, early ones included', () => this.#agent?.dialogCount ?? 0);
  }

  get onInvite(): ((invite: InboundCall) => void) | undefined {
    return this.#onInvite;
  }

  set onInvite(handler: ((invite: InboundCall) => void) | undefined) {
    this.#onInvite = handler;
    if (this.#agent) this.#agent.onInvite = handler;
  }

  async start(): Promise<readonly SipListener[]> {
    const { bind, publicAddress, userAgent } = this.#options;
    const { clock, log, openDoors } = this.#deps;
    const onRead: DoorHandlers['onRead'] = (message, source, flow) => this.#guarded(() => this.#handleRead(message, source, flow));
    const doors: Doors = openDoors ? await openDoors({ onRead }) : await this.#openOwnDoors();
    this.#doors = doors;
    const trunks = this.#deps.trunks ?? new TrunkBook(clock, []);
    const { onAlert } = this.#deps;
    const brake = new GuessBrake();
    brake.onBraked = (subject) =>
      onAlert?.({ kind: 'password_guesses', subject, detail: 'wrong passwords: the next ones are slowed down' });
    trunks.onAlert = onAlert;
    const { users } = this.#deps;
    const door =
      users &&
      new DigestDoor(clock, brake, {
        realm: users.realm,
        algorithms: users.algorithms,
        ha1Of: (name, algorithm) => users.ha1Of(name, algorithm),
      });
    const registrar =
      users && door && new Registrar({ clock, log, metrics: this.#deps.metrics, users, door, journal: this.#deps.bindingJournal });
    this.#registrar = registrar;
    const login = new InboundLogin({
      clock,
      book: trunks,
      brake,
      registered: (user) => this.#registrations?.trunkOf(user),
      ...(door && registrar ? { users: { door, any: () => users.size > 0, userAt: (source: SipSource) => registrar.userAt(source) } } : {}),
    });
    this.#agent = new UserAgent({ clock, log, metrics: this.#metrics }, doors.transports, {
      userAgent,
      maxTransactions: this.#options.maxTransactions ?? MAX_TRANSACTIONS,
      sessionIntervalS: this.#options.sessionIntervalS ?? DEFAULT_SESSION_S,
      minSessionS: this.#options.minSessionS ?? MIN_SESSION_S,
      localAddressFor: (remote) => announcedAddress({ bind, publicAddress }, remote) ?? bind,
      refusedInvites: this.#refused,
      watch: this.#watch,
      login: (request) => login.identify(request),
      ...(registrar ? { register: (request) => registrar.handle(request), registers: () => users.size > 0 } : {}),
      mayReplace: (address, call) => {
        const trunk = trunks.ofSource(address);
        return call.peerAddress === address || (trunk !== undefined && trunk === trunks.ofSource(call.peerAddress));
      },
    });
    this.#agent.onInvite = this.#onInvite;
    this.#outbound = new OutboundCalls(this.#agent, trunks, (user) => registrar?.contactsOf(user) ?? []);
    this.#probes = new TrunkProbes({ clock, log, metrics: this.#deps.metrics, services: this.#agent, onAlert }, trunks);
    this.#probes.start();
    const { metrics, identity = new SipIdentity() } = this.#deps;
    const hopsTo = (trunk: Trunk) => trunks.hopsTo(trunk);
    this.#registrations = new TrunkRegistrations({ clock, log, metrics, services: this.#agent, onAlert, identity, hopsTo });
    this.#registrations.replace(trunks.trunks);
    if (openDoors) return [];
    return doors.transports.listeners.filter(({ transport }) => transport !== 'tls' || this.#deps.tls?.server !== undefined);
  }

  /** Where the phones of users are; undefined where there are no users. */
  get registrar(): Registrar | undefined {
    return this.#registrar;
  }

  dial(options: DialOptions): OutboundCall {
    if (!this.#outbound) throw new GatewayError('ERR_INVALID_STATE', 'the engine does not run');
    return this.#outbound.dial(options);
  }

  devicesOf(options: Pick<DialOptions, 'trunk' | 'destination'>): Devices {
    return this.#outbound?.devicesOf(options) ?? 'phones';
  }

  /** Takes a WebSocket (RFC 7118) that the HTTP port has let in; closed at once when the engine does not run. */
  accept(socket: MessageSocket): void {
    if (this.#doors?.accept) this.#doors.accept(socket);
    else socket.close(1001, 'not running');
  }

  /** How a trunk's registration stands; undefined where it has none. */
  registrationOf(trunk: string): RegistrationState | undefined {
    return this.#registrations?.stateOf(trunk);
  }

  /** Trunks and users have been replaced in their books. */
  configurationChanged(): void {
    this.#probes?.replace();
    this.#registrations?.replace(this.#deps.trunks?.trunks ?? []);
    this.#registrar?.usersChanged();
  }

  drain(): void {
    this.#agent?.drain();
    void this.#registrations?.leave(); // calls that would be refused are not to come at all
  }

  async stop(): Promise<void> {
    this.#probes?.stop();
    await this.#registrations?.leave();
    this.#registrations?.stop();
    this.#registrar?.stop();
    this.#outbound?.stop();
    this.#doors?.close();
    this.#agent?.stop();
    this.#doors = undefined;
    this.#agent = undefined;
    this.#outbound = undefined;
  }

  /** One message must never take the other calls with it, whatever it finds broken behind it. */
  #guarded(handle: () => void): void {
    try {
      handle();
    } catch (error) {
      this.#deps.log.error({ err: error }, 'a sip message could not be handled');
    }
  }

  #openOwnDoors(): Promise<EngineDoors> {
    const { bind, port } = this.#options;
    const { clock, log } = this.#deps;
    return EngineDoors.open(
      {
        ...{ clock, log, metrics: this.#metrics, tls: this.#deps.tls, onTraffic: this.#deps.onTraffic },
        ...{ bind: this.#deps.bind, listen: this.#deps.listen, connect: this.#deps.connect },
        admit: (address) => this.#guard.admit(address, clock.now()),
        isBanned: (address) => this.bans.isBanned(address, clock.now()),
        onDatagram: (datagram, source) => this.#guarded(() => this.#handleDatagram(datagram, source)),
        onMessage: (bytes, flow, fault) => this.#guarded(() => this.#handleStream(bytes, flow, fault)),
      },
      { address: bind, port },
    );
  }

  /** Of a door that has read it: the server behind it keeps floods away, and repeats what is lost. */
  #handleRead(message: SipMessage, source: SipSource | undefined, flow: Flow | undefined): void {
    if (source && this.#isBanned(source)) return;
    this.#metrics.received();
    if (message.type === 'response') this.#agent?.handleResponse(message);
    else if (source && flow) this.#agent?.handleRequest(message, source, () => flow);
  }

  #isBanned({ address }: SipSource): boolean {
    const banned = this.bans.isBanned(address, this.#deps.clock.now());
    if (banned) this.#metrics.dropped('banned');
    return banned;
  }

  #handleDatagram(datagram: Buffer, source: SipSource): void {
    if (!this.#guard.admit(source.address, this.#deps.clock.now())) {
      this.#metrics.dropped('rate_limited');
      this.#deps.onAlert?.({ kind: 'rate_limited', subject: source.address, detail: 'more messages than sip.rate lets in' });
      this.#refused.unread(datagram, source, 'its source sends too many');
      return;
    }
    if (this.#isBanned(source)) {
      this.#refused.unread(datagram, source, 'its source is banned for what it has sent before');
      return;
    }
    if (datagram.length <= KEEP_ALIVE_BYTES) return;
    this.#metrics.received();
    this.#deps.onTraffic?.('in', datagram, source);
    if (datagram.length > MAX_MESSAGE_BYTES) {
      this.#metrics.dropped('too_large');
      return;
    }
    const message = parseMessage(datagram);
    if (!message) {
      this.#metrics.dropped('unparsable');
      this.#watch?.malformed(source);
      return;
    }
    if (message.type === 'request') this.#agent?.handleRequest(message, source);
    else this.#agent?.handleResponse(message);
  }

  /** @param fault what the framing found wrong; the sender is told if it sent a request */
  #handleStream(bytes: Buffer, flow: Flow, fault?: Fault): void {
    const { address, port } = flow.remote;
    const source: SipSource = { address, port, transport: flow.transport };
    if (this.#isBanned(source)) return;
    this.#metrics.received();
    this.#deps.onTraffic?.('in', bytes, flow.remote);
    const message = parseMessage(bytes);
    if (!message) {
      this.#metrics.dropped('unparsable');
      this.#watch?.malformed(source);
      return;
    }
    if (message.type === 'request') {
      const usual = flow.transport === 'tls' ? SIPS_PORT : SIP_PORT;
      this.#agent?.handleRequest(fault ? { ...message, fault } : message, source, (via) =>
        this.#doors?.replyFlow ? this.#doors.replyFlow(flow, { address, port: via?.port ?? usual }) : flow,
      );
    } else if (!fault) this.#agent?.handleResponse(message);
  }
}
