import { createSocket, type Socket } from 'node:dgram';
import { createServer } from 'node:net';

/** A literal address and a port. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export const LOOPBACK = '127.0.0.1';

export function endpointText({ address, port }: Endpoint): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Tests talk to this machine only. @throws Error for any other address, before anything is sent */
export function mustBeLoopback(to: Endpoint): void {
  if (!/^127\.|^::1$/.test(to.address)) throw new Error(`a test wanted to send to ${endpointText(to)}, which is not loopback`);
}

/** A UDP socket of a test peer. */
export class UdpPort {
  readonly #socket: Socket;
  readonly local: Endpoint;
  onDatagram: ((datagram: Buffer, from: Endpoint) => void) | undefined;
  #open = true;

  constructor(socket: Socket) {
    this.#socket = socket;
    const { address, port } = socket.address();
    this.local = { address, port };
    socket.on('message', (datagram, from) => this.onDatagram?.(datagram, { address: from.address, port: from.port }));
    // ICMP "port unreachable" of a peer that has gone is news to nobody here.
    socket.on('error', () => undefined);
  }

  /** @throws Error for an address that is not loopback */
  send(datagram: Uint8Array, to: Endpoint): void {
    if (!this.#open) return;
    mustBeLoopback(to);
    this.#socket.send(datagram, to.port, to.address);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#socket.close();
  }
}

/** Binds a UDP socket; port 0 takes a free one. @throws the system's error when it is taken */
export function openUdp(address = LOOPBACK, port = 0): Promise<UdpPort> {
  const socket = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4', recvBufferSize: 1 << 20 });
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      socket.close();
      reject(error);
    };
    socket.once('error', fail);
    socket.bind({ address, port, exclusive: true }, () => {
      socket.removeListener('error', fail);
      resolve(new UdpPort(socket));
    });
  });
}

/** How often a pair of neighbouring ports is looked for before any second port will do. */
const PAIR_TRIES = 30;

/** An even port and the odd one above it (RFC 3550 §11), as phones have them. */
export async function openUdpPair(address = LOOPBACK): Promise<readonly [UdpPort, UdpPort]> {
  for (let tries = 0; tries < PAIR_TRIES; tries++) {
    const first = await openUdp(address);
    if (first.local.port % 2 === 0) {
      const second = await openUdp(address, first.local.port + 1).catch(() => undefined);
      if (second) return [first, second];
    }
    first.close();
  }
  return [await openUdp(address), await openUdp(address)];
}

/**
 * Ports that were free a moment ago, for programs that cannot be told 0. Each is free for UDP and TCP, and all differ;
 * another process may still take one before it is used.
 */
export async function freePorts(count: number, address = LOOPBACK): Promise<number[]> {
  const held: (() => void)[] = [];
  const ports: number[] = [];
  while (ports.length < count) {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen({ host: address, port: 0 }, resolve));
    held.push(() => server.close());
    const bound = server.address();
    const port = typeof bound === 'object' && bound ? bound.port : 0;
    const udp = await openUdp(address, port).catch(() => undefined);
    if (!udp) continue;
    held.push(() => udp.close());
    ports.push(port);
  }
  for (const release of held) release();
  return ports;
}

/** One port that was free a moment ago. */
export async function freePort(address = LOOPBACK): Promise<number> {
  const [port] = await freePorts(1, address);
  return port as number;
}
