import type { ErrorCode } from '../base/errors.ts';
import type { PersonFailure } from '../leg/person.ts';

/** By RFC 3261 §21; everything else has simply failed. */
const OF_STATUS: Readonly<Record<number, PersonFailure>> = {
  403: 'forbidden',
  404: 'not_found',
  408: 'no_answer',
  410: 'not_found',
  480: 'no_answer',
  484: 'not_found',
  486: 'busy',
  487: 'no_answer',
  503: 'overloaded',
  600: 'busy',
  603: 'declined',
  604: 'not_found',
  607: 'declined',
};

const OF_CODE: Readonly<Partial<Record<ErrorCode, PersonFailure>>> = {
  ERR_NOT_FOUND: 'not_found',
  ERR_FORBIDDEN: 'forbidden',
  ERR_OVERLOADED: 'overloaded',
  ERR_NODE_UNREACHABLE: 'unreachable',
};

/** Why a phone that was called was not answered. @param status of SIP */
export function failureOfStatus(status: number): PersonFailure {
  return OF_STATUS[status] ?? 'failed';
}

const STATUSES: Readonly<Record<PersonFailure, number>> = {
  busy: 486,
  declined: 603,
  no_answer: 480,
  not_found: 404,
  forbidden: 403,
  overloaded: 503,
  unreachable: 480,
  cancelled: 487,
  machine: 480,
  failed: 500,
};

/** What a caller is told of a failure that no phone has said. @returns a status of SIP */
export function statusOf(failure: PersonFailure): number {
  return STATUSES[failure];
}

/** Why a call could not even be placed. */
export function failureOf(code: ErrorCode): PersonFailure {
  return OF_CODE[code] ?? 'failed';
}
