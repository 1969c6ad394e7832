import { GatewayError } from '../base/errors.ts';
import { type ErrorAnswer, type ErrorType, errorAnswers, RETRY_AFTER_S, type Refusal, refusals } from './http-status.ts';

/** An answer that is an error, in the shape the OpenAI API has. */
export interface ApiError {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** A request that is at fault, in the reference's own words. */
export class RequestError extends GatewayError {
  /** `unknown_parameter`, `missing_required_parameter`, … */
  readonly reason: string;

  constructor(message: string, param: string | undefined, reason = 'invalid_value') {
    super('ERR_BAD_REQUEST', message, { param });
    this.name = 'RequestError';
    this.reason = reason;
  }
}

const TYPES: Partial<Record<Refusal, ErrorType>> = {
  not_trusted: 'permission_error',
  invalid_api_key: 'authentication_error',
  missing_api_key: 'authentication_error',
  internal_error: 'server_error',
};

/** What the door itself refuses. */
export function refuse(refusal: Refusal, message: string, headers: Readonly<Record<string, string>> = {}): ApiError {
  const status = refusals[refusal];
  const more: Record<string, string> = status === refusals.missing_api_key ? { 'www-authenticate': 'Bearer' } : {};
  return {
    status,
    body: errorBody(message, TYPES[refusal] ?? 'invalid_request_error', refusal, undefined),
    headers: { ...more, ...headers },
  };
}

/** What anything thrown becomes. Of faults of ours the client learns nothing but that they are ours. */
export function apiErrorOf(thrown: unknown): ApiError {
  const framework = frameworkRefusal(thrown);
  if (framework) return refuse(framework, (thrown as Error).message);
  const error = GatewayError.from(thrown);
  const answer: ErrorAnswer = errorAnswers[error.code];
  const message = answer.code === 'internal_error' ? 'The gateway could not answer; its log says why.' : error.message;
  const code = error instanceof RequestError ? error.reason : answer.code;
  const retry: Record<string, string> = answer.isRepeatable ? { 'retry-after': `${RETRY_AFTER_S}` } : { 'x-should-retry': 'false' };
  return { status: answer.status, body: errorBody(message, answer.type, code, error.param), headers: retry };
}

/** Errors of the framework and of Node's parser carry the status they stand for; ours never do. */
function frameworkRefusal(thrown: unknown): Refusal | undefined {
  const { code, statusCode } = (thrown ?? {}) as { code?: unknown; statusCode?: unknown };
  if (statusCode === refusals.request_too_large) return 'request_too_large';
  // multipart/form-data is expected where fastify says 406.
  if (statusCode === refusals.unsupported_media_type || code === 'FST_INVALID_MULTIPART_CONTENT_TYPE') return 'unsupported_media_type';
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500 ? 'invalid_request' : undefined;
}

function errorBody(message: string, type: ErrorType, code: string, param: string | undefined): string {
  return `${JSON.stringify({ error: { message, type, code, param: param ?? null } })}\n`;
}
