import type { Endpoint } from '../base/addresses.ts';
import type { RuleTried } from '../base/rule-tried.ts';
import type { DialFailureCause } from './sip-status.ts';

/**
 * What the bridge needs of a SIP stack, whichever it is: the embedded one (sip/embedded) or drachtio. An engine answers
 * by itself whatever needs no decision: OPTIONS, retransmissions, CANCEL, malformed and unsupported requests.
 */
export interface SipEngine {
  /**
   * Called for each INVITE outside a dialog that is well-formed and admitted. 100 Trying is sent when the handler returns
   * without having responded.
   */
  onInvite: ((invite: InboundCall) => void) | undefined;
  /** An INVITE that the engine has refused, or dropped, by itself: for its record. A bounded number a second. */
  onRefused?: ((refused: RefusedInvite) => void) | undefined;
  /** Opens the listening sockets. @throws GatewayError ERR_PORT_IN_USE */
  start(): Promise<readonly SipListener[]>;
  /**
   * Places a call by a trunk, if its allow-list and its caps let it.
   * @throws GatewayError ERR_NOT_FOUND (no such trunk, or nothing that can be dialled), ERR_FORBIDDEN (not among the trunk's destinations, or
   *   its day is full), ERR_OVERLOADED (another cap of it is reached, or this process takes no calls), ERR_NODE_UNREACHABLE (the trunk does not
   *   answer its keep-alives, or has an address of a family that we have no socket for)
   */
  dial?(options: DialOptions): OutboundCall;
  /** By what this user is registered: browsers want an offer of WebRTC. `phones` for everybody else. */
  devicesOf?(options: Pick<DialOptions, 'trunk' | 'destination'>): Devices;
  /** From now on new calls and OPTIONS get 503 with Retry-After; established dialogs go on. */
  drain(): void;
  /** Closes the sockets. Dialogs that still live are dropped without a word: hang up first. */
  stop(): Promise<void>;
}

export interface SipListener extends Endpoint {
  readonly transport: 'udp' | 'tcp' | 'tls' | 'ws' | 'wss';
}

/** Where a message really came from (not what it says of itself). */
export interface SipSource extends Endpoint {
  readonly transport: SipListener['transport'];
}

/** Who calls, as far as it has proved it. */
export type InboundCaller =
  /** By its address, or by the address it was given in our REGISTER; with its password where one is asked for. */
  | {
      readonly type: 'trunk';
      readonly name: string;
      /** The Request-URI is the Contact of our registration: who was dialled stands in To. */
      readonly registered?: boolean;
    }
  /** By its password. */
  | { readonly type: 'user'; readonly name: string }
  | { readonly type: 'stranger' };

/** An INVITE that the application never saw. */
export interface RefusedInvite {
  readonly sipCallId: string;
  /** URI in From; empty when it could not be read. */
  readonly from: string;
  readonly requestUri: string;
  readonly source: SipSource;
  /** 0 when it was dropped without an answer. */
  readonly status: number;
  readonly reason: string;
  /** The rules looked at, where it was one of them that refused it. */
  readonly tried?: readonly RuleTried[];
}

/** A call that has arrived and is neither answered nor refused. */
export interface InboundCall {
  readonly sipCallId: string;
  readonly source: SipSource;
  /** URI in From, without display name and parameters. */
  readonly from: string;
  /** URI in To. */
  readonly to: string;
  readonly requestUri: string;
  /** SDP of the INVITE; undefined when the caller wants us to offer. */
  readonly offer: string | undefined;
  /** The local address this caller can reach us at: for Contact and for the SDP's c= line. */
  readonly localAddress: string;
  /** Who calls; absent for a call of ours. */
  readonly caller?: InboundCaller;
  /** Why it is that one: the rules looked at so far. */
  readonly tried?: readonly RuleTried[];
  /** All header fields in their order, those with credentials left out; absent for a call of ours. */
  readonly headers?: readonly { readonly name: string; readonly value: string }[];
  /** First value of a header by its full name, any case. */
  header(name: string): string | undefined;
  /** 180 Ringing. Does nothing after a final response. */
  ring(): void;
  /**
   * 183 Session Progress with our SDP: early media. Sent reliably (RFC 3262) to a caller that knows how; then it is the answer,
   * or our offer when `offer` is undefined, and the answer comes by onAnswer. To any other caller it is a preview of what
   * answer() says, and without an offer it goes without SDP. Does nothing after a final response.
   */
  progress?(sdp: string): void;
  /** The answer to the offer in progress(): comes with the PRACK. False when it cannot be used: the call is refused with 488. */
  onAnswer?: ((answer: string) => boolean) | undefined;
  /** The caller changes its offer before we answered the call (in a PRACK or UPDATE). Without a handler: 488. */
  onOffer?: ((offer: string) => string | Refusal) | undefined;
  /**
   * 200 OK with our SDP, repeated until the ACK arrives. It is the answer, or our offer when `offer` is undefined: then
   * the answer comes by Call.onAnswer.
   * @throws GatewayError ERR_INVALID_STATE when the caller has cancelled or a final response was sent
   */
  answer(sdp: string): Call;
  /** A final refusal. Does nothing after another final response. */
  reject(refusal: Refusal): void;
  /** The call that this one is to take the place of (RFC 3891): answer this one and hang that one up. */
  readonly replaces?: Call;
  /** The caller gave up (CANCEL; 487 has been sent) or its transaction died. Called at most once, never after answer or reject. */
  onCancel: (() => void) | undefined;
}

