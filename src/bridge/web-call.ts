import type { Clock, Timer } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import { type Logger, maskUri } from '../base/log.ts';
import type { CallFacts, LegHeader } from '../leg/call-facts.ts';
import type {
  DialRequest,
  EndCause,
  JoinedSession,
  Leg,
  LegEvent,
  LegHost,
  LegOrigin,
  LegPolicy,
  OpenedLeg,
  RejectCause,
  SessionSummary,
} from '../leg/leg.ts';
import { digitOfInfo } from '../sip/dtmf-info.ts';
import type { Call, CallEnd, InboundCall, Refusal, SentHeaders } from '../sip/engine.ts';
import { hangupReason, rejectionStatus } from '../sip/sip-status.ts';
import { type CallReport, formatSource, makeCallId, type SetupTimes } from './call-report.ts';
import { DialledCall, type DialledDialog } from './dialled-call.ts';
import type { CallNames } from './phone-call.ts';
import { refusalCause } from './refusal-cause.ts';
import { directionIn } from './web-media.ts';

/** From INVITE to the owner's answer; a healthy one needs a few milliseconds. */
const SETUP_MS = 5000;
/** Longer than any decision may take. */
const DECISION_MS = 660_000;
/** How long the call's record waits for what the owner has to say of it. */
const OWNER_WORD_MS = 500;
/** What a caller is told to wait when there was no owner or no media. */
const RETRY_AFTER_S = 5;
/** By INFO a key takes 160 ms and as long a pause. */
const INFO_KEY_MS = 160;
const MOST_INFO_KEYS = 64;

export interface WebCallDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** Who owns sessions; undefined where there is nobody yet. */
  readonly host: () => LegHost | undefined;
  /** What the INVITE says of the call; absent for one of ours. */
  readonly facts?: CallFacts;
  /** Whose the session of a call is, and who decides whether it is taken; the local agent takes all without it. */
  readonly policy?: (invite: InboundCall) => LegPolicy | undefined;
  /** How this caller could be called back, if it may be. */
  readonly callBack?: (invite: InboundCall) => DialRequest | undefined;
  /** Whether the browser may be sent to call this URI in our place. Nobody, when absent. */
  readonly mayRefer?: (target: string) => boolean;
  /** The call is over and this is its record. Called once. */
  readonly onClosed: (record: CallReport) => void;
  /** Nothing of the call is left, the dialog included. Called once, after onClosed or before. */
  readonly onGone: () => void;
}

/** opening → waiting → answered → ended; each arrow only forward. */
type State = 'opening' | 'waiting' | 'answered' | 'ended';

/**
 * The call of a softphone in a browser: the SIP dialog, and nothing else. Its media goes by the relays to the owner of the session, which answers
 * (or makes) the offer that the dialog carries, so nothing is transcoded and no port is taken.
 */
export class WebCall {
  readonly id = makeCallId();
  readonly #deps: WebCallDeps;
  readonly #invite: InboundCall;
  /** The same, when it is a call of ours. */
  readonly #dialled: DialledCall | undefined;
  readonly #log: Logger;
  readonly #arrivedAt: number;
  readonly #startedAt: number;
  readonly #setup: SetupTimes = {};
  #state: State = 'opening';
  /** Our description in the dialog: the answer, or the offer of a call of ours. */
  #description = '';
  #opened: Omit<OpenedLeg, 'answer'> | undefined;
  #accept: ((answer: string) => void) | undefined;
  #answerWanted = false;
  #held = false;
  #call: Call | undefined;
  #farewell: SentHeaders = [];
  #summary: SessionSummary | undefined;
  #timer: Timer | undefined;
  #answeredAt: number | undefined;
  #endedAt = 0;
  #sipStatus = 0;
  #cause: EndCause | undefined;
  #detail: string | undefined;
  #closed = false;

