import type { Clock } from '../../base/clock.ts';
import { GatewayError } from '../../base/errors.ts';
import { announcedAddress } from '../../base/local-address.ts';
import type { Logger } from '../../base/log.ts';
import type { Metrics } from '../../base/metrics.ts';
import { connectTcp, listenTcp, type StreamListener } from '../../base/tcp.ts';
import { bindUdp, type DatagramSocket } from '../../base/udp.ts';
import type { DialOptions, InboundCall, OutboundCall, RefusedInvite, SipEngine, SipListener, SipSource } from '../engine.ts';
import { TrunkBook } from '../trunk-book.ts';
import type { Flow } from './flow.ts';
import { SourceGuard } from './guard.ts';
import { InboundLogin } from './inbound-login.ts';
import { type Fault, MAX_MESSAGE_BYTES, parseMessage } from './message.ts';
import { OutboundCalls } from './outbound-calls.ts';
import { RefusedInvites } from './refused-invites.ts';
import { DEFAULT_SESSION_S, MIN_SESSION_S } from './session-expires.ts';
import { SipMetrics } from './sip-metrics.ts';
import { TcpTransport } from './tcp-transport.ts';
import { Transports } from './transports.ts';
import { TrunkProbes } from './trunk-probes.ts';
import { UdpTransport } from './udp-transport.ts';
import { UserAgent } from './user-agent.ts';
import { SIP_PORT } from './via.ts';

export interface EmbeddedEngineDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** What may be dialled. Without it nothing may. */
  readonly trunks?: TrunkBook;
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

/** A number free for UDP and taken for TCP is rare; ten in a row are a machine without ports. */
const PORT_TRIES = 10;

/** A datagram this short is a NAT keep-alive (RFC 5626 §3.5.1: CRLF), no message. */
const KEEP_ALIVE_BYTES = 4;

/** The SIP stack inside the process: UDP and TCP on one port, all four transactions, dialogs. Guards the door, parses, and gives to the UserAgent. */
export class EmbeddedEngine implements SipEngine {
  readonly #deps: EmbeddedEngineDeps;
  readonly #options: EmbeddedEngineOptions;
  readonly #metrics: SipMetrics;
  readonly #guard: SourceGuard;
  readonly #refused: RefusedInvites;
  onRefused: ((refused: RefusedInvite) => void) | undefined;
  #onInvite: ((invite: InboundCall) => void) | undefined;
  #agent: UserAgent | undefined;
  #outbound: OutboundCalls | undefined;
  #probes: TrunkProbes | undefined;
  #transports: Transports | undefined;
  #tcp: TcpTransport | undefined;

  constructor(deps: EmbeddedEngineDeps, options: EmbeddedEngineOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#metrics = new SipMetrics(deps.metrics);
    this.#refused = new RefusedInvites({ clock: deps.clock, metrics: this.#metrics }, (refused) => this.onRefused?.(refused));
    this.#guard = new SourceGuard({ requestsPerSecond: options.requestsPerSecond });
    deps.metrics.observe('sip_transactions', 'SIP transactions held', () => this.#agent?.transactionCount ?? 0);
    deps.metrics.observe('sip_connections', 'SIP connections over TCP, both ways', () => this.#tcp?.connections ?? 0);
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
    const { bind, port, publicAddress, userAgent } = this.#options;
    const { socket, listener } = await this.#open(bind, port);
    const udp = new UdpTransport({
      socket,
      onDatagram: (datagram, source) => this.#guarded(() => this.#handleDatagram(datagram, source)),
      onSent: () => this.#metrics.sent(),
    });
    this.#tcp = this.#overTcp(listener);
    this.#transports = new Transports(udp, this.#tcp);
    const { clock, log } = this.#deps;
    const trunks = this.#deps.trunks ?? new TrunkBook(clock, []);
    const login = new InboundLogin(clock, trunks);
    this.#agent = new UserAgent({ clock, log, metrics: this.#metrics }, this.#transports, {
      userAgent,
      maxTransactions: this.#options.maxTransactions ?? MAX_TRANSACTIONS,
      sessionIntervalS: this.#options.sessionIntervalS ?? DEFAULT_SESSION_S,
      minSessionS: this.#options.minSessionS ?? MIN_SESSION_S,
      localAddressFor: (remote) => announcedAddress({ bind, publicAddress }, remote) ?? bind,
      refusedInvites: this.#refused,
      login: (request) => login.refuse(request),
      mayReplace: (address, call) => {
        const trunk = trunks.ofSource(address);
        return call.peerAddress === address || (trunk !== undefined && trunk === trunks.ofSource(call.peerAddress));
      },
    });
    this.#agent.onInvite = this.#onInvite;
    this.#outbound = new OutboundCalls(this.#agent, trunks);
    this.#probes = new TrunkProbes({ clock, log, metrics: this.#deps.metrics, services: this.#agent }, trunks);
    this.#probes.start();
    return this.#transports.listeners;
  }

