import type { Clock } from '../base/clock.ts';
import { type Logger, maskUri } from '../base/log.ts';
import type { EndCause, SessionSummary } from '../leg/leg.ts';
import type { DialFailure, InboundCall } from '../sip/engine.ts';
import type { CallMedia } from './call-media.ts';
import { type CallReport, formatSource, makeCallId, type SetupTimes } from './call-report.ts';

/** What a call goes by. */
export interface CallNames {
  readonly callId: string;
  readonly sessionId: string | undefined;
  readonly sipCallId: string;
  readonly from: string;
  readonly to: string;
  /** `udp:192.0.2.1:5060` */
  readonly peer: string;
  /** When it arrived, Unix milliseconds. */
  readonly at: number;
}

/** What is known of an end beside its cause. */
export interface EndFacts {
  /** The final status of the INVITE, where it is another one than was noted. */
  readonly sipStatus?: number;
  /** For people. */
  readonly detail?: string;
}

/** What becomes of one call: when it arrived, was opened, answered and ended, and why. Its record is made of it. */
export class CallOutcome {
  readonly callId = makeCallId();
  readonly setup: SetupTimes = {};
  /** Once there is one. */
  sessionId: string | undefined;
  /** What the owner of the session has to say of it. */
  summary: SessionSummary | undefined;
  readonly #clock: Clock;
  readonly #invite: InboundCall;
  readonly #arrivedAt: number;
  readonly #startedAt: number;
  #answeredAt: number | undefined;
  #endedAt = 0;
  #sipStatus = 0;
  #cause: EndCause = 'internal_error';
  #detail: string | undefined;

  constructor(clock: Clock, invite: InboundCall) {
    this.#clock = clock;
    this.#invite = invite;
    this.#arrivedAt = clock.now();
    this.#startedAt = clock.wallclock();
  }

  get names(): CallNames {
    const { sipCallId, from, requestUri: to } = this.#invite;
    return { callId: this.callId, sessionId: this.sessionId, sipCallId, from, to, peer: formatSource(this.#invite), at: this.#startedAt };
  }

  /** Is this a name of the call: ours, its session's, SIP's Call-ID? */
  goesBy(id: string): boolean {
    return id === this.callId || id === this.sessionId || id === this.#invite.sipCallId;
  }

  /** Why it has ended; `internal_error` before. */
  get cause(): EndCause {
    return this.#cause;
  }

  /** Since it arrived, in milliseconds with one place. */
  elapsed(): number {
    return Math.round((this.#clock.now() - this.#arrivedAt) * 10) / 10;
  }

  answered(): void {
    this.#sipStatus = 200;
    this.#answeredAt = this.#clock.wallclock();
    this.setup.answeredMs = this.elapsed();
  }

  ended(cause: EndCause, { sipStatus = this.#sipStatus, detail }: EndFacts): void {
    this.#endedAt = this.#clock.wallclock();
    this.#cause = cause;
    this.#detail = detail;
    this.#sipStatus = sipStatus;
  }

  /** The record of the call, which is told to the log as well. @param media where this gateway carried it */
  report(log: Logger, media?: Pick<CallMedia, 'snapshot' | 'snapshotAt'>): CallReport {
    const counted = media?.snapshot();
    const snapshotAt = media?.snapshotAt;
    const record: CallReport = {
      callId: this.callId,
      sipCallId: this.#invite.sipCallId,
      sessionId: this.sessionId,
      from: this.#invite.from,
      to: this.#invite.requestUri,
      source: formatSource(this.#invite),
      startedAt: this.#startedAt,
      answeredAt: this.#answeredAt,
      endedAt: this.#endedAt,
      durationMs: this.#answeredAt === undefined ? 0 : this.#endedAt - this.#answeredAt,
      cause: this.#cause,
      sipStatus: this.#sipStatus,
      detail: this.#detail,
      setup: this.setup,
      media: counted,
      mediaAgeMs: snapshotAt === undefined ? undefined : Math.max(0, this.#endedAt - snapshotAt),
      session: this.summary,
    };
    const { from, to, callId: _call, sipCallId: _sipCallId, ...facts } = record;
    log.info({ ...facts, from: maskUri(from), to: maskUri(to) }, 'call ended');
    return record;
  }
}

/** What the end of a call of ours that never came about is called. */
export function endOfFailure({ cause, status, reason }: DialFailure): { readonly cause: EndCause } & EndFacts {
  return { cause: cause === 'cancelled' ? 'cancelled' : 'rejected', sipStatus: status, detail: `${cause}: ${reason}` };
}
