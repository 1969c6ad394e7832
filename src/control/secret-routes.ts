import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { GatewayError } from '../base/errors.ts';
import { randomText } from '../base/ids.ts';
import { effectiveSession } from '../realtime/surface/effective-session.ts';
import type { SessionSettings } from '../realtime/surface/session-schema.ts';
import { refuseOthers, sendJson } from './api-server.ts';
import { type BetaSession, betaRealtime, betaTranscription } from './beta-session.ts';
import { DEFAULT_S, type EphemeralSecrets, LONGEST_S, SHORTEST_S } from './ephemeral-secrets.ts';
import { OK } from './http-status.ts';
import { parseBody } from './parse-body.ts';
import { readSession } from './session-request.ts';

const request = z.strictObject({
  expires_after: z
    .strictObject({ anchor: z.literal('created_at').optional(), seconds: z.int().min(SHORTEST_S).max(LONGEST_S).optional() })
    .nullish(),
  session: z.unknown().optional(),
});

/** 96 bits. */
const ID_CHARACTERS = 16;

/** Secrets for browsers: now, and as programs of before the general availability ask for them. */
export function addSecretRoutes(app: FastifyInstance, secrets: EphemeralSecrets): void {
  app.post('/client_secrets', async (request_, reply) => {
    const { expires_after: after, session } = parseBody(request, request_.body ?? {});
    const settings = readSession(session ?? { type: 'realtime' });
    const { value, expiresAt, effective } = mint(request_, settings, after?.seconds ?? DEFAULT_S);
    return sendJson(reply, OK, { value, expires_at: expiresAt, session: effective });
  });
  const beta = (url: string, shape: BetaSession): void => {
    app.post(url, async (request_, reply) => {
      const { settings, tell } = shape(request_.body ?? {});
      const { value, expiresAt, effective } = mint(request_, settings, DEFAULT_S);
      return sendJson(reply, OK, { ...tell(effective), client_secret: { value, expires_at: expiresAt } });
    });
    refuseOthers(app, url, ['POST']);
  };
  beta('/sessions', betaRealtime);
  beta('/transcription_sessions', betaTranscription);
  refuseOthers(app, '/client_secrets', ['POST']);

  function mint({ credential }: FastifyRequest, settings: SessionSettings, lifetimeS: number) {
    if (!credential || credential.secret) throw new GatewayError('ERR_FORBIDDEN', 'A client secret cannot make another one.');
    const { value, expiresAt } = secrets.make(credential.access.project, settings, lifetimeS);
    return { value, expiresAt, effective: effectiveSession(settings, { id: `sess_${randomText(ID_CHARACTERS)}`, expiresAt }) };
  }
}
