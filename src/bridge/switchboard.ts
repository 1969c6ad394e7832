import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Counter, Metrics } from '../base/metrics.ts';
import type { EndCause } from '../leg/leg.ts';
import type { InboundCall, SipEngine } from '../sip/engine.ts';
import { type CallReport, refusedReport } from './call-report.ts';
import { PhoneCall, type PhoneCallDeps } from './phone-call.ts';

/** What a refused caller is told to wait before another try: calls end at about this pace when full. */
const RETRY_AFTER_S = 5;

/**
 * Share of the lines that calls from one address may hold before they are acknowledged. Anybody can send INVITEs and never an ACK, and each
 * holds a line for 32 s; a PBX that starts anew with all its calls at once still gets half of them.
 */
const UNPROVEN_SHARE = 0.5;
const LEAST_UNPROVEN = 4;

/** At a forced end, how long a BYE may stay unanswered before we leave. */
const GOODBYE_MS = 1500;

export interface SwitchboardDeps extends Omit<PhoneCallDeps, 'onClosed' | 'onGone'> {
  readonly engine: SipEngine;
  readonly metrics: Metrics;
  /** Gets the record of every call that has ended, refused ones included. */
  readonly onReport: (record: CallReport) => void;
}

export interface SwitchboardOptions {
  /** Calls at the same time, ringing ones included; beyond it new ones get 503 with Retry-After. */
  readonly maxCalls: number;
}

/** All phone calls of this process: takes them from the SIP engine, counts them, ends them. */
export class Switchboard {
  readonly #deps: SwitchboardDeps;
  readonly #options: SwitchboardOptions;
  readonly #calls = new Set<PhoneCall>();
  /** Calls whose dialog still lives: the ones above, and those whose BYE has not been answered yet. */
  readonly #dialogs = new Set<PhoneCall>();
  readonly #ended: Counter<'cause'>;
  readonly #clock: Clock;
  readonly #log: Logger;
  #whenQuiet: (() => void)[] = [];

  constructor(deps: SwitchboardDeps, options: SwitchboardOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#ended = deps.metrics.counter('calls_ended_total', 'Phone calls that have ended, by cause.', ['cause']);
    deps.metrics.observe('calls', 'Phone calls at this moment, ringing ones included.', () => this.#calls.size);
    deps.engine.onInvite = (invite) => this.#accept(invite);
  }

  get calls(): number {
    return this.#calls.size;
  }

  /** Takes no new calls; resolves when the last one has ended and its BYE is answered or given up. */
  drain(): Promise<void> {
    this.#deps.engine.drain();
    if (this.#dialogs.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenQuiet.push(resolve));
  }

  /** Ends every call and gives the BYEs a bounded time to be answered. */
  async hangUpAll(cause: EndCause): Promise<void> {
    const drained = this.drain();
    for (const call of this.#calls) call.hangup(cause);
    const deadline = new Promise<void>((resolve) => this.#clock.setTimer(GOODBYE_MS, resolve));
    await Promise.race([drained, deadline]);
  }

  /** State of every call, for people who look at a running gateway. */
  snapshot(): unknown[] {
    return [...this.#calls].map((call) => call.snapshot());
  }

  /** Why there is no line for this call; undefined when there is one. */
  #refusal({ source }: InboundCall): string | undefined {
    const { maxCalls } = this.#options;
    if (this.#calls.size >= maxCalls) return 'all lines are busy';
    const most = Math.max(LEAST_UNPROVEN, Math.ceil(maxCalls * UNPROVEN_SHARE));
    if (this.#calls.size < most) return undefined;
    let unproven = 0;
    for (const call of this.#calls) if (!call.isProven && call.sourceAddress === source.address) unproven += 1;
    return unproven < most ? undefined : 'too many unacknowledged calls from this address';
  }

  #accept(invite: InboundCall): void {
    const refusal = this.#refusal(invite);
    if (refusal !== undefined) {
      this.#log.warn({ calls: this.#calls.size, maxCalls: this.#options.maxCalls, reason: refusal }, 'call refused');
      this.#ended.inc({ cause: 'rejected' });
      invite.reject({ status: 503, retryAfterS: RETRY_AFTER_S });
      this.#deps.onReport(refusedReport(invite, this.#clock.wallclock(), refusal));
      return;
    }
    const call = new PhoneCall(
      {
        ...this.#deps,
        onClosed: (record) => this.#closed(call, record),
        onGone: () => this.#gone(call),
      },
      invite,
    );
    this.#calls.add(call);
    this.#dialogs.add(call);
    call.open();
  }

  #closed(call: PhoneCall, record: CallReport): void {
    if (!this.#calls.delete(call)) return;
    this.#ended.inc({ cause: record.cause });
    this.#deps.onReport(record);
  }

  #gone(call: PhoneCall): void {
    this.#dialogs.delete(call);
    if (this.#dialogs.size > 0) return;
    for (const resolve of this.#whenQuiet) resolve();
    this.#whenQuiet = [];
  }
}
