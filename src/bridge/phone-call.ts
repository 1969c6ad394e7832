import type { Timer } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import { type Logger, maskUri } from '../base/log.ts';
import type { LegHeader } from '../leg/call-facts.ts';
import type { EndCause, JoinedSession, Leg, RejectCause, Successor } from '../leg/leg.ts';
import type { PhoneAnswer } from '../sdp/phone-answer.ts';
import type { LocalMedia } from '../sdp/phone-audio.ts';
import { digitOfInfo } from '../sip/dtmf-info.ts';
import type { Call, CallEnd, CallInfo, DialProgress, InboundCall, IncomingRefer, Refusal } from '../sip/engine.ts';
import { hangupReason, rejectionStatus } from '../sip/sip-status.ts';
import type { Trunk } from '../sip/trunk.ts';
import type { TrunkBook } from '../sip/trunk-book.ts';
import { agreeMedia, type PhoneMediaPolicy, termsOf } from './agree-media.ts';
import type { CallDeps } from './call-deps.ts';
import type { CallMedia, CallMediaEvents, MediaHost } from './call-media.ts';
import { originOf } from './call-origin.ts';
import { type CallNames, CallOutcome, type EndFacts, endOfFailure } from './call-outcome.ts';
import { refusalWith, sayGoodbye, sendInfoKeys, sendRefer } from './call-words.ts';
import { DialledCall, DialledDialog } from './dialled-call.ts';
import type { InnerEnd } from './inner-connection.ts';
import { type InnerVoice, voiceFor } from './inner-voice.ts';
import { LateOffer } from './late-offer.ts';
import { Referral } from './referral.ts';
import { refusalCause } from './refusal-cause.ts';
import { placeOf, type TransferableCall, userOf } from './user-transfer.ts';
import { directionIn } from './web-media.ts';

/** From INVITE to a connected inner leg; a healthy one needs 10 ms. After it the caller gets 503 and may try elsewhere. */
const SETUP_MS = 5000;

/**
 * A program that was asked says within its own time whether it takes the call; the owner sees to that, and the inner leg to the owner. Should both
 * fail, the caller is told after this: longer than any decision may take.
 */
const DECISION_MS = 660_000;

/** How long the owner's word may take over the door, when its media has said goodbye or the call's report waits for it. */
const OWNER_WORD_MS = 500;

/** Early descriptions of all branches that are followed; a forking proxy asks a handful of phones. */
const MOST_EARLY_CHANGES = 32;

/** Whoever answers: what a browser can play. */
const VOICE_FOR_ALL: InnerVoice = { maxPlaybackRateHz: 24_000, fec: true };

/** Stand where nothing is open yet. */
const DISCARD_PORT = 9;

export interface PhoneCallDeps extends CallDeps {
  /** Our address towards media of another family than the signalling; undefined for what cannot be reached, all of it when absent. */
  readonly mediaAddress?: (remote: string) => string | undefined;
  /** How the media of this call may be carried. Plain RTP, in all codecs, without it. */
  readonly mediaPolicy?: (invite: InboundCall) => PhoneMediaPolicy;
  /** Where its media is carried: in this process or in a worker. */
  readonly media: MediaHost;
  /** The phone's side wants us transferred to somebody. True takes it. */
  readonly onRefer?: (refer: IncomingRefer, call: PhoneCall) => boolean;
  /** What somebody calls to take our place in another call of ours. */
  readonly replacesUriOf?: (sipCallId: string) => string | undefined;
}

/** opening → connecting → answered → ended; each arrow only forward. */
type State = 'opening' | 'connecting' | 'answered' | 'ended';

/** The dialog half of a phone call: holds the SIP dialog and the media half, and is the leg that its session, wherever that lives, commands. */
export class PhoneCall implements TransferableCall {
  readonly #deps: PhoneCallDeps;
  readonly #invite: InboundCall;
  /** The same, when it is a call of ours. */
  readonly #dialled: DialledCall | undefined;
  readonly #log: Logger;
  readonly #outcome: CallOutcome;
  #state: State = 'opening';
  #answerWanted = false;
  /** Somebody is asked whether the call is taken. */
  #pending = false;
  #agreed: PhoneAnswer | undefined;
  /** The phone listens to somebody else. */
  #held = false;
  /** Offered by us, and not answered yet. */
  #lateOffer: LateOffer | undefined;
  /** What the browsers of somebody with phones were offered. */
  #browserOffer: LateOffer | undefined;
  /** It was a browser that answered. */
  #isBrowser = false;
  #earlyChanges = 0;
  /** The phone has sent a key as RTP events or sound. */
  #keysInMedia = false;
  #media: CallMedia | undefined;
  #call: Call | undefined;
  /** Whom the phone's side wants us transferred to, while it rings. */
  #transfer: Call | undefined;
  readonly #referral = new Referral();
  #farewell: readonly LegHeader[] = [];
  #setupTimer: Timer | undefined;
  #ownerTimer: Timer | undefined;
  #closed = false;

