import type { LegEvent, Successor } from '../leg/leg.ts';
import type { IncomingRefer } from '../sip/engine.ts';

/** A transfer that the other side of a call has asked for, while the owner of the session carries it out. One at a time. */
export class Referral {
  #refer: IncomingRefer | undefined;

  /** @returns whether it is tried; no when another one is under way */
  begin(refer: IncomingRefer, to: Successor, tell: (event: LegEvent & { readonly type: 'refer' }) => void): boolean {
    if (this.#refer) return false;
    this.#refer = refer;
    tell({ type: 'refer', to });
    return true;
  }

  /** How far it has come. @param status of SIP; a final one ends it */
  handle(status: number): void {
    this.#refer?.notify(status);
    if (status >= 200) this.#refer = undefined;
  }
}
