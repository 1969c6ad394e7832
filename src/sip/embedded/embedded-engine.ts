import type { Clock } from '../../base/clock.ts';
import { localAddressTowards } from '../../base/local-address.ts';
import type { Logger } from '../../base/log.ts';
import type { Metrics } from '../../base/metrics.ts';
import { bindUdp } from '../../base/udp.ts';
import type { InboundCall, SipEngine, SipListener, SipSource } from '../engine.ts';
import { SourceGuard } from './guard.ts';
import { MAX_MESSAGE_BYTES, parseMessage } from './message.ts';
import { SipMetrics } from './sip-metrics.ts';
import { UdpTransport } from './udp-transport.ts';
import { UserAgent } from './user-agent.ts';

export interface EmbeddedEngineDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** How a socket is opened; base/udp.ts unless a test puts a bad network in between. */
  readonly bind?: typeof bindUdp;
}

export interface EmbeddedEngineOptions {
  /** Literal address to listen on; 0.0.0.0 or :: for all. */
  readonly bind: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** What Contact and Via say instead of the interface's address: behind a one-to-one NAT. */
  readonly publicAddress?: string;
  /** Datagrams a second from one source address; more are dropped unread. 0 for no limit. */
  readonly requestsPerSecond: number;
  /** Product token for User-Agent. */
  readonly userAgent: string;
  /** Transactions kept at once; beyond them new calls get 503. Bounds memory at about 2 kB each. */
  readonly maxTransactions?: number;
}

/** 800 calls a second hold two transactions for 32 s each: 51,200. */
const MAX_TRANSACTIONS = 60_000;

/** A datagram this short is a NAT keep-alive (RFC 5626 §3.5.1: CRLF), no message. */
const KEEP_ALIVE_BYTES = 4;

/** The SIP stack inside the process: UDP, all four transactions, dialogs. Guards the door, parses, and gives to the UserAgent. */
export class EmbeddedEngine implements SipEngine {
  readonly #deps: EmbeddedEngineDeps;
  readonly #options: EmbeddedEngineOptions;
  readonly #metrics: SipMetrics;
  readonly #guard: SourceGuard;
  #onInvite: ((invite: InboundCall) => void) | undefined;
  #agent: UserAgent | undefined;
  #transport: UdpTransport | undefined;

  constructor(deps: EmbeddedEngineDeps, options: EmbeddedEngineOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#metrics = new SipMetrics(deps.metrics);
    this.#guard = new SourceGuard({ requestsPerSecond: options.requestsPerSecond });
    deps.metrics.observe('sip_transactions', 'SIP transactions held', () => this.#agent?.transactionCount ?? 0);
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
    const socket = await (this.#deps.bind ?? bindUdp)({ address: bind, port }, '--sip-port');
    this.#transport = new UdpTransport({
      socket,
      onDatagram: (datagram, source) => this.#receive(datagram, source),
      onSent: () => this.#metrics.sent(),
    });
    const { clock, log } = this.#deps;
    this.#agent = new UserAgent({ clock, log, metrics: this.#metrics }, this.#transport, {
      userAgent,
      maxTransactions: this.#options.maxTransactions ?? MAX_TRANSACTIONS,
      localAddressFor: (remote) => publicAddress ?? localAddressTowards(bind, remote),
    });
    this.#agent.onInvite = this.#onInvite;
    return [this.#transport.listener];
  }

  drain(): void {
    this.#agent?.drain();
  }

  async stop(): Promise<void> {
    this.#transport?.close();
    this.#agent?.stop();
    this.#transport = undefined;
    this.#agent = undefined;
  }

  /** One message must never take the other calls with it, whatever it finds broken behind it. */
  #receive(datagram: Buffer, source: SipSource): void {
    try {
      this.#handleDatagram(datagram, source);
    } catch (error) {
      this.#deps.log.error({ err: error }, 'a sip message could not be handled');
    }
  }

  #handleDatagram(datagram: Buffer, source: SipSource): void {
    if (!this.#guard.admit(source.address, this.#deps.clock.now())) {
      this.#metrics.dropped('rate_limited');
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
}
