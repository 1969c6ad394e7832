import { type Clock, soon, type Timer } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import { randomText } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import type { Ticker } from '../base/ticker.ts';
import type { DialRequest, Leg, LegDialler, LegEvent, Successor } from '../leg/leg.ts';
import { CALLER, type PartyId } from '../leg/person.ts';
import type { MediaSession } from './media.ts';
import { startMetronome } from './metronome.ts';
import type { PeerMedia } from './peer-media.ts';
import { failureOf, statusOf } from './person-failure.ts';
import { nobody, type Occupant, type Seat, summaryOf } from './seat.ts';
import { splice } from './splice.ts';
import type { Wires } from './wires.ts';

/** From the wish to a leg: the bridge's own bound on a set-up, and the way there and back. */
const SET_UP_MS = 7000;

export interface HandOversDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly ticker: Ticker;
  /** Without it nobody can be called. */
  readonly dialler: LegDialler | undefined;
  /** The place of a party of this session. */
  readonly seatOf: (party: PartyId) => Seat | undefined;
  /** The place of an answered leg of another session, by the leg's name there. */
  readonly seatElsewhere: (sessionId: string, leg: string) => Seat | undefined;
  /** What is joined already. */
  readonly wires?: Wires;
  readonly persons: HandOverPersons;
}

/** What the persons of the session have to do with it. */
export interface HandOverPersons {
  /** Whose place is being given to somebody else: those who stay hear ringing. Undefined: nobody's any more. */
  handOver(party: PartyId | undefined): void;
  /** This party leaves and the agent comes back to those who stay. False: there is nobody who stays. */
  handToAgent(party: PartyId): boolean;
  /** Do persons talk among themselves, without the agent? */
  readonly isPrivate: boolean;
}

interface HandOver {
  /** By which the next leg comes. */
  readonly name: string;
  readonly seat: Seat;
  /** Who asked for it. */
  readonly asked: Leg;
  readonly timer: Timer;
  /** Who asked has hung up meanwhile. */
  isAlone: boolean;
  next: Leg | undefined;
  media: PeerMedia | undefined;
}

/**
 * The transfers that legs of one session ask for: somebody else is called and takes the place of the leg when he answers, or whoever talks to another
 * leg of the same side does. Until then all stays as it is but for who hears ringing.
 */
export class HandOvers {
  readonly #deps: HandOversDeps;
  readonly #sessionId: string;
  /** By the name of the next leg. One at a time. */
  readonly #pending = new Map<string, HandOver>();
  /** Legs that sit in the place of another one, by their names. One a party. */
  readonly #taken = new Map<string, PartyId>();

  constructor(deps: HandOversDeps, sessionId: string) {
    this.#deps = deps;
    this.#sessionId = sessionId;
  }

  /** In whose place a leg sits. */
  partyOf(leg: string): PartyId {
    return this.#taken.get(leg) ?? leg;
  }

  /** Is somebody called who will sit in this party's place? */
  isPending(party: PartyId): boolean {
    return this.#of(party) !== undefined;
  }

  /** Is somebody called who will come by this name? */
  awaits(leg: string): boolean {
    return this.#pending.has(leg);
  }

  /** What a leg has to say is looked at here first. @returns whether it was meant for this */
  takes(party: PartyId, event: LegEvent): boolean {
    if (event.type === 'refer') this.#refer(party, event.to);
    return event.type === 'refer' || (event.type === 'ended' && this.#left(party));
  }

  #refer(party: PartyId, to: Successor): void {
    const seat = this.#deps.seatOf(party);
    if (!seat) return;
    const { leg } = seat;
    const mayNow = this.#pending.size === 0 && seat.isUp;
    if (mayNow && to.type === 'dial') void this.#dial(seat, to.to);
    // Whoever asked has not been told yet that it is tried.
    else
      soon(() => {
        if (!mayNow || !seat.isUp || seat.leg !== leg) leg.referred?.(491);
        else if (to.type === 'agent') this.#toAgent(seat);
        else if (to.type === 'leg') this.#toLeg(seat, to);
      });
  }

  /**
   * The leg of whoever was called is there.
   * @param makeMedia its media, with this end of the session
   * @throws GatewayError ERR_NOT_FOUND when it is not wanted any more
   */
  async open(
    name: string,
    { leg, isBrowser, sipCallId }: Pick<Occupant, 'leg' | 'isBrowser' | 'sipCallId'>,
    makeMedia: (session: MediaSession) => Promise<PeerMedia>,
  ): Promise<{ readonly media: PeerMedia; tell(event: LegEvent): void }> {
    const handOver = this.#pending.get(name);
    if (!handOver || handOver.next) throw new GatewayError('ERR_NOT_FOUND', 'nobody waits for this leg');
    handOver.next = leg;
    const { seat } = handOver;
    // Nothing of it is heard before it sits there.
    const sits = (): boolean => seat.leg === leg;
    const media = await makeMedia({
      handleUplink: (pcm, flags, now) => {
        if (sits()) seat.line.handleUplink(pcm, flags, now);
      },
      pullDownlink: (out, now) => seat.line.pullDownlink(out, now),
      handleLegEvent: (event) => {
        if (sits()) seat.line.handleLegEvent(event);
      },
    }).catch((thrown: unknown) => {
      this.#failed(handOver, 500);
      throw thrown;
    });
    if (this.#pending.get(name) !== handOver) {
      media.close();
      throw new GatewayError('ERR_NOT_FOUND', 'nobody waits for this leg any more');
    }
    handOver.media = media;
    handOver.timer.cancel();
    // Whoever opened it has our answer by then.
    soon(() => leg.answer());
    const next: Occupant = { leg, media, peer: media, isBrowser: isBrowser ?? false, sipCallId };
    return {
      media,
      tell: (event) => {
        if (sits()) {
          if (!this.takes(seat.party, event)) seat.tell(event);
        } else if (this.#pending.get(name) === handOver) this.#handle(handOver, next, event);
      },
    };
  }

  /** The media of whoever was called is gone. */
  lost(name: string, reason: string): void {
    const handOver = this.#pending.get(name);
    const party = this.#taken.get(name);
    if (handOver) {
      handOver.next?.hangup('media_failed');
      this.#failed(handOver, 480);
    } else if (party !== undefined) this.#deps.seatOf(party)?.lost(reason);
  }

  /** A leg has hung up. @returns whether those who stay wait for whoever it had called */
  #left(party: PartyId): boolean {
    const handOver = this.#of(party);
    if (!handOver) return false;
    if (handOver.isAlone || !this.#deps.persons.isPrivate) {
      this.#give(handOver);
      return false;
    }
    handOver.isAlone = true;
    handOver.seat.take(nobody());
    return true;
  }

