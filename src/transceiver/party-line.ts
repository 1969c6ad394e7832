import { toSample } from '../audio/sample.ts';
import { CALLER, type PartyId } from '../leg/person.ts';
import { MODEL_FRAME_SAMPLES } from '../realtime/model.ts';
import type { MediaSession } from './media.ts';
import { PartyQueue } from './party-queue.ts';
import { stillness } from './sound-loop.ts';

/** What a party hears while it is not on the line. */
export interface Comfort {
  pull(out: Int16Array): void;
}

/** Where a party is: on the line with the others, or beside it with something to hear. */
export type Place =
  | { readonly type: 'line' }
  /** `soft`: what the agent still has to say is heard first. */
  | { readonly type: 'beside'; readonly comfort: Comfort; readonly soft?: boolean };

/** What becomes of keys, and of what a phone says before it is answered. */
export interface PartyHandlers {
  readonly onKey: (digit: string, durationMs: number) => void;
  /** Every frame of this party, whatever its place. */
  readonly onFrame?: (pcm: Int16Array, concealed: boolean) => void;
}

/** What of the caller is for one program alone, and passes this by. */
export interface CallerMask {
  /** The caller's frame as others may have it. */
  masked(pcm: Int16Array, now: number): Int16Array;
  /** Do keys go to whoever collects them? */
  readonly isCollecting: boolean;
}

interface Party {
  readonly id: PartyId;
  place: Place;
  /** What each of the others says to this one; the agent's is under its own name. */
  readonly from: Map<PartyId | typeof AGENT, PartyQueue>;
}

/** The agent is no party: it has no media of its own and speaks on the caller's beat. */
const AGENT = Symbol('agent');

/** Mixed sums are made here, one at a time. */
const SUM = new Int32Array(MODEL_FRAME_SAMPLES);

/**
 * Who hears whom in a session with more than one person: everybody on the line hears everybody else there, and the agent too while it takes part.
 * As long as there is nobody but the caller, its frames pass as if this were not here.
 */
export class PartyLine {
  readonly caller: MediaSession;
  readonly #session: MediaSession;
  readonly #parties = new Map<PartyId, Party>();
  readonly #agentFrame = new Int16Array(MODEL_FRAME_SAMPLES);
  readonly #mixed = new Int16Array(MODEL_FRAME_SAMPLES);
  readonly #callerParty: Party;
  /** What the others say to the agent, under their names; who leads is not among them. */
  readonly #toAgent = new Map<PartyId, PartyQueue>();
  /** Who says something that is heard by a listener beside the line. */
  readonly #overheard = new Map<PartyId, PartyId>();
  /** False as long as there is nobody but the caller, and it is on the line with the agent. */
  #shared = false;
  #agentTakesPart = true;
  /** Each frame of the caller, while somebody listens for something in it. */
  onCallerFrame: ((pcm: Int16Array, concealed: boolean) => void) | undefined;
  /** The caller's keys while the agent does not take part. */
  onCallerKey: ((digit: string) => void) | undefined;

