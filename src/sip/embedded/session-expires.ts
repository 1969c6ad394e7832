import type { HeaderFields } from './header-fields.ts';
import { parseParameters } from './parameters.ts';
import type { HeaderLine } from './write-response.ts';

/** What both sides agreed on: refreshed within `intervalS` by one of them, or over (RFC 4028). */
export interface SessionInterval {
  readonly intervalS: number;
  readonly refresher: 'us' | 'peer';
}

/** Session-Expires as written. */
export interface SessionExpires {
  readonly intervalS: number;
  readonly refresher: 'uac' | 'uas' | undefined;
}

/** RFC 4028 §5: nobody may be asked to refresh more often than this. */
export const MIN_SESSION_S = 90;

/** RFC 4028 §4 recommends half an hour. */
export const DEFAULT_SESSION_S = 1800;

/** A day: what a peer may ask for. Timers could not hold all that ten digits can say. */
const LONGEST_S = 86_400;

const DELTA_SECONDS = /^\d{1,10}(?=[ \t]*(?:;|$))/;

/** Undefined when it is absent, `malformed` when it cannot be read. */
export function readSessionExpires(headers: HeaderFields): SessionExpires | 'malformed' | undefined {
  const text = headers.first('session-expires');
  if (text === undefined) return undefined;
  const digits = DELTA_SECONDS.exec(text)?.[0];
  const parameters = digits === undefined ? undefined : parseParameters(text, digits.length);
  if (digits === undefined || !parameters || headers.count('session-expires') > 1) return 'malformed';
  const refresher = parameters.get('refresher')?.toLowerCase();
  return { intervalS: Number(digits), refresher: refresher === 'uac' || refresher === 'uas' ? refresher : undefined };
}

/** The least interval a peer or a proxy stands (RFC 4028 §5); ours when it says none. */
export function readMinSe(headers: HeaderFields, leastS: number): number {
  const digits = DELTA_SECONDS.exec(headers.first('min-se') ?? '')?.[0];
  return Math.min(LONGEST_S, Math.max(leastS, Number(digits ?? 0)));
}

/** Whether a peer knows session timers. */
function supportsTimer(headers: HeaderFields): boolean {
  const lists = [...(headers.elements('supported') ?? []), ...(headers.elements('require') ?? [])];
  return lists.some((option) => option.toLowerCase() === 'timer');
}

/**
 * What we agree to as the one who answers (RFC 4028 §9): the peer's interval, no longer than ours and no shorter than its
 * Min-SE; the peer refreshes if it asked for an interval and named nobody. A peer that knows timers and asked for none is
 * refreshed by us, so that a peer that is gone does not hold a call for ever.
 * @param intervalS what we want; 0 for nothing unless the peer asks
 */
export function agreeInterval(headers: HeaderFields, intervalS: number, leastS: number): SessionInterval | undefined {
  const asked = readSessionExpires(headers);
  if (asked === 'malformed') return undefined;
  if (!asked)
    return intervalS > 0 && supportsTimer(headers)
      ? { intervalS: Math.max(intervalS, readMinSe(headers, leastS)), refresher: 'us' }
      : undefined;
  const longest = intervalS > 0 ? Math.max(intervalS, readMinSe(headers, leastS)) : LONGEST_S;
  const agreed = Math.max(leastS, Math.min(asked.intervalS, longest));
  // Only who knows timers can refresh; a proxy may have asked in the name of one that does not.
  return { intervalS: agreed, refresher: asked.refresher === 'uas' || !supportsTimer(headers) ? 'us' : 'peer' };
}

/** Headers of our 2xx (RFC 4028 §9, table 2). */
export function sessionAnswerLines(session: SessionInterval | undefined): HeaderLine[] {
  if (!session) return [];
  const peer = session.refresher === 'peer';
  const line: HeaderLine = ['Session-Expires', `${session.intervalS};refresher=${peer ? 'uac' : 'uas'}`];
  return peer ? [line, ['Require', 'timer']] : [line];
}

/** Headers of a request of ours that refreshes the session (RFC 4028 §7.1, §7.4). */
export function sessionRequestLines(session: SessionInterval | undefined, minSeS: number, leastS: number): HeaderLine[] {
  if (!session) return [];
  const line: HeaderLine = ['Session-Expires', `${session.intervalS};refresher=${session.refresher === 'us' ? 'uac' : 'uas'}`];
  return minSeS > leastS ? [line, ['Min-SE', String(minSeS)]] : [line];
}

/** What a 2xx to a request of ours agreed on (RFC 4028 §7.2); undefined ends the timer. */
export function agreedByPeer(headers: HeaderFields, leastS: number): SessionInterval | undefined {
  const said = readSessionExpires(headers);
  if (said === undefined || said === 'malformed') return undefined;
  const intervalS = Math.min(Math.max(said.intervalS, leastS), LONGEST_S);
  return { intervalS, refresher: said.refresher === 'uas' ? 'peer' : 'us' };
}
