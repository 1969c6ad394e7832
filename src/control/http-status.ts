import type { ErrorCode } from '../base/errors.ts';

/** The HTTP answers of the gateway to what it refuses. No status code stands anywhere else. */
export const refusals = {
  not_trusted: 403,
  invalid_api_key: 401,
  missing_api_key: 401,
  not_found: 404,
  method_not_allowed: 405,
  upgrade_required: 426,
  invalid_request: 400,
  request_too_large: 413,
  unsupported_media_type: 415,
  request_timeout: 408,
  headers_too_large: 431,
  internal_error: 500,
} as const;

export type Refusal = keyof typeof refusals;

export const OK = 200;
export const CREATED = 201;
export const BAD_REQUEST = 400;
export const NO_CONTENT = 204;
export const NOT_MODIFIED = 304;
export const NOT_READY = 503;

/** Who has to do something about an error, in the reference's words. */
export type ErrorType = 'invalid_request_error' | 'authentication_error' | 'permission_error' | 'server_error';

export interface ErrorAnswer {
  readonly status: number;
  readonly type: ErrorType;
  readonly code: string;
  /** The stock client repeats requests by itself: not where that would do a thing twice, or come to the same. */
  readonly isRepeatable?: boolean;
}

/** What a program is told for an error of the gateway. */
export const errorAnswers: Readonly<Record<ErrorCode, ErrorAnswer>> = {
  ERR_BAD_REQUEST: { status: 400, type: 'invalid_request_error', code: 'invalid_request' },
  ERR_BAD_OFFER: { status: 400, type: 'invalid_request_error', code: 'invalid_offer' },
  ERR_NO_COMMON_CODEC: { status: 400, type: 'invalid_request_error', code: 'no_common_codec' },
  ERR_FORBIDDEN: { status: 403, type: 'permission_error', code: 'forbidden' },
  ERR_NOT_FOUND: { status: 404, type: 'invalid_request_error', code: 'not_found' },
  ERR_INVALID_STATE: { status: 409, type: 'invalid_request_error', code: 'invalid_state' },
  ERR_OVERLOADED: { status: 503, type: 'server_error', code: 'overloaded', isRepeatable: true },
  ERR_NO_PORT: { status: 503, type: 'server_error', code: 'overloaded', isRepeatable: true },
  ERR_NODE_UNREACHABLE: { status: 503, type: 'server_error', code: 'unavailable', isRepeatable: true },
  ERR_TIMEOUT: { status: 504, type: 'server_error', code: 'timeout' },
  ERR_MEDIA_FAILED: { status: 502, type: 'server_error', code: 'media_failed' },
  ERR_CONFIG: { status: 500, type: 'server_error', code: 'internal_error' },
  ERR_PORT_IN_USE: { status: 500, type: 'server_error', code: 'internal_error' },
  ERR_INTERNAL: { status: 500, type: 'server_error', code: 'internal_error' },
};

/** How long a client is told to wait before another try. */
export const RETRY_AFTER_S = 2;
