import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { GatewayError } from '../base/errors.ts';
import type { PersonCommand } from '../leg/person.ts';
import type { SessionHost } from '../leg/session-host.ts';
import {
  dialOf,
  joinOptions,
  makeLegId,
  personConnect,
  personDial,
  personHold,
  personJoin,
  personTransfer,
} from '../realtime/surface/person-event.ts';
import { refuseOthers, sendJson } from './api-server.ts';
import { openBrowserLeg } from './browser-leg.ts';
import { CREATED, OK } from './http-status.ts';
import { parseBody } from './parse-body.ts';

const CALL_ID = /^rtc_[A-Za-z0-9_-]{1,80}$/;
const LEG_ID = /^[A-Za-z0-9_-]{1,64}$/;

const nothing = z.strictObject({});

/** Persons of a call: called for it, connected, put on hold, hung up. Beside the gatekeeper's word, the owner of the session has its own. */
export function addLegRoutes(app: FastifyInstance, host: () => SessionHost): void {
  const command = async ({ credential }: Pick<FastifyRequest, 'credential'>, id: string, person: PersonCommand): Promise<void> => {
    if (!credential) throw new GatewayError('ERR_INTERNAL', 'a route without its gatekeeper');
    if (!CALL_ID.test(id) || (credential.secret && !credential.secret.calls.has(id))) throw noSuchLeg();
    await host().command(id, credential.access, { type: 'person', command: person });
  };
  app.post<{ Params: { id: string } }>('/calls/:id/legs', async (request, reply) => {
    const { id } = request.params;
    if (typeof request.body === 'string') {
      const { leg_id: leg = makeLegId(), ...options } = parseBody(personJoin, request.query ?? {});
      await command(request, id, { type: 'expect', leg, options: joinOptions(options) });
      const joins = { sessionId: id, leg };
      const { answer } = await openBrowserLeg(host(), { offer: request.body, project: '', ephemeral: true, session: {}, joins });
      reply.header('location', `/v1/realtime/calls/${id}/legs/${leg}`).header('content-type', 'application/sdp');
      return reply.code(CREATED).send(answer);
    }
    const dial = parseBody(personDial, request.body ?? {});
    const leg = dial.leg_id ?? makeLegId();
    await command(request, id, dialOf(dial, leg));
    return sendJson(reply, CREATED, { id: leg, object: 'realtime.call.leg', state: 'dialling' });
  });
  refuseOthers(app, '/calls/:id/legs', ['POST']);
  const verb = (name: string, read: (leg: string, body: unknown) => PersonCommand): void => {
    const url = `/calls/:id/legs/:leg/${name}`;
    app.post<{ Params: { id: string; leg: string } }>(url, async (request, reply) => {
      const { id, leg } = request.params;
      if (!LEG_ID.test(leg)) throw noSuchLeg();
      await command(request, id, read(leg, request.body ?? {}));
      return reply.code(OK).send();
    });
    refuseOthers(app, url, ['POST']);
  };
  verb('connect', (leg, body) => ({ type: 'connect', leg, ...parseBody(personConnect, body) }));
  verb('hold', (leg, body) => ({ type: 'hold', leg, ...parseBody(personHold, body) }));
  verb('transfer', (leg, body) => ({ type: 'transfer', leg, ...parseBody(personTransfer, body) }));
  for (const type of ['whisper', 'swap', 'hangup'] as const) {
    verb(type, (leg, body) => {
      parseBody(nothing, body);
      return { type, leg };
    });
  }
}

function noSuchLeg(): GatewayError {
  return new GatewayError('ERR_NOT_FOUND', 'There is no such call or leg.');
}