  constructor(deps: WebCallDeps, invite: InboundCall) {
    this.#deps = deps;
    this.#invite = invite;
    this.#arrivedAt = deps.clock.now();
    this.#startedAt = deps.clock.wallclock();
    this.#log = deps.log.child({ call: this.id, sipCallId: invite.sipCallId });
    this.#dialled = invite instanceof DialledCall ? invite : undefined;
    invite.onCancel = () => this.#end('cancelled', { sipStatus: 487 });
    if (!this.#dialled) return;
    this.#dialled.onProgress = ({ status }) => this.#progressed(status);
    this.#dialled.onDurationCap = () => this.#end('duration_cap');
  }

  /** Sets the call up; whatever goes wrong ends in a refusal and a record. */
  open(): void {
    const { from, requestUri, source } = this.#invite;
    const said = { from: maskUri(from), to: maskUri(requestUri), source: source.address };
    this.#log.info(said, this.#dialled ? 'call outgoing, to a browser' : 'call incoming, of a browser');
    this.#timer = this.#deps.clock.setTimer(SETUP_MS, () => this.#refuse('media_failed', 'set-up took too long'));
    this.#open().catch((thrown: unknown) => {
      const error = GatewayError.from(thrown);
      this.#refuse(refusalCause(error), error.message);
      if (error.code === 'ERR_INTERNAL') this.#log.error({ err: thrown }, 'call set-up failed');
    });
  }

  /** Ends the call from our side, whatever state it is in. */
  hangup(cause: EndCause, headers: readonly LegHeader[] = []): void {
    this.#farewell = headers.map(({ name, value }) => [name, value] as const);
    if (this.#state === 'answered') this.#end(cause);
    else this.#refuse(cause === 'shutdown' ? 'overloaded' : 'unavailable', `ended before it was answered: ${cause}`);
  }

  /** Has the caller proved to be where the INVITE came from? */
  get isProven(): boolean {
    return this.#setup.acknowledgedMs !== undefined;
  }

  get sourceAddress(): string {
    return this.#invite.source.address;
  }

  get names(): CallNames {
    const { sipCallId, from, requestUri: to } = this.#invite;
    const sessionId = this.#opened?.sessionId;
    return { callId: this.id, sessionId, sipCallId, from, to, peer: formatSource(this.#invite), at: this.#startedAt };
  }

  /** Is this a name of the call: ours, its session's, SIP's Call-ID? */
  goesBy(id: string): boolean {
    return id === this.id || id === this.#opened?.sessionId || id === this.#invite.sipCallId;
  }

  /** Is this dialog the one with our softphone? */
  holds(call: Call): boolean {
    return this.#call === call || (this.#dialled !== undefined && (this.#call as DialledDialog | undefined)?.is(call) === true);
  }

  /** Another phone has no part in the connection of a browser. */
  takeOver(invite: InboundCall): void {
    invite.reject({ status: 488, warning: 'the call of a browser cannot be taken over' });
  }

  /** Nobody can take our place in it. */
  replacesUriIn(): undefined {
    return undefined;
  }

  trunkIn(): undefined {
    return undefined;
  }

  snapshot(): unknown {
    return {
      id: this.id,
      sessionId: this.#opened?.sessionId,
      state: this.#state,
      from: maskUri(this.#invite.from),
      setup: this.#setup,
    };
  }

  async #open(): Promise<void> {
    const host = this.#deps.host();
    if (!host) throw new GatewayError('ERR_NODE_UNREACHABLE', 'there is no owner of sessions');
    const joins = this.#dialled?.joins;
    // Whose session it joins, that one knows.
    const policy = joins ? undefined : this.#deps.policy?.(this.#invite);
    const opening = { origin: this.#origin(policy, joins), ...(policy && { policy }) };
    const { offer } = this.#invite;
    if (offer === undefined) {
      if (!host.offer) {
        throw new GatewayError('ERR_NODE_UNREACHABLE', 'browsers are called only where SIP and sessions are in one process');
      }
      const { offer: ours, accept, ...opened } = await host.offer(opening, this.#leg());
      this.#accept = accept;
      this.#isOpen(opened, ours);
    } else {
      const { answer, ...opened } = await host.open({ ...opening, offer }, this.#leg());
      this.#isOpen(opened, answer);
    }
    if (this.#state !== 'waiting' || this.#answerWanted || (policy?.decide.by ?? 'answer') === 'answer') return;
    this.#timer?.cancel();
    this.#timer = this.#deps.clock.setTimer(DECISION_MS, () => this.#refuse('unavailable', 'nobody decided'));
    this.#invite.ring();
  }

  #isOpen(opened: Omit<OpenedLeg, 'answer'>, description: string): void {
    this.#opened = opened;
    this.#setup.openedMs = this.#elapsed();
    // It ended while it was opened.
    if (this.#state === 'ended') {
      opened.tell({ type: 'ended', cause: this.#cause ?? 'internal_error' });
      return;
    }
    this.#description = description;
    this.#state = 'waiting';
    this.#maybeAnswer();
  }

  #origin(policy: LegPolicy | undefined, joins: JoinedSession | undefined): LegOrigin {
    const { from, requestUri: to, sipCallId } = this.#invite;
    const origin = { kind: 'phone', media: 'browser', from, to, sipCallId } as const;
    if (this.#dialled) return { ...origin, direction: 'outbound', ...(joins && { joins }) };
    const callBack = this.#deps.callBack?.(this.#invite);
    // Only who is asked about the call has a use for them.
    const headers = policy?.decide.by === 'api' ? this.#invite.headers : undefined;
    const { facts } = this.#deps;
    return { ...origin, ...(callBack ? { callBack } : {}), ...(headers ? { headers } : {}), ...(facts && { facts }) };
  }

  /** What the owner of the session may ask of us. Late commands find the call ended and do nothing. */
  #leg(): Leg {
    return {
      answer: () => {
        this.#answerWanted = true;
        this.#maybeAnswer();
      },
      reject: (cause, status) => this.#refuse(cause, 'refused by the session', status),
      hangup: (cause, headers) => this.hangup(cause, headers),
      refer: (target, headers) => this.#refer(target, headers),
      sendDtmf: (digits) => this.#sendDtmf(digits),
      report: (summary) => {
        this.#summary = summary;
        if (this.#state === 'ended') this.#close();
      },
    };
  }

  #maybeAnswer(): void {
    if (this.#state !== 'waiting' || !this.#answerWanted) return;
    this.#timer?.cancel();
    const call = this.#invite.answer(this.#description);
    this.#state = 'answered';
    if (!this.#dialled) this.#noteAnswered();
    this.#call = call;
    call.onEnd = (end) => this.#dialogEnded(end);
    call.onOffer = (offer) => this.#reoffered(offer);
    call.onAnswer = (answer) => this.#answerTaken(answer);
    call.onInfo = (info) => {
      const key = digitOfInfo(info);
      if (key) this.#tell({ type: 'dtmf', ...key });
    };
    call.onAck = () => this.#acknowledged();
    if (call.acknowledged) this.#acknowledged();
  }

  #noteAnswered(): void {
    this.#sipStatus = 200;
    this.#answeredAt = this.#deps.clock.wallclock();
    this.#setup.answeredMs = this.#elapsed();
    this.#log.info({ session: this.#opened?.sessionId, setup: this.#setup }, 'call answered');
  }

  #acknowledged(): void {
    if (this.#state !== 'answered' || this.#setup.acknowledgedMs !== undefined) return;
    if (this.#dialled) this.#noteAnswered();
    this.#setup.acknowledgedMs = this.#elapsed();
    this.#tell({ type: 'answered' });
  }

  /** A call of ours rings. */
  #progressed(status: number): void {
    if (this.#state !== 'answered' || status < 180 || this.#setup.ringingMs !== undefined) return;
    this.#setup.ringingMs = this.#elapsed();
    this.#tell({ type: 'ringing' });
  }

  /** The browser has answered our offer. */
  #answerTaken(answer: string): boolean {
    const accept = this.#accept;
    this.#accept = undefined;
    try {
      accept?.(answer);
      return accept !== undefined;
    } catch (thrown) {
      this.#log.warn({ err: GatewayError.from(thrown) }, 'answer of no use');
      return false;
    }
  }

  /** Hold, or ICE restarted: the owner of the connection answers. */
  #reoffered(offer: string): string | Refusal {
    const reoffer = this.#opened?.reoffer;
    if (this.#state !== 'answered' || !reoffer) {
      return { status: 488, warning: 'a browser is held only where SIP and sessions are in one process' };
    }
    try {
      const answer = reoffer(offer);
      const direction = directionIn(offer);
      const held = direction !== 'sendrecv' && direction !== 'recvonly';
      if (held !== this.#held) this.#tell({ type: 'hold', held });
      this.#held = held;
      return answer;
    } catch (thrown) {
      return { status: 488, warning: GatewayError.from(thrown).message };
    }
  }

  /** Scripts see no RTP events, so keys travel beside the media. */
  #sendDtmf(digits: string): void {
    for (const [index, digit] of [...digits].slice(0, MOST_INFO_KEYS).entries()) {
      const info = { contentType: 'application/dtmf-relay', body: `Signal=${digit}\r\nDuration=${INFO_KEY_MS}\r\n` };
      this.#deps.clock.setTimer(index * 2 * INFO_KEY_MS, () => {
        if (this.#state === 'answered') this.#call?.info?.(info);
      });
    }
  }

  /** The session has the browser call somebody in our place. */
  #refer(target: string, headers: readonly LegHeader[] = []): void {
    const fail = (status: number): void => this.#tell({ type: 'transfer', state: 'failed', status });
    if (this.#state !== 'answered' || !this.#call?.refer) {
      fail(501);
      return;
    }
    if (!this.#deps.mayRefer?.(target)) {
      this.#log.warn('transfer refused: not among the destinations');
      fail(403);
      return;
    }
    try {
      this.#call.refer(
        target,
        (progress) => this.#tell({ type: 'transfer', state: progress.type, ...('status' in progress ? { status: progress.status } : {}) }),
        headers.map(({ name, value }) => [name, value] as const),
      );
    } catch (thrown) {
      this.#log.warn({ err: thrown }, 'transfer refused');
      fail(400);
    }
  }

  #tell(event: LegEvent): void {
    this.#opened?.tell(event);
  }

  #dialogEnded(end: CallEnd): void {
    const failure = this.#dialled?.failure;
    if (failure) {
      const cause = failure.cause === 'cancelled' ? 'cancelled' : 'rejected';
      this.#end(cause, { sipStatus: failure.status, detail: `${failure.cause}: ${failure.reason}` });
    } else this.#end(end === 'bye' ? 'remote_hangup' : 'signalling_failed');
    this.#deps.onGone();
  }

  #refuse(cause: RejectCause, detail: string, status = rejectionStatus(cause)): void {
    if (this.#state === 'answered' || this.#state === 'ended') return;
    this.#invite.reject({
      status,
      ...(status === 503 ? { retryAfterS: RETRY_AFTER_S } : {}),
      ...(status === 488 ? { warning: detail } : {}),
    });
    this.#end(cause === 'media_failed' ? 'media_failed' : 'rejected', { sipStatus: status, detail });
  }

  #end(cause: EndCause, facts: { readonly sipStatus?: number; readonly detail?: string } = {}): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#endedAt = this.#deps.clock.wallclock();
    this.#cause = cause;
    this.#detail = facts.detail;
    this.#sipStatus = facts.sipStatus ?? this.#sipStatus;
    this.#timer?.cancel();
    this.#hangUp(cause);
    const status = this.#dialled?.failure?.status;
    this.#tell({ type: 'ended', cause, ...(status === undefined ? {} : { status }) });
    if (this.#opened && !this.#summary) this.#timer = this.#deps.clock.setTimer(OWNER_WORD_MS, () => this.#close());
    else this.#close();
    if (!this.#call) this.#deps.onGone();
  }

  /** With what a program wanted said; without it where that may not be said. */
  #hangUp(cause: EndCause): void {
    try {
      this.#call?.hangup(hangupReason(cause), this.#farewell);
    } catch (thrown) {
      this.#log.warn({ err: thrown }, 'headers of the farewell refused');
      this.#call?.hangup(hangupReason(cause));
    }
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.cancel();
    const answeredAt = this.#answeredAt;
    const record: CallReport = {
      callId: this.id,
      sipCallId: this.#invite.sipCallId,
      sessionId: this.#opened?.sessionId,
      from: this.#invite.from,
      to: this.#invite.requestUri,
      source: formatSource(this.#invite),
      startedAt: this.#startedAt,
      answeredAt,
      endedAt: this.#endedAt,
      durationMs: answeredAt === undefined ? 0 : this.#endedAt - answeredAt,
      cause: this.#cause ?? 'internal_error',
      sipStatus: this.#sipStatus,
      detail: this.#detail,
      setup: this.#setup,
      media: undefined,
      mediaAgeMs: undefined,
      session: this.#summary,
    };
    const { from, to, callId: _call, sipCallId: _sipCallId, ...facts } = record;
    this.#log.info({ ...facts, from: maskUri(from), to: maskUri(to) }, 'call ended');
    this.#deps.onClosed(record);
  }

  #elapsed(): number {
    return Math.round((this.#deps.clock.now() - this.#arrivedAt) * 10) / 10;
  }
}
