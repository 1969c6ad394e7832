import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ServerOptions, WebSocketServer } from 'ws';
import type { Clock } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Counter, Metrics } from '../base/metrics.ts';
import type { OpenedChannel, SessionHost } from '../leg/session-host.ts';
import { type ApiError, apiErrorOf, refuse } from './api-error.ts';
import type { ConnectionBook } from './connection-book.ts';
import { noteCall } from './ephemeral-secrets.ts';
import { bearerOf, type Credential, type Gatekeeper } from './gatekeeper.ts';
import { refuseUpgrade } from './refuse-upgrade.ts';
import { sessionFor } from './session-request.ts';
import { isSipRequest, type SipSocketDoor } from './sip-socket-door.ts';
import { closeCodes, SocketChannel } from './socket-channel.ts';
import { SocketPings } from './socket-pings.ts';
import { pathOf, protocolKeyOf, SOCKET_PATH, type SocketRequest, SUBPROTOCOL, socketRequestOf } from './socket-request.ts';

export interface SocketDoorDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly requests: Counter<'path' | 'status'>;
  readonly connections: ConnectionBook;
  readonly gatekeeper: Gatekeeper;
  /** @throws GatewayError ERR_NODE_UNREACHABLE when no owner of sessions is there */
  readonly host: () => SessionHost;
  /** What takes SIP, on its own path. */
  readonly sip?: SipSocketDoor | undefined;
}

/** An event of a client: 15 MiB of audio as the reference takes it, as base64. */
const MAX_EVENT_BYTES = 20 * 1024 * 1024 + 4096;
/** From our close frame to the client's, and no longer. */
const CLOSE_MS = 5000;
/** An owner that says nothing for so long is not there. */
const OWNER_MS = 10_000;

/** `closeTimeout` is not among the types of ws yet. */
const SERVER_OPTIONS: ServerOptions & { readonly closeTimeout: number } = {
  noServer: true,
  maxPayload: MAX_EVENT_BYTES,
  perMessageDeflate: false,
  clientTracking: true,
  closeTimeout: CLOSE_MS,
  handleProtocols: (protocols) => (protocols.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
};

/** WebSockets of the API: sessions whose audio goes through them, and sidebands of calls. */
export class SocketDoor {
  readonly #deps: SocketDoorDeps;
  readonly #sockets = new WebSocketServer(SERVER_OPTIONS);
  readonly #pings: SocketPings;
  #stopped = false;

  constructor(deps: SocketDoorDeps) {
    this.#deps = deps;
    this.#pings = new SocketPings(deps.clock, this.#sockets);
    deps.metrics.observe('web_sockets', 'WebSockets of the API that are open.', () => this.#sockets.clients.size);
  }

  /** Takes the requests of this server that want to become something else. */
  serve(server: Server): void {
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (this.#deps.sip && isSipRequest(request)) this.#deps.sip.upgrade(request, socket, head);
      else void this.#upgrade(request, socket, head);
    });
    this.#pings.start();
  }

  /** Says goodbye to everybody. */
  stop(): void {
    this.#stopped = true;
    this.#pings.stop();
    for (const socket of this.#sockets.clients) socket.close(closeCodes.goingAway, 'the gateway stops');
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const channel = new SocketChannel();
    const lost = (): void => channel.lost();
    socket.on('error', lost);
    socket.once('close', lost);
    try {
      const refused = await this.#open(request, socket, channel);
      if (refused) {
        this.#refuse(request, socket, refused);
        return;
      }
    } catch (thrown) {
      const answer = apiErrorOf(thrown);
      if (GatewayError.from(thrown).code === 'ERR_INTERNAL') this.#deps.log.error({ err: thrown }, 'http request failed');
      this.#refuse(request, socket, answer);
      channel.lost();
      return;
    }
    if (socket.destroyed || this.#stopped) {
      channel.lost();
      socket.destroy();
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (opened) => {
      this.#deps.requests.inc({ path: SOCKET_PATH, status: 101 });
      this.#pings.watch(opened);
      channel.attach(opened);
    });
    // A handshake that failed was answered and closed by then, which `lost` has heard.
  }

  /** Finds the session that is asked for. @returns why not, where the door itself refuses @throws GatewayError where the owner does */
  async #open(request: IncomingMessage, socket: Duplex, channel: SocketChannel): Promise<ApiError | undefined> {
    const { gatekeeper, connections, host } = this.#deps;
    if (pathOf(request) !== SOCKET_PATH) return refuse('not_found', 'There is no such path for an upgrade.');
    if (request.method !== 'GET' || request.headers.upgrade?.toLowerCase() !== 'websocket') {
      return refuse('upgrade_required', 'This path takes WebSockets.', { upgrade: 'websocket' });
    }
    const admission = gatekeeper.admit(request, bearerOf(request) ?? protocolKeyOf(request));
    if ('refused' in admission) return admission.refused;
    const { credential } = admission;
    const wanted = socketRequestOf(request);
    connections.know(socket);
    const opened = await this.#atMost(this.#openAt(host(), credential, wanted, channel), channel);
    channel.open(opened);
    return undefined;
  }

  async #openAt(host: SessionHost, credential: Credential, wanted: SocketRequest, channel: SocketChannel): Promise<OpenedChannel> {
    const { access, secret } = credential;
    if (wanted.type === 'call') {
      if (secret && !secret.calls.has(wanted.callId))
        throw new GatewayError('ERR_NOT_FOUND', 'There is no such call.', { param: 'call_id' });
      return host.attach(wanted.callId, access, channel);
    }
    const asked = wanted.type === 'session' ? { type: 'realtime', model: wanted.model } : { type: 'transcription' };
    const opened = await host.connect({ access, session: sessionFor(credential, asked) }, channel);
    if (secret) noteCall(secret, opened.sessionId);
    return opened;
  }

  #atMost(opening: Promise<OpenedChannel>, channel: SocketChannel): Promise<OpenedChannel> {
    return new Promise((resolve, reject) => {
      const timer = this.#deps.clock.setTimer(OWNER_MS, () => {
        // What comes of it later belongs to nobody.
        channel.lost();
        opening.then((late) => late.close()).catch(() => undefined);
        reject(new GatewayError('ERR_TIMEOUT', 'The owner of the session did not answer in time.'));
      });
      opening.then(resolve, reject).finally(() => timer.cancel());
    });
  }

  #refuse(request: IncomingMessage, socket: Duplex, answer: ApiError): void {
    this.#deps.requests.inc({ path: pathOf(request) === SOCKET_PATH ? SOCKET_PATH : 'other', status: answer.status });
    refuseUpgrade(socket, answer);
  }
}
