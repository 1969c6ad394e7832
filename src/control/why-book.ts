import type { WhyRecord } from './why-view.ts';

/** Calls of the last minutes of a busy hour; 2 kB each. Older ones are in the call records. */
const MOST = 1000;

/** The calls that have ended lately, for those who ask why. */
export class WhyBook {
  readonly #records = new Map<string, WhyRecord>();

  note(record: WhyRecord): void {
    this.#records.set(record.callId, record);
    if (this.#records.size > MOST) this.#records.delete(this.#records.keys().next().value ?? '');
  }

  /** By our name of it, its session's or SIP's Call-ID; of several the last. */
  find(id: string): WhyRecord | undefined {
    const known = this.#records.get(id);
    if (known) return known;
    let found: WhyRecord | undefined;
    for (const record of this.#records.values()) if (record.sessionId === id || record.sipCallId === id) found = record;
    return found;
  }
}
