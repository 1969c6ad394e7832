import type { FastifyInstance } from 'fastify';
import { NO_CONTENT } from './http-status.ts';

const API = '/v1/';
/** What stock clients send; others are taken as they are asked for. */
const HEADERS = 'authorization, content-type, x-openai-agents-sdk, openai-safety-identifier, openai-beta';
const ASKED = /^[a-z0-9, -]{1,1000}$/i;
/** Browsers ask again after this. */
const MAX_AGE_S = 600;

/**
 * Pages of any origin may call the API: the key they send is what gives them the right, there are no cookies, and without a key a foreign origin
 * is refused (trust.ts). They may read `Location`, which is where the id of a call stands.
 */
export function addCors(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    if (request.headers.origin === undefined || !request.url.startsWith(API)) return undefined;
    reply.headers({ 'access-control-allow-origin': '*', 'access-control-expose-headers': 'location, retry-after' });
    if (request.method !== 'OPTIONS') return undefined;
    const asked = request.headers['access-control-request-headers'];
    const allowed = asked !== undefined && ASKED.test(asked) ? `${HEADERS}, ${asked}` : HEADERS;
    return reply
      .code(NO_CONTENT)
      .headers({
        'access-control-allow-methods': 'GET, POST, OPTIONS',
        'access-control-allow-headers': allowed,
        'access-control-max-age': `${MAX_AGE_S}`,
        vary: 'access-control-request-headers',
      })
      .send();
  });
}
