import type { TransportAddress } from '../base/addresses.ts';
import type { Clock, Timer } from '../base/clock.ts';
import type { ClientAddress, ClientRef } from '../ownership/client-address.ts';
import type { Directory, NodeRecord } from '../ownership/directory.ts';
import { writeHello } from '../ownership/hello-frame.ts';
import type { DatagramReader } from '../ownership/inner-frame.ts';
import type { InnerPeer, InnerWire } from '../ownership/inner-wire.ts';
import type { NodeId } from '../ownership/node-id.ts';
import type { TransceiverLink } from '../ownership/transceiver-link.ts';

/** A transceiver offers a relay to clients while it has heard it within five of these. */
const HELLO_EVERY_MS = 1000;

export interface UdpTransceiverLinkDeps {
  readonly wire: InnerWire;
  readonly directory: Directory;
  readonly clock: Clock;
}

/** The relay's end of the UDP wire: says hello to every node, and carries datagrams to the one that owns them. */
export class UdpTransceiverLink implements TransceiverLink {
  onDatagram: ((nodeId: NodeId, client: ClientRef, datagram: Buffer) => void) | undefined;
  onFlow: ((nodeId: NodeId, client: ClientRef) => void) | undefined;
  onGone: ((nodeId: NodeId, client: ClientRef) => void) | undefined;
  readonly #wire: InnerWire;
  readonly #directory: Directory;
  readonly #clock: Clock;
  readonly #endpoints: readonly TransportAddress[];
  /** Boot ids of the transceivers that have answered; bounded by the directory. */
  readonly #heard = new Map<NodeId, number>();
  #timer: Timer | undefined;

  /** @param options.endpoints where clients reach this relay, best first */
  constructor({ wire, directory, clock }: UdpTransceiverLinkDeps, options: { readonly endpoints: readonly TransportAddress[] }) {
    this.#wire = wire;
    this.#directory = directory;
    this.#clock = clock;
    this.#endpoints = options.endpoints;
    wire.onDown = (peer, frame) => this.#receive(peer, frame);
    this.#greetAll();
  }

  knows(nodeId: NodeId): boolean {
    return this.#directory.find(nodeId) !== undefined;
  }

  send(nodeId: NodeId, client: ClientAddress, datagram: Buffer): void {
    const record = this.#directory.find(nodeId);
    if (record) this.#wire.send('up', nodeId, record.inner, 'data', datagram, client.bytes);
  }

  /** Leaves the wire; whoever made it closes it. */
  close(): void {
    this.#timer?.cancel();
    this.#wire.onDown = undefined;
  }

  #greetAll(): void {
    for (const record of this.#directory.all()) this.#greet(record);
    this.#timer = this.#clock.setTimer(HELLO_EVERY_MS, () => this.#greetAll());
  }

  #greet({ nodeId, inner }: NodeRecord): void {
    const hello = writeHello({ heardBootId: this.#heard.get(nodeId) ?? 0, endpoints: this.#endpoints });
    this.#wire.send('up', nodeId, inner, 'hello', hello);
  }

  #receive(peer: InnerPeer, frame: DatagramReader): void {
    const { nodeId } = peer;
    if (frame.kind === 'data') this.onDatagram?.(nodeId, frame, frame.payload);
    else if (frame.kind === 'flow') this.onFlow?.(nodeId, frame);
    else if (frame.kind === 'gone') this.onGone?.(nodeId, frame);
    else if (frame.kind === 'hello_ack') this.#acknowledged(peer);
  }

  #acknowledged({ nodeId, bootId }: InnerPeer): void {
    if (this.#heard.get(nodeId) === bootId) return;
    const record = this.#directory.find(nodeId);
    if (!record) return;
    this.#heard.set(nodeId, bootId);
    this.#greet(record); // now with the proof that we are alive; the node takes us in
  }
}
