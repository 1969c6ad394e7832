/** The HTTP answers of the gateway to what it refuses. No status code stands anywhere else. */
export const refusals = {
  not_trusted: 403,
  not_found: 404,
  method_not_allowed: 405,
  internal_error: 500,
} as const;

export type Refusal = keyof typeof refusals;

export const OK = 200;
export const NOT_READY = 503;
