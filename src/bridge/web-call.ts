import type { Timer } from '../base/clock.ts';
import { type ErrorCode, GatewayError } from '../base/errors.ts';
import { type Logger, maskUri } from '../base/log.ts';
import type { LegHeader } from '../leg/call-facts.ts';
import type { EndCause, JoinedSession, Leg, LegEvent, LegHost, OfferedLeg, OpenedLeg, RejectCause, Successor } from '../leg/leg.ts';
import { digitOfInfo } from '../sip/dtmf-info.ts';
import type { Call, CallEnd, InboundCall, IncomingRefer, Refusal } from '../sip/engine.ts';
import { rejectionStatus } from '../sip/sip-status.ts';
import type { CallDeps } from './call-deps.ts';
import { originOf } from './call-origin.ts';
import { type CallNames, CallOutcome, type EndFacts, endOfFailure } from './call-outcome.ts';
import { refusalWith, sayGoodbye, sendInfoKeys, sendRefer } from './call-words.ts';
import { DialledCall, type DialledDialog } from './dialled-call.ts';
import { Referral } from './referral.ts';
import { refusalCause } from './refusal-cause.ts';
import { placeOf, type TransferableCall, userOf } from './user-transfer.ts';
import { directionIn } from './web-media.ts';

/** From INVITE to the owner's answer; a healthy one needs a few milliseconds. */
const SETUP_MS = 5000;
/** Longer than any decision may take. */
const DECISION_MS = 660_000;
/** How long the call's record waits for what the owner has to say of it. */
const OWNER_WORD_MS = 500;

/** Nobody has said no: what was asked for may work a moment later. */
const OWNER_SILENT: ReadonlySet<ErrorCode> = new Set(['ERR_TIMEOUT', 'ERR_NODE_UNREACHABLE']);

export interface WebCallDeps extends CallDeps {
  /** Who owns sessions; undefined where there is nobody yet. */
  readonly host: () => LegHost | undefined;
  /** The browser's user wants somebody else in its place. True takes it. */
  readonly onRefer?: (refer: IncomingRefer, call: WebCall) => boolean;
}

/** opening → waiting → answered → ended; each arrow only forward. */
type State = 'opening' | 'waiting' | 'answered' | 'ended';

/**
 * The call of a softphone in a browser: the SIP dialog, and nothing else. Its media goes by the relays to the owner of the session, which answers
 * (or makes) the offer that the dialog carries, so nothing is transcoded and no port is taken.
 */
export class WebCall implements TransferableCall {
  readonly #deps: WebCallDeps;
  readonly #invite: InboundCall;
  /** The same, when it is a call of ours. */
  readonly #dialled: DialledCall | undefined;
  readonly #log: Logger;
  readonly #outcome: CallOutcome;
  #state: State = 'opening';
  /** Our description in the dialog: the answer, or the offer of a call of ours. */
  #description = '';
  #opened: Omit<OpenedLeg, 'answer'> | undefined;
  #accept: OfferedLeg['accept'] | undefined;
  /** Whether the browser's answer to it is of use. */
  #accepted: Promise<boolean> | undefined;
  #answerWanted = false;
  #held = false;
  #call: Call | undefined;
  readonly #referral = new Referral();
  #farewell: readonly LegHeader[] = [];
  #timer: Timer | undefined;
  #closed = false;

