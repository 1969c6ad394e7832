import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import { type Endpoint, plainAddress } from '../base/addresses.ts';
import type { Clock } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import type { MessageSocket } from '../base/message-socket.ts';
import type { Counter, Metrics } from '../base/metrics.ts';
import { type ApiError, apiErrorOf, refuse } from './api-error.ts';
import type { ConnectionBook } from './connection-book.ts';
import { EphemeralSecrets } from './ephemeral-secrets.ts';
import { bearerOf, type Gatekeeper } from './gatekeeper.ts';
import { refuseUpgrade } from './refuse-upgrade.ts';
import { closeCodes } from './socket-channel.ts';
import { SocketPings } from './socket-pings.ts';
import { pathOf, protocolKeyOf } from './socket-request.ts';

/** Who speaks SIP to the WebSockets that come. */
export interface SipSockets {
  /** `trusted`: whom the API lets in. */
  readonly who: 'trusted' | 'anyone' | 'off';
  /** Web sites whose pages may open one, besides our own. */
  readonly origins: readonly string[];
  /** Takes one that was let in; undefined while, or where, nobody speaks SIP. */
  readonly accept: () => ((socket: MessageSocket) => void) | undefined;
}

export interface SipSocketDoorDeps {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly requests: Counter<'path' | 'status'>;
  readonly connections: ConnectionBook;
  readonly gatekeeper: Gatekeeper;
  readonly sip: SipSockets;
}

const SIP_PATH = '/sip';
/** RFC 7118 §4. */
const SUBPROTOCOL = 'sip';
/** A SIP message; what is longer is cut with 1009. */
const MAX_MESSAGE_BYTES = 65_536;
/** Nobody cuts a SIP message into more pieces than this. */
const MAX_FRAGMENTS = 64;
/** From our close frame to the client's, and no longer. */
const CLOSE_MS = 5000;

/** Some of these are not among the types of ws yet. */
const SERVER_OPTIONS: ServerOptions & { readonly closeTimeout: number; readonly maxFragments: number } = {
  noServer: true,
  maxPayload: MAX_MESSAGE_BYTES,
  maxFragments: MAX_FRAGMENTS,
  perMessageDeflate: false,
  clientTracking: true,
  closeTimeout: CLOSE_MS,
  handleProtocols: (protocols) => (protocols.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
};

/** SIP over WebSocket on the HTTP port (RFC 7118): decides who may open one and hands it on; who may call is for digest to say. */
export class SipSocketDoor {
  readonly #deps: SipSocketDoorDeps;
  readonly #server = new WebSocketServer(SERVER_OPTIONS);
  readonly #pings: SocketPings;

  constructor(deps: SipSocketDoorDeps) {
    this.#deps = deps;
    this.#pings = new SocketPings(deps.clock, this.#server);
    this.#pings.start();
  }

  stop(): void {
    this.#pings.stop();
    for (const socket of this.#server.clients) socket.close(closeCodes.goingAway, 'the gateway stops');
  }

  /** A request for SIP_PATH that wants to become something else. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => undefined); // 'close' follows
    const accept = this.#deps.sip.accept();
    const refused = this.#refusal(request, socket, accept !== undefined);
    if (refused || !accept) {
      const answer = refused ?? unavailable();
      this.#deps.requests.inc({ path: SIP_PATH, status: answer.status });
      refuseUpgrade(socket, answer);
      return;
    }
    const { remoteAddress = '', remotePort = 0, encrypted } = request.socket as TLSSocket;
    const remote = { address: plainAddress(remoteAddress), port: remotePort };
    this.#server.handleUpgrade(request, socket, head, (opened) => {
      this.#deps.requests.inc({ path: SIP_PATH, status: 101 });
      this.#pings.watch(opened);
      accept(new SipSocket(opened, remote, encrypted === true));
    });
  }

  /** Why it may not be opened; undefined when it may. */
  #refusal(request: IncomingMessage, socket: Duplex, speaks: boolean): ApiError | undefined {
    const { sip, gatekeeper, connections } = this.#deps;
    if (sip.who === 'off') return refuse('not_found', 'SIP over WebSocket is switched off (sip.ws).');
    if (request.method !== 'GET' || request.headers.upgrade?.toLowerCase() !== 'websocket') {
      return refuse('upgrade_required', 'This path takes WebSockets.', { upgrade: 'websocket' });
    }
    const foreign = foreignOrigin(request);
    if (foreign !== undefined && !sip.origins.includes(foreign)) {
      return refuse('not_trusted', 'Pages of this web site may not open it; sip.ws-origins names those that may.');
    }
    if (sip.who === 'trusted') {
      const admission = gatekeeper.admit(request, bearerOf(request) ?? protocolKeyOf(request) ?? secretOf(request));
      if ('refused' in admission) return admission.refused;
      connections.know(socket);
    }
    if (!offersSip(request)) return refuse('invalid_request', 'The sub-protocol "sip" is not offered (RFC 7118).');
    return speaks ? undefined : unavailable();
  }
}

function unavailable(): ApiError {
  const why =
    'SIP over WebSocket is served where the roles sip and control are in one process, without drachtio, as soon as it has started.';
  return apiErrorOf(new GatewayError('ERR_NODE_UNREACHABLE', why));
}

/** Where the page comes from that asks, if it is not one of ours. Programs have no origin. */
function foreignOrigin({ headers, socket }: IncomingMessage): string | undefined {
  const own = `${(socket as TLSSocket).encrypted === true ? 'https' : 'http'}://${headers.host}`;
  return headers.origin === own ? undefined : headers.origin;
}

/**
 * The client secret in the query: a page can set neither headers nor, with SIP libraries, another sub-protocol. Keys are not taken there: addresses
 * are logged by all sorts of programs, and a secret is old news in minutes.
 */
function secretOf({ url = '' }: IncomingMessage): string | undefined {
  const secret = new URLSearchParams(url.slice(url.indexOf('?') + 1)).get('client_secret') ?? '';
  return EphemeralSecrets.isOne(secret) && secret.length <= 512 ? secret : undefined;
}

function offersSip({ headers }: IncomingMessage): boolean {
  return (headers['sec-websocket-protocol'] ?? '').split(',').some((word) => word.trim() === SUBPROTOCOL);
}

/** Is it a request for SIP? */
export function isSipRequest(request: IncomingMessage): boolean {
  return pathOf(request) === SIP_PATH;
}

class SipSocket implements MessageSocket {
  readonly remote: Endpoint;
  readonly encrypted: boolean;
  readonly #socket: WebSocket;
  onMessage: ((message: Buffer) => void) | undefined;
  onClose: (() => void) | undefined;

  constructor(socket: WebSocket, remote: Endpoint, encrypted: boolean) {
    this.#socket = socket;
    this.remote = remote;
    this.encrypted = encrypted;
    socket.on('message', (data: Buffer) => this.onMessage?.(data));
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => this.onClose?.());
  }

  get queuedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** As text, which all clients read; bytes that are none, a peer's name in Latin-1 for one, would cost the connection (RFC 6455 §8.1). */
  send(message: Uint8Array, onFailed?: () => void): void {
    if (this.#socket.readyState !== this.#socket.OPEN) onFailed?.();
    else this.#socket.send(message, { binary: !isUtf8(message) }, (error) => error && onFailed?.());
  }

  pause(): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(code: number, reason: string): void {
    this.#socket.resume(); // or the answer to our close frame would never be read
    this.#socket.close(code, reason);
  }
}
