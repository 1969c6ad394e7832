import type { Endpoint } from '../base/addresses.ts';
import { type Clock, soon } from '../base/clock.ts';
import { randomUint16 } from '../base/ids.ts';
import type { Counter, Metrics } from '../base/metrics.ts';
import type { DatagramSocket } from '../base/udp.ts';
import type { RelayKeys } from './cluster-keys.ts';
import { type DatagramHeader, DatagramReader, DatagramWriter, type Direction, type FrameKind, makeBootId } from './inner-frame.ts';
import type { NodeId } from './node-id.ts';
import { ReplayWindow } from './replay-window.ts';

/** A process at the other end of the wire, as its last datagram showed it. */
export interface InnerPeer {
  readonly nodeId: NodeId;
  readonly bootId: number;
  /** Where it sends from, and is answered at. */
  readonly endpoint: Endpoint;
}

export interface InnerWireDeps {
  /** Bound to the node's inner port. The wire closes it. */
  readonly socket: DatagramSocket;
  readonly keys: Pick<RelayKeys, 'inner'>;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

type DropReason = 'forged' | 'misdirected' | 'old_boot' | 'replayed' | 'too_many_peers' | 'too_large';

/** A boot id lower than the one we know is a recording, unless the peer has been silent this long: then its wall clock was set back. */
const SILENT_MS = 5000;

/** Only holders of the key get this far; more than this is no deployment of ours. */
const MAX_PEERS = 1024;

class Peer implements InnerPeer {
  readonly nodeId: NodeId;
  readonly bootId: number;
  readonly window = new ReplayWindow();
  endpoint: Endpoint;
  heardAt: number;

  constructor(header: DatagramHeader, endpoint: Endpoint, now: number) {
    this.nodeId = header.sender;
    this.bootId = header.bootId;
    this.endpoint = endpoint;
    this.heardAt = now;
  }
}

interface Outlet {
  readonly direction: Direction;
  readonly receiver: NodeId;
  readonly writer: DatagramWriter;
  to: Endpoint;
}

/**
 * The inner UDP port of a node: authenticates what comes in, puts together what goes out in one turn of the event loop. A node that is
 * relay and transceiver uses one wire for both directions.
 */
export class InnerWire {
  /** A frame from a relay; the reader shows it until the handler returns. */
  onUp: ((peer: InnerPeer, frame: DatagramReader) => void) | undefined;
  /** A frame from a transceiver. */
  onDown: ((peer: InnerPeer, frame: DatagramReader) => void) | undefined;
  readonly nodeId: NodeId;
  readonly bootId: number;
  readonly local: Endpoint;
  readonly #socket: DatagramSocket;
  readonly #keys: Pick<RelayKeys, 'inner'>;
  readonly #clock: Clock;
  readonly #dropped: Counter<'reason'>;
  readonly #reader = new DatagramReader();
  readonly #peers: Record<Direction, Map<NodeId, Peer>> = { up: new Map(), down: new Map() };
  readonly #outlets: Record<Direction, Map<NodeId, Outlet>> = { up: new Map(), down: new Map() };
  #waiting: Outlet[] = [];
  #counter = 0;

  constructor({ socket, keys, clock, metrics }: InnerWireDeps, { nodeId }: { readonly nodeId: NodeId }) {
    this.#socket = socket;
    this.#keys = keys;
    this.#clock = clock;
    this.#dropped = metrics.counter('inner_dropped_total', 'Datagrams dropped on the wire between relays and transceivers', ['reason']);
    this.nodeId = nodeId;
    this.bootId = makeBootId(clock.wallclock(), randomUint16());
    this.local = socket.local;
    socket.onDatagram = (datagram, from) => this.#receive(datagram, from);
  }

  /** Queues a frame; it leaves when this turn of the event loop has read its sockets. The payload is copied at once. */
  send(direction: Direction, receiver: NodeId, to: Endpoint, kind: FrameKind, payload: Uint8Array, client?: Uint8Array): void {
    const outlet = this.#outlet(direction, receiver, to);
    if (!outlet.writer.fits(payload, client)) this.#flush(outlet);
    if (!outlet.writer.fits(payload, client)) {
      this.#drop('too_large');
      return;
    }
    if (outlet.writer.empty) this.#queue(outlet);
    outlet.writer.add(kind, payload, client);
  }

  close(): void {
    this.#flushAll();
    this.#socket.close();
  }

  #outlet(direction: Direction, receiver: NodeId, to: Endpoint): Outlet {
    const outlets = this.#outlets[direction];
    const known = outlets.get(receiver);
    if (known) {
      known.to = to;
      return known;
    }
    // Whoever was written to long ago is forgotten with the rest: an outlet holds nothing between two turns.
    if (outlets.size >= MAX_PEERS) {
      this.#flushAll();
      outlets.clear();
    }
    const outlet: Outlet = { direction, receiver, to, writer: new DatagramWriter() };
    outlets.set(receiver, outlet);
    return outlet;
  }

  #queue(outlet: Outlet): void {
    if (this.#waiting.push(outlet) === 1) soon(() => this.#flushAll());
  }

  #flushAll(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    for (const outlet of waiting) this.#flush(outlet);
  }

  #flush(outlet: Outlet): void {
    if (outlet.writer.empty) return;
    this.#counter += 1;
    const { direction, receiver } = outlet;
    const header = { direction, sender: this.nodeId, receiver, bootId: this.bootId, counter: this.#counter };
    this.#socket.send(outlet.writer.seal(header, this.#keys), outlet.to);
  }

  #receive(datagram: Buffer, from: Endpoint): void {
    const reader = this.#reader;
    const header = reader.open(datagram, this.#keys);
    const handler = header?.direction === 'up' ? this.onUp : this.onDown;
    const peer = header ? this.#admit(header, from) : 'forged';
    if (typeof peer === 'string') this.#drop(peer);
    else while (reader.next()) handler?.(peer, reader);
  }

  #admit(header: DatagramHeader, from: Endpoint): Peer | DropReason {
    if (header.receiver !== this.nodeId) return 'misdirected';
    const peers = this.#peers[header.direction];
    const now = this.#clock.now();
    let peer = peers.get(header.sender);
    if (!peer || header.bootId > peer.bootId || (header.bootId < peer.bootId && now - peer.heardAt > SILENT_MS)) {
      if (!peer && peers.size >= MAX_PEERS && !this.#forgetSilent(peers, now)) return 'too_many_peers';
      peer = new Peer(header, from, now);
      peers.set(header.sender, peer);
    }
    if (header.bootId < peer.bootId) return 'old_boot';
    if (!peer.window.accept(header.counter)) return 'replayed';
    peer.endpoint = from;
    peer.heardAt = now;
    return peer;
  }

  #forgetSilent(peers: Map<NodeId, Peer>, now: number): boolean {
    for (const [nodeId, peer] of peers) if (now - peer.heardAt > SILENT_MS) peers.delete(nodeId);
    return peers.size < MAX_PEERS;
  }

  #drop(reason: DropReason): void {
    this.#dropped.inc({ reason });
  }
}
