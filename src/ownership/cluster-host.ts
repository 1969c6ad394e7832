import type { Leg, LegOpening, LegWish, OfferedLeg, OpenedLeg } from '../leg/leg.ts';
import type { Access, CallCommand, CallView, ChannelOpening, EventChannel, OpenedChannel, SessionHost } from '../leg/session-host.ts';
import { newestFirst } from './door-leg-host.ts';
import type { NodeId } from './node-id.ts';
import { sessionNode } from './session-id.ts';

export interface ClusterHostDeps {
  /** Our own sessions; new ones are made here. */
  readonly own: SessionHost;
  /** Those of the other nodes. */
  readonly others: SessionHost;
  readonly nodeId: NodeId;
}

/** All sessions of a deployment, for the programs that come to a node which has sessions itself. */
export class ClusterHost implements SessionHost {
  readonly #deps: ClusterHostDeps;

  constructor(deps: ClusterHostDeps) {
    this.#deps = deps;
  }

  open(opening: LegOpening, leg: Leg): Promise<OpenedLeg> {
    return this.#host(opening).open(opening, leg);
  }

  offer(opening: LegWish, leg: Leg): Promise<OfferedLeg> {
    return this.#host(opening).offer(opening, leg);
  }

  connect(opening: ChannelOpening, channel: EventChannel): Promise<OpenedChannel> {
    return this.#deps.own.connect(opening, channel);
  }

  attach(sessionId: string, access: Access, channel: EventChannel): Promise<OpenedChannel> {
    return this.#owner(sessionId).attach(sessionId, access, channel);
  }

  command(sessionId: string, access: Access, command: CallCommand): Promise<void> {
    return this.#owner(sessionId).command(sessionId, access, command);
  }

  restart(sessionId: string, access: Access, offer: string): Promise<string> {
    return this.#owner(sessionId).restart(sessionId, access, offer);
  }

  async list(access: Access): Promise<readonly CallView[]> {
    const { own, others } = this.#deps;
    const [ours, theirs] = await Promise.all([own.list(access), others.list(access)]);
    return newestFirst([...ours, ...theirs]);
  }

  #host({ origin: { joins } }: LegWish): SessionHost {
    return joins ? this.#owner(joins.sessionId) : this.#deps.own;
  }

  /** An id that names no node is ours to refuse. */
  #owner(sessionId: string): SessionHost {
    const { own, others, nodeId } = this.#deps;
    const named = sessionNode(sessionId);
    return named === undefined || named === nodeId ? own : others;
  }
}
