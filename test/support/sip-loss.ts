import { seededRandom } from './random.ts';
import type { SipMessage } from './sip-message.ts';

/** A message on its way, `in`to the phone or `out` of it. Repetitions count as messages of their own. */
export interface PassingMessage {
  readonly direction: 'in' | 'out';
  readonly message: SipMessage;
}

/** True loses the message: one going out is not sent, one coming in is not seen by the phone. */
export type Loss = (passing: PassingMessage) => boolean;

/** Loses a share (0 … 1) of all messages, both ways, the same ones for the same seed. */
export function loseShare(share: number, seed: number): Loss {
  const random = seededRandom(seed);
  return () => random() < share;
}

/** Loses the n-th message (from 1) of one direction that matches, or the first `n` of them with `untilThen`. */
export function loseNth(
  direction: 'in' | 'out',
  n: number,
  matches: (message: SipMessage) => boolean = () => true,
  untilThen = false,
): Loss {
  let count = 0;
  return (passing) => {
    if (passing.direction !== direction || !matches(passing.message)) return false;
    count += 1;
    return untilThen ? count <= n : count === n;
  };
}

/** Requests of this method (not the responses to them). */
export function isRequest(method: string): (message: SipMessage) => boolean {
  return (message) => message.status === undefined && message.method === method;
}

/** Responses with this status, to requests of this method if one is given. */
export function isResponse(status: number, method?: string): (message: SipMessage) => boolean {
  return (message) => message.status === status && (method === undefined || message.method === method);
}