/** What of a user's rings. */
export type Devices = 'phones' | 'browsers' | 'all';

/** An offer for each kind of devices. */
export interface OffersByDevice {
  readonly phones: string;
  readonly browsers: string;
}

export interface DialOptions {
  /** Name of a configured trunk. */
  readonly trunk: string;
  /** A number, a name at the trunk's peer, or a sip: or tel: URI with a literal address. */
  readonly destination: string;
  /** Makes our SDP offer, once it is known by which address the peer reaches us. The INVITE waits for it; the caps count from now on. */
  readonly offer: (localAddress: string) => string | Promise<string | OffersByDevice>;
  /** Of a user: those ring that the offer is for. Phones, when absent. */
  readonly devices?: Devices;
  /** User part of From: a number or a name. The trunk's user name when absent. */
  readonly from?: string;
  /** Further header fields of the INVITE: `X-` ones and a few that describe a call. */
  readonly headers?: readonly (readonly [name: string, value: string])[];
  /** Given up as not answered after this long; a minute when absent, five at most. */
  readonly ringTimeoutMs?: number;
}

/** A provisional response to a call of ours. */
export interface DialProgress {
  readonly status: number;
  readonly reason: string;
  /** Early media: an answer to our offer, of this branch of the call. */
  readonly sdp: string | undefined;
}

/** Why a call of ours came to nothing. */
export interface DialFailure {
  readonly cause: DialFailureCause;
  /** The final SIP status; 408 where none came. */
  readonly status: number;
  readonly reason: string;
  /** Q.850 cause of a Reason header, where there was one. */
  readonly q850?: number;
}

/** A call of ours that is neither answered nor lost. Exactly one of onAnswered and onFailed is called, never before dial() has returned. */
export interface OutboundCall {
  readonly sipCallId: string;
  /** URI of From. */
  readonly from: string;
  /** What was dialled, as Request-URI. */
  readonly requestUri: string;
  /** By which the peer reaches us. */
  readonly localAddress: string;
  /** Where the INVITE goes: the trunk's peer. */
  readonly remote: Endpoint;
  /** How it goes there; of several phones the least protected way, so that nobody takes the signalling of all for encrypted. */
  readonly transport: SipSource['transport'];
  onProgress: ((progress: DialProgress) => void) | undefined;
  onAnswered: ((call: Call, answer: string) => void) | undefined;
  onFailed: ((failure: DialFailure) => void) | undefined;
  /** The answered call has lasted as long as its trunk allows; the engine hangs up right after this. */
  onDurationCap: (() => void) | undefined;
  /** Gives the call up: CANCEL, as soon as it may be sent; BYE if the answer crosses it. onFailed follows. */
  cancel(): void;
}

export interface Refusal {
  readonly status: number;
  /** Reason phrase; the standard one when absent. */
  readonly reason?: string;
  /** Seconds for Retry-After. */
  readonly retryAfterS?: number;
  /** Text of a 399 Warning (RFC 3261 §20.43). */
  readonly warning?: string;
}

export type CallEnd =
  /** The peer sent BYE. */
  | 'bye'
  /** hangup() was called and is done with: answered, refused or timed out. */
  | 'hangup'
  /** Our 2xx was never acknowledged (64·T1); a BYE has been sent. */
  | 'no_ack'
  /** The ACK carried no answer, or none that onAnswer could use, to the offer in our 2xx; a BYE has been sent. */
  | 'no_answer'
  /** The session was not refreshed in time (RFC 4028); a BYE has been sent. */
  | 'session_expired'
  /** The dialog is gone at the peer: 408 or 481 to a request of ours; a BYE has been sent. */
  | 'dialog_lost';

