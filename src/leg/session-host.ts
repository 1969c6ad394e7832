import type { CallFacts, LegHeader } from './call-facts.ts';
import type { LegHost } from './leg.ts';
import type { AgentAway, PersonCommand, PersonView } from './person.ts';

/*
 * What the HTTP door asks of the owner of sessions, in this process or another one. The words that go through a channel are JSON texts of the
 * Realtime API, both ways; nobody between the client and the owner reads them.
 */

/** A way for events to a client: a WebSocket. */
export interface EventChannel {
  /** One server event, as JSON text. False: the client does not read; the owner closes the channel. */
  send(event: string): boolean;
  /** Nothing follows. `code` is a close code of RFC 6455. */
  close(code: number, reason: string): void;
}

/** The owner's end of a channel. */
export interface OpenedChannel {
  readonly sessionId: string;
  /** One client event, as JSON text. What is malformed is answered with an `error` event. */
  receive(event: string): void;
  /** The client has gone. A session that has no other way to the world ends with it. */
  close(): void;
}

/** What the bearer of a credential may do with sessions. */
export interface Access {
  /** Sessions of other projects are not there. */
  readonly project: string;
  /** An ephemeral secret: may not add tools that reach other machines, dial, or change what its session was made with. */
  readonly ephemeral: boolean;
}

/** What a session is made with: the reference's session object as JSON, checked by `checkSession` of the owner. */
export type SessionJson = Readonly<Record<string, unknown>>;

export interface ChannelOpening {
  readonly access: Access;
  readonly session: SessionJson;
}

/** A decision on a pending call, or a command to a live one. */
export type CallCommand =
  /** @param agentAway the caller wants persons: it hears ringing from its first packet on, and no agent */
  | { readonly type: 'accept'; readonly session: SessionJson; readonly agentAway?: AgentAway }
  /** @param status of SIP, 300 to 699 */
  | { readonly type: 'reject'; readonly status: number }
  | { readonly type: 'refer'; readonly target: string; readonly headers?: readonly LegHeader[] }
  /** Calls a person for the session, or says who talks to whom. */
  | { readonly type: 'person'; readonly command: PersonCommand }
  | { readonly type: 'hangup'; readonly headers?: readonly LegHeader[] };

/** What a call is, for GET /v1/realtime/calls. */
export interface CallView {
  readonly id: string;
  readonly project: string;
  readonly kind: 'phone' | 'browser' | 'websocket';
  readonly direction: 'inbound' | 'outbound';
  readonly state: 'pending' | 'live';
  readonly startedAt: number;
  /** Of a phone: what its INVITE says. */
  readonly facts?: CallFacts;
  /** The persons beside the caller. */
  readonly legs?: readonly PersonView[];
}

/** Owners of sessions as the HTTP door sees them. */
export interface SessionHost extends LegHost {
  /**
   * A session whose audio goes through the channel.
   * @throws GatewayError ERR_OVERLOADED, ERR_BAD_REQUEST (naming the parameter), ERR_NODE_UNREACHABLE
   */
  connect(opening: ChannelOpening, channel: EventChannel): Promise<OpenedChannel>;
  /**
   * One more channel on a session that lives: a sideband. It sees every event and may send every event its access allows.
   * @throws GatewayError ERR_NOT_FOUND (also for sessions of other projects), ERR_OVERLOADED (too many on this session)
   */
  attach(sessionId: string, access: Access, channel: EventChannel): Promise<OpenedChannel>;
  /**
   * Carries out the command. `refer` resolves when the far side has taken it (202).
   * @throws GatewayError ERR_NOT_FOUND, ERR_INVALID_STATE (somebody else has decided), ERR_BAD_REQUEST, ERR_FORBIDDEN, ERR_TIMEOUT
   */
  command(sessionId: string, access: Access, command: CallCommand): Promise<void>;
  /**
   * Restarts ICE of a browser's connection: a later offer of the same connection, with other credentials. Everything else goes on.
   * @param offer SDP
   * @returns SDP of the answer
   * @throws GatewayError ERR_NOT_FOUND, ERR_INVALID_STATE (no browser), ERR_BAD_OFFER, ERR_NO_COMMON_CODEC, ERR_OVERLOADED (too often), ERR_TIMEOUT
   */
  restart(sessionId: string, access: Access, offer: string): Promise<string>;
  /** Calls of this project, newest first, bounded. */
  list(access: Access): Promise<readonly CallView[]>;
}
