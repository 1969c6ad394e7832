import multipart from '@fastify/multipart';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify, type HTTPMethods } from 'fastify';
import type { Logger } from '../base/log.ts';
import type { Counter } from '../base/metrics.ts';
import { parseJson } from '../realtime/safe-json.ts';
import { type ApiError, apiErrorOf, RequestError, refuse } from './api-error.ts';
import { addCors } from './cors.ts';
import type { Credential } from './gatekeeper.ts';
import type { HttpListener } from './http-listener.ts';
import { refusals } from './http-status.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The methods that a path takes, when this route is there to refuse the others. */
    allow?: string;
  }
  interface FastifyRequest {
    /** Set where a route asks for one. */
    credential: Credential | undefined;
  }
}

/** A body of the API: a session with instructions and tools. What the reference takes. */
const MAX_BODY_BYTES = 1024 * 1024;
/** An SDP of a browser has 2 to 6 kB. */
export const MAX_SDP_BYTES = 64 * 1024;
/** `rtc_…` has 30 characters. */
const MAX_PARAM = 128;

const METHODS: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'];

/** The web framework with our limits and our shape of errors. Routes are added before `ready()`. */
export function createApiServer(listener: HttpListener, log: Logger, requests: Counter<'path' | 'status'>): FastifyInstance {
  const app = fastify({
    serverFactory: (handler) => listener.serve(handler),
    bodyLimit: MAX_BODY_BYTES,
    logger: false,
    trustProxy: false,
    routerOptions: { caseSensitive: true, ignoreTrailingSlash: false, ignoreDuplicateSlashes: false, maxParamLength: MAX_PARAM },
    frameworkErrors: (error, _request, reply) => void sendError(reply as FastifyReply, apiErrorOf(error)),
    clientErrorHandler: (error, socket) => {
      if (!socket.writable) return void socket.destroy();
      const { status, body } = clientError((error as NodeJS.ErrnoException).code);
      socket.end(
        `HTTP/1.1 ${status} ${reasonPhrases[status] ?? 'Bad Request'}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
      );
    },
  });
  app.decorateRequest('credential', undefined);
  addCors(app);
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    const { allow } = request.routeOptions.config;
    // In an absolute URI another host may stand than in Host, which trust has looked at (RFC 9112 §3.2.2).
    if (!request.raw.url?.startsWith('/')) return sendError(reply, refuse('invalid_request', 'The request line must have a path.'));
    // Before the body: nobody waits for a body that nothing is done with.
    if (request.is404) return sendError(reply, refuse('not_found', 'There is no such path.'));
    if (allow !== undefined) return sendError(reply, refuse('method_not_allowed', `This path takes ${allow}.`, { allow }));
    return undefined;
  });
  app.addHook('onResponse', async (request, reply) => {
    const path = request.is404 ? 'other' : (request.routeOptions.url ?? 'other');
    requests.inc({ path, status: reply.statusCode });
  });
  app.setErrorHandler((error, _request, reply) => {
    const answer = apiErrorOf(error);
    if (answer.status === refusals.internal_error) log.error({ err: error }, 'http request failed');
    return sendError(reply, answer);
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, async (_request: FastifyRequest, body: string) => jsonOf(body));
  app.addContentTypeParser(
    'application/sdp',
    { parseAs: 'string', bodyLimit: MAX_SDP_BYTES },
    async (_: FastifyRequest, body: string) => body,
  );
  void app.register(multipart, {
    // An SDP and a session, as fields or as files, and nothing else.
    limits: { fieldNameSize: 64, fieldSize: MAX_BODY_BYTES, fields: 2, fileSize: MAX_BODY_BYTES, files: 2, headerPairs: 32, parts: 2 },
  });
  return app;
}

/** Every other method of a path is refused, with the ones it takes. */
export function refuseOthers(app: FastifyInstance, url: string, taken: readonly HTTPMethods[]): void {
  const allow = [...taken, ...(taken.includes('GET') ? ['HEAD'] : [])];
  const method = METHODS.filter((each) => !allow.includes(each) && app.supportedMethods.includes(each));
  app.route({ method, url, config: { allow: allow.join(', ') }, handler: async () => undefined });
}

export function sendError(reply: FastifyReply, { status, body, headers }: ApiError): FastifyReply {
  return reply.code(status).headers(headers).header('content-type', 'application/json').send(body);
}

export function sendJson(reply: FastifyReply, status: number, body: unknown): FastifyReply {
  return reply
    .code(status)
    .header('content-type', 'application/json')
    .send(`${JSON.stringify(body)}\n`);
}

/** The value of a JSON body; undefined for an empty one. @throws RequestError */
export function jsonOf(body: string, param?: string): unknown {
  if (body.trim() === '') return undefined;
  const value = parseJson(body);
  if (value === undefined) throw new RequestError('The body is not JSON, or too deeply nested.', param, 'invalid_json');
  return value;
}

const reasonPhrases: Readonly<Record<number, string>> = {
  [refusals.invalid_request]: 'Bad Request',
  [refusals.request_timeout]: 'Request Timeout',
  [refusals.headers_too_large]: 'Request Header Fields Too Large',
};

/** What is not even a request. */
function clientError(code: string | undefined): ApiError {
  if (code === 'HPE_HEADER_OVERFLOW') return refuse('headers_too_large', 'The headers are too large.');
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return refuse('request_timeout', 'The request took too long.');
  return refuse('invalid_request', 'This is not HTTP.');
}
