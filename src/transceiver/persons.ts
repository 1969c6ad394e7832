import { type Clock, soon, type Timer } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { EndCause, Leg, LegDialler, LegEvent } from '../leg/leg.ts';
import {
  type AgentAway,
  type AgentPresence,
  CALLER,
  type OnAnswer,
  type PartyId,
  type PersonCommand,
  type PersonOptions,
  type PersonView,
} from '../leg/person.ts';
import type { PersonNews } from '../realtime/session-event.ts';
import { AnswerWatch } from './answer-watch.ts';
import type { HandOverPersons } from './hand-overs.ts';
import type { MediaSession } from './media.ts';
import type { Comfort, PartyLine, Place } from './party-line.ts';
import { failureOf, failureOfStatus, statusOf } from './person-failure.ts';
import { PhoneHolds } from './phone-holds.ts';
import { type Seat, type SeatMedia, summaryOf } from './seat.ts';
import { SoundLoop, stillness } from './sound-loop.ts';

/** A consultation has one, a conference that a telephone call becomes a few; each costs codecs and a phone line. */
const MOST_PERSONS = 4;

/** From the wish to a leg: the bridge's own bound on a set-up, and the way there and back. */
const SET_UP_MS = 7000;

/** What is heard by whoever waits: 24 kHz, shared by all. */
export interface LineSounds {
  readonly music: Int16Array;
  readonly ringback: Int16Array;
}

export interface PersonsDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly line: PartyLine;
  readonly sounds: LineSounds;
  /** Without it nobody can be called. */
  readonly dialler: LegDialler | undefined;
  readonly session: PersonsSession;
  /** The leg of the caller, and whether it is answered. */
  readonly caller: () => CallerLeg;
}

/** What persons have to do with the conversation. */
export interface PersonsSession {
  pause(): void;
  resume(): void;
  tell(news: PersonNews): void;
  /** Of whoever is the agent's to talk to. */
  handleLegEvent(event: LegEvent): void;
  end(cause: EndCause): void;
}

export interface CallerLeg {
  /** `websocket` has no media of its own. */
  readonly kind: 'phone' | 'browser' | 'websocket';
  readonly answered: boolean;
  readonly leg: Leg | undefined;
}

type State = 'dialling' | 'ringing' | 'waiting' | 'whispering' | 'connected';

interface Person {
  readonly id: PartyId;
  readonly options: PersonOptions;
  state: State;
  held: boolean;
  answered: boolean;
  /** Whoever has answered is listened to, before anybody talks to it. */
  watch: AnswerWatch | undefined;
  leg: Leg | undefined;
  media: SeatMedia | undefined;
  /** Its end of the session. */
  line: MediaSession | undefined;
  sipCallId: string | undefined;
  /** By which another phone takes our place in its call, as its leg has told. */
  replacesUri: string | undefined;
  /** What the caller hears as long as this one's phone rings. */
  readonly comfort: Comfort;
  /** What this one hears while it waits. */
  readonly music: Comfort;
  readonly timer: Timer;
}

/** The persons of one session, from the wish to call them to their end: who they are, who talks to whom, and what becomes of the caller. */
export class Persons implements HandOverPersons {
  readonly #deps: PersonsDeps;
  readonly #sessionId: string;
  readonly #persons = new Map<PartyId, Person>();
  readonly #music: SoundLoop;
  readonly #ringback: SoundLoop;
  readonly #holds: PhoneHolds;
  #callerHeld = false;
  /** The agent has left those who are connected. */
  #agentGone = false;
  #paused = false;
  /** The call is not the agent's. */
  #agentAway: AgentAway | undefined;
  /** The phones are being sent to each other: what becomes of the caller the transfer says. */
  #referring: PartyId | undefined;
  /** Whose place is being given to somebody else. */
  #handingOver: PartyId | undefined;
  /** The caller has handed those who stay to the agent. */
  #callerGone = false;
  #over = false;