  dial(options: DialOptions): OutboundCall {
    if (!this.#outbound) throw new GatewayError('ERR_INVALID_STATE', 'the engine does not run');
    return this.#outbound.dial(options);
  }

  drain(): void {
    this.#agent?.drain();
  }

  async stop(): Promise<void> {
    this.#probes?.stop();
    this.#outbound?.stop();
    this.#transports?.close();
    this.#agent?.stop();
    this.#transports = undefined;
    this.#tcp = undefined;
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

  #handleDatagram(datagram: Buffer, source: SipSource): void {
    if (!this.#guard.admit(source.address, this.#deps.clock.now())) {
      this.#metrics.dropped('rate_limited');
      this.#refused.rateLimited(datagram, source);
      return;
    }
    if (datagram.length <= KEEP_ALIVE_BYTES) return;
    this.#metrics.received();
    if (datagram.length > MAX_MESSAGE_BYTES) {
      this.#metrics.dropped('too_large');
      return;
    }
    const message = parseMessage(datagram);
    if (!message) {
      this.#metrics.dropped('unparsable');
      return;
    }
    if (message.type === 'request') this.#agent?.handleRequest(message, source);
    else this.#agent?.handleResponse(message);
  }

  /** @param fault what the framing found wrong; the sender is told if it sent a request */
  #handleStream(bytes: Buffer, flow: Flow, fault?: Fault): void {
    this.#metrics.received();
    const message = parseMessage(bytes);
    if (!message) {
      this.#metrics.dropped('unparsable');
      return;
    }
    const { address, port } = flow.remote;
    const source: SipSource = { address, port, transport: 'tcp' };
    if (message.type === 'request') {
      this.#agent?.handleRequest(fault ? { ...message, fault } : message, source, (via) =>
        this.#tcp ? this.#tcp.replyFlow(flow, { address, port: via?.port ?? SIP_PORT }) : flow,
      );
    } else if (!fault) this.#agent?.handleResponse(message);
  }

  #overTcp(listener: StreamListener): TcpTransport {
    const { clock } = this.#deps;
    return new TcpTransport({
      clock,
      listener,
      connect: this.#deps.connect ?? connectTcp,
      admit: (address) => this.#guard.admit(address, clock.now()),
      onMessage: (bytes, flow) => this.#guarded(() => this.#handleStream(bytes, flow)),
      onFault: (head, fault, flow) => this.#guarded(() => this.#handleStream(head, flow, fault)),
      onSent: () => this.#metrics.sent(),
      onRefused: (why) => this.#metrics.dropped(why === 'too_many' ? 'too_many_connections' : why),
    });
  }

  /** UDP and TCP on one number. Where any will do, the kernel's choice for UDP may be taken for TCP: then another is tried. */
  async #open(address: string, port: number): Promise<{ socket: DatagramSocket; listener: StreamListener }> {
    for (let tries = port === 0 ? PORT_TRIES : 1; ; tries -= 1) {
      const socket = await (this.#deps.bind ?? bindUdp)({ address, port }, '--sip-port');
      try {
        const listener = await (this.#deps.listen ?? listenTcp)({ address, port: socket.local.port }, '--sip-port');
        return { socket, listener };
      } catch (thrown) {
        socket.close();
        if (tries <= 1) throw thrown;
      }
    }
  }
}
