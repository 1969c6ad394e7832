import type { TransportAddress } from '../base/addresses.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { type ClientAddress, type ClientKey, isTcpKey } from './client-address.ts';
import { readHello } from './hello-frame.ts';
import type { DatagramReader } from './inner-frame.ts';
import type { InnerPeer, InnerWire } from './inner-wire.ts';
import { formatNodeId, type NodeId } from './node-id.ts';
import type { RelayedPath, RelayLink } from './relay-link.ts';

export interface UdpRelayLinkOptions {
  /** The most clients remembered; a forgotten one still works, it only costs more. */
  readonly pathCapacity?: number;
}

/** As many as a relay remembers flows. */
const PATH_CAPACITY = 65_536;

/** A relay says hello every second; one that missed five is not offered to clients. */
const RELAY_ALIVE_MS = 5000;

/** The session stops sending after 30 s without a verified check, so a path unused for a minute is over. */
const PATH_IDLE_MS = 60_000;

/** On a path with downstream audio the next packet teaches a new relay by itself within 20 ms. Only silent ones need a frame of their own. */
const SPEAKING_MS = 100;

const NOTHING = new Uint8Array(0);

interface RelayState {
  readonly nodeId: NodeId;
  peer: InnerPeer;
  /** Boot that has proven itself by a fresh hello. */
  greetedBootId: number;
  helloAt: number;
  endpoints: readonly TransportAddress[];
  readonly paths: Map<ClientKey, UdpPath>;
}

/** The transceiver's end of the UDP wire. It learns its relays from their hellos and clients from their datagrams. */
export class UdpRelayLink implements RelayLink {
  onDatagram: ((datagram: Buffer, path: RelayedPath) => void) | undefined;
  readonly #wire: InnerWire;
  readonly #clock: Clock;
  readonly #pathCapacity: number;
  readonly #relays = new Map<NodeId, RelayState>();
  #paths = 0;
  #sweep: Timer;

  constructor({ wire, clock }: { readonly wire: InnerWire; readonly clock: Clock }, options: UdpRelayLinkOptions = {}) {
    this.#wire = wire;
    this.#clock = clock;
    this.#pathCapacity = options.pathCapacity ?? PATH_CAPACITY;
    wire.onUp = (peer, frame) => this.#receive(peer, frame);
    this.#sweep = clock.setTimer(RELAY_ALIVE_MS, () => this.#forgetIdle());
  }

  get candidates(): readonly TransportAddress[] {
    const since = this.#clock.now() - RELAY_ALIVE_MS;
    return [...this.#relays.values()].filter((relay) => relay.helloAt >= since).flatMap((relay) => relay.endpoints);
  }

  /** Is there a relay that clients could come through? */
  get ready(): boolean {
    return this.candidates.length > 0;
  }

  gone(path: RelayedPath): void {
    if (!(path instanceof UdpPath)) return;
    if (path.relay.paths.delete(path.client.key)) this.#paths -= 1;
    this.#wire.send('down', path.relay.nodeId, path.relay.peer.endpoint, 'gone', NOTHING, path.client.bytes);
  }

  /** Leaves the wire; whoever made it closes it. */
  close(): void {
    this.#sweep.cancel();
    this.#wire.onUp = undefined;
    this.onDatagram = undefined;
  }

  #receive(peer: InnerPeer, frame: DatagramReader): void {
    let relay = this.#relays.get(peer.nodeId);
    if (!relay) {
      relay = { nodeId: peer.nodeId, peer, greetedBootId: 0, helloAt: Number.NEGATIVE_INFINITY, endpoints: [], paths: new Map() };
      this.#relays.set(peer.nodeId, relay); // bounded by the wire's peers and the sweep
    }
    relay.peer = peer;
    if (frame.kind === 'data') this.onDatagram?.(frame.payload, this.#pathOf(relay, frame));
    else if (frame.kind === 'hello') this.#greet(relay, frame.payload);
  }

  #pathOf(relay: RelayState, frame: DatagramReader): UdpPath {
    const key = frame.key;
    let path = relay.paths.get(key);
    if (!path) {
      if (this.#paths >= this.#pathCapacity) this.#evictOne(relay);
      path = new UdpPath(this.#wire, this.#clock, relay, frame.resolve());
      relay.paths.set(key, path);
      this.#paths += 1;
    }
    path.usedAt = this.#clock.now();
    return path;
  }

  #greet(relay: RelayState, payload: Buffer): void {
    const hello = readHello(payload);
    if (!hello) return;
    this.#wire.send('down', relay.nodeId, relay.peer.endpoint, 'hello_ack', NOTHING);
    // A recording from before our own start cannot know our boot id; a living relay learns it from the ack and says hello again.
    if (hello.heardBootId !== this.#wire.bootId) return;
    relay.helloAt = this.#clock.now();
    relay.endpoints = hello.endpoints;
    if (relay.greetedBootId !== relay.peer.bootId) {
      relay.greetedBootId = relay.peer.bootId;
      this.#teach(relay);
    }
  }

  /** Tells a relay that has just started whose clients are ours. What the kernel drops of it, the next packet or check repairs. */
  #teach(relay: RelayState): void {
    const now = this.#clock.now();
    for (const [key, path] of relay.paths) {
      if (isTcpKey(key)) {
        // Connections have died with the process that held them; their clients connect anew.
        relay.paths.delete(key);
        this.#paths -= 1;
        continue;
      }
      if (now - path.usedAt > PATH_IDLE_MS || now - path.sentAt < SPEAKING_MS) continue;
      this.#wire.send('down', relay.nodeId, relay.peer.endpoint, 'flow', NOTHING, path.client.bytes);
    }
  }

  #evictOne(preferred: RelayState): void {
    const relay = preferred.paths.size > 0 ? preferred : [...this.#relays.values()].find((each) => each.paths.size > 0);
    const oldest = relay?.paths.keys().next();
    if (!relay || oldest?.done !== false) return;
    relay.paths.delete(oldest.value);
    this.#paths -= 1;
  }

  #forgetIdle(): void {
    const now = this.#clock.now();
    for (const relay of this.#relays.values()) {
      for (const [key, path] of relay.paths) {
        if (now - path.usedAt <= PATH_IDLE_MS) continue;
        relay.paths.delete(key);
        this.#paths -= 1;
      }
      if (now - relay.helloAt > PATH_IDLE_MS && relay.paths.size === 0) this.#relays.delete(relay.nodeId);
    }
    this.#sweep = this.#clock.setTimer(RELAY_ALIVE_MS, () => this.#forgetIdle());
  }
}

class UdpPath implements RelayedPath {
  readonly key: string;
  readonly address: string;
  readonly port: number;
  readonly relay: RelayState;
  readonly client: ClientAddress;
  usedAt = 0;
  sentAt = Number.NEGATIVE_INFINITY;
  readonly #wire: InnerWire;
  readonly #clock: Clock;

  constructor(wire: InnerWire, clock: Clock, relay: RelayState, client: ClientAddress) {
    this.key = `${formatNodeId(relay.nodeId)}/${client.text}`;
    this.address = client.address;
    this.port = client.port;
    this.relay = relay;
    this.client = client;
    this.#wire = wire;
    this.#clock = clock;
  }

  send(datagram: Uint8Array): void {
    this.usedAt = this.sentAt = this.#clock.now();
    this.#wire.send('down', this.relay.nodeId, this.relay.peer.endpoint, 'data', datagram, this.client.bytes);
  }
}
