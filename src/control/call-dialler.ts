import type { DialRequest, LegPolicy } from '../leg/leg.ts';

/** Who places calls for programs. */
export interface CallDialler {
  /**
   * Calls somebody. The session is made before the phone rings, and its events say what becomes of the call.
   * @returns the session's id
   * @throws GatewayError as LegDialler.dial(), ERR_TIMEOUT
   */
  dial(request: DialRequest, policy: LegPolicy): Promise<string>;
}
