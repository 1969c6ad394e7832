import type { Clock } from '../../base/clock.ts';
import { Driver } from '../../base/driver.ts';
import type { SecureMask } from '../secure-mask.ts';
import type { Audience, CommandFault } from '../session-event.ts';
import { DigitCollector, type Entry, type EntryRules } from './digit-collector.ts';

export interface EntryRequest {
  readonly rules: EntryRules;
  /** Masked towards everybody but who is given the entry. */
  readonly secure: boolean;
  /** Once. */
  readonly onEntry: (entry: Entry) => void;
}

/** An entry that runs, as whoever asked for it holds it. */
export interface RunningEntry {
  stop(by: 'stopped' | 'gone' | 'ended'): void;
}

/** The keys of one session, where somebody collects them. One entry at a time. */
export class KeyEntries {
  readonly #clock: Clock;
  readonly #mask: SecureMask;
  readonly #audience: Audience;
  #running: { readonly collector: DigitCollector; readonly driver: Driver<Entry> } | undefined;

  constructor(deps: { readonly clock: Clock; readonly mask: SecureMask; readonly audience: Audience }) {
    this.#clock = deps.clock;
    this.#mask = deps.mask;
    this.#audience = deps.audience;
  }

  /** Do keys go to an entry now? */
  get isCollecting(): boolean {
    return this.#running !== undefined;
  }

  begin({ rules, secure, onEntry }: EntryRequest): RunningEntry | CommandFault {
    if (this.#running) return { code: 'invalid_state', message: 'Keys are being collected already.' };
    const collector = new DigitCollector(rules, this.#clock.now());
    const driver = new Driver(this.#clock, collector, (entry: Entry) => {
      driver.stop();
      this.#running = undefined;
      if (secure) this.#mask.end(this.#clock.now());
      this.#audience.listener?.({ type: 'entry_ended', secure, count: entry.digits.length, endedBy: entry.endedBy });
      onEntry(entry);
    });
    const running = { collector, driver };
    this.#running = running;
    if (secure) this.#mask.begin();
    this.#audience.listener?.({ type: 'entry_started', secure });
    driver.run();
    return { stop: (by) => driver.run(() => collector.stop(by)) };
  }

  /** Only while it is collecting. */
  handleKey(digit: string): void {
    const { driver, collector } = this.#running ?? {};
    driver?.run((now) => collector?.handleKey(digit, now));
  }

  /** Whichever runs is over. */
  stop(by: 'stopped' | 'ended'): void {
    const { driver, collector } = this.#running ?? {};
    driver?.run(() => collector?.stop(by));
  }
}
