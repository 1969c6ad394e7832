import type { FastifyInstance } from 'fastify';
import type { Clock } from '../base/clock.ts';
import type { Metrics } from '../base/metrics.ts';
import { refuse } from './api-error.ts';
import { refuseOthers, sendError, sendJson } from './api-server.ts';
import { bearerOf, distrustOf, type Gatekeeper } from './gatekeeper.ts';
import { NOT_READY, OK } from './http-status.ts';

export interface Readiness {
  readonly ready: boolean;
  /** Why not, in a few words: `starting`, `draining`. */
  readonly reason?: string;
}

export interface HealthRoutesDeps {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly readiness: () => Readiness;
  readonly gatekeeper: Gatekeeper;
}

/** /healthz and /readyz for everybody, /metrics for this machine (without a proxy) and for bearers of a key. */
export function addHealthRoutes(app: FastifyInstance, { clock, metrics, readiness, gatekeeper }: HealthRoutesDeps): void {
  const startedAt = clock.now();
  app.get('/healthz', (_, reply) => sendJson(reply, OK, { alive: true, uptime_s: Math.floor((clock.now() - startedAt) / 1000) }));
  app.get('/readyz', (_, reply) => {
    const { ready, reason } = readiness();
    return sendJson(reply, ready ? OK : NOT_READY, reason === undefined ? { ready } : { ready, reason });
  });
  app.get('/metrics', async (request, reply) => {
    const key = bearerOf(request.raw);
    const reason = key !== undefined && gatekeeper.keys.projectOf(key) !== undefined ? undefined : distrustOf(request.raw);
    if (reason !== undefined) {
      const message = `Metrics are served to bearers of a key, and to programs on this machine by http://127.0.0.1: ${reason}.`;
      return sendError(reply, refuse('not_trusted', message));
    }
    return reply
      .code(OK)
      .header('content-type', metrics.contentType)
      .send(await metrics.text());
  });
  for (const path of ['/healthz', '/readyz', '/metrics']) refuseOthers(app, path, ['GET']);
}
