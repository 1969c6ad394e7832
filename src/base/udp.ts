import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { type Endpoint, formatEndpoint, plainAddress } from './addresses.ts';
import { GatewayError } from './errors.ts';

/** A bound UDP socket as the gateway sees it. Sending never throws and never waits. */
export interface DatagramSocket {
  readonly local: Endpoint;
  /**
   * Errors that the socket told us of, and datagrams for ports that are none. What the kernel refuses for one datagram is lost as on any
   * network: asking about each one costs a turn of the tick queue and 1.5 kB of garbage.
   */
  readonly sendErrors: number;
  onDatagram: ((datagram: Buffer, from: Endpoint) => void) | undefined;
  send(datagram: Uint8Array, to: Endpoint): void;
  close(): void;
}

/** Kernel buffers: 50 calls for 100 ms are 5000 packets of 200 B; the default of 208 kB overflows at half of that. */
const SOCKET_BUFFER_BYTES = 1 << 20;

class UdpSocket implements DatagramSocket {
  readonly local: Endpoint;
  readonly #socket: Socket;
  readonly #lookup: boolean;
  sendErrors = 0;
  onDatagram: ((datagram: Buffer, from: Endpoint) => void) | undefined;
  #closed = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    const { address, port, family } = socket.address();
    this.local = { address, port };
    this.#lookup = family === 'IPv6';
    socket.on('message', (datagram: Buffer, from: RemoteInfo) => {
      this.onDatagram?.(datagram, { address: plainAddress(from.address), port: from.port });
    });
    socket.on('error', () => {
      this.sendErrors += 1;
    });
  }

  send(datagram: Uint8Array, to: Endpoint): void {
    if (this.#closed) return;
    // Ports come from what peers write: the port after 65535 would throw where nobody catches.
    if (!(to.port > 0 && to.port <= 65_535)) {
      this.sendErrors += 1;
      return;
    }
    // An IPv6 socket reaches IPv4 peers by their mapped address.
    const address = this.#lookup && !isIPv6(to.address) ? `::ffff:${to.address}` : to.address;
    this.#socket.send(datagram, to.port, address);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }
}

/** Literal addresses need no resolver: saves 0.5–1.5 µs a datagram and keeps DNS out of the media path. */
function literalLookup(hostname: string, _options: unknown, callback: (error: null, address: string, family: number) => void): void {
  callback(null, hostname, isIPv6(hostname) ? 6 : 4);
}

/**
 * Binds a UDP socket; port 0 takes any free one.
 * @param flag the command line flag that moves this port, named in the error when the port is taken
 * @throws GatewayError ERR_PORT_IN_USE
 */
export function bindUdp(at: Endpoint, flag?: string): Promise<DatagramSocket> {
  const socket = createSocket({
    type: isIPv6(at.address) ? 'udp6' : 'udp4',
    recvBufferSize: SOCKET_BUFFER_BYTES,
    sendBufferSize: SOCKET_BUFFER_BYTES,
    lookup: literalLookup as never,
  });
  return new Promise((resolve, reject) => {
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.close();
      reject(portError(error, at, 'UDP', flag));
    });
    socket.bind({ address: at.address, port: at.port, exclusive: true }, () => {
      socket.removeAllListeners('error');
      resolve(new UdpSocket(socket));
    });
  });
}

/** Says which port is taken and what moves it. */
export function portError(error: NodeJS.ErrnoException, at: Endpoint, transport: 'UDP' | 'TCP', flag?: string): GatewayError {
  const where = `${transport} ${formatEndpoint(at)}`;
  const move = flag ? `; choose another with ${flag}` : '';
  if (error.code === 'EADDRINUSE') return new GatewayError('ERR_PORT_IN_USE', `${where} is in use${move}`, { cause: error });
  return new GatewayError('ERR_PORT_IN_USE', `cannot listen on ${where}: ${error.message}${move}`, { cause: error });
}
