import type { CallFacts, LegHeader } from './call-facts.ts';

/**
 * A leg attaches a session to the world: a phone call, a browser, a WebSocket. The side that holds the leg (for a phone:
 * the bridge, with the SIP dialog) and the owner of the session may be one process or two; these are the only words
 * between them. In one process they are direct calls, else messages over the node door (ownership/node-door.ts).
 */

import type { AmdOptions } from './answered-by.ts';
import type { TurnLedger } from './turn-ledger.ts';

/** Who is at the other end, as far as the leg knows. Everything here is claimed by the peer, nothing is proven. */
export interface LegOrigin {
  readonly kind: 'phone' | 'browser' | 'websocket';
  /** Of a phone whose media comes by the relays itself, with no bridge before it: a softphone in a browser. */
  readonly media?: 'browser';
  /** For phones: the URI in From. */
  readonly from?: string;
  /** For phones: the Request-URI that was dialled. */
  readonly to?: string;
  /** `outbound` for a call that we place; `inbound` when absent. */
  readonly direction?: 'inbound' | 'outbound';
  /** How this caller could be called back. Absent when it may not be. */
  readonly callBack?: DialRequest;
  /** The session it is one more leg of. */
  readonly joins?: JoinedSession;
  /** For phones: Call-ID of the SIP dialog. */
  readonly sipCallId?: string;
  /** For phones: what the INVITE says of the call. */
  readonly facts?: CallFacts;
  /** For phones: the header fields of the INVITE, in order, those with credentials left out. */
  readonly headers?: readonly { readonly name: string; readonly value: string }[];
}

/** Whose a session is, what it is made with, and who decides whether its leg is taken. Without one: the local agent answers at once. */
export interface LegPolicy {
  /** Sessions of one project are not there for others. */
  readonly project: string;
  /** It was made with an ephemeral secret, whose limits hold for the events of its own channel. */
  readonly ephemeral?: boolean;
  /** `answer`: at once. `api`: a program says accept or reject, and what happens when it has said nothing for so long. */
  readonly decide:
    | { readonly by: 'answer' }
    | {
        readonly by: 'api';
        readonly withinMs: number;
        readonly otherwise: { readonly type: 'answer' } | { readonly type: 'reject'; readonly status: number };
      };
  /** The reference's session object as JSON: what an answer without a program's word uses. */
  readonly session?: Readonly<Record<string, unknown>>;
  /** Of a call that we place: who has answered is found out before the agent hears or says anything. */
  readonly amd?: AmdOptions;
  /** Stream of the data channel that the client has made without asking (negotiated), 0 to 65534. */
  readonly dataChannelId?: number;
}

/** Somebody to be called. */
export interface DialRequest {
  /** Name of a configured trunk. */
  readonly trunk: string;
  /** A number, a name, or a sip: or tel: URI with a literal address. */
  readonly destination: string;
  /** The number or name we call as. */
  readonly from?: string | undefined;
  /** Further header fields of the INVITE. */
  readonly headers?: readonly LegHeader[] | undefined;
  /** Given up as not answered after this long. */
  readonly ringTimeoutMs?: number | undefined;
  /** A session that lives already, and the name by which it waits for this leg. A session of its own when absent. */
  readonly joins?: JoinedSession | undefined;
}

/** A leg that is one more of a session. */
export interface JoinedSession {
  readonly sessionId: string;
  /** As the session knows it: a random name, by which nobody else can come. */
  readonly leg: string;
}

/** Who takes the place of a leg whose side wants that. */
export type Successor =
  /** Somebody who is called for it. */
  | { readonly type: 'dial'; readonly to: DialRequest }
  /** Whoever talks to another leg of the same side, by the session of that one and its name there; `caller` for the one the session began with. */
  | { readonly type: 'leg'; readonly sessionId: string; readonly leg: string }
  /** The agent, which comes back to those who stay. */
  | { readonly type: 'agent' };

/** Why a pending leg is refused. Turned into a SIP status by sip/sip-status.ts. */
export type RejectCause =
  | 'busy'
  | 'declined'
  | 'not_found'
  | 'overloaded'
  | 'no_common_codec'
  | 'media_failed'
  | 'unavailable'
  | 'internal_error';

/** Why a leg ended. One word for CDR, log and event. */
export type EndCause =
  | 'remote_hangup'
  | 'agent_hangup'
  | 'cancelled'
  | 'rejected'
  | 'media_timeout'
  | 'media_failed'
  | 'signalling_failed'
  | 'owner_lost'
  | 'duration_cap'
  | 'shutdown'
  | 'internal_error';

