import type { Leg } from './leg.ts';
import type { LegCommand } from './messages.ts';

/** A leg that is held elsewhere: what its session asks of it goes there as commands. */
export function commandedLeg(command: (command: LegCommand) => void): Leg {
  return {
    answer: () => command({ type: 'answer' }),
    reject: (cause, status) => command({ type: 'reject', cause, ...(status === undefined ? {} : { status }) }),
    hangup: (cause, headers) => command({ type: 'hangup', cause, ...(headers && { headers }) }),
    refer: (target, headers) => command({ type: 'refer', target, ...(headers && { headers }) }),
    referToCall: (sipCallId, uri) => command({ type: 'refer_to_call', sipCallId, ...(uri === undefined ? {} : { uri }) }),
    referred: (status) => command({ type: 'referred', status }),
    sendDtmf: (digits) => command({ type: 'dtmf', digits }),
    report: (summary) => command({ type: 'report', summary }),
  };
}
