import { randomInt } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { Driver } from '../base/driver.ts';
import type { Logger } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import { type Answer, inOrder, type Located, type LocateOptions, type Question } from './name-location.ts';
import { NameWatch, type NameWatchOutput } from './name-watch.ts';
import type { LookUp } from './trunk.ts';

export interface NameBookDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Never rejects. */
  readonly ask: (question: Question) => Promise<Answer>;
}

interface Entry {
  readonly lookUp: LookUp;
  readonly watch: NameWatch;
  readonly driver: Driver<NameWatchOutput>;
  places: readonly Located[];
  /** Has an answer come, a good one or another? */
  tried: boolean;
  /** Why the last round failed; undefined when it did not. */
  failure: string | undefined;
}

/** 64 trunks with a few names each. What is configured beyond it is not asked for. */
const MAX_NAMES = 512;

/**
 * The names that stand in the configuration, and where they are at the moment: known before a call wants to go there, so that no call ever waits for DNS.
 * Nobody else's names are looked up, whatever a Contact, a REFER or a program says.
 */
export class NameBook {
  readonly #deps: NameBookDeps;
  readonly #families: LocateOptions['families'];
  readonly #entries = new Map<string, Entry>();
  readonly #waiting = new Set<() => void>();
  /** Something is somewhere else now. */
  onChange: (() => void) | undefined;

  constructor(deps: NameBookDeps, options: Pick<LocateOptions, 'families'>) {
    this.#deps = deps;
    this.#families = options.families;
    deps.metrics.observe('sip_names_unresolved', 'Names in the configuration that DNS gave no address for when it was last asked.', () =>
      [...this.#entries.values()].reduce((count, { failure }) => count + (failure === undefined ? 0 : 1), 0),
    );
  }

  /** From now on these names are known, and no others. */
  use(lookUps: readonly LookUp[]): void {
    const wanted = new Map(lookUps.map((lookUp) => [keyOf(lookUp), lookUp] as const).slice(0, MAX_NAMES));
    for (const [key, { driver }] of this.#entries) {
      if (wanted.has(key)) continue;
      driver.stop();
      this.#entries.delete(key);
    }
    for (const [key, lookUp] of wanted) if (!this.#entries.has(key)) this.#watch(key, lookUp);
  }

  /** Where it is, in the order in which to try, drawn anew each time; nothing when that is not known. */
  placesOf(lookUp: LookUp): readonly Located[] {
    return inOrder(this.#entries.get(keyOf(lookUp))?.places ?? [], random);
  }

  /** Why a name is nowhere, in words. */
  failureOf(lookUp: LookUp): string {
    return this.#entries.get(keyOf(lookUp))?.failure ?? 'DNS has not answered yet';
  }

  /** Resolves when each name has been asked for once, or after this long: a start need not fail its first calls. */
  settled(atMostMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        if (![...this.#entries.values()].every(({ tried }) => tried)) return;
        finish();
      };
      const finish = (): void => {
        timer.cancel();
        this.#waiting.delete(done);
        resolve();
      };
      const timer = this.#deps.clock.setTimer(atMostMs, finish);
      this.#waiting.add(done);
      done();
    });
  }

  stop(): void {
    for (const { driver } of this.#entries.values()) driver.stop();
    this.#entries.clear();
    for (const done of this.#waiting) done();
  }

  #watch(key: string, lookUp: LookUp): void {
    const watch = new NameWatch({ lookUp, families: this.#families });
    const driver = new Driver<NameWatchOutput>(this.#deps.clock, watch, (output) => this.#handle(entry, output));
    const entry: Entry = { lookUp, watch, driver, places: [], tried: false, failure: undefined };
    this.#entries.set(key, entry);
    driver.run((now) => watch.start(now));
  }

  #handle(entry: Entry, output: NameWatchOutput): void {
    if (output.type === 'ask') {
      const { question, round } = output;
      void this.#deps.ask(question).then((answer) => entry.driver.run((now) => entry.watch.answered(now, question, answer, round)));
      return;
    }
    const { log } = this.#deps;
    const { host } = entry.lookUp;
    const failure = output.type === 'failed' ? output.why : undefined;
    if (failure !== undefined && entry.failure !== failure) {
      log.warn({ host, reason: failure, known: entry.places.length }, 'name could not be resolved, what was known stays');
    } else if (failure === undefined && entry.failure !== undefined) log.info({ host }, 'name can be resolved again');
    entry.failure = failure;
    entry.tried = true;
    if (output.type === 'located' && !same(entry.places, output.places)) {
      entry.places = output.places;
      this.onChange?.();
    }
    for (const done of [...this.#waiting]) done();
  }
}

function keyOf({ host, port, transport }: LookUp): string {
  return `${host} ${port ?? ''} ${transport ?? ''}`;
}

function same(a: readonly Located[], b: readonly Located[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** 2^32 chances are enough for weights of 16 bits. */
function random(): number {
  return randomInt(2 ** 32) / 2 ** 32;
}
