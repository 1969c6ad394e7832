import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import type { SessionHost } from '../leg/session-host.ts';
import { digitRules } from '../realtime/surface/digit-rules.ts';
import { refuseOthers, sendJson } from './api-server.ts';
import { DigitRequest } from './digit-request.ts';
import { OK } from './http-status.ts';
import { parseBody } from './parse-body.ts';

const CALL_ID = /^rtc_[A-Za-z0-9_-]{1,80}$/;

/** Longer than a card takes, and shorter than proxies and clients wait for an answer (Node's own five minutes). */
const WITHIN_MS = 120_000;

const digits = z.strictObject(digitRules);

/** Keys that a caller types, as the answer to the request that asks for them. */
export function addDigitRoutes(app: FastifyInstance, deps: { readonly host: () => SessionHost; readonly clock: Clock }): void {
  const url = '/calls/:id/digits';
  app.post<{ Params: { id: string } }>(url, async (request, reply) => {
    const { credential, params, body } = request;
    if (!credential) throw new GatewayError('ERR_INTERNAL', 'a route without its gatekeeper');
    if (credential.secret) throw new GatewayError('ERR_FORBIDDEN', 'A client secret may not collect keys.');
    if (!CALL_ID.test(params.id)) throw new GatewayError('ERR_NOT_FOUND', 'There is no such call.');
    const { within_ms: withinMs = WITHIN_MS, ...rules } = parseBody(digits, body ?? {});
    const ask = { sessionId: params.id, access: credential.access, rules: { ...rules, within_ms: withinMs }, withinMs };
    const asked = new DigitRequest({ host: deps.host(), clock: deps.clock }, ask);
    // Of a client that has gone nothing is left: neither the mask nor what was typed.
    reply.raw.once('close', () => asked.leave());
    return sendJson(reply, OK, { object: 'realtime.call.digits', ...(await asked.collected) });
  });
  refuseOthers(app, url, ['POST']);
}
