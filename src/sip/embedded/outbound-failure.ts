import type { DialFailure } from '../engine.ts';
import { dialFailureCause } from '../sip-status.ts';
import type { HeaderFields } from './header-fields.ts';
import { parseParameters } from './parameters.ts';
import { decodeText, splitElements } from './text.ts';

/** As long as a reason phrase may be in a report. */
const MAX_REASON = 128;

/** What a final refusal means to who dialled. */
export function failureOf(status: number, reason: string, headers?: HeaderFields): DialFailure {
  const q850 = headers && readQ850(headers);
  return {
    cause: dialFailureCause(status),
    status,
    reason: decodeText(reason).slice(0, MAX_REASON),
    ...(q850 === undefined ? {} : { q850 }),
  };
}

/** Cause of the Q.850 value among the Reason values (RFC 3326, RFC 6432 for responses). */
function readQ850(headers: HeaderFields): number | undefined {
  for (const line of headers.all('reason')) {
    for (const value of splitElements(line) ?? []) {
      const protocol = /^[ \t]*Q\.850(?=[ \t]*;)/i.exec(value)?.[0];
      const cause = protocol === undefined ? undefined : parseParameters(value, protocol.length)?.get('cause');
      if (cause !== undefined && /^\d{1,3}$/.test(cause) && Number(cause) < 128) return Number(cause);
    }
  }
  return undefined;
}
