/** Every error code of the gateway, documented in docs/errors.md. Callers look at `code`, never at the message. */
export type ErrorCode =
  | 'ERR_CONFIG'
  | 'ERR_PORT_IN_USE'
  | 'ERR_NO_PORT'
  | 'ERR_INVALID_STATE'
  | 'ERR_NOT_FOUND'
  | 'ERR_FORBIDDEN'
  | 'ERR_OVERLOADED'
  | 'ERR_NO_COMMON_CODEC'
  | 'ERR_BAD_OFFER'
  | 'ERR_BAD_REQUEST'
  | 'ERR_TIMEOUT'
  | 'ERR_NODE_UNREACHABLE'
  | 'ERR_MEDIA_FAILED'
  | 'ERR_INTERNAL';

/** The one error type of the gateway: a code to act on, a message for people, and what caused it. */
export class GatewayError extends Error {
  readonly code: ErrorCode;
  /** What of a request is at fault: a parameter's path, `session.tools[0].name`. */
  readonly param: string | undefined;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown; param?: string | undefined }) {
    super(message, options);
    this.name = 'GatewayError';
    this.code = code;
    this.param = options?.param;
  }

  /** Wraps anything thrown; a GatewayError passes through as it is. */
  static from(thrown: unknown, code: ErrorCode = 'ERR_INTERNAL'): GatewayError {
    if (thrown instanceof GatewayError) return thrown;
    return new GatewayError(code, thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown });
  }
}
