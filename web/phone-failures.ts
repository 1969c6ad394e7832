import type { Failure } from './failures.ts';

/** The gateway said no, by SIP. */
export class SipRefused extends Error {
  readonly status: number;
  /** What was asked. */
  readonly asked: 'register' | 'call' | 'hold' | 'transfer';

  constructor(asked: SipRefused['asked'], status: number) {
    super(`${status}`);
    this.asked = asked;
    this.status = status;
  }
}

/** No WebSocket, or none any more. */
export class NotReachable extends Error {}

/** @param thrown by the softphone or getUserMedia */
export function phoneFailure(thrown: unknown): Failure {
  if (thrown instanceof SipRefused) return refused(thrown);
  if (thrown instanceof NotReachable) {
    return {
      title: 'The gateway cannot be reached',
      text: 'It may be down, or this machine has no network; or it lets only trusted pages speak SIP: “sip.ws: anyone” lets in whoever has a password.',
    };
  }
  const name = thrown instanceof Error ? thrown.name : '';
  if (name === 'NotAllowedError' || name === 'SecurityError') {
    return { title: 'The microphone is blocked', text: 'Allow it in the browser’s address bar, and call again.' };
  }
  if (name === 'NotFoundError' || name === 'OverconstrainedError') {
    return { title: 'No microphone was found', text: 'Plug one in, and call again.' };
  }
  if (name === 'NotReadableError')
    return { title: 'The microphone is in use', text: 'Another program holds it. Close that one, and call again.' };
  return { title: 'That failed', text: thrown instanceof Error ? thrown.message : String(thrown) };
}

function refused({ asked, status }: SipRefused): Failure {
  if (asked === 'register') {
    if (status === 401 || status === 403 || status === 407)
      return { title: 'Wrong user or password', text: 'The gateway does not know this name with this password.' };
    if (status === 503) return { title: 'Too many tries', text: 'After several wrong passwords the gateway waits. Try again in a minute.' };
    if (status === 405 || status === 404) return { title: 'Nobody can register here', text: 'The gateway’s configuration has no users.' };
    return { title: 'Not registered', text: `The gateway answered ${status}.` };
  }
  if (asked === 'hold') return { title: 'The call cannot be held', text: `The gateway answered ${status}.` };
  if (asked === 'transfer') return { title: 'Not transferred', text: `${wordsOfTransfer(status)} You still have the call.` };
  return { title: 'The call was not taken', text: wordsOf(status) };
}

function wordsOfTransfer(status: number): string {
  switch (status) {
    case 403:
      return 'There is nobody of this name whom you may call.';
    case 481:
      return 'One of the two calls is over.';
    case 491:
      return 'A transfer is under way already.';
    default:
      return wordsOf(status);
  }
}

function wordsOf(status: number): string {
  switch (status) {
    case 403:
      return 'You may not call this.';
    case 404:
      return 'Nobody is known by this name, or not registered.';
    case 408:
    case 480:
      return 'Nobody answered.';
    case 486:
    case 600:
      return 'The line is busy.';
    case 487:
      return 'The call was given up.';
    case 488:
      return 'The two sides have no audio in common.';
    case 503:
      return 'The gateway has no line free.';
    case 603:
      return 'The call was declined.';
    default:
      return `The answer was ${status}.`;
  }
}
