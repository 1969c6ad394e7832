import type { Endpoint } from '../base/addresses.ts';
import { ClientAddress, type ClientKey, type ClientRef, clientKey } from '../ownership/client-address.ts';
import type { RelayKeys } from '../ownership/cluster-keys.ts';
import type { NodeId } from '../ownership/node-id.ts';
import { readUfrag } from '../ownership/ufrag.ts';
import { readUsername } from '../webrtc/stun/read-username.ts';

/** Where a client's datagrams go. */
export interface Route {
  readonly client: ClientAddress;
  readonly nodeId: NodeId;
  /** The server ufrag that named the node; undefined when the node taught us this flow. */
  readonly ufrag: string | undefined;
  /** Another owner that has verified a check of this client, while the first one still does: both get its datagrams. */
  readonly also?: Route;
}

/** Why a datagram was not forwarded. Nothing is answered and nothing remembered for any of them. */
export type FlowDrop =
  /** The first datagram of an unknown client is no STUN Binding request with a USERNAME. */
  | 'no_check'
  /** The ufrag is not one of ours. */
  | 'bad_ufrag'
  | 'unknown_node'
  | 'too_many_flows'
  | 'bad_address';

export interface FlowTableOptions {
  readonly capacity?: number;
}

/** 65 536 flows are some 30 MB and ten times the calls one relay process can carry. */
const CAPACITY = 65_536;

/** A client that is there sends a check every few seconds (RFC 7675: at most 30 s apart), so a minute of silence is the end. */
const IDLE_MS = 60_000;

/** What the owner has never answered is not worth a minute: its check failed, or its session is long gone. */
const UNANSWERED_MS = 10_000;

/**
 * A client without a check so long (three of RFC 7675's) has left its owner. One that has not may be claimed by another owner, whose client can
 * forge addresses: then it keeps the one it has, and both get its datagrams.
 */
const LEFT_MS = 15_000;

/** A phone on two networks with two address families each, over UDP and TCP; what is beyond it is somebody multiplying state. */
const FLOWS_A_UFRAG = 8;

/** How many flows are looked at to find one to give up: the least recently used of 64 is very nearly the least recently used of all. */
const EVICTION_SAMPLE = 64;

interface Flow {
  current: Route;
  /** A valid check asks for another owner. It counts when that one answers: an unverified check must not tear a call from its owner. */
  next: Route | undefined;
  usedAt: number;
  /** When the client last sent the current owner a check, and the last time it did and the owner sent something afterwards. */
  askedAt: number;
  verifiedAt: number;
  /** The owner has sent something to this client. */
  answered: boolean;
}

/** Which client belongs to which transceiver. Pure state: everything in it can be rebuilt from one packet. */
export class FlowTable {
  readonly #keys: Pick<RelayKeys, 'ufragTag'>;
  readonly #knows: (nodeId: NodeId) => boolean;
  readonly #capacity: number;
  readonly #flows = new Map<ClientKey, Flow>();
  /** Flows a ufrag has; bounded by twice the flows. */
  readonly #perUfrag = new Map<string, number>();
  /** Goes round the flows, for the sweep and for eviction. A Map iterator bears changes under its feet. */
  #hand: Iterator<[ClientKey, Flow]> = this.#flows.entries();

  constructor(keys: Pick<RelayKeys, 'ufragTag'>, knows: (nodeId: NodeId) => boolean, options: FlowTableOptions = {}) {
    this.#keys = keys;
    this.#knows = knows;
    this.#capacity = options.capacity ?? CAPACITY;
  }

  get size(): number {
    return this.#flows.size;
  }

  /**
   * Where a client's datagram goes. A STUN check is read; everything else follows its flow unread.
   * @param from the source over UDP, or the client of a TCP connection
   */
  route(now: number, datagram: Buffer, from: Endpoint | ClientAddress): Route | FlowDrop {
    const key = from instanceof ClientAddress ? from.key : clientKey(from.address, from.port);
    if (key === undefined) return 'bad_address';
    const flow = this.#flows.get(key);
    if (!flow) return this.#admit(now, datagram, from);
    flow.usedAt = now;
    const isStun = (datagram[0] ?? 0xff) <= 3; // RFC 7983 §7
    return isStun ? this.#reroute(now, flow, datagram) : flow.current;
  }

  /** A node sends to a client or claims it: teaches a flow we do not know, and completes a change of owner that a check began. */
  answered(now: number, nodeId: NodeId, ref: ClientRef): ClientAddress {
    const flow = this.#flows.get(ref.key);
    if (!flow) {
      const client = ref.resolve();
      const taught = this.#insert(now, { client, nodeId, ufrag: undefined });
      taught.answered = true;
      taught.verifiedAt = now;
      return client;
    }
    flow.usedAt = now;
    flow.answered = true;
    const { current, next } = flow;
    if (current.nodeId === nodeId) flow.verifiedAt = flow.askedAt;
    else if (next?.nodeId === nodeId) {
      if (now - flow.verifiedAt > LEFT_MS) this.#takeOver(now, flow, next);
      else if (!current.also) flow.current = { ...current, also: next };
    }
    return current.client;
  }

  /** The node does not know the session. Only the node a flow leads to can end it. */
  gone(nodeId: NodeId, ref: ClientRef): void {
    const flow = this.#flows.get(ref.key);
    if (!flow) return;
    const { current, next } = flow;
    if (next?.nodeId === nodeId) this.#dropNext(flow);
    else if (current.nodeId === nodeId && next && current.also) this.#takeOver(flow.usedAt, flow, next);
    else if (current.nodeId === nodeId) this.#forget(ref.key, flow);
  }

