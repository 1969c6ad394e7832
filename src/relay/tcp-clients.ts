import type { Clock, Timer } from '../base/clock.ts';
import { randomUint32 } from '../base/ids.ts';
import type { Counter, Metrics } from '../base/metrics.ts';
import type { StreamListener, StreamSocket } from '../base/tcp.ts';
import { ClientAddress, type ClientKey } from '../ownership/client-address.ts';
import { TcpClient, type TcpClose } from './tcp-client.ts';

export interface TcpClientsDeps {
  /** The public port; the clients close it. */
  readonly listener: StreamListener;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

export interface TcpClientsHandlers {
  /** A client's datagram, which then belongs to the receiver. False when it goes nowhere: a connection must begin with one that does. */
  readonly onDatagram: (datagram: Buffer, client: ClientAddress) => boolean;
  /** The connection is over. */
  readonly onClosed: (client: ClientAddress) => void;
}

export interface TcpClientsOptions {
  /** Connections that have shown a check for a session of ours. */
  readonly capacity?: number;
}

/** Four times the calls one relay process carries; a connection costs some 20 kB here and in the kernel. */
const CAPACITY = 4096;
/** An office whose firewall lets no UDP out is one address. */
const MAX_OF_SOURCE = 256;
/** A client sends its check in the round trip that opens the connection, so strangers turn over fast: room for a flash crowd. */
const MAX_STRANGERS = 512;
const MAX_STRANGERS_OF_SOURCE = 32;

/** Connections are looked at so often; what is due is done within it. */
const LOOK_MS = 500;

/**
 * Frames of one client between two looks. Audio, its reports and a data channel at full speed (1 MB/s) are half of it. TCP carries tiny frames
 * far faster than UDP does: who sends more is read no further until the next look.
 */
const ALLOWANCE = 1000;

/**
 * The clients that come over TCP (RFC 6544 passive candidates, RFC 4571 framing): cuts their streams into datagrams, and keeps them few and
 * honest. Knows nothing of sessions; whether a datagram leads to one is its owner's to say.
 */
export class TcpClients {
  readonly #listener: StreamListener;
  readonly #clock: Clock;
  readonly #handlers: TcpClientsHandlers;
  readonly #capacity: number;
  readonly #clients = new Map<ClientKey, TcpClient>();
  /** Those that have shown nothing yet, the oldest first. */
  readonly #strangers = new Set<TcpClient>();
  readonly #bySource = new Map<string, Set<TcpClient>>();
  readonly #closed: Counter<'reason'>;
  readonly #dropped: Counter<'reason'>;
  // Counted here and handed on at each look: a labelled counter costs more than the drop.
  #droppedUp = 0;
  #droppedDown = 0;
  #timer: Timer;

  constructor({ listener, clock, metrics }: TcpClientsDeps, handlers: TcpClientsHandlers, options: TcpClientsOptions = {}) {
    this.#listener = listener;
    this.#clock = clock;
    this.#handlers = handlers;
    this.#capacity = options.capacity ?? CAPACITY;
    this.#closed = metrics.counter('relay_tcp_closed_total', 'TCP connections of clients that have ended', ['reason']);
    this.#dropped = metrics.counter('relay_tcp_dropped_total', 'Datagrams dropped: a TCP client sends too many, or reads too slowly', [
      'reason',
    ]);
    metrics.observe('relay_tcp_connections', 'TCP connections of clients', () => this.#clients.size);
    listener.onConnection = (stream) => this.#admit(stream);
    this.#timer = clock.setTimer(LOOK_MS, () => this.#look());
  }

  get size(): number {
    return this.#clients.size;
  }

  /** Sends a datagram of the session's owner, if the client reads fast enough. False: there is no such client. */
  send(key: ClientKey, datagram: Uint8Array): boolean {
    const client = this.#clients.get(key);
    if (!client) return false;
    client.state = 'answered';
    if (!client.send(datagram)) this.#droppedDown += 1;
    return true;
  }

  /** The session of this client is over, and so is the connection. */
  end(key: ClientKey): void {
    const client = this.#clients.get(key);
    if (client) this.#close(client, 'gone');
  }

