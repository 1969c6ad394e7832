import type { BlockList } from 'node:net';
import { addressList, isListed } from '../base/address-list.ts';
import type { Alert, AlertKind } from '../base/alert.ts';
import type { Clock } from '../base/clock.ts';
import type { RuleTried } from '../base/rule-tried.ts';
import type { InboundCaller } from './engine.ts';
import type { CallerRules, Callers } from './identify-caller.ts';
import type { LookUp, Trunk, TrunkRefusal } from './trunk.ts';
import { type Destination, isAllowed, lookUpsOf, readDestination, rewrittenDestination } from './trunk-destination.ts';
import { hopsOf, type Names, peerHops, type TrunkHop } from './trunk-hops.ts';
import type { TrunkDays, TrunkJournal } from './trunk-journal.ts';
import { type CallLease, type DayCount, dayOf, TrunkMeter } from './trunk-meter.ts';

/** A call that may be placed. */
export interface OutboundAdmission {
  readonly trunk: Trunk;
  readonly destination: Destination;
  /** Where that is at the moment, the best place first. */
  readonly hops: readonly TrunkHop[];
  readonly lease: CallLease;
}

export interface Refused {
  readonly refusal: TrunkRefusal;
  /** For people. */
  readonly detail: string;
  readonly tried?: readonly RuleTried[];
}

/** How much of a trunk is in use. */
export interface TrunkSnapshot {
  readonly name: string;
  /** Whether it answers; absent where nobody asks. */
  readonly up?: boolean;
  readonly outbound: { readonly calls: number; readonly today: number };
  readonly inbound: { readonly calls: number; readonly today: number };
}

/** Names that the trunks have, and where they are. */
export interface TrunkNames extends Names {
  use(lookUps: readonly LookUp[]): void;
  failureOf(lookUp: LookUp): string;
  onChange: (() => void) | undefined;
}

interface Entry {
  readonly trunk: Trunk;
  sources: BlockList;
  readonly outbound: TrunkMeter;
  readonly inbound: TrunkMeter;
  /** False while it does not answer. */
  up: boolean;
}

/** All trunks of a process: who may call, whom we may call, and how much. Nothing leaves the gateway without having been asked for here. */
export class TrunkBook {
  readonly #clock: Clock;
  #entries: readonly Entry[];
  readonly #journal: Pick<TrunkJournal, 'days' | 'note'> | undefined;
  #callers: Callers;
  /** A cap has refused a call. */
  onAlert: ((alert: Alert) => void) | undefined;
  #names: TrunkNames | undefined;

  /** @param journal keeps the calls of the day for the next process @param callers who may call besides trunks */
  constructor(clock: Clock, trunks: readonly Trunk[], journal?: Pick<TrunkJournal, 'days' | 'note'>, callers: Callers = 'by-trunks') {
    this.#clock = clock;
    this.#callers = callers;
    this.#journal = journal;
    this.#entries = trunks.map((trunk) => this.#newEntry(trunk));
  }

