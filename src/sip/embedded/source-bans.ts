import { sourceOf } from '../../base/addresses.ts';

/** What a source has done that scanners do. */
export type ScanSign =
  /** A wrong password, with a challenge that reached it: the address is its own. */
  | 'password'
  /** Another name that it may not have, or asks about. */
  | 'name'
  /** A message that cannot be read. */
  | 'malformed'
  /** It calls itself a scanner. */
  | 'scanner';

/** In words. */
export const SCAN_SIGNS: Readonly<Record<ScanSign, string>> = {
  password: 'guesses passwords',
  name: 'tries many names',
  malformed: 'sends what cannot be read, again and again',
  scanner: 'calls itself a scanner',
};

/** A source that is not listened to. */
export interface SourceBan {
  /** An IPv4 address, or an IPv6 /64. */
  readonly source: string;
  /** What it did last. */
  readonly sign: ScanSign;
  /** Clock.now milliseconds. */
  readonly since: number;
  readonly until: number;
  /** How often it has been banned by now; each time for twice as long. */
  readonly times: number;
}

export interface SourceBansOptions {
  /** The first ban, in seconds; 0 bans nobody. */
  readonly seconds: number;
  /** So many points within a minute make a scanner. */
  readonly after: number;
}

export interface SourceBansDeps {
  /** Never banned, and never kept out by the ban of a network it is in: a trunk. Asked for each message of a banned source. */
  readonly isTrusted: (address: string) => boolean;
  /** Not banned as long as it is so: it has a call that it has acknowledged, or is registered. */
  readonly isKnown: (address: string) => boolean;
}

/** Points leak away in this time: a phone with a wrong password that tries every ten seconds is no scanner, whoever tries a list is. */
const WINDOW_MS = 60_000;

/** A wrong password is worth two others: it needs the answer to a challenge, so nobody can make it up for somebody else. */
const POINTS: Readonly<Record<ScanSign, number>> = { password: 2, name: 1, malformed: 1, scanner: 1 };

/** Sources that have done something lately, some 300 bytes each. The one that did the least lately makes room. */
const MAX_SUSPECTS = 10_000;

/** Bans kept, 150 bytes each; the oldest makes room. */
const MAX_BANS = 10_000;

/** Names remembered of a suspect: as many as make it a scanner by default, three times. */
const MAX_NAMES = 64;

/** However often it comes back: addresses change hands. */
const LONGEST_MS = 86_400_000;

/** A banned source comes to be known only by what we do ourselves: call it. So long it may wait for that. */
const LOOK_EVERY_MS = 5000;

interface Suspect {
  points: number;
  at: number;
  malformed: number;
  /** What it did last, whatever it calls itself. */
  sign: ScanSign;
  readonly names: Set<number>;
}

interface Entry extends SourceBan {
  lookedAt: number;
}

/** Who is not listened to for a while: sources that behave as scanners do. Knows no time but what it is told, and grows no further than its bounds. */
export class SourceBans {
  /** Somebody has just been banned. */
  onBanned: ((ban: SourceBan) => void) | undefined;
  readonly #deps: SourceBansDeps;
  readonly #options: SourceBansOptions;
  readonly #suspects = new Map<string, Suspect>();
  /** The last ban of each, kept for a day after its end: whoever comes back by then is banned for longer. */
  readonly #bans = new Map<string, Entry>();

  constructor(deps: SourceBansDeps, options: SourceBansOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  get suspects(): number {
    return this.#suspects.size;
  }

  /** Is what comes from there to be dropped? */
  isBanned(address: string, now: number): boolean {
    if (this.#bans.size === 0) return false;
    const source = sourceOf(address);
    const ban = this.#bans.get(source);
    if (!ban || now >= ban.until || this.#deps.isTrusted(address)) return false;
    if (now - ban.lookedAt < LOOK_EVERY_MS) return true;
    ban.lookedAt = now;
    if (!this.#deps.isKnown(address)) return true;
    this.#bans.delete(source);
    return false;
  }

  /** @param name whom it asked for, of the sign `name`: the same one again is no further point */
  saw(address: string, now: number, sign: ScanSign, name = ''): void {
    if (this.#options.seconds === 0 || this.#deps.isTrusted(address)) return;
    const source = sourceOf(address);
    const suspect = this.#suspect(source, now);
    if (sign === 'name' && !isNew(suspect.names, name)) return;
    if (sign === 'malformed') suspect.malformed += 1;
    if (sign !== 'scanner') suspect.sign = sign;
    suspect.points += POINTS[sign];
    if (suspect.points < this.#options.after) return;
    this.#suspects.delete(source);
    if (!this.#deps.isKnown(address)) this.#ban(source, now, suspect.sign);
  }

  /** What can be read came from there: only what is malformed in a row counts. */
  sawSound(address: string): void {
    const suspect = this.#suspects.get(sourceOf(address));
    if (!suspect || suspect.malformed === 0) return;
    suspect.points = Math.max(0, suspect.points - suspect.malformed);
    suspect.malformed = 0;
  }

  /** It has shown a right password, or has a call: what was before is forgotten. */
  sawWelcome(address: string): void {
    this.#suspects.delete(sourceOf(address));
  }

  /** Those that are banned now, the latest last. */
  list(now: number): readonly SourceBan[] {
    return [...this.#bans.values()]
      .filter(({ until }) => now < until)
      .map(({ source, sign, since, until, times }) => ({ source, sign, since, until, times }));
  }

  /** How many that are; at the most as many as are kept. */
  count(now: number): number {
    let count = 0;
    for (const { until } of this.#bans.values()) if (now < until) count += 1;
    return count;
  }

  /** Listens to the source of this address again, as if it had never been banned. False when it was not. */
  lift(address: string, now: number): boolean {
    const source = sourceOf(address);
    const ban = this.#bans.get(source);
    return ban !== undefined && this.#bans.delete(source) && now < ban.until;
  }

  #suspect(source: string, now: number): Suspect {
    const known = this.#suspects.get(source);
    this.#suspects.delete(source); // to the end: the map is ordered by the last sign
    if (!known && this.#suspects.size >= MAX_SUSPECTS) this.#suspects.delete(this.#suspects.keys().next().value ?? '');
    const suspect = known ?? { points: 0, at: now, malformed: 0, sign: 'scanner', names: new Set() };
    suspect.points -= ((now - suspect.at) * this.#options.after) / WINDOW_MS;
    suspect.at = now;
    if (suspect.points <= 0) {
      suspect.points = 0;
      suspect.malformed = 0;
      suspect.names.clear();
    }
    this.#suspects.set(source, suspect);
    return suspect;
  }

  #ban(source: string, now: number, sign: ScanSign): void {
    const before = this.#bans.get(source);
    const times = before && now < before.until + LONGEST_MS ? before.times + 1 : 1;
    const until = now + Math.min(LONGEST_MS, this.#options.seconds * 1000 * 2 ** (times - 1));
    this.#bans.delete(source);
    if (this.#bans.size >= MAX_BANS) this.#bans.delete(this.#bans.keys().next().value ?? '');
    const ban = { source, sign, since: now, until, times };
    this.#bans.set(source, { ...ban, lookedAt: now });
    this.onBanned?.(ban);
  }
}

/** Remembers four bytes of a name instead of the name (FNV-1a): that two are taken for one now and then does no harm. */
function isNew(names: Set<number>, name: string): boolean {
  let hash = 0x811c9dc5;
  for (let at = 0; at < name.length; at += 1) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
  if (names.has(hash)) return false;
  if (names.size < MAX_NAMES) names.add(hash);
  return true;
}
