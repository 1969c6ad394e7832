import type { CommandFault } from '../session-event.ts';

/** What has become of a transfer. */
export type TransferOutcome =
  /** The caller talks to somebody else; the session ends with it. */
  | { readonly type: 'succeeded' }
  /** The caller is still here. @param status of SIP, where there is one */
  | { readonly type: 'failed'; readonly status: number | undefined };

/** The call of a session, as a tool may move it. */
export interface CallControl {
  /** Whose legs these are: a phone can be sent on and has keys. */
  readonly hasKeys: boolean;
  readonly canTransfer: boolean;
  /**
   * Asks the caller's side to call this URI in our place (REFER).
   * @param onOutcome once; not after the session is over
   * @returns why it cannot be: one is under way, or there is no phone
   */
  transfer(uri: string, onOutcome: (outcome: TransferOutcome) => void): CommandFault | undefined;
  /** Ends the call when all that is said has been played. */
  hangUp(): void;
  /** Presses keys towards the phone. */
  sendDtmf(digits: string): CommandFault | undefined;
}