  /** The client's TCP connection is over, and its flow with it. */
  forget(key: ClientKey): void {
    const flow = this.#flows.get(key);
    if (flow) this.#forget(key, flow);
  }

  has(key: ClientKey): boolean {
    return this.#flows.has(key);
  }

  /** Looks at up to `steps` flows, from where the last sweep ended, and forgets those that are over. */
  sweep(now: number, steps: number): void {
    for (let i = Math.min(steps, this.#flows.size); i > 0; i -= 1) {
      const entry = this.#turn();
      if (!entry) return;
      const [key, flow] = entry;
      if (now - flow.usedAt > (flow.answered ? IDLE_MS : UNANSWERED_MS)) this.#forget(key, flow);
    }
  }

  #admit(now: number, datagram: Buffer, from: Endpoint | ClientAddress): Route | FlowDrop {
    const ufrag = serverUfrag(datagram);
    if (ufrag === undefined) return 'no_check';
    const nodeId = this.#ownerOf(ufrag);
    if (typeof nodeId === 'string') return nodeId;
    const client = from instanceof ClientAddress ? from : ClientAddress.of(from.address, from.port);
    if (!client) return 'bad_address';
    return this.#insert(now, { client, nodeId, ufrag }).current;
  }

  #reroute(now: number, flow: Flow, datagram: Buffer): Route | FlowDrop {
    const ufrag = serverUfrag(datagram);
    const { current, next } = flow;
    if (ufrag === undefined) return current;
    if (ufrag === next?.ufrag) return next;
    if (ufrag === current.ufrag) {
      flow.askedAt = now;
      return current;
    }
    const nodeId = this.#ownerOf(ufrag);
    if (typeof nodeId === 'string') return nodeId;
    const route: Route = { client: current.client, nodeId, ufrag };
    this.#count(ufrag, 1);
    if (nodeId === current.nodeId) {
      // The same owner: an ICE restart, another session from the same port, or the ufrag of a flow we were taught.
      this.#release(current);
      flow.current = current.also ? { ...route, also: current.also } : route;
      flow.askedAt = now;
      return flow.current;
    }
    if (next) this.#dropNext(flow);
    flow.next = route;
    return route;
  }

  /** The client is the next owner's now. */
  #takeOver(now: number, flow: Flow, next: Route): void {
    this.#release(flow.current);
    flow.current = next;
    flow.next = undefined;
    flow.askedAt = flow.verifiedAt = now;
  }

  #dropNext(flow: Flow): void {
    if (flow.next) this.#release(flow.next);
    flow.next = undefined;
    const { client, nodeId, ufrag } = flow.current;
    flow.current = { client, nodeId, ufrag };
  }

  #ownerOf(ufrag: string): NodeId | FlowDrop {
    const facts = readUfrag(ufrag, this.#keys);
    if (!facts) return 'bad_ufrag';
    if (!this.#knows(facts.nodeId)) return 'unknown_node';
    if ((this.#perUfrag.get(ufrag) ?? 0) >= FLOWS_A_UFRAG) return 'too_many_flows';
    return facts.nodeId;
  }

  #insert(now: number, route: Route): Flow {
    if (this.#flows.size >= this.#capacity) this.#evict();
    const never = Number.NEGATIVE_INFINITY;
    const flow: Flow = { current: route, next: undefined, usedAt: now, askedAt: now, verifiedAt: never, answered: false };
    this.#flows.set(route.client.key, flow);
    if (route.ufrag !== undefined) this.#count(route.ufrag, 1);
    return flow;
  }

  #evict(): void {
    let worst: [ClientKey, Flow] | undefined;
    for (let i = 0; i < EVICTION_SAMPLE; i += 1) {
      const entry = this.#turn();
      if (!entry) break;
      if (!worst || givesWay(entry[1], worst[1])) worst = entry;
    }
    if (worst) this.#forget(...worst);
  }

  /** The next flow on the round; undefined when there is none at all. */
  #turn(): [ClientKey, Flow] | undefined {
    let step = this.#hand.next();
    if (step.done) {
      this.#hand = this.#flows.entries();
      step = this.#hand.next();
    }
    return step.done ? undefined : step.value;
  }

  #forget(key: ClientKey, flow: Flow): void {
    this.#flows.delete(key);
    this.#release(flow.current);
    if (flow.next) this.#release(flow.next);
  }

  #release({ ufrag }: Route): void {
    if (ufrag !== undefined) this.#count(ufrag, -1);
  }

  #count(ufrag: string, change: number): void {
    const count = (this.#perUfrag.get(ufrag) ?? 0) + change;
    if (count > 0) this.#perUfrag.set(ufrag, count);
    else this.#perUfrag.delete(ufrag);
  }
}

function givesWay(a: Flow, b: Flow): boolean {
  return a.answered === b.answered ? a.usedAt < b.usedAt : !a.answered;
}

/** RFC 8445 §7.2.2: USERNAME of a check is the receiver's ufrag, a colon, the sender's. */
function serverUfrag(datagram: Buffer): string | undefined {
  const username = readUsername(datagram);
  if (username === undefined) return undefined;
  const colon = username.indexOf(':');
  return colon < 0 ? username : username.slice(0, colon);
}