/** What the owner of the session asks of the leg. Commands after the end are ignored. */
export interface Leg {
  /** Take the call: 200 OK to a phone. */
  answer(): void;
  /** Refuse a pending call. @param status of SIP, where somebody chose one */
  reject(cause: RejectCause, status?: number): void;
  /** Asks the phone's side to call this URI in our place; `transfer` events say what comes of it. */
  refer?(target: string, headers?: readonly LegHeader[]): void;
  /**
   * Asks the phone's side to take our place in another call of ours, by its Call-ID (RFC 5589 §7); `transfer` events as above.
   * @param uri what that call's own leg has told (`replaces`): for a call of another process
   */
  referToCall?(sipCallId: string, uri?: string): void;
  /** How far a `refer` event has come, as a status of SIP; a final one ends it. */
  referred?(status: number): void;
  /** Presses keys towards the phone. */
  sendDtmf?(digits: string): void;
  /** End an answered call; a pending one is refused as unavailable. */
  hangup(cause: EndCause, headers?: readonly LegHeader[]): void;
  /** The session is over and this is what it was: for the call record. The last word of the owner. */
  report(summary: SessionSummary): void;
}

/** What a session was, for call record and closing log line. Latencies are from the end of the caller's turn to the first packet of the answer. */
export interface SessionSummary {
  readonly turns: number;
  readonly bargeIns: number;
  readonly responseLatencyMs: { readonly p50: number; readonly p95: number } | undefined;
  readonly concealedFrames: number;
  readonly uplinkFrames: number;
  readonly ledger: TurnLedger;
}

/** What the leg tells the owner. After `ended` nothing follows. */
export type LegEvent =
  | { readonly type: 'answered' }
  /** Of a call of ours to a person: whoever calls this URI takes our place in it (RFC 3891). */
  | { readonly type: 'replaces'; readonly uri: string }
  | { readonly type: 'dtmf'; readonly digit: string; readonly durationMs: number }
  /** Between the owner and the far end's ear and back, as far as the far end tells what it gets (RTCP); told when it has changed. */
  | { readonly type: 'round_trip'; readonly ms: number }
  /** The far end has put the call on hold, or taken it back. */
  | { readonly type: 'hold'; readonly held: boolean }
  /** A call of ours rings. */
  | { readonly type: 'ringing' }
  | {
      readonly type: 'transfer';
      readonly state: TransferState /** SIP status, where there is one. */;
      readonly status?: number | undefined;
    }
  /** The leg's side wants somebody else in its place; it has been found out that it may. `Leg.referred` says what comes of it. */
  | { readonly type: 'refer'; readonly to: Successor }
  /** @param status the SIP status that a call of ours failed with */
  | { readonly type: 'ended'; readonly cause: EndCause; readonly status?: number | undefined };

/** After `succeeded` or `failed` nothing follows. */
export type TransferState = 'accepted' | 'progress' | 'succeeded' | 'failed';

/** What a leg brings when it arrives. */
export interface LegOpening {
  readonly origin: LegOrigin;
  /** SDP offer of the WebRTC peer that carries the leg's media. */
  readonly offer: string;
  readonly policy?: LegPolicy;
  /** The owner of this session is preferred, where there are several that could be: two calls of one person may become one. */
  readonly near?: string | undefined;
}

/** A leg whose SDP offer its owner makes. */
export type LegWish = Omit<LegOpening, 'offer'>;

/** A leg that has an owner: its session is pending until the owner says `answer` or `reject`. */
export interface OpenedLeg {
  /** `rtc_<node>_<random>`: names the owner as a hint. */
  readonly sessionId: string;
  /** SDP answer with the relays' addresses as candidates. */
  readonly answer: string;
  tell(event: LegEvent): void;
  /**
   * A later offer of the same connection: hold, or ICE restarted.
   * @returns SDP of the answer
   * @throws GatewayError ERR_BAD_OFFER, ERR_NO_COMMON_CODEC, ERR_OVERLOADED (too often): all stays as it was. ERR_TIMEOUT,
   *   ERR_NODE_UNREACHABLE, ERR_INVALID_STATE (the leg has ended meanwhile)
   */
  reoffer(offer: string): Promise<string>;
}

/** A leg that has an owner, whose SDP offer waits for an answer. */
export interface OfferedLeg extends Omit<OpenedLeg, 'answer'> {
  readonly offer: string;
  /** Once, and what is told of the leg afterwards comes after it. @throws GatewayError as `reoffer` */
  accept(answer: string): Promise<void>;
}

/**
 * Who can call somebody: the bridge. The leg arrives at the bridge's LegHost as one with direction `outbound`, and its events say what becomes of it:
 * `ringing`, `answered`, `ended` with a status.
 */
export interface LegDialler {
  /** @throws GatewayError ERR_NOT_FOUND, ERR_FORBIDDEN (allow-list, cap of the day), ERR_OVERLOADED (another cap), ERR_NODE_UNREACHABLE */
  dial(request: DialRequest): Promise<void>;
}

/** Where sessions live: the transceiver in this process, or the door to another one. */
export interface LegHost {
  /**
   * Makes a pending session for an arriving leg. The host may call `leg` before the promise resolves.
   * @throws GatewayError ERR_OVERLOADED, ERR_BAD_OFFER, ERR_NO_COMMON_CODEC, ERR_NODE_UNREACHABLE, ERR_TIMEOUT
   */
  open(opening: LegOpening, leg: Leg): Promise<OpenedLeg>;
  /** The same for a browser that we call: the owner offers. @throws GatewayError as `open` */
  offer(opening: LegWish, leg: Leg): Promise<OfferedLeg>;
}
