import type { Leg, LegEvent, SessionSummary } from '../leg/leg.ts';
import type { PartyId } from '../leg/person.ts';
import type { MediaSession, MediaSnapshot } from './media.ts';
import type { PeerMedia } from './peer-media.ts';

/** The media of a party, as far as its place in the session has to do with it. */
export interface SeatMedia {
  answered(): void;
  close(): MediaSnapshot | undefined;
}

/** Who sits in a seat: a leg and its media. */
export interface Occupant {
  readonly leg: Leg;
  readonly media: SeatMedia;
  /** The same, where a peer carries it. */
  readonly peer?: PeerMedia;
  readonly isBrowser?: boolean;
  /** Of a phone's dialog. */
  readonly sipCallId?: string | undefined;
}

/** A party's place in a session, which outlives the leg that sits in it. */
export interface Seat {
  readonly sessionId: string;
  readonly party: PartyId;
  /** The session's end of the media. */
  readonly line: MediaSession;
  /** Who sits there now. */
  readonly leg: Leg;
  /** Whoever sits there has answered, and the place is still there. */
  readonly isUp: boolean;
  /** What whoever sits there has to say. */
  tell(event: LegEvent): void;
  /** The media of whoever sits there is gone. */
  lost(reason: string): void;
  /** Somebody else sits there from now on: the media of the former is closed and its record made; its leg is the caller's to hang up. */
  take(next: Occupant): void;
}

/** For the record of a leg that the agent had nothing to do with: what it did is told by the caller's. */
export function summaryOf(media: MediaSnapshot | undefined): SessionSummary {
  const { concealedFrames = 0, frames: uplinkFrames = 0 } = media?.uplink ?? {};
  const ledger = { answered: 0, continuations: 0, discarded: 0, falseHolds: 0, truncations: 0, stages: {} };
  return { turns: 0, bargeIns: 0, responseLatencyMs: undefined, ledger, concealedFrames, uplinkFrames };
}

/** Nobody: hears nothing and says nothing. @param stop frees what goes on meanwhile */
export function nobody(stop?: () => void): Occupant {
  const nothing = (): undefined => undefined;
  const close = (): undefined => {
    stop?.();
    return undefined;
  };
  return { leg: { answer: nothing, reject: nothing, hangup: nothing, report: nothing }, media: { answered: nothing, close } };
}
