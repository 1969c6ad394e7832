import { type Fields, idOf, objectOf, textOf } from './server-event.ts';

/** An error of the server, in bounded text. */
export interface ServerFault {
  readonly code: string;
  readonly message: string;
  readonly param?: string;
}

/** Error texts are for people. */
const MOST_MESSAGE_CHARS = 300;
const MOST_CODE_CHARS = 64;

/** Errors with these codes come again at every try. */
const PERMANENT = new Set([
  'invalid_api_key',
  'invalid_model',
  'model_not_found',
  'model_load_error',
  'insufficient_quota',
  'account_deactivated',
  'unsupported_country_region_territory',
]);

/** The server says that its session ends now. */
const ENDS_SESSION = new Set(['session_expired', 'session_limit_reached']);

/** Errors of servers that do not say which event they are about: these are about a response. */
const ABOUT_RESPONSES = /response|rate_limit|server|overload|internal/;

/** Reads an `error` event. @param secret never passed on in anybody's text */
export function readServerFault(
  fields: Fields,
  secret: string | undefined,
): {
  readonly fault: ServerFault;
  readonly eventId: string | undefined;
  readonly kind: 'permanent' | 'ends_session' | 'response' | 'other';
} {
  const error = objectOf(fields, 'error') ?? fields;
  const code = (textOf(error, 'code') || textOf(error, 'type') || 'server_error').slice(0, MOST_CODE_CHARS);
  const clean = (text: string): string => (secret ? text.replaceAll(secret, '[key]') : text).slice(0, MOST_MESSAGE_CHARS);
  const param = textOf(error, 'param');
  const fault = {
    code: clean(code),
    message: clean(textOf(error, 'message') ?? 'the model reported an error'),
    ...(param !== undefined && { param: clean(param) }),
  };
  const eventId = idOf(error, 'event_id');
  if (PERMANENT.has(code)) return { fault, eventId, kind: 'permanent' };
  if (ENDS_SESSION.has(code)) return { fault, eventId, kind: 'ends_session' };
  return { fault, eventId, kind: ABOUT_RESPONSES.test(code) ? 'response' : 'other' };
}