  constructor(deps: WebCallDeps, invite: InboundCall) {
    this.#deps = deps;
    this.#invite = invite;
    this.#outcome = new CallOutcome(deps.clock, invite);
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
    this.#farewell = headers;
    if (this.#state === 'answered') this.#end(cause);
    else this.#refuse(cause === 'shutdown' ? 'overloaded' : 'unavailable', `ended before it was answered: ${cause}`);
  }

  /** Has the caller proved to be where the INVITE came from? */
  get isProven(): boolean {
    return this.#outcome.setup.acknowledgedMs !== undefined;
  }

  get sourceAddress(): string {
    return this.#invite.source.address;
  }

  get id(): string {
    return this.#outcome.callId;
  }

  get names(): CallNames {
    return this.#outcome.names;
  }

  /** Is this a name of the call: ours, its session's, SIP's Call-ID? */
  goesBy(id: string): boolean {
    return this.#outcome.goesBy(id);
  }

  get user(): string | undefined {
    return userOf(this.#invite);
  }

  get place(): JoinedSession | undefined {
    return placeOf(this.#invite, this.#outcome.sessionId);
  }

  isNamedBy(replaces: string): boolean {
    return this.#call?.isNamedBy?.(replaces) ?? false;
  }

  /** Has the session find somebody else in the place of the browser. @returns whether it is tried */
  handOver(refer: IncomingRefer, to: Successor): boolean {
    return this.#state === 'answered' && this.#referral.begin(refer, to, (event) => this.#tell(event));
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
      sessionId: this.#outcome.sessionId,
      state: this.#state,
      from: maskUri(this.#invite.from),
      setup: this.#outcome.setup,
    };
  }

  async #open(): Promise<void> {
    const host = this.#deps.host();
    if (!host) throw new GatewayError('ERR_NODE_UNREACHABLE', 'there is no owner of sessions');
    const joins = this.#dialled?.joins;
    // Whose session it joins, that one knows.
    const policy = joins ? undefined : this.#deps.policy?.(this.#invite);
    const { facts, callBack } = this.#deps;
    const origin = { ...originOf(this.#invite, { dialled: this.#dialled, policy, facts, callBack }), media: 'browser' } as const;
    const opening = { origin, ...(policy && { policy }), near: this.#deps.near?.(this.#invite) };
    const { offer } = this.#invite;
    if (offer === undefined) {
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
    this.#outcome.sessionId = opened.sessionId;
    this.#outcome.setup.openedMs = this.#outcome.elapsed();
    // It ended while it was opened.
    if (this.#state === 'ended') {
      opened.tell({ type: 'ended', cause: this.#outcome.cause });
      return;
    }
    this.#description = description;
    this.#state = 'waiting';
    this.#maybeAnswer();
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
      referred: (status) => this.#referral.handle(status),
      sendDtmf: (digits) => this.#sendDtmf(digits),
      report: (summary) => {
        this.#outcome.summary = summary;
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
    call.onRefer = (refer) => this.#deps.onRefer?.(refer, this) ?? false;
    call.onAck = () => this.#acknowledged();
    if (call.acknowledged) this.#acknowledged();
  }

  #noteAnswered(): void {
    this.#outcome.answered();
    this.#log.info({ session: this.#outcome.sessionId, setup: this.#outcome.setup }, 'call answered');
  }

  #acknowledged(): void {
    const accepted = this.#accepted;
    if (accepted === undefined) this.#up();
    else void accepted.then((isUsed) => isUsed && this.#up());
  }

  #up(): void {
    if (this.#state !== 'answered' || this.#outcome.setup.acknowledgedMs !== undefined) return;
    if (this.#dialled) this.#noteAnswered();
    this.#outcome.setup.acknowledgedMs = this.#outcome.elapsed();
    this.#tell({ type: 'answered' });
  }

  /** A call of ours rings. */
  #progressed(status: number): void {
    if (this.#state !== 'answered' || status < 180 || this.#outcome.setup.ringingMs !== undefined) return;
    this.#outcome.setup.ringingMs = this.#outcome.elapsed();
    this.#tell({ type: 'ringing' });
  }

  /** The browser has answered our offer. Whether that is of use says the owner of the connection; the call counts as answered when it has. */
  #answerTaken(answer: string): boolean {
    const accept = this.#accept;
    this.#accept = undefined;
    if (!accept) return false;
    this.#accepted = accept(answer).then(
      () => true,
      (thrown: unknown) => {
        const { code, message } = GatewayError.from(thrown);
        this.#log.warn({ code, reason: message }, 'answer of no use');
        this.#end('media_failed', { detail: message });
        return false;
      },
    );
    return true;
  }

  /** Hold, or ICE restarted: the owner of the connection answers. */
  async #reoffered(offer: string): Promise<string | Refusal> {
    if (this.#state !== 'answered' || !this.#opened) return { status: 488 };
    try {
      const answer = await this.#opened.reoffer(offer);
      // It ended meanwhile, and nothing is told of it any more.
      if (this.#over) return { status: 487 };
      const direction = directionIn(offer);
      const held = direction !== 'sendrecv' && direction !== 'recvonly';
      if (held !== this.#held) this.#tell({ type: 'hold', held });
      this.#held = held;
      return answer;
    } catch (thrown) {
      const { code, message } = GatewayError.from(thrown);
      return { status: OWNER_SILENT.has(code) ? 504 : 488, warning: message };
    }
  }

  /** Scripts see no RTP events, so keys travel beside the media. */
  #sendDtmf(digits: string): void {
    sendInfoKeys(this.#deps.clock, digits, (info) => {
      if (this.#state === 'answered') this.#call?.info?.(info);
    });
  }

  /** The session has the browser call somebody in our place. */
  #refer(target: string, headers: readonly LegHeader[] = []): void {
    const allowed = this.#deps.mayRefer?.(target) === true;
    const tell = (event: LegEvent): void => this.#tell(event);
    sendRefer(this.#state === 'answered' ? this.#call : undefined, target, { headers, allowed, log: this.#log, tell });
  }

  get #over(): boolean {
    return this.#state === 'ended';
  }

  #tell(event: LegEvent): void {
    this.#opened?.tell(event);
  }

  #dialogEnded(end: CallEnd): void {
    const failure = this.#dialled?.failure;
    if (failure) {
      const { cause, ...facts } = endOfFailure(failure);
      this.#end(cause, facts);
    } else this.#end(end === 'bye' ? 'remote_hangup' : 'signalling_failed');
    this.#deps.onGone();
  }

  #refuse(cause: RejectCause, detail: string, status = rejectionStatus(cause)): void {
    if (this.#state === 'answered' || this.#state === 'ended') return;
    this.#invite.reject(refusalWith(status, detail));
    this.#end(cause === 'media_failed' ? 'media_failed' : 'rejected', { sipStatus: status, detail });
  }

  #end(cause: EndCause, facts: EndFacts = {}): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#outcome.ended(cause, facts);
    this.#timer?.cancel();
    if (this.#call) sayGoodbye(this.#call, cause, this.#farewell, this.#log);
    const status = this.#dialled?.failure?.status;
    this.#tell({ type: 'ended', cause, ...(status === undefined ? {} : { status }) });
    if (this.#opened && !this.#outcome.summary) this.#timer = this.#deps.clock.setTimer(OWNER_WORD_MS, () => this.#close());
    else this.#close();
    if (!this.#call) this.#deps.onGone();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.cancel();
    this.#deps.onClosed(this.#outcome.report(this.#log));
  }
}
