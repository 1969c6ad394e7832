import type { Call, DialFailure, DialProgress, OffersByDevice, OutboundCall } from '../engine.ts';
import type { OutboundInvite } from './outbound-invite.ts';

/** Worse ones last: what is told when nobody answered is the best that was said (RFC 3261 §16.7 step 6). */
const PREFERENCE: readonly DialFailure['cause'][] = ['declined', 'busy', 'no_common_codec', 'no_answer'];

/**
 * One call to somebody with several phones: those that are wanted most ring together, the others when none of these has answered. The first answer
 * is kept and all others are given up (RFC 3261 §16.6, as a user agent).
 */
export class ForkedCall implements OutboundCall {
  readonly sipCallId: string;
  readonly from: string;
  readonly requestUri: string;
  readonly localAddress: string;
  readonly remote: OutboundCall['remote'];
  readonly transport: OutboundCall['transport'];
  onProgress: ((progress: DialProgress) => void) | undefined;
  onAnswered: ((call: Call, answer: string) => void) | undefined;
  onFailed: ((failure: DialFailure) => void) | undefined;
  onDurationCap: (() => void) | undefined;
  readonly #groups: (readonly OutboundInvite[])[];
  readonly #ringing = new Set<OutboundInvite>();
  readonly #failures: DialFailure[] = [];
  #offer: string | OffersByDevice = '';
  #state: 'waiting' | 'ringing' | 'answered' | 'over' = 'waiting';

  /** @param groups of branches not started yet, the most wanted first; at least one branch */
  constructor(groups: readonly (readonly OutboundInvite[])[], requestUri: string) {
    const first = groups[0]?.[0];
    if (!first) throw new Error('a call without a branch');
    this.sipCallId = first.sipCallId;
    this.from = first.from;
    this.requestUri = requestUri;
    this.localAddress = first.localAddress;
    this.remote = first.remote;
    const all = groups.flat();
    this.transport = (all.find(({ transport }) => transport !== 'tls' && transport !== 'wss') ?? first).transport;
    this.#groups = [...groups];
  }

  start(offer: string | OffersByDevice): void {
    if (this.#state !== 'waiting') return;
    this.#offer = offer;
    this.#state = 'ringing';
    this.#next();
  }

  cancel(): void {
    if (this.#state === 'answered' || this.#state === 'over') return;
    for (const group of this.#groups.splice(0)) for (const branch of group) branch.discard();
    if (this.#ringing.size === 0) this.#over({ cause: 'cancelled', status: 487, reason: 'Request Terminated' });
    for (const branch of this.#ringing) branch.cancel();
  }

  #next(): void {
    const group = this.#groups.shift();
    if (!group) {
      const rank = ({ cause }: DialFailure): number => (PREFERENCE.indexOf(cause) + PREFERENCE.length + 1) % (PREFERENCE.length + 1);
      const [best = { cause: 'no_answer', status: 480, reason: 'nobody there' } as const] = this.#failures.sort(
        (a, b) => rank(a) - rank(b),
      );
      this.#over(best);
      return;
    }
    for (const branch of group) {
      this.#ringing.add(branch);
      branch.onProgress = (progress) => {
        // Of several phones that ring nobody's early media is the call's.
        if (this.#state === 'ringing') this.onProgress?.(group.length > 1 ? { ...progress, sdp: undefined } : progress);
      };
      branch.onAnswered = (call, answer) => this.#answered(branch, call, answer);
      branch.onFailed = (failure) => this.#failed(branch, failure);
      branch.onDurationCap = () => this.onDurationCap?.();
    }
    for (const branch of group) branch.start(this.#offer);
  }

  #answered(branch: OutboundInvite, call: Call, answer: string): void {
    this.#ringing.delete(branch);
    if (this.#state !== 'ringing') {
      call.hangup({ q850: 26, text: 'Non-selected user clearing' });
      return;
    }
    this.#state = 'answered';
    for (const other of this.#ringing) other.cancel();
    for (const group of this.#groups.splice(0)) for (const other of group) other.discard();
    this.onAnswered?.(call, answer);
  }

  #failed(branch: OutboundInvite, failure: DialFailure): void {
    this.#ringing.delete(branch);
    if (this.#state !== 'ringing') return;
    this.#failures.push(failure);
    // 6xx: wherever this user is, it does not want the call (RFC 3261 §16.7 step 5).
    if (failure.status >= 600) {
      for (const group of this.#groups.splice(0)) for (const other of group) other.discard();
      for (const other of this.#ringing) other.cancel();
    }
    if (this.#ringing.size === 0) this.#next();
  }

  #over(failure: DialFailure): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.onFailed?.(failure);
  }
}
