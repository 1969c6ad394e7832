import type { Endpoint } from '../base/addresses.ts';
import type { Clock, Timer } from '../base/clock.ts';
import type { Counter, Metrics } from '../base/metrics.ts';
import type { StreamListener } from '../base/tcp.ts';
import type { DatagramSocket } from '../base/udp.ts';
import { type ClientAddress, type ClientRef, isTcpKey } from '../ownership/client-address.ts';
import type { RelayKeys } from '../ownership/cluster-keys.ts';
import { MAX_PAYLOAD_BYTES } from '../ownership/inner-frame.ts';
import type { NodeId } from '../ownership/node-id.ts';
import type { TransceiverLink } from '../ownership/transceiver-link.ts';
import { FlowTable, type FlowTableOptions } from './flow-table.ts';
import { TcpClients } from './tcp-clients.ts';

export interface RelayDeps {
  /** The public port. The relay closes it. */
  readonly socket: DatagramSocket;
  /** The same port over TCP, for clients whose network lets no UDP out. The relay closes it. */
  readonly listener?: StreamListener;
  readonly link: TransceiverLink;
  readonly keys: Pick<RelayKeys, 'ufragTag'>;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

const SWEEP_EVERY_MS = 1000;
/** A full table is gone through in 8 s; a step is some 50 ns, so no sweep holds packets up for more than half a millisecond. */
const SWEEP_STEPS = 8192;

/**
 * The thin front: one public port, UDP and TCP. Reads STUN usernames, decrypts nothing, answers nothing itself. What it cannot attribute to a
 * session of ours it drops without a word.
 */
export class Relay {
  readonly #socket: DatagramSocket;
  readonly #link: TransceiverLink;
  readonly #clock: Clock;
  readonly #flows: FlowTable;
  readonly #tcp: TcpClients | undefined;
  readonly #datagrams: Counter<'direction'>;
  readonly #dropped: Counter<'reason'>;
  // Counted here and handed on once a second: a labelled counter costs more than forwarding in memory.
  #up = 0;
  #down = 0;
  #timer: Timer | undefined;

  constructor({ socket, listener, link, keys, clock, metrics }: RelayDeps, options: FlowTableOptions = {}) {
    this.#socket = socket;
    this.#link = link;
    this.#clock = clock;
    this.#flows = new FlowTable(keys, (nodeId) => link.knows(nodeId), options);
    this.#datagrams = metrics.counter('relay_datagrams_total', 'Datagrams forwarded, up to transceivers and down to clients', [
      'direction',
    ]);
    this.#dropped = metrics.counter('relay_dropped_total', 'Datagrams of clients that were not forwarded', ['reason']);
    metrics.observe('relay_flows', 'Clients whose owner is known', () => this.#flows.size);
    socket.onDatagram = (datagram, from) => this.#fromClient(datagram, from);
    this.#tcp =
      listener &&
      new TcpClients(
        { listener, clock, metrics },
        {
          onDatagram: (datagram, client) => this.#forward(datagram, client),
          onClosed: (client) => this.#flows.forget(client.key),
        },
      );
    link.onDatagram = (nodeId, client, datagram) => this.#fromNode(nodeId, client, datagram);
    link.onFlow = (nodeId, client) => this.#claimed(nodeId, client);
    link.onGone = (nodeId, client) => this.#gone(nodeId, client);
    this.#tick();
  }

  /** How many clients it knows the owner of. */
  get flows(): number {
    return this.#flows.size;
  }

  /** Stops forwarding, closes the public port and all connections; the link stays with whoever made it. */
  close(): void {
    this.#timer?.cancel();
    this.#reportCounts();
    this.#link.onDatagram = this.#link.onFlow = this.#link.onGone = undefined;
    this.#tcp?.close();
    this.#socket.close();
  }

  #fromClient(datagram: Buffer, from: Endpoint): void {
    if (datagram.length > MAX_PAYLOAD_BYTES) this.#dropped.inc({ reason: 'too_large' });
    else this.#forward(datagram, from);
  }

  /** @returns whether it goes anywhere */
  #forward(datagram: Buffer, from: Endpoint | ClientAddress): boolean {
    const route = this.#flows.route(this.#clock.now(), datagram, from);
    if (typeof route === 'string') {
      this.#dropped.inc({ reason: route });
      return false;
    }
    this.#up += 1;
    this.#link.send(route.nodeId, route.client, datagram);
    if (route.also) this.#link.send(route.also.nodeId, route.client, datagram);
    return true;
  }

  #fromNode(nodeId: NodeId, ref: ClientRef, datagram: Buffer): void {
    const { key } = ref;
    if (isTcpKey(key)) {
      // A connection cannot be learned from its owner: it is here, or it is over.
      if (!this.#tcp?.send(key, datagram)) return;
      this.#flows.answered(this.#clock.now(), nodeId, ref);
    } else this.#socket.send(datagram, this.#flows.answered(this.#clock.now(), nodeId, ref));
    this.#down += 1;
  }

  #claimed(nodeId: NodeId, ref: ClientRef): void {
    if (!isTcpKey(ref.key)) this.#flows.answered(this.#clock.now(), nodeId, ref);
  }

  #gone(nodeId: NodeId, ref: ClientRef): void {
    const { key } = ref;
    this.#flows.gone(nodeId, ref);
    if (isTcpKey(key) && !this.#flows.has(key)) this.#tcp?.end(key);
  }

  #tick(): void {
    this.#flows.sweep(this.#clock.now(), SWEEP_STEPS);
    this.#reportCounts();
    this.#timer = this.#clock.setTimer(SWEEP_EVERY_MS, () => this.#tick());
  }

  #reportCounts(): void {
    this.#datagrams.inc({ direction: 'up' }, this.#up);
    this.#datagrams.inc({ direction: 'down' }, this.#down);
    this.#up = this.#down = 0;
  }
}