/** An answered call: one SIP dialog. */
export interface Call {
  readonly sipCallId: string;
  /** Has the ACK arrived? No media goes to an unacknowledged peer. */
  readonly acknowledged: boolean;
  onAck: (() => void) | undefined;
  /**
   * A re-INVITE (or UPDATE) carries an offer: return our answer, or a refusal that leaves the session as it was.
   * Without a handler the engine refuses with 488. One that takes its time bounds it; another offer of the peer gets 500 meanwhile, and
   * offers of ours wait.
   */
  onOffer: ((offer: string) => string | Refusal | Promise<string | Refusal>) | undefined;
  /**
   * The peer's answer to an offer of ours that stood in a 2xx: it comes with the ACK, before onAck. False when it cannot be
   * used: the call is ended by BYE, as it is when the ACK has none.
   */
  onAnswer?: ((answer: string) => boolean) | undefined;
  /** A re-INVITE without an offer: return ours, or a refusal. The answer comes by onAnswer. Without a handler: 488. */
  onOfferWanted?: (() => string | Refusal) | undefined;
  /**
   * Offers the peer a new session by re-INVITE (RFC 3261 §14.1), as soon as nothing else is under way; glare is dealt with.
   * @returns the answer
   * @throws GatewayError ERR_BAD_OFFER when the peer refuses: all stays as it was; ERR_INVALID_STATE when the call is over or
   *   two offers are under way already; ERR_TIMEOUT when the dialog was lost by it: onEnd follows
   */
  reinvite?(sdp: string): Promise<string>;
  /** The same by UPDATE (RFC 3311). @throws GatewayError ERR_INVALID_STATE also when the peer does not allow it */
  update?(sdp: string): Promise<string>;
  /**
   * Asks the peer to call this URI in our place (RFC 3515). After `succeeded` the call is still there: hang it up.
   * @param target a URI; one of replacesUri for an attended transfer
   * @throws GatewayError ERR_NOT_FOUND when it is no URI, ERR_INVALID_STATE when the call is over or another transfer is under way
   */
  refer?(target: string, onProgress: (progress: ReferProgress) => void, headers?: SentHeaders): void;
  /** What somebody else calls to take our place in this call (RFC 3891). */
  readonly replacesUri?: string;
  /** Is this dialog what the Replaces in a REFER of its own peer names, with both tags (RFC 3891 §3)? */
  isNamedBy?(replaces: string): boolean;
  /** The peer asks us to call somebody. True takes it, and then notify() must say what comes of it; without a handler it is declined (603). */
  onRefer?: ((refer: IncomingRefer) => boolean) | undefined;
  /** Sends an INFO with this body, for keys where the phone takes no RTP events. Nothing is heard of it. */
  info?(info: CallInfo): void;
  /** An INFO of the peer with a body: DTMF of phones that send no RTP events. It has been answered with 200. */
  onInfo?: ((info: CallInfo) => void) | undefined;
  /** The call is over. Called exactly once. */
  onEnd: ((end: CallEnd) => void) | undefined;
  /** Sends BYE, at once or as soon as the ACK is in (RFC 3261 §15). Repeated calls do nothing. */
  hangup(reason?: HangupReason, headers?: SentHeaders): void;
}

/** Further header fields of a request of ours: `X-…` ones and a few that describe a call. */
export type SentHeaders = readonly (readonly [name: string, value: string])[];

/** What becomes of a transfer that we asked for. After `succeeded` or `failed` nothing follows. */
export type ReferProgress =
  /** The peer will try. */
  | { readonly type: 'accepted' }
  /** A provisional status of the call it makes. */
  | { readonly type: 'progress'; readonly status: number; readonly reason: string }
  | { readonly type: 'succeeded'; readonly status: number; readonly reason: string }
  | { readonly type: 'failed'; readonly status: number; readonly reason: string };

/** A transfer that the peer asks for. */
export interface IncomingRefer {
  /** URI to call, without headers. */
  readonly target: string;
  /** Value of Replaces for that call, when it is to take the place of another. */
  readonly replaces: string | undefined;
  /** Tells the peer how far the call has come; a final status ends it. */
  notify(status: number, reason?: string): void;
}

/** The body of an INFO request (RFC 6086). */
export interface CallInfo {
  /** As written: application/dtmf-relay, application/dtmf … */
  readonly contentType: string;
  readonly body: string;
}

/** RFC 3326 Reason header. */
export interface HangupReason {
  /** Q.850 cause, 16 for normal clearing. */
  readonly q850: number;
  readonly text: string;
}