  /** A party has gone for good, or the session is over: nobody is wanted in its place. */
  end(): void {
    for (const handOver of [...this.#pending.values()]) this.#give(handOver);
  }

  async #dial(seat: Seat, to: DialRequest): Promise<void> {
    const { dialler, clock, log, persons } = this.#deps;
    const handOver: HandOver = {
      ...{ name: `leg_${randomText(16)}`, seat, asked: seat.leg, isAlone: false, next: undefined, media: undefined },
      timer: clock.setTimer(SET_UP_MS, () => this.#failed(handOver, 408)),
    };
    this.#pending.set(handOver.name, handOver);
    persons.handOver(seat.party);
    try {
      if (!dialler) throw new GatewayError('ERR_NODE_UNREACHABLE', 'there is nobody who places calls');
      await dialler.dial({ ...to, joins: { sessionId: this.#sessionId, leg: handOver.name } });
    } catch (thrown) {
      const { code, message } = GatewayError.from(thrown);
      log.info({ code, reason: message }, 'transfer failed');
      this.#failed(handOver, statusOf(failureOf(code)));
    }
  }

  #handle(handOver: HandOver, next: Occupant, event: LegEvent): void {
    switch (event.type) {
      case 'ringing':
        this.#tell(handOver, 180);
        break;
      case 'answered':
        // A program may have hung up on whoever asked.
        if (handOver.seat.isUp) this.#arrived(handOver, next);
        else this.#failed(handOver, 481);
        break;
      case 'ended':
        this.#failed(handOver, event.status ?? 480);
        break;
      default: // it does not sit here yet
    }
  }

  #arrived(handOver: HandOver, next: Occupant): void {
    const { name, seat, asked, isAlone } = handOver;
    const { persons, log } = this.#deps;
    this.#pending.delete(name);
    for (const [taken, party] of this.#taken) if (party === seat.party) this.#taken.delete(taken);
    this.#taken.set(name, seat.party);
    seat.take(next);
    persons.handOver(undefined);
    log.info({ leg: seat.party }, 'transferred');
    if (!isAlone) goodbye(asked);
  }

  #toAgent(seat: Seat): void {
    const { party, leg, line } = seat;
    if (!this.#deps.persons.handToAgent(party)) {
      leg.referred?.(403);
      return;
    }
    // The agent speaks on the caller's beat, whoever listens.
    if (party === CALLER) seat.take(nobody(startMetronome(this.#deps, line)));
    goodbye(leg);
  }

  #toLeg(seat: Seat, to: Extract<Successor, { type: 'leg' }>): void {
    const { wires, seatElsewhere } = this.#deps;
    const isJoined = to.sessionId === this.#sessionId || wires?.reaches(this.#sessionId, to.sessionId);
    const other = isJoined ? undefined : seatElsewhere(to.sessionId, to.leg);
    if (!other) {
      seat.leg.referred?.(481);
      return;
    }
    const both = [seat.leg, other.leg] as const;
    splice(this.#deps, seat, other);
    wires?.add(this.#sessionId, to.sessionId);
    this.#deps.log.info({ leg: seat.party, other: to.sessionId }, 'transferred');
    goodbye(both[0]);
    both[1].hangup('agent_hangup');
  }

  #tell({ asked, isAlone }: HandOver, status: number): void {
    if (!isAlone) asked.referred?.(status);
  }

  /** Whoever asked has the call back; when that one has gone, the call is over for those who stayed. */
  #failed(handOver: HandOver, status: number): void {
    if (!this.#give(handOver)) return;
    this.#deps.log.info({ status }, 'transfer failed');
    this.#tell(handOver, status);
    if (handOver.isAlone) handOver.seat.tell({ type: 'ended', cause: 'remote_hangup' });
  }

  /** Nobody is waited for any more. @returns whether somebody was */
  #give(handOver: HandOver): boolean {
    if (!this.#pending.delete(handOver.name)) return false;
    handOver.timer.cancel();
    handOver.next?.report(summaryOf(handOver.media?.close()));
    handOver.next?.hangup('cancelled');
    this.#deps.persons.handOver(undefined);
    return true;
  }

  /** That of this party's place. */
  #of(party: PartyId): HandOver | undefined {
    for (const each of this.#pending.values()) if (each.seat.party === party) return each;
    return undefined;
  }
}

/** The transfer has come to its end: whoever asked for it is told so, and is free. */
function goodbye(leg: Leg): void {
  leg.referred?.(200);
  leg.hangup('agent_hangup');
}
