import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import type { CallCommand, CallView, SessionHost } from '../leg/session-host.ts';
import { amdSchema, USERS_TRUNK } from '../realtime/surface/person-event.ts';
import { RequestError } from './api-error.ts';
import { jsonOf, MAX_SDP_BYTES, refuseOthers, sendJson } from './api-server.ts';
import { openBrowserLeg } from './browser-leg.ts';
import type { CallDialler } from './call-dialler.ts';
import { callFactsView } from './call-facts-view.ts';
import { addDigitRoutes } from './digit-routes.ts';
import { noteCall } from './ephemeral-secrets.ts';
import type { Credential } from './gatekeeper.ts';
import { CREATED, OK } from './http-status.ts';
import { addLegRoutes } from './leg-routes.ts';
import { parseBody } from './parse-body.ts';
import { headersPart, requestHeaders } from './request-headers.ts';
import { readSession, sessionFor } from './session-request.ts';

export interface CallRoutesDeps {
  readonly clock: Clock;
  /** @throws GatewayError ERR_NODE_UNREACHABLE when no owner of sessions is there */
  readonly host: () => SessionHost;
  readonly dialler: CallDialler | undefined;
}

/** What a phone's side is told when a program says no more than "no". */
const DECLINE = 603;

const CALL_ID = /^rtc_[A-Za-z0-9_-]{1,80}$/;
/** A URI to be called, in visible ASCII: it becomes a header. */
const TARGET = /^(?:sips?|tel):[!#-;=?-~]{1,250}$/i;

/** Streams of a data channel; 65535 is reserved (RFC 8832 §6). */
const MOST_STREAM = 65_534;

const reject = z.strictObject({ status_code: z.int().min(300).max(699).optional() });
const refer = z.strictObject({ target_uri: z.string().regex(TARGET), ...requestHeaders });
const hangup = z.strictObject(requestHeaders);
const dial = z.strictObject({
  session: z.unknown().optional(),
  transport: z.strictObject({
    type: z.literal('sip'),
    destination: z.string().min(1).max(256),
    trunk: z.string().min(1).max(64).optional(),
    from: z.string().min(1).max(64).optional(),
    ...requestHeaders,
  }),
  amd: amdSchema.optional(),
});

/** Calls: made by browsers and programs, decided, moved and ended by programs. */
export function addCallRoutes(app: FastifyInstance, { clock, host, dialler }: CallRoutesDeps): void {
  app.post('/calls', async (request, reply) => {
    const credential = credentialOf(request);
    if (isType(request, 'application/json')) return place(request, reply, credential, dialler);
    const dataChannelId = readStream(request);
    const { sdp, session } = await readOffer(request);
    const made = sessionFor(credential, session);
    const { project, ephemeral } = credential.access;
    const { sessionId, answer } = await openBrowserLeg(host(), { offer: sdp, project, ephemeral, session: made, dataChannelId });
    if (credential.secret) noteCall(credential.secret, sessionId);
    return reply.code(CREATED).header('location', locationOf(sessionId)).header('content-type', 'application/sdp').send(answer);
  });
  app.get('/calls', async (request, reply) => {
    const calls = await reachable(host(), credentialOf(request));
    return sendJson(reply, OK, { object: 'list', data: calls.map(viewOf) });
  });
  app.get<{ Params: { id: string } }>('/calls/:id', async (request, reply) => {
    const found = (await reachable(host(), credentialOf(request))).find(({ id }) => id === request.params.id);
    if (!found) throw noSuchCall();
    return sendJson(reply, OK, viewOf(found));
  });
  app.post<{ Params: { id: string } }>('/calls/:id', async (request, reply) => {
    const { access, secret } = credentialOf(request);
    const { id } = request.params;
    if (!CALL_ID.test(id) || (secret && !secret.calls.has(id))) throw noSuchCall();
    const answer = await host().restart(id, access, readSdp(request, 'The body is an SDP offer (application/sdp): it restarts ICE.'));
    return reply.code(OK).header('content-type', 'application/sdp').send(answer);
  });
  const command = (name: string, read: (body: unknown) => CallCommand): void => {
    const url = `/calls/:id/${name}`;
    app.post<{ Params: { id: string } }>(url, async (request, reply) => {
      const { access, secret } = credentialOf(request);
      const { id } = request.params;
      if (!CALL_ID.test(id) || (secret && !secret.calls.has(id))) throw noSuchCall();
      await host().command(id, access, read(request.body));
      return reply.code(OK).send();
    });
    refuseOthers(app, url, ['POST']);
  };
  command('accept', (body) => ({ type: 'accept', session: readSession(body ?? {}) }));
  command('reject', (body) => ({ type: 'reject', status: parseBody(reject, body ?? {}).status_code ?? DECLINE }));
  command('refer', (body) => {
    const read = parseBody(refer, body ?? {});
    return { type: 'refer', target: read.target_uri, ...headersPart(read) };
  });
  command('hangup', (body) => {
    return { type: 'hangup', ...headersPart(parseBody(hangup, body ?? {})) };
  });
  addLegRoutes(app, host);
  addDigitRoutes(app, { host, clock });
  refuseOthers(app, '/calls', ['GET', 'POST']);
  refuseOthers(app, '/calls/:id', ['GET', 'POST']);
}

async function place(
  request: FastifyRequest,
  reply: FastifyReply,
  { access, secret }: Credential,
  dialler: CallDialler | undefined,
): Promise<FastifyReply> {
  if (secret) throw new GatewayError('ERR_FORBIDDEN', 'A client secret cannot place calls.');
  const { session, transport, amd } = parseBody(dial, request.body);
  const made = readSession(session);
  if (!dialler) throw new GatewayError('ERR_NODE_UNREACHABLE', 'There is nobody who places calls.');
  const { destination, from } = transport;
  const trunk = transport.trunk ?? (destination.startsWith('user:') ? USERS_TRUNK : undefined);
  if (trunk === undefined) {
    throw new RequestError("Missing required parameter: 'transport.trunk'.", 'transport.trunk', 'missing_required_parameter');
  }
  const id = await dialler.dial(
    { destination, trunk, ...(from === undefined ? {} : { from }), ...headersPart(transport) },
    { project: access.project, decide: { by: 'answer' }, session: made, ...(amd && { amd: { onMachine: amd.on_machine } }) },
  );
  reply.header('location', locationOf(id));
  return sendJson(reply, CREATED, { session: { id }, transport: { type: 'sip' } });
}

interface Offer {
  readonly sdp: string;
  readonly session: unknown;
}

/** The SDP and, where the body has one, the session. @throws RequestError */
async function readOffer(request: FastifyRequest): Promise<Offer> {
  if (request.isMultipart()) return readMultipart(request).catch(faultOfForm);
  const sdp = readSdp(request, 'The body is an SDP offer (application/sdp), or multipart/form-data with sdp and session.');
  const { model } = request.query as { model?: unknown };
  if (model === undefined) return { sdp, session: undefined };
  return { sdp, session: { type: 'realtime', model } };
}

/** @throws RequestError in these words when the body is none */
function readSdp({ body }: FastifyRequest, otherwise: string): string {
  if (typeof body === 'string' && body !== '') return body;
  throw new RequestError(otherwise, 'sdp', 'missing_required_parameter');
}

/** `?dcid=N`: the client has made its data channel by itself (negotiated), which saves a round trip. @throws RequestError */
function readStream(request: FastifyRequest): number | undefined {
  const { dcid } = request.query as { dcid?: unknown };
  if (dcid === undefined) return undefined;
  const stream = typeof dcid === 'string' && /^\d{1,5}$/.test(dcid) ? Number(dcid) : Number.NaN;
  if (stream <= MOST_STREAM) return stream;
  throw new RequestError(`Invalid 'dcid': a number from 0 to ${MOST_STREAM}.`, 'dcid', 'invalid_value');
}

/** Clients send both parts as fields, or both as files. */
async function readMultipart(request: FastifyRequest): Promise<Offer> {
  const parts = new Map<string, string>();
  for await (const part of request.parts()) {
    const value = part.type === 'file' ? (await part.toBuffer()).toString('utf8') : textOf(part.value);
    if (part.fieldname !== 'sdp' && part.fieldname !== 'session') {
      throw new RequestError(`Unknown parameter: '${part.fieldname}'.`, part.fieldname, 'unknown_parameter');
    }
    if (part.type === 'field' && part.valueTruncated)
      throw new RequestError(`'${part.fieldname}' is too long.`, part.fieldname, 'string_above_max_length');
    if (parts.has(part.fieldname)) throw new RequestError(`'${part.fieldname}' stands there twice.`, part.fieldname);
    parts.set(part.fieldname, value);
  }
  const sdp = parts.get('sdp') ?? '';
  if (sdp === '') throw new RequestError("Missing required parameter: 'sdp'.", 'sdp', 'missing_required_parameter');
  if (sdp.length > MAX_SDP_BYTES) throw new RequestError('The SDP is too long.', 'sdp', 'string_above_max_length');
  return { sdp, session: jsonOf(parts.get('session') ?? '', 'session') };
}

/** What is not a form is told in the parser's words, which are plain errors. */
function faultOfForm(thrown: unknown): never {
  if (thrown instanceof GatewayError || typeof (thrown as { code?: unknown }).code === 'string') throw thrown;
  throw new RequestError(thrown instanceof Error ? thrown.message : 'The form cannot be read.', undefined, 'invalid_multipart');
}

/** A field that says it is JSON arrives parsed. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

/** What this bearer may know of. */
async function reachable(host: SessionHost, { access, secret }: Credential): Promise<readonly CallView[]> {
  const calls = await host.list(access);
  return secret ? calls.filter(({ id }) => secret.calls.has(id)) : calls;
}

function viewOf({ id, kind, direction, state, startedAt, legs = [], facts }: CallView): unknown {
  const persons = legs.map((each) => ({ id: each.leg, state: each.state }));
  return {
    id,
    object: 'realtime.call',
    kind,
    direction,
    state,
    created_at: Math.floor(startedAt / 1000),
    legs: persons,
    ...(facts && { call: callFactsView(facts) }),
  };
}

function credentialOf({ credential }: FastifyRequest): Credential {
  if (!credential) throw new GatewayError('ERR_INTERNAL', 'a route without its gatekeeper');
  return credential;
}

function isType({ headers }: FastifyRequest, type: string): boolean {
  return headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase() === type;
}

function locationOf(id: string): string {
  return `/v1/realtime/calls/${id}`;
}

function noSuchCall(): GatewayError {
  return new GatewayError('ERR_NOT_FOUND', 'There is no such call.');
}