  constructor(deps: PhoneCallDeps, invite: InboundCall) {
    this.#deps = deps;
    this.#invite = invite;
    this.#outcome = new CallOutcome(deps.clock, invite);
    this.#log = deps.log.child({ call: this.id, sipCallId: invite.sipCallId });
    this.#dialled = invite instanceof DialledCall ? invite : undefined;
    invite.onCancel = () => this.#end('cancelled', { sipStatus: 487 });
    if (!this.#dialled) return;
    this.#dialled.onProgress = (progress) => this.#progressed(progress);
    this.#dialled.onDurationCap = () => this.#end('duration_cap');
  }

  /** Sets the call up; whatever goes wrong ends in a refusal and a record. */
  open(): void {
    this.#log.info(
      { from: maskUri(this.#invite.from), to: maskUri(this.#invite.requestUri), source: this.#invite.source.address },
      this.#dialled ? 'call outgoing' : 'call incoming',
    );
    this.#setupTimer = this.#deps.clock.setTimer(SETUP_MS, () => this.#refuse('media_failed', 'set-up took too long'));
    this.#open().catch((thrown: unknown) => {
      if (this.#over()) return;
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

  /** Has the caller proved to be where the INVITE came from? Only an ACK does, or another request of the dialog. */
  get isProven(): boolean {
    return this.#outcome.setup.acknowledgedMs !== undefined;
  }

  /** The trunk it came by, or goes by. */
  trunkIn(trunks: TrunkBook | undefined): Trunk | undefined {
    const { caller, source } = this.#invite;
    if (caller) return caller.type === 'trunk' ? trunks?.find(caller.name) : undefined;
    return trunks?.ofSource(source.address);
  }

  /** Where the INVITE really came from. */
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

  snapshot(): unknown {
    return {
      id: this.id,
      sessionId: this.#outcome.sessionId,
      state: this.#state,
      from: maskUri(this.#invite.from),
      setup: this.#outcome.setup,
      media: this.#media?.snapshot(),
    };
  }

  async #open(): Promise<void> {
    // Codecs are checked before anything is opened: a refused call costs no port.
    const { media: first } = this.#agree(this.#localMedia());
    const voice = this.#dialled?.devices === 'all' ? VOICE_FOR_ALL : voiceFor(first);
    const joins = this.#dialled?.joins;
    const events: CallMediaEvents = {
      leg: this.#leg(),
      onOpened: (sessionId) => {
        this.#outcome.sessionId = sessionId;
        this.#outcome.setup.openedMs = this.#outcome.elapsed();
      },
      onConnected: () => this.#connected(),
      onLost: (reason) => this.#mediaLost(reason),
      onKey: () => {
        this.#keysInMedia = true;
      },
      onTimeout: () => this.#end('media_timeout'),
      onFirstAudio: () => {
        this.#outcome.setup.firstAudioMs = this.#outcome.elapsed();
      },
    };
    const near = this.#deps.near?.(this.#invite);
    const media = await this.#deps.media.open(voice, events, joins, near);
    this.#media = media;
    if (this.#over()) return;
    const agreed = this.#agree(this.#localMedia(media));
    this.#agreed = agreed;
    if (this.#dialled?.devices === 'all') {
      this.#browserOffer = LateOffer.toBrowser(this.#localMedia(media), media.fingerprint);
      this.#dialled.browserOffer = this.#browserOffer.text;
    }
    // Whose session it joins, that one knows.
    const policy = joins ? undefined : this.#deps.policy?.(this.#invite);
    const opening = {
      origin: originOf(this.#invite, { dialled: this.#dialled, policy, facts: this.#deps.facts, callBack: this.#deps.callBack }),
      audio: agreed.media,
      signallingAddress: this.#invite.source.address,
    };
    await media.connect({ ...opening, near, ...(policy && { policy }) });
    if (this.#over()) return;
    this.#state = 'connecting';
    this.#pending = policy?.decide.by === 'api';
    this.#maybeRing();
    this.#maybeAnswer();
  }

  /** The answer to the phone's offer, or an offer of ours when the INVITE has none. @throws GatewayError */
  #agree(local: LocalMedia): PhoneAnswer {
    const { offer } = this.#invite;
    if (offer !== undefined) return agreeMedia(offer, local);
    this.#lateOffer = LateOffer.toPhone(local);
    return this.#lateOffer.pending();
  }

  /** Where the phone's media comes to; without ports for a look at an offer. */
  #localMedia(media?: CallMedia): LocalMedia {
    const { localAddress: address } = this.#invite;
    const { mediaAddress } = this.#deps;
    return {
      address,
      ...(mediaAddress && { addressTowards: mediaAddress }),
      rtpPort: media?.rtpPort ?? DISCARD_PORT,
      rtcpPort: media?.rtcpPort ?? DISCARD_PORT,
      ...this.#terms(media),
    };
  }

  /** What may be agreed on with this phone, and how it is protected. */
  #terms(media: CallMedia | undefined): Pick<LocalMedia, 'codecs' | 'terms'> {
    if (this.#isBrowser) return termsOf({ srtp: 'required', sdesOverPlain: 'refuse' }, this.#invite.source, media?.fingerprint);
    const policy = this.#deps.mediaPolicy?.(this.#invite);
    return policy ? termsOf(policy, this.#invite.source, media?.fingerprint) : {};
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
      refer: (target, headers) => this.#refer(target, { headers }),
      referToCall: (sipCallId, uri) => this.#refer(this.#deps.replacesUriOf?.(sipCallId) ?? uri, { isOurs: true }),
      referred: (status) => this.#referral.handle(status),
      sendDtmf: (digits) => this.#sendDtmf(digits),
      report: (summary) => {
        this.#outcome.summary = summary;
        if (this.#state === 'ended') this.#close();
      },
    };
  }

  #connected(): void {
    this.#outcome.setup.connectedMs = this.#outcome.elapsed();
    this.#maybeRing();
    this.#maybeAnswer();
  }

  /** The set-up is done, and somebody takes time to decide: the phone rings meanwhile. */
  #maybeRing(): void {
    if (!this.#pending || this.#state !== 'connecting' || this.#answerWanted || this.#outcome.setup.connectedMs === undefined) return;
    this.#pending = false;
    this.#setupTimer?.cancel();
    this.#setupTimer = this.#deps.clock.setTimer(DECISION_MS, () => this.#refuse('unavailable', 'nobody decided'));
    this.#invite.ring();
  }

  /** 200 OK goes out when the session wants the call and its media is up (docs/decisions/answer-after-media.md). */
  #maybeAnswer(): void {
    const { connectedMs } = this.#outcome.setup;
    if (this.#state !== 'connecting' || !this.#answerWanted || connectedMs === undefined || !this.#agreed || !this.#media) return;
    this.#setupTimer?.cancel();
    const call = this.#invite.answer(this.#agreed.answer);
    this.#state = 'answered';
    if (this.#dialled) this.#log.debug({ setup: this.#outcome.setup }, 'call dialled');
    else this.#noteAnswered();
    this.#hold(call);
    call.onAnswer = (answer) => this.#answerTaken(answer);
    call.onAck = () => this.#acknowledged();
    if (call.acknowledged) this.#acknowledged();
  }

  /** From now on this dialog is the phone's. */
  #hold(call: Call): void {
    this.#call = call;
    call.onEnd = (end) => this.#dialogEnded(end);
    call.onOffer = (offer) => this.#reoffered(offer);
    call.onOfferWanted = () => this.#offerWanted();
    call.onAnswer = (answer) => this.#answerTaken(answer);
    call.onInfo = (info) => this.#informed(info);
    call.onRefer = (refer) => this.#deps.onRefer?.(refer, this) ?? false;
  }

  /** The session and its media stay, the phone is another one. */
  #moveTo(call: Call, agreed: PhoneAnswer): void {
    const old = this.#call;
    this.#hold(call);
    this.#agreed = agreed;
    this.#lateOffer = undefined;
    this.#keysInMedia = false;
    this.#media?.renegotiate(agreed.media);
    if (!old) return;
    for (const handler of ['onEnd', 'onOffer', 'onOfferWanted', 'onAnswer', 'onInfo', 'onRefer'] as const) old[handler] = undefined;
    old.hangup(hangupReason('agent_hangup'));
  }

  /** Is this dialog the one with our phone? */
  holds(call: Call): boolean {
    return this.#call === call || (this.#call instanceof DialledDialog && this.#call.is(call));
  }

  /** What another phone calls to take our place in this call; undefined while there is none. */
  replacesUriIn(sipCallId: string): string | undefined {
    return this.#invite.sipCallId === sipCallId && this.#state === 'answered' ? this.#call?.replacesUri || undefined : undefined;
  }

  /** Another phone takes the place of ours (RFC 3891). */
  takeOver(invite: InboundCall): void {
    if (this.#state !== 'answered' || !this.#media || invite.offer === undefined) {
      invite.reject({ status: 488 });
      return;
    }
    try {
      const agreed = agreeMedia(invite.offer, { ...this.#localMedia(this.#media), address: invite.localAddress });
      this.#moveTo(invite.answer(agreed.answer), agreed);
      this.#log.info({ from: maskUri(invite.from) }, 'call taken over');
    } catch (thrown) {
      invite.reject({ status: 488, warning: GatewayError.from(thrown).message });
    }
  }

  /**
   * Calls somebody with the media of this call, and leaves the phone for whom answers: the phone's side asked for it.
   * @returns whether it is tried
   */
  transfer(refer: IncomingRefer, dial: () => DialledCall): boolean {
    if (this.#state !== 'answered' || !this.#media || this.#transfer) return false;
    const next = dial();
    const offer = LateOffer.toPhone({ ...this.#localMedia(this.#media), address: next.localAddress });
    let agreed: PhoneAnswer | undefined;
    next.onProgress = ({ status, reason }) => refer.notify(status, reason);
    const call = next.answer(offer.text);
    this.#transfer = call;
    call.onAnswer = (answer) => {
      agreed = offer.agree(answer);
      return agreed !== undefined;
    };
    call.onAck = () => {
      this.#transfer = undefined;
      refer.notify(200);
      if (agreed && this.#state === 'answered') this.#moveTo(call, agreed);
      else call.hangup(hangupReason('agent_hangup'));
      this.#log.info({ to: maskUri(next.requestUri) }, 'call transferred');
    };
    call.onEnd = () => {
      this.#transfer = undefined;
      refer.notify(next.failure?.status ?? 487);
    };
    return true;
  }

  /** Has the session find somebody else in the place of the phone. @returns whether it is tried */
  handOver(refer: IncomingRefer, to: Successor): boolean {
    return this.#state === 'answered' && this.#referral.begin(refer, to, (event) => this.#media?.tell(event));
  }

  #noteAnswered(): void {
    this.#outcome.answered();
    this.#log.info({ session: this.#outcome.sessionId, codec: this.#agreed?.media.codec, setup: this.#outcome.setup }, 'call answered');
  }

  /** A call of ours rings, or has something to say before it is answered. */
  #progressed({ status, sdp }: DialProgress): void {
    if (this.#state !== 'answered' || status < 180) return;
    if (this.#outcome.setup.ringingMs === undefined) this.#media?.tell({ type: 'ringing' });
    this.#outcome.setup.ringingMs ??= this.#outcome.elapsed();
    if (sdp !== undefined) this.#hearEarly(sdp);
  }

  /**
   * Ringback or an announcement: the session hears the branch that spoke last, and nothing is sent to it before somebody answers. Nothing is agreed
   * on by it; the answer decides.
   */
  #hearEarly(sdp: string): void {
    if (this.#earlyChanges >= MOST_EARLY_CHANGES || this.#outcome.setup.acknowledgedMs !== undefined) return;
    const early = this.#lateOffer?.agree(sdp);
    if (!early) return;
    this.#earlyChanges += 1;
    this.#media?.renegotiate(early.media);
  }

  /** The session has the phone's side call somebody in our place. */
  #refer(
    target: string | undefined,
    { isOurs = false, headers = [] }: { readonly isOurs?: boolean; readonly headers?: readonly LegHeader[] | undefined } = {},
  ): void {
    sendRefer(this.#state === 'answered' ? this.#call : undefined, target, {
      headers,
      // A call of ours has been allowed when it was dialled.
      allowed: isOurs || (target !== undefined && this.#deps.mayRefer?.(target) === true),
      log: this.#log,
      tell: (event) => this.#media?.tell(event),
    });
  }

  /** As RTP events; by INFO, one after the other, to a phone that takes none. */
  #sendDtmf(digits: string): void {
    if (this.#state !== 'answered') return;
    // Scripts see no RTP events.
    if (this.#agreed?.media.telephoneEventPayloadType !== undefined && !this.#isBrowser) {
      this.#media?.sendKeys(digits);
      return;
    }
    sendInfoKeys(this.#deps.clock, digits, (info) => this.#call?.info?.(info));
  }

  #acknowledged(): void {
    if (this.#state !== 'answered' || this.#outcome.setup.acknowledgedMs !== undefined) return;
    if (this.#dialled) this.#noteAnswered();
    this.#outcome.setup.acknowledgedMs = this.#outcome.elapsed();
    this.#media?.start();
    const uri = this.#dialled?.joins && this.#call?.replacesUri;
    if (uri) this.#media?.tell({ type: 'replaces', uri });
  }

  /** A re-INVITE may move the phone's media, hold it or change its codec. */
  #reoffered(offer: string): string | Refusal {
    if (!this.#media || this.#state !== 'answered') return { status: 488 };
    try {
      const agreed = agreeMedia(offer, this.#localMedia(this.#media), this.#agreed);
      this.#renegotiated(agreed);
      return agreed.answer;
    } catch (thrown) {
      return { status: 488, warning: GatewayError.from(thrown).message };
    }
  }

  /** A re-INVITE without an offer: a switch connects the caller elsewhere and asks what we have. */
  #offerWanted(): string | Refusal {
    if (!this.#media || this.#state !== 'answered') return { status: 488 };
    this.#lateOffer = LateOffer.toPhone(this.#localMedia(this.#media), this.#agreed);
    return this.#lateOffer.text;
  }

  #answerTaken(answer: string): boolean {
    const browser = this.#browserOffer;
    this.#isBrowser ||= browser !== undefined && directionIn(answer, 'answer') !== undefined;
    const agreed = (this.#isBrowser && browser ? browser : this.#lateOffer)?.agree(answer);
    if (!agreed) return false;
    this.#lateOffer = undefined;
    this.#browserOffer = undefined;
    this.#renegotiated(agreed);
    return true;
  }

  #renegotiated(agreed: PhoneAnswer): void {
    this.#agreed = agreed;
    this.#media?.renegotiate(agreed.media);
    const { direction } = agreed.media;
    const held = direction !== 'sendrecv' && direction !== 'sendonly';
    if (held === this.#held) return;
    this.#held = held;
    this.#media?.tell({ type: 'hold', held });
  }

  /** Keys of phones that send them beside the media. One that sends them both ways is heard once. */
  #informed(info: CallInfo): void {
    const key = this.#keysInMedia ? undefined : digitOfInfo(info);
    if (key) this.#media?.tell({ type: 'dtmf', ...key });
  }

  #dialogEnded(end: CallEnd): void {
    const failure = this.#dialled?.failure;
    if (failure) {
      const { cause, ...facts } = endOfFailure(failure);
      this.#end(cause, facts);
    } else this.#end(end === 'bye' ? 'remote_hangup' : 'signalling_failed');
    this.#deps.onGone();
  }

  #mediaLost(reason: InnerEnd): void {
    if (this.#state === 'ended') return;
    // The owner refuses or hangs up on both ways at once; the one that says why may be the slower one.
    if (reason === 'remote_closed') this.#ownerTimer = this.#deps.clock.setTimer(OWNER_WORD_MS, () => this.#endWithMedia(reason));
    else this.#endWithMedia(reason);
  }

  #endWithMedia(reason: InnerEnd): void {
    if (this.#state !== 'answered') this.#refuse('media_failed', reason);
    else if (reason === 'owner_lost') this.#end('owner_lost');
    else this.#end('media_failed', { detail: reason });
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
    this.#setupTimer?.cancel();
    this.#ownerTimer?.cancel();
    this.#transfer?.hangup(hangupReason(cause));
    if (this.#call) sayGoodbye(this.#call, cause, this.#farewell, this.#log);
    const status = this.#dialled?.failure?.status;
    this.#media?.end(cause, status);
    if (this.#outcome.sessionId !== undefined && !this.#outcome.summary)
      this.#ownerTimer = this.#deps.clock.setTimer(OWNER_WORD_MS, () => this.#close());
    else this.#close();
    if (!this.#call) this.#deps.onGone();
  }

  /** True when the call ended while something was awaited; frees what has been opened meanwhile. */
  #over(): boolean {
    if (this.#state !== 'ended') return false;
    this.#media?.end(this.#outcome.cause);
    return true;
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ownerTimer?.cancel();
    this.#deps.onClosed(this.#outcome.report(this.#log, this.#media));
  }
}
