import { type Clock, soon } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Counter, Metrics } from '../base/metrics.ts';
import { firstMismatch, keptRules, type RuleTried } from '../base/rule-tried.ts';
import type { DialRequest, EndCause, LegDialler, LegPolicy } from '../leg/leg.ts';
import type { WantedPerson } from '../leg/person.ts';
import type { InboundCall, IncomingRefer, RefusedInvite, SipEngine } from '../sip/engine.ts';
import type { IdentifiedCall, IdentityVerdict } from '../sip/identity/call-identity.ts';
import type { InviteFacts } from '../sip/read-call-facts.ts';
import type { Trunk } from '../sip/trunk.ts';
import type { TrunkBook } from '../sip/trunk-book.ts';
import type { CallLease } from '../sip/trunk-meter.ts';
import type { UserBook } from '../sip/user.ts';
import type { CallNames } from './call-outcome.ts';
import { type CallReport, refusedReport } from './call-report.ts';
import { DialledCall } from './dialled-call.ts';
import { type ArrivalVerdict, factsOf, judgeArrival } from './judge-arrival.ts';
import { PhoneCall, type PhoneCallDeps } from './phone-call.ts';
import { successorFor, userOf } from './user-transfer.ts';
import { WaitingCalls } from './waiting-calls.ts';
import { WebCall, type WebCallDeps } from './web-call.ts';
import { isBrowserCall } from './web-media.ts';

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

export interface SwitchboardDeps
  extends Omit<PhoneCallDeps, 'policy' | 'facts' | 'onClosed' | 'onGone' | 'near' | 'callBack' | 'onRefer' | 'mayRefer' | 'replacesUriOf'> {
  readonly engine: SipEngine;
  /** Whose the session of a call is, and who decides whether it is taken. @param arrived gets the rules that were looked at for it */
  readonly policy?: (invite: InboundCall, arrived: Arrived) => LegPolicy | undefined;
  /** Who may call, and whom we may call. Anybody, and nobody, without it. */
  readonly trunks?: TrunkBook;
  readonly metrics: Metrics;
  /** Who may register, and what each may call. */
  readonly users?: UserBook;
  /** Who answers the offers of browsers; their calls go the way of all others without it. */
  readonly browserHost?: WebCallDeps['host'];
  /** Whether callers are who they say they are (STIR/SHAKEN); undefined where nobody wants to know. It settles within seconds and never fails. */
  readonly identify?: (call: IdentifiedCall) => IdentityVerdict | Promise<IdentityVerdict> | undefined;
  /** Gets the record of every call that has ended, refused ones included. */
  readonly onReport: (record: CallReport) => void;
}

export interface SwitchboardOptions {
  /** Calls at the same time, ringing ones included; beyond it new ones get 503 with Retry-After. */
  readonly maxCalls: number;
  /** By this trunk callers may be called back. */
  readonly callbackTrunk?: string;
  /** Whom a phone may be sent to beside the destinations of its trunk. */
  readonly transferTarget?: string;
  /** The same, of the model's tool. */
  readonly transferTargets?: readonly string[];
}

/** What is known of a call that comes in, beside what it says of itself. */
export interface Arrived {
  /** The rules that were looked at so far; who decides more adds its own. */
  readonly tried: RuleTried[];
  /** What its INVITE says. */
  readonly facts?: InviteFacts;
  /** Whom a user wants to talk to, when it is not the agent. */
  readonly wanted?: WantedPerson;
}

type Taken = Extract<ArrivalVerdict, { readonly type: 'taken' }>;

/** How a call that waited for its caller's identity ended. */
const LEFT = {
  cancelled: { status: 487, detail: 'given up while its identity was verified', cause: 'cancelled' },
  ended: { status: 503, detail: 'the gateway ended while its identity was verified', cause: 'shutdown' },
} as const;

/** A call that goes on, as it is told why it was taken. */
export interface RunningCall extends CallNames {
  readonly rules: readonly RuleTried[];
}

type LiveCall = PhoneCall | WebCall;

/** All phone calls of this process: takes them from the SIP engine, counts them, ends them. */
export class Switchboard implements LegDialler {
  readonly #deps: SwitchboardDeps;
  #options: SwitchboardOptions;
  readonly #calls = new Set<LiveCall>();
  readonly #tried = new WeakMap<LiveCall, readonly RuleTried[]>();
  /** Calls whose dialog still lives: the ones above, and those whose BYE has not been answered yet. */
  readonly #dialogs = new Set<LiveCall>();
  readonly #ended: Counter<'cause'>;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** Calls that wait for what is found of their callers. */
  readonly #waiting = new WaitingCalls<IdentityVerdict>();
  #draining = false;
  #whenQuiet: (() => void)[] = [];

