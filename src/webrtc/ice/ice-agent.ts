import type { Machine } from '../../base/driver.ts';
import type { Path } from '../path.ts';
import type { StunMessage } from '../stun/stun-message.ts';

/** Short-term credentials of one side (RFC 8445 §5.3). */
export interface IceCredentials {
  readonly ufrag: string;
  readonly pwd: string;
}

export type IceOutput =
  | { readonly type: 'send'; readonly datagram: Buffer; readonly path: Path }
  /** An authentic check that the owner answers, by `writeSuccess` under these credentials: only where it asked for that. */
  | { readonly type: 'check'; readonly message: StunMessage; readonly path: Path; readonly local: IceCredentials }
  /** The first check on this path held: DTLS and SRTP from it may be believed. */
  | { readonly type: 'verified'; readonly path: Path }
  /** Everything is sent here from now on. */
  | { readonly type: 'selected'; readonly path: Path }
  /** The path is forgotten: too old, or one too many. */
  | { readonly type: 'dropped'; readonly path: Path }
  /** Consent is gone (RFC 7675): nothing may be sent any more. Final. */
  | { readonly type: 'lost' };

/** Why a STUN datagram got no answer and left no trace. */
export type StunDrop =
  /** Not a well-formed message. */
  | 'malformed'
  /** Well-formed, but nothing that this agent waits for. */
  | 'unexpected'
  /** USERNAME is missing or not ours. */
  | 'username'
  /** MESSAGE-INTEGRITY is missing or wrong. */
  | 'integrity'
  /** A check seen before, now from another address. */
  | 'replayed';

export interface IceSnapshot {
  readonly state: 'new' | 'checking' | 'connected' | 'lost';
  /** Verified checks received, or answered checks sent. */
  readonly checks: number;
  readonly lastCheckAt: number | undefined;
  /** Of the last answered check; a lite agent sends none and has none. */
  readonly rttMs: number | undefined;
  readonly paths: number;
  readonly selected: string | undefined;
  readonly dropped: Readonly<Record<StunDrop, number>>;
}

/** What a Peer needs of ICE, whichever side it is on. */
export interface IceAgent extends Machine<IceOutput> {
  /** Where to send; undefined before the first verified check and after consent is lost. */
  readonly selected: Path | undefined;
  /** Verified and not dropped. */
  readonly paths: readonly Path[];
  start(now: number): void;
  /** Takes a STUN datagram. Never throws; what is not authenticated changes counters only. */
  handleStun(datagram: Buffer, path: Path, now: number): void;
  isVerified(path: Path): boolean;
  snapshot(): IceSnapshot;
}

export function noDrops(): Record<StunDrop, number> {
  return { malformed: 0, unexpected: 0, username: 0, integrity: 0, replayed: 0 };
}