  constructor(deps: PersonsDeps, sessionId: string) {
    this.#deps = deps;
    this.#sessionId = sessionId;
    this.#music = new SoundLoop(deps.sounds.music);
    this.#ringback = new SoundLoop(deps.sounds.ringback);
    this.#holds = new PhoneHolds(deps.line, deps.sounds.music);
    deps.line.onCallerKey = (digit) => this.#passKey(digit);
  }

  views(): readonly PersonView[] {
    return [...this.#persons.values()].map((each) => ({ leg: each.id, state: each.held ? 'held' : each.state }));
  }

  /** The call is not the agent's, from before it is answered. */
  keepAgentAway(away: AgentAway): void {
    this.#agentAway = away;
    this.#lay();
  }

  /** The conversation has begun: not with an agent that keeps out of it. */
  callerAnswered(): void {
    if (this.#paused) this.#deps.session.pause();
  }

  /**
   * @throws GatewayError ERR_INVALID_STATE, ERR_NOT_FOUND (no such leg), ERR_OVERLOADED (too many), and for a call as LegDialler.dial()
   */
  async command(command: PersonCommand): Promise<void> {
    if (this.#over) throw new GatewayError('ERR_NOT_FOUND', 'the call is over');
    switch (command.type) {
      case 'dial':
        return this.#dial(command);
      case 'expect':
        this.#expect(command.leg, command.options);
        return;
      case 'connect':
        return this.#connect(this.#answered(command.leg), command.agent);
      case 'whisper':
        return this.#whisper(this.#answered(command.leg));
      case 'hold':
        return this.#hold(command.leg, command.held);
      case 'swap':
        return this.#swap(this.#answered(command.leg));
      case 'transfer':
        return command.mode === 'refer' ? this.#refer(this.#answered(command.leg)) : this.#connect(this.#answered(command.leg), 'leave');
      case 'hangup':
        return this.#hangUp(this.#find(command.leg));
    }
  }

  /**
   * The leg of a person who was called is there.
   * @param makeMedia its media, with this end of the session
   * @throws GatewayError ERR_NOT_FOUND when nobody waits for it, or no longer
   */
  async open<Media extends SeatMedia>(
    id: PartyId,
    leg: Leg,
    sipCallId: string | undefined,
    makeMedia: (session: MediaSession) => Promise<Media>,
  ): Promise<{ readonly media: Media; tell(event: LegEvent): void }> {
    const person = this.#persons.get(id);
    if (!person || person.leg) throw new GatewayError('ERR_NOT_FOUND', 'nobody waits for this leg');
    person.leg = leg;
    person.sipCallId = sipCallId;
    const { line } = this.#deps;
    const onKey = (digit: string, durationMs: number): void => this.#personKey(person, digit, durationMs);
    person.watch = this.#watchOf(person);
    const onFrame = (pcm: Int16Array, concealed: boolean): void => person.watch?.handleFrame(pcm, concealed);
    person.line = line.join(id, person.music, { onKey, onFrame });
    const media = await makeMedia(person.line).catch((thrown: unknown) => {
      person.leg = undefined;
      this.#failed(person, 'failed');
      throw thrown;
    });
    if (this.#persons.get(id) !== person) {
      media.close();
      throw new GatewayError('ERR_NOT_FOUND', 'nobody waits for this leg any more');
    }
    person.media = media;
    person.timer.cancel();
    this.#lay();
    // Whoever opened it has our answer by then.
    soon(() => person.leg?.answer());
    return {
      media,
      tell: (event) => {
        // Somebody else may sit in its place by now.
        if (person.leg === leg) this.#handle(person, event);
      },
    };
  }

  /** The place of a person; undefined where nobody has come yet. */
  seatOf(id: PartyId): Seat | undefined {
    const persons = this.#persons;
    const person = persons.get(id);
    const { line } = person ?? {};
    if (!person?.leg || !line) return undefined;
    return {
      ...{ sessionId: this.#sessionId, party: id, line },
      get leg() {
        return person.leg as Leg;
      },
      get isUp() {
        return persons.get(id) === person && person.state !== 'dialling' && person.state !== 'ringing';
      },
      tell: (event) => this.#handle(person, event),
      lost: (reason) => this.lost(id, reason === 'remote_closed' ? 'remote_hangup' : 'media_failed'),
      take: ({ leg, media, sipCallId }) => {
        person.leg?.report(summaryOf(person.media?.close()));
        Object.assign(person, { leg, media, sipCallId, replacesUri: undefined });
        media.answered();
        this.phoneHolds(id, false);
      },
    };
  }

  get isPrivate(): boolean {
    return this.#paused && [...this.#persons.values()].some(({ state }) => state === 'connected');
  }

  handOver(party: PartyId | undefined): void {
    this.#handingOver = party;
    if (!this.#over) this.#lay();
  }

  handToAgent(party: PartyId): boolean {
    const stays = [...this.#persons.values()].filter(({ id, state }) => id !== party && state === 'connected');
    if (party === CALLER ? stays.length === 0 : !this.#persons.has(party)) return false;
    this.#agentAway = undefined;
    this.#agentGone = false;
    const person = this.#persons.get(party);
    if (person) {
      if (this.#forget(person)) this.#deps.session.tell({ type: 'person_ended', leg: party, cause: 'agent_hangup' });
    } else this.#callerGone = true;
    this.#lay();
    return true;
  }

  /** The browser of a person has found its way here: only now it has answered. */
  arrived(id: PartyId): void {
    const person = this.#persons.get(id);
    if (person) this.#handleAnswered(person);
  }

  /** The media of this person is gone. */
  lost(id: PartyId, cause: EndCause): void {
    const person = this.#persons.get(id);
    if (!person) return;
    person.leg?.hangup(cause);
    this.#ended(person, cause);
  }

  /** The phone of this party has put the call on hold, or taken it back. */
  phoneHolds(party: PartyId, held: boolean): void {
    this.#holds.note(party, held);
    if (!this.#over) this.#lay();
  }

  /** The caller's transfer has come to something. */
  handleTransfer(event: Extract<LegEvent, { type: 'transfer' }>): void {
    if (event.state !== 'failed' || this.#referring === undefined) return;
    this.#referring = undefined;
    // The person may have hung up meanwhile.
    if (!this.#over) this.#lay();
  }

  /** The session is over. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    for (const person of [...this.#persons.values()]) {
      this.#persons.delete(person.id);
      person.timer.cancel();
      person.leg?.hangup('agent_hangup');
      this.#close(person);
    }
  }

  async #dial({ leg: id, to, options }: Extract<PersonCommand, { type: 'dial' }>): Promise<void> {
    const { dialler, log } = this.#deps;
    if (!dialler) throw new GatewayError('ERR_NODE_UNREACHABLE', 'there is nobody who places calls');
    const person = this.#expect(id, options);
    try {
      await dialler.dial({ ...to, joins: { sessionId: this.#sessionId, leg: id } });
    } catch (thrown) {
      log.warn({ err: thrown }, 'a person cannot be called');
      this.#failed(person, failureOf(GatewayError.from(thrown).code));
      throw thrown;
    }
  }

  /** Somebody comes by this name, within the time of a set-up. */
  #expect(id: PartyId, options: PersonOptions): Person {
    const { session, clock } = this.#deps;
    const { kind, answered } = this.#deps.caller();
    if (kind === 'websocket') throw new GatewayError('ERR_INVALID_STATE', 'a session over a WebSocket has no caller to talk to persons');
    if (!answered) throw new GatewayError('ERR_INVALID_STATE', 'the call is not answered');
    if (this.#referring !== undefined) throw new GatewayError('ERR_INVALID_STATE', 'a transfer is under way');
    if (this.#persons.has(id) || id === CALLER) throw new GatewayError('ERR_INVALID_STATE', 'there is a leg of this name');
    if (this.#persons.size >= MOST_PERSONS) throw new GatewayError('ERR_OVERLOADED', `a session has ${MOST_PERSONS} persons at most`);
    const person: Person = {
      id,
      options,
      state: 'dialling',
      held: false,
      answered: false,
      watch: undefined,
      leg: undefined,
      media: undefined,
      line: undefined,
      sipCallId: undefined,
      replacesUri: undefined,
      comfort: this.#ringing(id, options),
      music: new SoundLoop(this.#deps.sounds.music),
      timer: clock.setTimer(SET_UP_MS, () => this.#failed(person, 'failed')),
    };
    this.#persons.set(id, person);
    session.tell({ type: 'person_state', leg: id, state: 'dialling' });
    this.#lay();
    return person;
  }

  #handle(person: Person, event: LegEvent): void {
    if (this.#persons.get(person.id) !== person) return;
    switch (event.type) {
      case 'ringing':
        if (person.state === 'dialling') this.#enter(person, 'ringing');
        this.#lay();
        break;
      case 'answered':
        if (person.sipCallId !== undefined) this.#handleAnswered(person);
        break;
      case 'replaces':
        person.replacesUri = event.uri;
        break;
      case 'dtmf':
        this.#personKey(person, event.digit, event.durationMs);
        break;
      case 'ended':
        this.#ended(person, event.cause, event.status);
        break;
      case 'hold':
        this.phoneHolds(person.id, event.held);
        break;
      case 'transfer':
      case 'round_trip':
      case 'refer':
        break;
    }
  }

  #handleAnswered(person: Person): void {
    if ((person.state !== 'dialling' && person.state !== 'ringing') || person.answered) return;
    person.answered = true;
    person.media?.answered();
    this.#deps.session.tell({ type: 'person_answered', leg: person.id });
    if (person.watch) person.watch.begin();
    else this.#begin(person, person.options.onAnswer);
  }

  /** Finds out who answers, where that is wished for. */
  #watchOf(person: Person): AnswerWatch | undefined {
    const { amd, onAnswer } = person.options;
    if (!amd) return undefined;
    const { clock, session } = this.#deps;
    let isMachine = false;
    return new AnswerWatch(clock, amd, {
      onAnswered: (answered) => {
        isMachine = answered.by.startsWith('machine');
        session.tell({ type: 'answered_by', leg: person.id, ...answered });
      },
      onDecided: (what) => {
        if (what === 'go_on') this.#begin(person, amd.onMachine === 'leave_message' && isMachine ? 'whisper' : onAnswer);
        else {
          person.leg?.hangup('agent_hangup');
          this.#failed(person, 'machine');
        }
      },
    });
  }

  #begin(person: Person, onAnswer: OnAnswer): void {
    const { agent } = person.options;
    if (onAnswer === 'connect') this.#connect(person, agent);
    else if (onAnswer === 'whisper') this.#whisper(person);
    else {
      this.#enter(person, 'waiting');
      this.#lay();
    }
  }

  #connect(person: Person, agent: AgentPresence): void {
    person.held = false;
    this.#callerHeld = false;
    // Who was consulted until now does not listen in on the others.
    for (const other of this.#persons.values()) if (other !== person && other.state === 'whispering') this.#enter(other, 'waiting');
    this.#agentGone = agent === 'leave';
    this.#enter(person, 'connected', agent);
    this.#lay();
  }

  #whisper(person: Person): void {
    for (const other of this.#persons.values()) if (other !== person && other.state === 'whispering') this.#enter(other, 'waiting');
    person.held = false;
    this.#enter(person, 'whispering');
    this.#lay();
  }

  #swap(person: Person): void {
    if (person.state !== 'whispering') {
      this.#whisper(person);
      return;
    }
    this.#enter(person, 'waiting');
    this.#lay();
  }

  #hold(id: PartyId, held: boolean): void {
    const { session, caller } = this.#deps;
    if (id === CALLER) {
      const { kind, answered } = caller();
      if (!answered || kind === 'websocket') throw new GatewayError('ERR_INVALID_STATE', 'there is no caller who could hear music');
      if (this.#callerHeld === held) return;
      this.#callerHeld = held;
      session.tell({ type: 'caller_held', held });
    } else {
      const person = this.#answered(id);
      if (person.held === held) return;
      person.held = held;
      session.tell({ type: 'person_state', leg: id, state: held ? 'held' : person.state });
    }
    this.#lay();
  }

  /** Sends the caller's phone to the person's, by the dialog that we have with that one. */
  #refer(person: Person): void {
    const { kind, leg } = this.#deps.caller();
    if (kind !== 'phone' || !leg?.referToCall || person.sipCallId === undefined)
      throw new GatewayError('ERR_INVALID_STATE', 'only two phones can be sent to each other');
    if (this.#referring !== undefined) throw new GatewayError('ERR_INVALID_STATE', 'a transfer is under way');
    this.#referring = person.id;
    leg.referToCall(person.sipCallId, person.replacesUri);
  }

  #hangUp(person: Person): void {
    person.leg?.hangup('agent_hangup');
    if (person.state === 'dialling' || person.state === 'ringing') this.#failed(person, 'cancelled');
    else this.#ended(person, 'agent_hangup');
  }

  #ended(person: Person, cause: EndCause, status?: number): void {
    if (person.state === 'dialling' || person.state === 'ringing') {
      this.#failed(person, status === undefined ? 'failed' : failureOfStatus(status), status);
      return;
    }
    const last = person.state === 'connected' && ![...this.#persons.values()].some((each) => each !== person && each.state === 'connected');
    if (!this.#forget(person)) return;
    this.#deps.session.tell({ type: 'person_ended', leg: person.id, cause });
    if (last && this.#referring === undefined && person.options.onHangup === 'end') this.#deps.session.end('remote_hangup');
    else this.#leftAlone('remote_hangup');
  }

  #failed(person: Person, reason: ReturnType<typeof failureOf>, status?: number): void {
    if (!this.#forget(person)) return;
    this.#deps.session.tell({ type: 'person_failed', leg: person.id, reason, status });
    this.#leftAlone('rejected', status ?? statusOf(reason));
  }

  /** Somebody has gone. A caller with nobody left has the agent, unless that is not for it. @param status of SIP, why nobody came */
  #leftAlone(cause: EndCause, status?: number): void {
    const isAlone = this.#persons.size === 0 && this.#referring === undefined;
    if (isAlone && this.#callerGone) {
      this.#deps.session.end(cause);
      return;
    }
    if (isAlone && this.#agentAway === 'for_good') {
      if (status !== undefined) this.#deps.caller().leg?.hangup(cause, [{ name: 'Reason', value: `SIP;cause=${status}` }]);
      this.#deps.session.end(cause);
      return;
    }
    if (isAlone) this.#agentAway = undefined;
    this.#lay();
  }

  #forget(person: Person): boolean {
    if (this.#over || this.#persons.get(person.id) !== person) return false;
    this.#persons.delete(person.id);
    person.timer.cancel();
    this.#close(person);
    return true;
  }

  #close(person: Person): void {
    this.#deps.line.leave(person.id);
    this.#holds.note(person.id, false);
    person.watch?.end();
    person.leg?.report(summaryOf(person.media?.close()));
  }

  #enter(person: Person, state: State, agent?: AgentPresence): void {
    person.state = state;
    this.#deps.session.tell({ type: 'person_state', leg: person.id, state, ...(agent === undefined ? {} : { agent }) });
  }

  /** Puts everybody where they belong. */
  #lay(): void {
    const { line, session } = this.#deps;
    const persons = [...this.#persons.values()];
    const whispers = persons.some(({ state, held }) => state === 'whispering' && !held);
    const connected = persons.some(({ state }) => state === 'connected');
    if (!connected && this.#referring === undefined) this.#agentGone = this.#agentAway !== undefined;
    const paused = this.#agentAway === 'for_good' || (this.#agentGone && !whispers);
    if (paused !== this.#paused) {
      this.#paused = paused;
      line.agentTakesPart = !paused;
      if (paused) session.pause();
      else session.resume();
    }
    const places = new Map<PartyId, Place>([[CALLER, this.#callerPlace(persons, whispers, connected)]]);
    for (const { id, state, held, music } of persons) {
      const talks = !held && (state === 'whispering' || (state === 'connected' && !whispers));
      places.set(id, talks ? { type: 'line' } : { type: 'beside', comfort: music });
    }
    if (paused && this.#handingOver !== undefined) this.#putAside(this.#handingOver, places);
    else if (paused) this.#holds.lay(places);
    for (const [id, place] of places) line.place(id, place);
  }

  /** Whose place is being given away hears ringing, and so does who is left alone by it. With the agent on the line all go on talking. */
  #putAside(party: PartyId, places: Map<PartyId, Place>): void {
    const ringing = (): Place => ({ type: 'beside', comfort: new SoundLoop(this.#deps.sounds.ringback) });
    places.set(party, ringing());
    const [first, ...others] = [...places].filter(([, { type }]) => type === 'line');
    if (first && others.length === 0) places.set(first[0], ringing());
  }

  #callerPlace(persons: readonly Person[], whispers: boolean, connected: boolean): Place {
    if (this.#callerGone) return { type: 'beside', comfort: stillness() };
    if (this.#callerHeld || whispers) return { type: 'beside', comfort: this.#music };
    if (connected) return { type: 'line' };
    // The person's phone talks to the caller's already, or soon.
    if (this.#referring !== undefined) return { type: 'beside', comfort: this.#music };
    const waited = persons.findLast(
      ({ state, options }) => (state === 'dialling' || state === 'ringing') && options.whileRinging !== 'agent',
    );
    if (waited) return { type: 'beside', comfort: waited.comfort, soft: true };
    return this.#agentAway && persons.length === 0 ? { type: 'beside', comfort: this.#ringback } : { type: 'line' };
  }

  /** What the caller hears as long as this person's phone rings. */
  #ringing(id: PartyId, { whileRinging }: PersonOptions): Comfort {
    if (whileRinging === 'music') return this.#music;
    if (whileRinging !== 'early_media') return this.#ringback;
    let early: Comfort | undefined;
    let heard = false;
    return {
      pull: (out) => {
        if (this.#persons.get(id)?.media) early ??= this.#deps.line.overhear(id, CALLER);
        early?.pull(out);
        heard ||= early !== undefined && out.some((sample) => sample !== 0);
        if (!heard) this.#ringback.pull(out);
      },
    };
  }

  #find(id: PartyId): Person {
    const person = this.#persons.get(id);
    if (!person) throw new GatewayError('ERR_NOT_FOUND', 'there is no such leg', { param: 'leg_id' });
    return person;
  }

  #answered(id: PartyId): Person {
    const person = this.#find(id);
    if (person.state === 'dialling' || person.state === 'ringing')
      throw new GatewayError('ERR_INVALID_STATE', 'the person has not answered', { param: 'leg_id' });
    if (this.#referring !== undefined) throw new GatewayError('ERR_INVALID_STATE', 'a transfer is under way');
    return person;
  }

  #personKey(person: Person, digit: string, durationMs: number): void {
    const { session } = this.#deps;
    session.tell({ type: 'person_dtmf', leg: person.id, digit });
    if (this.#callerGone) session.handleLegEvent({ type: 'dtmf', digit, durationMs });
    else if (this.#paused && person.state === 'connected') this.#deps.caller().leg?.sendDtmf?.(digit);
  }

  /** The caller presses keys while it talks to persons alone: they are for those. */
  #passKey(digit: string): void {
    for (const { state, held, leg } of this.#persons.values()) if (state === 'connected' && !held) leg?.sendDtmf?.(digit);
  }
}
