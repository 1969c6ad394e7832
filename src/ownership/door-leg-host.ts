import type { Timer } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import type { Metrics } from '../base/metrics.ts';
import type { Leg, LegOpening, LegWish, OfferedLeg, OpenedLeg } from '../leg/leg.ts';
import type { Access, CallCommand, CallView, ChannelOpening, EventChannel, OpenedChannel, SessionHost } from '../leg/session-host.ts';
import { MAX_LISTED } from '../leg/session-messages.ts';
import type { Directory } from './directory.ts';
import { NodeDial, type NodeDialDeps, type NodeDialOptions } from './node-dial.ts';
import type { NodeId } from './node-id.ts';
import { nearFirst, openAtBest } from './place.ts';
import { type PlacementCandidate, placementOrder } from './placement.ts';
import { sessionNode } from './session-id.ts';

export interface DoorLegHostDeps extends NodeDialDeps {
  readonly directory: Directory;
  readonly metrics: Metrics;
}

export interface DoorLegHostOptions extends Omit<NodeDialOptions, 'maxLegs'> {
  /** Legs of this process at any one node. */
  readonly maxLegs?: number;
}

/** The owner has this long to answer an offer, other nodes included: a caller hears nothing meanwhile. */
const OPEN_WITHIN_MS = 2000;

/** The directory may learn of nodes while we run. */
const LOOK_EVERY_MS = 1000;

const MAX_LEGS = 10_000;

/** Sessions at other nodes: holds a connection to each of them and opens every leg at the one with the most room. */
export class DoorLegHost implements SessionHost {
  readonly #deps: DoorLegHostDeps;
  readonly #options: NodeDialOptions;
  readonly #dials = new Map<NodeId, NodeDial>();
  #timer: Timer | undefined;

  /** Begins to dial at once. */
  constructor(deps: DoorLegHostDeps, options: DoorLegHostOptions) {
    this.#deps = deps;
    this.#options = { ...options, maxLegs: options.maxLegs ?? MAX_LEGS };
    deps.metrics.observe('door_nodes_reached', 'Nodes that answer at their door', () => this.#reached);
    this.#look();
  }

  /** Is there a node that would take a leg now? */
  get ready(): boolean {
    return placementOrder(this.nodes()).length > 0;
  }

  /** What the nodes say of themselves. */
  nodes(): readonly PlacementCandidate[] {
    return [...this.#dials.values()].flatMap((dial) => dial.candidate ?? []);
  }

  open(opening: LegOpening, leg: Leg): Promise<OpenedLeg> {
    const { joins } = opening.origin;
    if (joins) return this.openAt(sessionNode(joins.sessionId) ?? 0, opening, leg);
    const until = this.#deps.clock.now() + OPEN_WITHIN_MS;
    return this.#place((nodeId) => this.openAt(nodeId, opening, leg, until - this.#deps.clock.now()), opening.near);
  }

  async offer(opening: LegWish, leg: Leg): Promise<OfferedLeg> {
    const { joins } = opening.origin;
    if (joins) return this.#at(sessionNode(joins.sessionId) ?? 0).offer(opening, leg, OPEN_WITHIN_MS);
    const until = this.#deps.clock.now() + OPEN_WITHIN_MS;
    return this.#place((nodeId) => this.#at(nodeId).offer(opening, leg, until - this.#deps.clock.now()), opening.near);
  }

  connect(opening: ChannelOpening, channel: EventChannel): Promise<OpenedChannel> {
    return this.#place((nodeId) => this.#at(nodeId).sessions.connect(opening, channel));
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

  /** Of every node that answers. */
  async list(access: Access): Promise<readonly CallView[]> {
    const answers = await Promise.allSettled([...this.#dials.values()].map((dial) => dial.sessions.list(access)));
    return newestFirst(answers.flatMap((each) => (each.status === 'fulfilled' ? each.value : [])));
  }

  #place<Opened>(openAt: (nodeId: NodeId) => Promise<Opened>, near?: string): Promise<Opened> {
    return openAtBest(nearFirst(placementOrder(this.nodes()), near), this.#nobody(), openAt);
  }

  /**
   * Opens a leg at one node.
   * @throws GatewayError as open()
   */
  openAt(nodeId: NodeId, opening: LegOpening, leg: Leg, timeoutMs = OPEN_WITHIN_MS): Promise<OpenedLeg> {
    const dial = this.#dials.get(nodeId);
    if (!dial) return Promise.reject(new GatewayError('ERR_NODE_UNREACHABLE', 'no such node'));
    return dial.open(opening, leg, timeoutMs);
  }

  #at(nodeId: NodeId): NodeDial {
    const dial = this.#dials.get(nodeId);
    if (!dial) throw new GatewayError('ERR_NODE_UNREACHABLE', 'no such node');
    return dial;
  }

  /** Where the id says that its session began. @throws GatewayError ERR_NOT_FOUND for an id that names no node of ours */
  #owner(sessionId: string): NodeDial {
    const nodeId = sessionNode(sessionId);
    const dial = nodeId === undefined ? undefined : this.#dials.get(nodeId);
    if (!dial) throw new GatewayError('ERR_NOT_FOUND', 'no such call');
    return dial;
  }

  /** Our own status is another one now: say so without waiting for the next beat. */
  statusChanged(): void {
    for (const dial of this.#dials.values()) dial.statusChanged();
  }

  /** Cuts all connections. Legs that still live are hung up as `owner_lost`. */
  stop(): void {
    this.#timer?.cancel();
    for (const dial of this.#dials.values()) dial.stop();
    this.#dials.clear();
  }

  get #reached(): number {
    return [...this.#dials.values()].filter((dial) => dial.up).length;
  }

  #nobody(): GatewayError {
    const some = this.nodes().some((each) => each.healthy && each.roles.includes('transceiver'));
    if (some) return new GatewayError('ERR_OVERLOADED', 'every transceiver is full or draining');
    return new GatewayError('ERR_NODE_UNREACHABLE', 'no transceiver answers');
  }

  #look(): void {
    for (const record of this.#deps.directory.all()) {
      if (record.nodeId === this.#options.self.nodeId || this.#dials.has(record.nodeId)) continue;
      this.#dials.set(record.nodeId, new NodeDial(this.#deps, this.#options, record));
    }
    this.#timer = this.#deps.clock.setTimer(LOOK_EVERY_MS, () => this.#look());
  }
}

/** Lists of several owners as one. */
export function newestFirst(calls: readonly CallView[]): readonly CallView[] {
  return [...calls].sort((a, b) => b.startedAt - a.startedAt).slice(0, MAX_LISTED);
}
