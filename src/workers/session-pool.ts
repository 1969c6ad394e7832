import { GatewayError } from '../base/errors.ts';
import type { Leg, LegOpening, LegWish, OfferedLeg, OpenedLeg } from '../leg/leg.ts';
import type { Access, CallCommand, CallView, ChannelOpening, EventChannel, OpenedChannel, SessionHost } from '../leg/session-host.ts';
import { newestFirst } from '../ownership/door-leg-host.ts';
import type { NodeId } from '../ownership/node-id.ts';
import { nearFirst, openAtBest } from '../ownership/place.ts';
import type { RemoteLegs } from '../ownership/remote-legs.ts';
import type { RemoteSessions } from '../ownership/remote-sessions.ts';
import { sessionNode } from '../ownership/session-id.ts';

/** A worker that is well answers an offer within milliseconds. */
const OPEN_WITHIN_MS = 2000;

/** The sessions of one worker, as the front reaches them. */
export interface WorkerSessions {
  readonly legs: Pick<RemoteLegs, 'open' | 'offer'>;
  readonly sessions: Pick<RemoteSessions, 'connect' | 'attach' | 'command' | 'restart' | 'list'>;
}

export interface SessionPoolDeps {
  /** The workers that take a new session, the best first, by their numbers. */
  readonly order: () => readonly NodeId[];
  /** Why there is none. */
  readonly nobody: () => GatewayError;
  readonly worker: (number: NodeId) => WorkerSessions | undefined;
  readonly all: () => readonly WorkerSessions[];
}

/** The sessions of all workers, for the browsers and programs that come to the front: each new one at the worker with the most room. */
export class SessionPool implements SessionHost {
  readonly #deps: SessionPoolDeps;

  constructor(deps: SessionPoolDeps) {
    this.#deps = deps;
  }

  async open(opening: LegOpening, leg: Leg): Promise<OpenedLeg> {
    const { joins } = opening.origin;
    if (joins) return this.#owner(joins.sessionId).legs.open(opening, leg, OPEN_WITHIN_MS);
    return this.#place(({ legs }) => legs.open(opening, leg, OPEN_WITHIN_MS), opening.near);
  }

  async offer(opening: LegWish, leg: Leg): Promise<OfferedLeg> {
    const { joins } = opening.origin;
    if (joins) return this.#owner(joins.sessionId).legs.offer(opening, leg, OPEN_WITHIN_MS);
    return this.#place(({ legs }) => legs.offer(opening, leg, OPEN_WITHIN_MS), opening.near);
  }

  connect(opening: ChannelOpening, channel: EventChannel): Promise<OpenedChannel> {
    return this.#place(({ sessions }) => sessions.connect(opening, channel));
  }

  async attach(sessionId: string, access: Access, channel: EventChannel): Promise<OpenedChannel> {
    return this.#owner(sessionId).sessions.attach(sessionId, access, channel);
  }

  async command(sessionId: string, access: Access, command: CallCommand): Promise<void> {
    await this.#owner(sessionId).sessions.command(sessionId, access, command);
  }

  async restart(sessionId: string, access: Access, offer: string): Promise<string> {
    return this.#owner(sessionId).sessions.restart(sessionId, access, offer);
  }

  /** Of every worker that answers. */
  async list(access: Access): Promise<readonly CallView[]> {
    const answers = await Promise.allSettled(this.#deps.all().map(({ sessions }) => sessions.list(access)));
    return newestFirst(answers.flatMap((each) => (each.status === 'fulfilled' ? each.value : [])));
  }

  #place<Opened>(openAt: (worker: WorkerSessions) => Promise<Opened>, near?: string): Promise<Opened> {
    const { order, nobody, worker } = this.#deps;
    return openAtBest(nearFirst(order(), near), nobody(), async (number) => {
      const found = worker(number);
      if (!found) throw nobody();
      return openAt(found);
    });
  }

  /** A worker that died took its sessions with it. @throws GatewayError ERR_NOT_FOUND */
  #owner(sessionId: string): WorkerSessions {
    const number = sessionNode(sessionId);
    const found = number === undefined ? undefined : this.#deps.worker(number);
    if (!found) throw new GatewayError('ERR_NOT_FOUND', 'no such call');
    return found;
  }
}
