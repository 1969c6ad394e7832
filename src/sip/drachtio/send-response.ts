import type { SrfResponse } from './srf.ts';

type Send = SrfResponse['send'];

/**
 * Sends a response, whatever its status. The library throws at those that are not in its list (469, 607, what a program has chosen): such a one passes its check as
 * the general one of its class, and leaves as what it is.
 */
export function sendResponse(response: SrfResponse, ...[status, reason, options, done]: Parameters<Send>): void {
  try {
    response.send(status, reason, options, done);
  } catch {
    Object.defineProperty(response.msg, 'status', { get: () => status, set: () => undefined });
    response.send(Math.floor(status / 100) * 100, reason, options, done);
  }
}