  /** Ends all connections and shuts the port. */
  close(): void {
    this.#timer.cancel();
    this.#reportDrops();
    this.#listener.close();
    for (const client of [...this.#clients.values()]) this.#close(client, 'shutdown');
  }

  #admit(stream: StreamSocket): void {
    const address = this.#addressOf(stream);
    if (!address) {
      this.#closed.inc({ reason: 'bad_address' });
      stream.destroy();
      return;
    }
    const client = new TcpClient(address, stream, { now: this.#clock.now(), allowance: ALLOWANCE });
    stream.onData = (bytes) => this.#receive(client, bytes);
    stream.onClose = () => this.#close(client, 'left');
    this.#clients.set(address.key, client);
    this.#strangers.add(client);
    const neighbours = this.#bySource.get(client.source) ?? new Set();
    this.#bySource.set(client.source, neighbours.add(client));
    // The one that has waited longest gives way: an honest one sends its check with its first packet.
    const strangers = [...neighbours].filter(({ state }) => state === 'stranger');
    if (strangers.length > MAX_STRANGERS_OF_SOURCE) this.#close(strangers[0] as TcpClient, 'crowded');
    const [oldest] = this.#strangers.size > MAX_STRANGERS ? this.#strangers : [];
    if (oldest) this.#close(oldest, 'crowded');
  }

  /** Numbers are drawn at random, so that frames for a connection of a relay that ran before meet nobody. */
  #addressOf({ remote }: StreamSocket): ClientAddress | undefined {
    for (;;) {
      const address = ClientAddress.overTcp(remote.address, remote.port, randomUint32());
      if (!address || !this.#clients.has(address.key)) return address;
    }
  }

  #receive(client: TcpClient, bytes: Buffer): void {
    const { reader } = client;
    reader.push(bytes);
    for (let frame = reader.next(); frame; frame = reader.next()) {
      if (client.state === 'stranger') this.#meet(client, frame);
      else this.#take(client, frame);
      // Its session may have ended over this frame.
      if (client.state === 'closed') return;
    }
    if (reader.broken) this.#close(client, 'too_large');
    else if (client.allowance <= 0 && !client.paused) {
      client.paused = true;
      client.stream.pause();
    }
  }

  /** The first frame decides. */
  #meet(client: TcpClient, frame: Buffer): void {
    if (this.#isCrowded(client.source)) {
      this.#close(client, 'crowded');
      return;
    }
    this.#strangers.delete(client);
    client.met(this.#clock.now()); // before the owner can answer
    if (!this.#handlers.onDatagram(frame, client.address)) this.#close(client, 'no_check');
    else if (this.#clients.size - this.#strangers.size > this.#capacity) this.#closeIdlest();
  }

  #take(client: TcpClient, frame: Buffer): void {
    client.allowance -= 1;
    if (client.allowance < 0) {
      // The rest of a segment that could not be left in the kernel.
      this.#droppedUp += 1;
      return;
    }
    client.heardAt = this.#clock.now();
    if (frame.length > 0) this.#handlers.onDatagram(frame, client.address); // RFC 4571 §2 allows null packets
  }

  #isCrowded(source: string): boolean {
    let known = 0;
    for (const { state } of this.#bySource.get(source) ?? []) if (state !== 'stranger') known += 1;
    return known >= MAX_OF_SOURCE;
  }

  #closeIdlest(): void {
    let idlest: TcpClient | undefined;
    for (const client of this.#clients.values()) {
      if (client.state !== 'stranger' && (!idlest || client.heardAt < idlest.heardAt)) idlest = client;
    }
    if (idlest) this.#close(idlest, 'crowded');
  }

  #close(client: TcpClient, reason: TcpClose): void {
    if (client.state === 'closed') return;
    client.state = 'closed';
    client.stream.onData = client.stream.onClose = undefined;
    client.stream.destroy();
    this.#clients.delete(client.address.key);
    this.#strangers.delete(client);
    const neighbours = this.#bySource.get(client.source);
    neighbours?.delete(client);
    if (neighbours?.size === 0) this.#bySource.delete(client.source);
    this.#closed.inc({ reason });
    this.#handlers.onClosed(client.address);
  }

  #look(): void {
    const now = this.#clock.now();
    for (const client of this.#clients.values()) {
      const reason = client.overdue(now);
      if (reason) {
        this.#close(client, reason);
        continue;
      }
      client.allowance = ALLOWANCE;
      if (!client.paused) continue;
      client.paused = false;
      client.stream.resume();
    }
    this.#reportDrops();
    this.#timer = this.#clock.setTimer(LOOK_MS, () => this.#look());
  }

  #reportDrops(): void {
    this.#dropped.inc({ reason: 'fast' }, this.#droppedUp);
    this.#dropped.inc({ reason: 'slow' }, this.#droppedDown);
    this.#droppedUp = this.#droppedDown = 0;
  }
}
