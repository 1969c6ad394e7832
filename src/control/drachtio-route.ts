import type { FastifyInstance } from 'fastify';
import { plainAddress } from '../base/addresses.ts';
import { refuse } from './api-error.ts';
import { refuseOthers, sendError, sendJson } from './api-server.ts';
import type { Readiness } from './health-routes.ts';
import { OK } from './http-status.ts';

/** Where drachtio servers are sent with a new call. */
export interface DrachtioRoute {
  /** May a server at this address ask? */
  readonly mayAsk: (address: string) => boolean;
  /** `host:port`; undefined while nothing listens. */
  readonly at: () => string | undefined;
}

const PATH = '/drachtio/route';

/** Asked by a drachtio server for each new request (its `--http-handler`): goes on to us, or is refused while we take no calls. */
export function addDrachtioRoute(app: FastifyInstance, { mayAsk, at }: DrachtioRoute, readiness: () => Readiness): void {
  app.get(PATH, (request, reply) => {
    const { socket } = request.raw;
    if (!mayAsk(plainAddress(socket.remoteAddress ?? ''))) {
      return sendError(reply, refuse('not_trusted', 'Only the drachtio servers of `drachtio.allow` are answered here.'));
    }
    const uri = at();
    // OPTIONS of a proxy that looks for another way are answered by us, draining or not.
    const { method } = request.query as { readonly method?: unknown };
    if (uri === undefined || (!readiness().ready && method === 'INVITE')) {
      return sendJson(reply, OK, { action: 'reject', data: { status: 503, reason: 'Service Unavailable' } });
    }
    return sendJson(reply, OK, { action: 'route', data: { uri } });
  });
  refuseOthers(app, PATH, ['GET']);
}
