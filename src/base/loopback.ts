import { networkInterfaces } from 'node:os';
import { type Endpoint, plainAddress } from './addresses.ts';
import { soon } from './clock.ts';
import type { DatagramSocket } from './udp.ts';

/** What a kernel buffer of a megabyte holds of voice packets; more in one turn of the event loop is lost, as it would be there. */
const MAX_WAITING = 4096;

/** Joined sockets: as many as there are calls in a process, ten times over. */
const MAX_JOINED = 16_384;

interface Waiting {
  readonly to: JoinedSocket;
  readonly from: Endpoint;
  readonly datagram: Buffer;
}

/**
 * Carries datagrams between sockets of this process without the kernel, which takes some 10 µs for each: the bridge's clients speak to a
 * relay that is, in the usual case, their neighbour. What they see is what the loopback interface would show them: the same addresses,
 * a buffer of their own, later and never in the middle of a send. Everybody else's datagrams come and go through the kernel as ever.
 */
export class Loopback {
  readonly #own: ReadonlySet<string>;
  readonly #joined = new Map<number, JoinedSocket>();
  #waiting: Waiting[] = [];
  #lost = 0;

  /** @param own the addresses of this machine */
  constructor(own: Iterable<string> = ownAddresses()) {
    this.#own = new Set(own);
  }

  /** Datagrams that were too many for one turn. */
  get lost(): number {
    return this.#lost;
  }

  /** The socket, with a short way to all others that were joined. Use only what is returned from then on. */
  join(socket: DatagramSocket): DatagramSocket {
    const { port } = socket.local;
    if (this.#joined.has(port) || this.#joined.size >= MAX_JOINED) return socket;
    const joined = new JoinedSocket(socket, this.#isAny(socket.local.address), {
      find: (to) => this.#find(to),
      hand: (to, from, datagram) => this.#hand(to, from, datagram),
      leave: () => this.#joined.delete(port),
    });
    this.#joined.set(port, joined);
    return joined;
  }

  #isAny(address: string): boolean {
    return address === '0.0.0.0' || address === '::';
  }

  #find({ address, port }: Endpoint): JoinedSocket | undefined {
    const joined = this.#joined.get(port);
    if (!joined) return undefined;
    return (joined.any ? this.#own.has(address) : joined.local.address === address) ? joined : undefined;
  }

  #hand(to: JoinedSocket, from: Endpoint, datagram: Uint8Array): void {
    if (this.#waiting.length >= MAX_WAITING) {
      this.#lost += 1;
      return;
    }
    // A copy: the sender may send the same bytes again, the receiver decrypts them in place.
    if (this.#waiting.push({ to, from, datagram: Buffer.from(datagram) }) === 1) soon(() => this.#deliver());
  }

  #deliver(): void {
    const waiting = this.#waiting;
    // What is sent meanwhile waits for the next turn, so that two who talk to each other keep nobody else from his.
    this.#waiting = [];
    for (const { to, from, datagram } of waiting) to.receive(datagram, from);
  }
}

interface Exchange {
  find(to: Endpoint): JoinedSocket | undefined;
  hand(to: JoinedSocket, from: Endpoint, datagram: Uint8Array): void;
  leave(): void;
}

class JoinedSocket implements DatagramSocket {
  /** Bound to all addresses of the machine. */
  readonly any: boolean;
  readonly #socket: DatagramSocket;
  readonly #exchange: Exchange;
  #from: Endpoint;
  #closed = false;

  constructor(socket: DatagramSocket, any: boolean, exchange: Exchange) {
    this.any = any;
    this.#socket = socket;
    this.#exchange = exchange;
    this.#from = socket.local;
  }

  get local(): Endpoint {
    return this.#socket.local;
  }

  get sendErrors(): number {
    return this.#socket.sendErrors;
  }

  get onDatagram(): DatagramSocket['onDatagram'] {
    return this.#socket.onDatagram;
  }

  set onDatagram(handler: DatagramSocket['onDatagram']) {
    this.#socket.onDatagram = handler;
  }

  send(datagram: Uint8Array, to: Endpoint): void {
    if (this.#closed) return;
    const neighbour = this.#exchange.find(to);
    if (neighbour) this.#exchange.hand(neighbour, this.#sourceTowards(to), datagram);
    else this.#socket.send(datagram, to);
  }

  receive(datagram: Buffer, from: Endpoint): void {
    if (!this.#closed) this.#socket.onDatagram?.(datagram, from);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#exchange.leave();
    this.#socket.close();
  }

  /** To an address of its own machine, a socket without one sends from that same address. */
  #sourceTowards({ address }: Endpoint): Endpoint {
    if (this.any && this.#from.address !== address) this.#from = { address, port: this.#socket.local.port };
    return this.#from;
  }
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((each) => (each ?? []).map(({ address }) => plainAddress(address)));
}
