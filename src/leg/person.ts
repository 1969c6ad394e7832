import type { AmdOptions } from './answered-by.ts';
import type { DialRequest } from './leg.ts';

/**
 * A person is a second leg of a session: somebody who was called for it, or has come to it, and whom the caller and the agent can talk to. These
 * are the words between who asks for that (a program, a built-in tool) and the owner of the session.
 */

/** Of a person, in commands and events; the one who called is `caller`. */
export type PartyId = string;

/** The party that the session began with. */
export const CALLER: PartyId = 'caller';

/** What the caller hears while the person's phone rings. `agent`: nothing changes for it; the conversation goes on. */
export type WhileRinging = 'agent' | 'music' | 'ringback' | 'early_media';

/** What becomes of a person who answers. `wait`: hears music until a program says more. */
export type OnAnswer = 'wait' | 'whisper' | 'connect';

/** Does the agent go on hearing and speaking when two persons are connected? */
export type AgentPresence = 'stay' | 'leave';

/** What becomes of the caller when the last person has hung up. */
export type OnHangup = 'agent' | 'end';

export interface PersonOptions {
  readonly whileRinging: WhileRinging;
  readonly onAnswer: OnAnswer;
  readonly agent: AgentPresence;
  readonly onHangup: OnHangup;
  readonly amd?: AmdOptions | undefined;
}

/** The agent keeps out of a call that is somebody else's: until nobody is left whom the caller could talk to, or for good, and then the call ends. */
export type AgentAway = 'until_alone' | 'for_good';

/** Whom the caller wants, when that is not the agent. */
export interface WantedPerson {
  readonly to: DialRequest;
  readonly agentAway: AgentAway;
}

/** How a caller is handed over for good. `refer`: the phones are sent to each other and we leave; where that fails all stays as it is. */
export type TransferMode = 'bridge' | 'refer';

export type PersonCommand =
  /** @property leg the name it will have; who asks makes it up, so that it is known before anything happens */
  | { readonly type: 'dial'; readonly leg: PartyId; readonly to: DialRequest; readonly options: PersonOptions }
  /** Somebody will come by this name: a browser. */
  | { readonly type: 'expect'; readonly leg: PartyId; readonly options: PersonOptions }
  /** Everybody hears everybody. */
  | { readonly type: 'connect'; readonly leg: PartyId; readonly agent: AgentPresence }
  /** The agent and this person talk, the caller hears music. */
  | { readonly type: 'whisper'; readonly leg: PartyId }
  /** This party hears music, and nobody hears it; or no more. */
  | { readonly type: 'hold'; readonly leg: PartyId; readonly held: boolean }
  /** Who has talked to the agent waits, and this person talks; the second time it is the other way round. */
  | { readonly type: 'swap'; readonly leg: PartyId }
  | { readonly type: 'transfer'; readonly leg: PartyId; readonly mode: TransferMode }
  | { readonly type: 'hangup'; readonly leg: PartyId };

/** `waiting`: answered, and hears music. */
export type PersonState = 'dialling' | 'ringing' | 'waiting' | 'whispering' | 'connected' | 'held';

export interface PersonView {
  readonly leg: PartyId;
  readonly state: PersonState;
}

/** Why nobody came of it. */
export type PersonFailure =
  | 'busy'
  | 'declined'
  | 'no_answer'
  | 'not_found'
  | 'forbidden'
  | 'overloaded'
  | 'unreachable'
  | 'cancelled'
  | 'machine'
  | 'failed';