  /** Other trunks from now on, in one step. One that keeps its name keeps its counts and its calls; its new caps hold for the next one. */
  replace(trunks: readonly Trunk[], callers: Callers): void {
    this.#entries = trunks.map((trunk) => {
      const known = this.#entry(trunk.name);
      if (!known) return this.#newEntry(trunk);
      known.outbound.setCaps(trunk.caps);
      known.inbound.setCaps(trunk.caps);
      return { ...known, trunk, sources: this.#sourcesOf(trunk) };
    });
    this.#callers = callers;
    this.#useNames();
  }

  /** Where the names of these trunks, and of those that replace them, are to be asked for. Without it they are nowhere. */
  set names(names: TrunkNames) {
    this.#names = names;
    names.onChange = () => {
      for (const entry of this.#entries) entry.sources = this.#sourcesOf(entry.trunk);
    };
    this.#useNames();
  }

  /** Where requests go at the moment, to the trunk or to another destination of it, the best place first; nothing while the name is not resolved. */
  hopsTo(trunk: Trunk, destination?: Destination): readonly TrunkHop[] {
    return destination ? hopsOf(trunk, destination, this.#names) : peerHops(trunk, this.#names);
  }

  #useNames(): void {
    this.#names?.use(this.#entries.flatMap(({ trunk }) => [...(trunk.lookUp ? [trunk.lookUp] : []), ...lookUpsOf(trunk)]));
  }

  #sourcesOf(trunk: Trunk): BlockList {
    const named = trunk.lookUp ? this.hopsTo(trunk).map(({ address }) => address) : [trunk.peer.address];
    return addressList([...named, ...trunk.addresses]);
  }

  /** What callers are told apart by. */
  get rules(): Omit<CallerRules, 'hasUsers'> {
    return { trunks: this.#entries, callers: this.#callers, dialsOut: this.dialsOut };
  }

  #newEntry(trunk: Trunk): Entry {
    const today = dayOf(this.#clock.wallclock());
    // A day that has not come yet was counted by a clock that was wrong, and would be counted on until it comes.
    const earlier = (count: DayCount | undefined): DayCount | undefined => (count && count.day <= today + 1 ? count : undefined);
    const days = this.#journal?.days.get(trunk.name);
    return {
      trunk,
      sources: this.#sourcesOf(trunk),
      outbound: new TrunkMeter(trunk.caps, earlier(days?.outbound)),
      inbound: new TrunkMeter(trunk.caps, earlier(days?.inbound)),
      up: true,
    };
  }

  get trunks(): readonly Trunk[] {
    return this.#entries.map(({ trunk }) => trunk);
  }

  /** From now on it is dialled by, or refused at once. */
  setUp(name: string, up: boolean): void {
    const entry = this.#entry(name);
    if (entry) entry.up = up;
  }

  /** Can anything be dialled at all? */
  get dialsOut(): boolean {
    return this.#entries.some(({ trunk }) => trunk.destinations.length > 0);
  }

  find(name: string): Trunk | undefined {
    return this.#entry(name)?.trunk;
  }

  /** The trunk a source address belongs to; of several the first. */
  ofSource(address: string): Trunk | undefined {
    return this.#ofSource(address)?.trunk;
  }

  /** May this be dialled, caps aside? */
  judge(name: string, destination: string): { readonly trunk: Trunk; readonly destination: Destination } | Refused {
    const trunk = this.find(name);
    if (!trunk) return { refusal: 'no_such_trunk', detail: 'there is no such trunk' };
    const read = readDestination(destination, trunk);
    if ('fault' in read) return { refusal: 'bad_destination', detail: read.fault };
    if (!isAllowed(read, trunk.destinations)) {
      return { refusal: 'destination_refused', detail: `not among the destinations of trunk ${trunk.name}` };
    }
    return { trunk, destination: read };
  }

  /** Asks for a call of ours; what is admitted counts until its lease is released. */
  admitOutbound(name: string, destination: string): OutboundAdmission | Refused {
    const judged = this.judge(name, destination);
    if ('refusal' in judged) return judged;
    const entry = this.#entry(name);
    if (entry?.up === false) return { refusal: 'trunk_down', detail: `trunk ${name} does not answer` };
    const hops = this.hopsTo(judged.trunk, judged.destination);
    if (hops.length === 0) {
      const { lookUp } = judged.destination;
      const why = (lookUp && this.#names?.failureOf(lookUp)) ?? 'names are not looked up here';
      return { refusal: 'trunk_down', detail: `${lookUp?.host} cannot be found: ${why}` };
    }
    const lease = this.#take(entry?.outbound);
    if (typeof lease === 'string') return this.#capped(lease, judged.trunk);
    return { ...judged, destination: rewrittenDestination(judged.destination, judged.trunk), hops, lease };
  }

  /**
   * Asks for a call of theirs. Strangers are let in as long as nothing can be dialled out from here: then there is nothing to steal.
   * @param caller who has been found to call; by the address when absent
   * @returns undefined for a user, and for a stranger who is let in
   */
  admitInbound(
    address: string,
    caller?: InboundCaller,
  ): { readonly trunk: Trunk; readonly lease: CallLease; readonly tried?: readonly RuleTried[] } | Refused | undefined {
    if (caller?.type === 'user') return undefined;
    const entry = caller?.type === 'trunk' ? this.#entry(caller.name) : caller ? undefined : this.#ofSource(address);
    if (!entry) return this.#strangerRefused();
    const lease = this.#take(entry.inbound);
    if (typeof lease === 'string') {
      const refused = this.#capped(lease, entry.trunk);
      return { ...refused, tried: [capTried(entry.trunk, lease, refused.detail)] };
    }
    return { trunk: entry.trunk, lease, tried: [capTried(entry.trunk, undefined, 'within its caps')] };
  }

  #strangerRefused(): Refused | undefined {
    if (this.#callers === 'trunks') return { refusal: 'not_a_trunk', detail: 'only trunks may call' };
    if (this.#callers === 'anyone' || !this.dialsOut) return undefined;
    return { refusal: 'not_a_trunk', detail: 'only trunks may call while calls can be placed' };
  }

  /** Figures of each trunk, without its secrets. */
  snapshot(): TrunkSnapshot[] {
    return this.#entries.map(({ trunk, outbound, inbound, up }) => ({
      name: trunk.name,
      ...(trunk.keepAliveS === undefined ? {} : { up }),
      outbound: { calls: outbound.concurrent, today: outbound.today },
      inbound: { calls: inbound.concurrent, today: inbound.today },
    }));
  }

  #capped(refusal: TrunkRefusal, trunk: Trunk): Refused {
    const refused = capReached(refusal, trunk);
    if (refusal in CAP_KEYS) this.onAlert?.({ kind: refusal as AlertKind, subject: trunk.name, detail: refused.detail });
    return refused;
  }

  #take(meter: TrunkMeter | undefined): CallLease | TrunkRefusal {
    const taken = meter?.take(this.#clock.now(), this.#clock.wallclock()) ?? 'no_such_trunk';
    if (typeof taken !== 'string') this.#journal?.note(() => this.#days());
    return taken;
  }

  #days(): TrunkDays {
    return new Map(
      this.#entries.map(({ trunk, outbound, inbound }) => [trunk.name, { outbound: outbound.counted, inbound: inbound.counted }]),
    );
  }

  #entry(name: string): Entry | undefined {
    return this.#entries.find(({ trunk }) => trunk.name === name);
  }

  #ofSource(address: string): Entry | undefined {
    return this.#entries.find(({ sources }) => isListed(sources, address));
  }
}

const CAP_KEYS: Partial<Record<TrunkRefusal, string>> = {
  cap_concurrent: 'concurrent',
  cap_per_second: 'per-second',
  cap_per_day: 'per-day',
};

function capTried(trunk: Trunk, refusal: TrunkRefusal | undefined, why: string): RuleTried {
  const key = refusal && CAP_KEYS[refusal];
  const at = trunk.at?.('caps', ...(key === undefined ? [] : [key]));
  const rule = `trunks.${trunk.name}.caps${key === undefined ? '' : `.${key}`}`;
  return { rule, ...(at === undefined ? {} : { at }), matched: refusal === undefined, why };
}

function capReached(refusal: TrunkRefusal, trunk: Trunk): Refused {
  const { concurrent, perSecond, perDay } = trunk.caps;
  const caps = {
    cap_concurrent: `${concurrent} calls at once`,
    cap_per_second: `${perSecond} calls a second`,
    cap_per_day: `${perDay} calls a day`,
  };
  return { refusal, detail: `trunk ${trunk.name} has reached its cap: ${caps[refusal as keyof typeof caps] ?? refusal}` };
}
