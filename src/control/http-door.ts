import type { FastifyInstance } from 'fastify';
import type { Endpoint } from '../base/addresses.ts';
import type { Clock } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import type { SessionHost } from '../leg/session-host.ts';
import { addAdminRoutes } from './admin-routes.ts';
import { createApiServer, sendError } from './api-server.ts';
import type { CallDialler } from './call-dialler.ts';
import { addCallRoutes } from './call-routes.ts';
import type { Certificates } from './certificates.ts';
import { addDrachtioRoute, type DrachtioRoute } from './drachtio-route.ts';
import { EphemeralSecrets } from './ephemeral-secrets.ts';
import { Gatekeeper } from './gatekeeper.ts';
import type { GatewayControl } from './gateway-control.ts';
import { addHealthRoutes, type Readiness } from './health-routes.ts';
import { HttpListener, type HttpListenerOptions } from './http-listener.ts';
import { KeyBook, type ProjectKeys } from './key-book.ts';
import { addPages, readPages } from './pages.ts';
import { addSecretRoutes } from './secret-routes.ts';
import { SipSocketDoor, type SipSockets } from './sip-socket-door.ts';
import { SocketDoor } from './socket-door.ts';

export interface HttpDoorDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly readiness: () => Readiness;
}

/** What a process with the role `control` serves beside its health. */
export interface ApiOptions {
  readonly projects: readonly ProjectKeys[];
  /** The owner of sessions, as soon as there is one. */
  readonly host: () => SessionHost | undefined;
  /** Who places calls, where somebody does. */
  readonly dialler?: CallDialler;
  readonly certificates?: Certificates;
  /** The process, for whoever runs it. */
  readonly control?: GatewayControl;
  /** The folder of the built pages. */
  readonly pages?: string;
  /** Who speaks SIP over WebSocket. */
  readonly sip?: SipSockets;
  /** Where drachtio servers are sent. */
  readonly drachtio?: DrachtioRoute;
}

export interface HttpDoorOptions extends HttpListenerOptions {
  readonly api?: ApiOptions;
}

/** The HTTP port: health and metrics in every process, and with the role `control` the Realtime API and the pages, with TLS or without. */
export class HttpDoor {
  readonly #deps: HttpDoorDeps;
  readonly #api: ApiOptions | undefined;
  readonly #listener: HttpListener;
  readonly #gatekeeper: Gatekeeper;
  #app: FastifyInstance | undefined;
  #sockets: SocketDoor | undefined;
  #sip: SipSocketDoor | undefined;

  constructor(deps: HttpDoorDeps, { api, ...listening }: HttpDoorOptions) {
    this.#deps = deps;
    this.#api = api;
    this.#listener = new HttpListener(deps, listening);
    this.#gatekeeper = new Gatekeeper(new KeyBook(api?.projects ?? []), new EphemeralSecrets(deps.clock));
  }

  /**
   * Listens.
   * @throws GatewayError ERR_PORT_IN_USE naming the port and the flag that moves it, ERR_CONFIG for a certificate that cannot be used
   */
  async start(): Promise<Endpoint> {
    const { clock, log, metrics, readiness } = this.#deps;
    const requests = metrics.counter('http_requests_total', 'HTTP requests by path and status', ['path', 'status']);
    metrics.observe('http_connections', 'TCP connections of the HTTP port.', () => this.#listener.connections.size);
    const app = createApiServer(this.#listener, log, requests);
    this.#app = app;
    addHealthRoutes(app, { clock, metrics, readiness, gatekeeper: this.#gatekeeper });
    if (this.#api) await this.#addApi(app, this.#api);
    await app.ready();
    if (this.#api) {
      const host = this.#hostOf(this.#api);
      const { connections } = this.#listener;
      const gatekeeper = this.#gatekeeper;
      const { sip } = this.#api;
      this.#sip = sip && new SipSocketDoor({ clock, metrics, requests, connections, gatekeeper, sip });
      this.#sockets = new SocketDoor({ clock, log, metrics, requests, connections, gatekeeper, host, sip: this.#sip });
      this.#sockets.serve(app.server);
    }
    return this.#listener.start();
  }

  /** Takes no more connections and closes those there are, within half a second. Safe to call twice, and before start. */
  async stop(): Promise<void> {
    this.#api?.certificates?.stop();
    this.#sockets?.stop();
    this.#sip?.stop();
    await this.#listener.stop();
    await this.#app?.close();
  }

  /** Other keys from now on. */
  setProjects(projects: readonly ProjectKeys[]): void {
    this.#gatekeeper.setKeys(new KeyBook(projects));
  }

  async #addApi(app: FastifyInstance, api: ApiOptions): Promise<void> {
    const { certificates, dialler, pages } = api;
    if (certificates) {
      certificates.onChange = (context) => {
        this.#listener.secureContext = context;
      };
      this.#listener.secureContext = await certificates.start();
    }
    if (pages !== undefined) addPages(app, await readPages(pages, this.#deps.log));
    if (api.drachtio) addDrachtioRoute(app, api.drachtio, this.#deps.readiness);
    const host = this.#hostOf(api);
    const { secrets } = this.#gatekeeper;
    await app.register(
      (v1, _options, done) => {
        this.#guard(v1);
        addCallRoutes(v1, { clock: this.#deps.clock, host, dialler });
        addSecretRoutes(v1, secrets);
        done();
      },
      { prefix: '/v1/realtime' },
    );
    const { control } = api;
    if (!control) return;
    await app.register(
      (v1, _options, done) => {
        this.#guard(v1);
        addAdminRoutes(v1, { control, keys: () => this.#gatekeeper.keys });
        done();
      },
      { prefix: '/v1' },
    );
  }

  /** Who is not let in is told so before anything is read. */
  #guard(app: FastifyInstance): void {
    app.addHook('onRequest', async (request, reply) => {
      const admission = this.#gatekeeper.admit(request.raw);
      if ('refused' in admission) return sendError(reply, admission.refused);
      request.credential = admission.credential;
      this.#listener.connections.know(request.raw.socket);
      return undefined;
    });
  }

  #hostOf({ host }: ApiOptions): () => SessionHost {
    return () => {
      const found = host();
      if (!found) throw new GatewayError('ERR_NODE_UNREACHABLE', 'There is no owner of sessions.');
      return found;
    };
  }
}
