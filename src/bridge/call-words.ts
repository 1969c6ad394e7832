import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { LegHeader } from '../leg/call-facts.ts';
import type { EndCause, LegEvent } from '../leg/leg.ts';
import type { Call, CallInfo, Refusal } from '../sip/engine.ts';
import { hangupReason } from '../sip/sip-status.ts';

/*
 * What a call says in its dialog, whoever carries its media.
 */

/** What a caller is told to wait when there was no port, no owner or no media. */
const RETRY_AFTER_S = 5;

/** By INFO a key takes 160 ms and as long a pause. */
const INFO_KEY_MS = 160;
/** As many as wait at a time for RTP events. */
const MOST_INFO_KEYS = 64;

/** @param detail for people; told where it helps a phone's owner and says nothing of ours */
export function refusalWith(status: number, detail: string): Refusal {
  return {
    status,
    ...(status === 503 ? { retryAfterS: RETRY_AFTER_S } : {}),
    ...(status === 488 ? { warning: detail } : {}),
  };
}

/** BYE, with what a program wanted said; without it where that may not be said. */
export function sayGoodbye(call: Call, cause: EndCause, headers: readonly LegHeader[], log: Logger): void {
  try {
    call.hangup(hangupReason(cause), sent(headers));
  } catch (thrown) {
    log.warn({ err: thrown }, 'headers of the farewell refused');
    call.hangup(hangupReason(cause));
  }
}

/** Keys beside the media, one after the other. @param send each when its time has come; whoever has hung up sends none */
export function sendInfoKeys(clock: Clock, digits: string, send: (info: CallInfo) => void): void {
  for (const [index, digit] of [...digits].slice(0, MOST_INFO_KEYS).entries()) {
    const info: CallInfo = { contentType: 'application/dtmf-relay', body: `Signal=${digit}\r\nDuration=${INFO_KEY_MS}\r\n` };
    clock.setTimer(index * 2 * INFO_KEY_MS, () => send(info));
  }
}

export interface ReferWishes {
  readonly headers: readonly LegHeader[];
  /** Whether the target may be called in our place. */
  readonly allowed: boolean;
  readonly log: Logger;
  readonly tell: (event: Extract<LegEvent, { readonly type: 'transfer' }>) => void;
}

/** Has the other side of an answered call call somebody in our place, and tells what comes of it. @param target undefined for a call of ours that is over */
export function sendRefer(call: Call | undefined, target: string | undefined, { headers, allowed, log, tell }: ReferWishes): void {
  const fail = (status: number): void => tell({ type: 'transfer', state: 'failed', status });
  if (!call?.refer) {
    fail(501);
    return;
  }
  if (target === undefined) {
    fail(481);
    return;
  }
  if (!allowed) {
    log.warn('transfer refused: not among the destinations');
    fail(403);
    return;
  }
  try {
    call.refer(
      target,
      (progress) => {
        log.info({ ...progress }, 'transfer');
        tell({ type: 'transfer', state: progress.type, ...('status' in progress ? { status: progress.status } : {}) });
      },
      sent(headers),
    );
  } catch (thrown) {
    log.warn({ err: thrown }, 'transfer refused');
    fail(400);
  }
}

function sent(headers: readonly LegHeader[]): readonly (readonly [name: string, value: string])[] {
  return headers.map(({ name, value }) => [name, value] as const);
}
