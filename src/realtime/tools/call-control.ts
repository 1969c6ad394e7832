import type { CommandFault } from '../session-event.ts';
import type { Entry, EntryRules } from './digit-collector.ts';
import type { RunningEntry } from './key-entry.ts';

/** What has become of a transfer. */
export type TransferOutcome =
  /** The caller talks to somebody else; the session ends with it. */
  | { readonly type: 'succeeded' }
  /** The caller is still here. @param status of SIP, where there is one */
  | { readonly type: 'failed'; readonly status: number | undefined };

/** The call of a session, as a tool may move it. */
export interface CallControl {
  /** Are there keys to press towards the other side? */
  readonly hasKeys: boolean;
  /** Can the caller's side be asked to call somebody else? */
  readonly canTransfer: boolean;
  /** Is it a call at all, and not a program with a microphone? */
  readonly isCall: boolean;
  /**
   * Does this when all that is said has been played and nothing more is being made: after half a minute in any case.
   * @param onDropped the agent has left the call to others before: it is not done
   */
  afterSpeech(act: () => void, onDropped?: () => void): void;
  /**
   * Asks the caller's side to call this URI in our place (REFER).
   * @param onOutcome once; not after the session is over
   * @returns why it cannot be: one is under way, or there is no phone
   */
  transfer(uri: string, onOutcome: (outcome: TransferOutcome) => void): CommandFault | undefined;
  /** Ends the call when what is said has been played. */
  hangUp(): void;
  /** Presses keys towards the phone. */
  sendDtmf(digits: string): CommandFault | undefined;
  /** The caller hears music whenever nobody speaks, for so long at the most; 0: no more. */
  playMusic(forMs: number): void;
  /** The next keys of the caller go here alone. */
  collect(rules: EntryRules, onEntry: (entry: Entry) => void): RunningEntry | CommandFault;
  /**
   * The same, masked: the keys go to the program that has said it takes them, and only how many there were comes here (`digits` has a `*` for each).
   * @param otherwise who gets them where there is no such program; not when the call is over before the end
   * @returns a fault, too, when there is nobody
   */
  collectSecurely(rules: EntryRules, onEntry: (entry: Entry) => void, otherwise?: (entry: Entry) => void): RunningEntry | CommandFault;
}