  constructor(deps: SwitchboardDeps, options: SwitchboardOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#ended = deps.metrics.counter('calls_ended_total', 'Phone calls that have ended, by cause.', ['cause']);
    deps.metrics.observe('calls', 'Phone calls at this moment, ringing ones included.', () => this.#calls.size);
    deps.engine.onInvite = (invite) => this.#accept(invite);
    deps.engine.onRefused = (refused) => this.#noteRefused(refused);
  }

  /** Whom phones may be sent to, and called back by, from now on. */
  configure({ callbackTrunk, transferTarget }: Pick<SwitchboardOptions, 'callbackTrunk' | 'transferTarget'>): void {
    const { maxCalls, transferTargets = [] } = this.#options;
    this.#options = {
      ...{ maxCalls, transferTargets },
      ...(callbackTrunk === undefined ? {} : { callbackTrunk }),
      ...(transferTarget === undefined ? {} : { transferTarget }),
    };
  }

  get calls(): number {
    return this.#calls.size;
  }

  /** Takes no new calls; resolves when the last one has ended, its BYE is answered or given up, and its record is written. */
  drain(): Promise<void> {
    this.#draining = true;
    this.#deps.engine.drain();
    if (this.#quiet) return Promise.resolve();
    return new Promise((resolve) => this.#whenQuiet.push(resolve));
  }

  /** Ends every call and gives the BYEs a bounded time to be answered. */
  async hangUpAll(cause: EndCause): Promise<void> {
    const drained = this.drain();
    this.#waiting.end();
    for (const call of this.#calls) call.hangup(cause);
    const deadline = new Promise<void>((resolve) => this.#clock.setTimer(GOODBYE_MS, resolve));
    await Promise.race([drained, deadline]);
  }

  /**
   * Calls somebody for the owner of sessions; the leg comes to the host like any other.
   * @throws GatewayError ERR_OVERLOADED when all lines are busy or the process drains, and as the engine's dial()
   */
  async dial(request: DialRequest): Promise<void> {
    await this.place(request);
  }

  /** As `dial`. @returns SIP's Call-ID, by which the leg's origin is known again */
  async place({ trunk, destination, from, headers, ringTimeoutMs, joins }: DialRequest): Promise<string> {
    if (this.#draining) throw new GatewayError('ERR_OVERLOADED', 'draining');
    if (this.#calls.size >= this.#options.maxCalls) throw new GatewayError('ERR_OVERLOADED', 'all lines are busy');
    const devices = (this.#deps.browserHost && this.#deps.engine.devicesOf?.({ trunk, destination })) ?? 'phones';
    const options = {
      ...{ trunk, destination, devices },
      ...(from !== undefined && { from }),
      ...(headers && { headers: headers.map(({ name, value }) => [name, value] as const) }),
      ...(ringTimeoutMs !== undefined && { ringTimeoutMs }),
    };
    const call = new DialledCall(this.#deps.engine, options, joins);
    this.#take(call);
    return call.sipCallId;
  }

  /** What was decided about a call that is there, and by which rules: by our name for it, its session's or SIP's. */
  whyOf(id: string): RunningCall | undefined {
    for (const call of this.#calls) if (call.goesBy(id)) return { ...call.names, rules: keptRules(this.#tried.get(call) ?? []) };
    return undefined;
  }

  /** State of every call, for people who look at a running gateway. */
  snapshot(): unknown[] {
    return [...this.#calls].map((call) => call.snapshot());
  }

  /** Why there is no line for this call; undefined when there is one. */
  #refusal({ source }: InboundCall): string | undefined {
    const { maxCalls } = this.#options;
    if (this.#calls.size + this.#waiting.size >= maxCalls) return 'all lines are busy';
    const most = Math.max(LEAST_UNPROVEN, Math.ceil(maxCalls * UNPROVEN_SHARE));
    if (this.#calls.size + this.#waiting.size < most) return undefined;
    let unproven = this.#waiting.from(source.address);
    for (const call of this.#calls) if (!call.isProven && call.sourceAddress === source.address) unproven += 1;
    return unproven < most ? undefined : 'too many unacknowledged calls from this address';
  }

  #accept(invite: InboundCall): void {
    const { replaces } = invite;
    if (replaces) {
      const call = [...this.#calls].find((each) => each.holds(replaces));
      if (call) call.takeOver(invite);
      else invite.reject({ status: 481 });
      return;
    }
    const refusal = this.#refusal(invite);
    if (refusal !== undefined) {
      this.#log.warn({ calls: this.#calls.size, maxCalls: this.#options.maxCalls, reason: refusal }, 'call refused');
      this.#turnAway(invite, 503, refusal);
      return;
    }
    const verdict = judgeArrival(invite, this.#deps);
    if (verdict.type === 'refused') {
      const { status, refusal: reason, detail } = verdict;
      this.#log.warn({ source: invite.source.address, status, reason, mismatch: firstMismatch(verdict.tried)?.rule }, 'call refused');
      this.#turnAway(invite, status, detail, verdict.tried);
      return;
    }
    const facts = factsOf(invite, verdict.admitted?.trunk, this.#deps.users);
    const found = this.#deps.identify?.({ invite, trunk: verdict.admitted?.trunk, facts });
    if (!(found instanceof Promise)) {
      this.#enter(invite, verdict, facts, found);
      return;
    }
    const since = this.#clock.wallclock();
    this.#waiting.add(invite, found, {
      onFound: (identity) => this.#enter(invite, verdict, facts, identity),
      onLeft: (left) => {
        verdict.admitted?.lease.release();
        const { status, detail, cause } = LEFT[left];
        if (left === 'ended') invite.reject({ status });
        this.#ended.inc({ cause });
        this.#deps.onReport(
          refusedReport(invite, this.#clock.wallclock(), status, detail, verdict.tried, { cause, facts, startedAt: since }),
        );
        this.#tellIfQuiet();
      },
    });
  }

  /** Takes the call, or not, by what has been found of its caller. */
  #enter(invite: InboundCall, { admitted, tried, wanted }: Taken, said: InviteFacts, found: IdentityVerdict | undefined): void {
    const all = [...tried, ...(found?.tried ?? [])];
    const facts = found ? { ...said, stir: found.identity } : said;
    if (!found?.refusal) {
      this.#take(invite, admitted, { tried: all, facts, ...(wanted && { wanted }) });
      return;
    }
    admitted?.lease.release();
    const { status, reason, detail } = found.refusal;
    this.#log.warn({ source: invite.source.address, status, reason, mismatch: firstMismatch(all)?.rule }, 'call refused');
    this.#turnAway(invite, status, detail, all, { reason, facts });
    this.#tellIfQuiet();
  }

  /** One record a call, refused ones included. */
  #turnAway(
    invite: InboundCall,
    status: number,
    detail: string,
    tried?: readonly RuleTried[],
    { reason, facts }: { readonly reason?: string; readonly facts?: InviteFacts } = {},
  ): void {
    this.#ended.inc({ cause: 'rejected' });
    // Strangers are told nothing; who is known may know why.
    const known = invite.caller !== undefined && invite.caller.type !== 'stranger';
    const phrase = reason === undefined ? {} : { reason };
    invite.reject({ status, ...phrase, ...(status === 503 ? { retryAfterS: RETRY_AFTER_S } : {}), ...(known ? { warning: detail } : {}) });
    this.#deps.onReport(refusedReport(invite, this.#clock.wallclock(), status, detail, tried ?? invite.tried, facts ? { facts } : {}));
  }

  /** The engine has answered it already. */
  #noteRefused(refused: RefusedInvite): void {
    this.#ended.inc({ cause: 'rejected' });
    this.#log.warn({ source: refused.source.address, status: refused.status, reason: refused.reason }, 'call refused');
    this.#deps.onReport(refusedReport(refused, this.#clock.wallclock(), refused.status, refused.reason, refused.tried));
  }

  #take(invite: InboundCall, admitted?: { readonly trunk: Trunk; readonly lease: CallLease }, arrived: Arrived = { tried: [] }): void {
    const tried = [...arrived.tried];
    const { browserHost } = this.#deps;
    const isBrowser = invite instanceof DialledCall ? invite.devices === 'browsers' : isBrowserCall(invite.offer, invite.source);
    const alike = {
      ...(arrived.facts && { facts: arrived.facts }),
      policy: (each: InboundCall) => this.#deps.policy?.(each, { ...arrived, tried }),
      near: (each: InboundCall) => this.#otherSessionOf(userOf(each)),
      callBack: (from: InboundCall) => this.#callBack(from),
      onRefer: (refer: IncomingRefer) => this.#transfer(refer, call),
      mayRefer: (target: string) => this.#mayRefer(target, call),
      onClosed: (record: CallReport) => {
        admitted?.lease.release();
        capTimer?.cancel();
        const { facts } = arrived;
        this.#closed(call, { ...record, ...(tried.length > 0 ? { tried: keptRules(tried) } : {}), ...(facts && { facts }) });
      },
      onGone: () => this.#gone(call),
    };
    const call: LiveCall =
      browserHost && isBrowser
        ? new WebCall({ clock: this.#clock, log: this.#log, host: browserHost, ...alike }, invite)
        : new PhoneCall(
            {
              ...{ ...this.#deps, ...alike },
              replacesUriOf: (sipCallId) => this.#replacesUriOf(sipCallId),
            },
            invite,
          );
    // A call of ours is ended by the engine.
    const capTimer = admitted && this.#clock.setTimer(admitted.trunk.caps.durationS * 1000, () => call.hangup('duration_cap'));
    this.#tried.set(call, tried);
    this.#calls.add(call);
    this.#dialogs.add(call);
    call.open();
  }

  /** That of another call of this user: it may have the two put together. */
  #otherSessionOf(user: string | undefined): string | undefined {
    if (user === undefined) return undefined;
    for (const call of this.#calls) if (call.user === user && call.place) return call.place.sessionId;
    return undefined;
  }

  #replacesUriOf(sipCallId: string): string | undefined {
    for (const call of this.#calls) {
      const uri = call.replacesUriIn(sipCallId);
      if (uri !== undefined) return uri;
    }
    return undefined;
  }

  /** Whom its own session may have a phone call: the configured targets, and what could be dialled by the phone's trunk. */
  #mayRefer(target: string, call: LiveCall): boolean {
    const { transferTarget, transferTargets = [] } = this.#options;
    if (target === transferTarget || transferTargets.includes(target)) return true;
    const { trunks } = this.#deps;
    const trunk = call.trunkIn(trunks);
    // An attended transfer names the call to be replaced; whom it leads to stands before.
    const plain = target.replace(/\?Replaces=[^&]*$/i, '');
    return trunk !== undefined && trunks !== undefined && !('refusal' in trunks.judge(trunk.name, plain));
  }

  /** Who is at the other end wants somebody else there: a user whom it may call, a trunk whom its list holds. */
  #transfer(refer: IncomingRefer, call: LiveCall): boolean {
    if (call.user === undefined) return call instanceof PhoneCall && this.#transferByTrunk(refer, call);
    const to = successorFor(refer, call, this.#deps, this.#calls);
    // The owner hears of it before a BYE that comes right after it.
    if (typeof to !== 'number') return call.handOver(refer, to);
    // Nothing can be told before the transfer is taken, which is when this returns.
    soon(() => refer.notify(to));
    return true;
  }

  /** A trunk that may have us transferred says to whom; within its list, and counted like any call by it. */
  #transferByTrunk(refer: IncomingRefer, call: PhoneCall): boolean {
    const { trunks, engine } = this.#deps;
    const trunk = call.trunkIn(trunks);
    if (trunk?.refer !== 'allow') return false;
    const headers = refer.replaces === undefined ? [] : [['Replaces', refer.replaces] as const];
    try {
      return call.transfer(refer, () => new DialledCall(engine, { trunk: trunk.name, destination: refer.target, headers }));
    } catch (thrown) {
      this.#log.warn({ call: call.id, code: GatewayError.from(thrown).code }, 'transfer refused');
      return false;
    }
  }

  /** Whether and how the one who calls may be called: by the number it says it has, if the trunk's list holds it. */
  #callBack({ from }: InboundCall): DialRequest | undefined {
    const { callbackTrunk: trunk } = this.#options;
    const { trunks } = this.#deps;
    if (trunk === undefined || !trunks) return undefined;
    const user = /^(?:sips?:([^@;?:]+)(?::[^@]*)?@|tel:([^;]+))/i
      .exec(from)
      ?.slice(1)
      .find((each) => each !== undefined);
    const destination = [user, from].find((each) => each !== undefined && !('refusal' in trunks.judge(trunk, each)));
    return destination === undefined ? undefined : { trunk, destination };
  }

  #closed(call: LiveCall, record: CallReport): void {
    if (!this.#calls.delete(call)) return;
    this.#ended.inc({ cause: record.cause });
    this.#deps.onReport(record);
    this.#tellIfQuiet();
  }

  #gone(call: LiveCall): void {
    this.#dialogs.delete(call);
    this.#tellIfQuiet();
  }

  get #quiet(): boolean {
    return this.#dialogs.size + this.#calls.size + this.#waiting.size === 0;
  }

  #tellIfQuiet(): void {
    if (!this.#quiet) return;
    for (const resolve of this.#whenQuiet) resolve();
    this.#whenQuiet = [];
  }
}
