import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { CallFacts } from '../leg/call-facts.ts';
import type { DialRequest, LegPolicy } from '../leg/leg.ts';
import type { InboundCall } from '../sip/engine.ts';
import type { CallReport } from './call-report.ts';

/** What every call is given, whoever carries its media. */
export interface CallDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** What the INVITE says of the call; absent for one of ours. */
  readonly facts?: CallFacts;
  /** Whose the session of a call is, and who decides whether it is taken; the local agent takes all without it. */
  readonly policy?: (invite: InboundCall) => LegPolicy | undefined;
  /** As LegOpening.near, for this caller. */
  readonly near?: (invite: InboundCall) => string | undefined;
  /** How this caller could be called back, if it may be. */
  readonly callBack?: (invite: InboundCall) => DialRequest | undefined;
  /** Whether the other side may be sent to call this URI in our place. Nobody, when absent. */
  readonly mayRefer?: (target: string) => boolean;
  /** The call is over and this is its record. Called once. */
  readonly onClosed: (record: CallReport) => void;
  /** Nothing of the call is left, the dialog included. Called once, after onClosed or before. */
  readonly onGone: () => void;
}
