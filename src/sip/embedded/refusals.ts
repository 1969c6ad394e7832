import type { Refused } from './admission.ts';
import { ALLOW, RETRY_AFTER_S } from './capabilities.ts';

/** Nobody is dialled for a stranger. */
export const NO_REFER: Refused = { status: 405, reason: 'Method Not Allowed', headers: [ALLOW] };
export const NO_DIALOG: Refused = { status: 481, reason: 'Call/Transaction Does Not Exist' };
export const OVERLOADED: Refused = { status: 503, reason: 'Service Unavailable', headers: [['Retry-After', String(RETRY_AFTER_S)]] };