  constructor(session: MediaSession, mask?: CallerMask) {
    this.#session = session;
    this.#callerParty = { id: CALLER, place: { type: 'line' }, from: new Map() };
    this.#parties.set(CALLER, this.#callerParty);
    this.caller = {
      handleUplink: (pcm, flags, now) => {
        const known = mask?.masked(pcm, now) ?? pcm;
        this.onCallerFrame?.(known, flags.concealed);
        if (this.#shared) this.#hear(this.#callerParty, known, flags, now);
        else session.handleUplink(known, flags, now);
      },
      pullDownlink: (out, now) => (this.#shared ? this.#pullCaller(out, now) : session.pullDownlink(out, now)),
      handleLegEvent: (event) => {
        if (event.type === 'dtmf' && !this.#agentTakesPart && !mask?.isCollecting) this.onCallerKey?.(event.digit);
        else session.handleLegEvent(event);
      },
    };
  }

  /** One more, beside the line. @returns its media's end of the session */
  join(id: PartyId, comfort: Comfort, { onKey, onFrame }: PartyHandlers): MediaSession {
    const party: Party = { id, place: { type: 'beside', comfort }, from: new Map([[AGENT, new PartyQueue()]]) };
    for (const other of this.#parties.values()) {
      other.from.set(id, new PartyQueue());
      party.from.set(other.id, new PartyQueue());
    }
    this.#parties.set(id, party);
    this.#toAgent.set(id, new PartyQueue());
    if (!this.#toAgent.has(CALLER)) this.#toAgent.set(CALLER, new PartyQueue());
    this.#look();
    return {
      handleUplink: (pcm, flags, now) => {
        onFrame?.(pcm, flags.concealed);
        if (this.#parties.get(id) === party) this.#hear(party, pcm, flags, now);
      },
      pullDownlink: (out) => this.#pullPerson(party, out),
      handleLegEvent: (event) => {
        if (event.type === 'dtmf') onKey(event.digit, event.durationMs);
      },
    };
  }

  leave(id: PartyId): void {
    const party = this.#parties.get(id);
    if (id === CALLER || !party) return;
    this.#parties.delete(id);
    party.place = { type: 'beside', comfort: stillness() };
    this.#overheard.delete(id);
    for (const { from } of this.#parties.values()) from.delete(id);
    this.#toAgent.delete(id);
    this.#look();
  }

  place(id: PartyId, place: Place): void {
    const party = this.#parties.get(id);
    if (!party) return;
    const moved = party.place.type !== place.type;
    party.place = place;
    // What was said before belongs to those who heard it then.
    if (moved) this.#clear(id, party);
    this.#look();
  }

  /** What this party says, for somebody who is not on the line: a phone that is not answered yet. */
  overhear(id: PartyId, listener: PartyId): Comfort {
    const queue = this.#parties.get(listener)?.from.get(id);
    queue?.clear();
    const party = this.#parties.get(id);
    if (party) this.#overheard.set(id, listener);
    return {
      pull: (out) => {
        const frame = queue?.pull();
        if (frame) out.set(frame);
        else out.fill(0);
      },
    };
  }

  set agentTakesPart(takesPart: boolean) {
    this.#agentTakesPart = takesPart;
    for (const queue of this.#toAgent.values()) queue.clear();
    for (const { from } of this.#parties.values()) from.get(AGENT)?.clear();
    this.#look();
  }

  #look(): void {
    this.#shared = this.#parties.size > 1 || !this.#agentTakesPart || this.#callerParty.place.type !== 'line';
  }

  #clear(id: PartyId, party: Party): void {
    for (const queue of party.from.values()) queue.clear();
    for (const { from } of this.#parties.values()) from.get(id)?.clear();
    // Another one may lead now: nobody is heard twice.
    for (const queue of this.#toAgent.values()) queue.clear();
    this.#overheard.delete(id);
  }

  /** The agent hears on the beat of one of them: the caller where it is on the line, else who came first. */
  get #leader(): Party | undefined {
    for (const party of this.#parties.values()) if (party.place.type === 'line') return party;
    return undefined;
  }

  #hear(party: Party, pcm: Int16Array, flags: { readonly concealed: boolean }, now: number): void {
    if (party.place.type !== 'line') {
      const listener = this.#overheard.get(party.id);
      if (listener !== undefined) this.#parties.get(listener)?.from.get(party.id)?.push(pcm);
      return;
    }
    for (const other of this.#parties.values()) {
      if (other !== party && other.place.type === 'line') other.from.get(party.id)?.push(pcm);
    }
    if (!this.#agentTakesPart) return;
    if (this.#leader !== party) this.#toAgent.get(party.id)?.push(pcm);
    else this.#session.handleUplink(this.#withOthers(party, pcm), flags, now);
  }

  /** What the agent hears: who leads, and whoever else is on the line. */
  #withOthers(leader: Party, pcm: Int16Array): Int16Array {
    let alone = true;
    for (const other of this.#parties.values()) {
      if (other === leader || other.place.type !== 'line') continue;
      const frame = this.#toAgent.get(other.id)?.pull();
      if (!frame) continue;
      if (alone) sumOf(pcm);
      alone = false;
      addTo(frame);
    }
    if (alone) return pcm;
    takeSum(this.#mixed);
    return this.#mixed;
  }

  #pullCaller(out: Int16Array, now: number): boolean {
    const { place } = this.#callerParty;
    const spoke = this.#agentTakesPart && this.#session.pullDownlink(this.#agentFrame, now);
    if (this.#agentTakesPart) {
      for (const party of this.#parties.values()) {
        if (party !== this.#callerParty && party.place.type === 'line') party.from.get(AGENT)?.push(this.#agentFrame);
      }
    }
    if (place.type === 'line') return this.#mix(this.#callerParty, spoke ? this.#agentFrame : undefined, out);
    if (place.soft && spoke) out.set(this.#agentFrame);
    else place.comfort.pull(out);
    return true;
  }

  #pullPerson(party: Party, out: Int16Array): boolean {
    if (party.place.type === 'line') return this.#mix(party, undefined, out);
    party.place.comfort.pull(out);
    return true;
  }

  #mix(party: Party, first: Int16Array | undefined, out: Int16Array): boolean {
    let heard = first !== undefined;
    if (first) sumOf(first);
    for (const [name, queue] of party.from) {
      if (name !== AGENT && this.#parties.get(name)?.place.type !== 'line') continue;
      const frame = queue.pull();
      if (!frame) continue;
      if (heard) addTo(frame);
      else sumOf(frame);
      heard = true;
    }
    if (heard) takeSum(out);
    else out.fill(0);
    return heard;
  }
}

function sumOf(frame: Int16Array): void {
  SUM.set(frame);
}

function addTo(frame: Int16Array): void {
  for (let n = 0; n < SUM.length; n++) SUM[n] = (SUM[n] as number) + (frame[n] as number);
}

function takeSum(out: Int16Array): void {
  for (let n = 0; n < SUM.length; n++) out[n] = toSample(SUM[n] as number);
}
