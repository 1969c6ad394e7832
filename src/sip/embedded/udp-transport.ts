import type { Endpoint } from '../../base/addresses.ts';
import { speaksTo } from '../../base/local-address.ts';
import type { DatagramSocket } from '../../base/udp.ts';
import type { SipListener, SipSource } from '../engine.ts';
import type { Flow, OnSent, Transport } from './flow.ts';

/** SIP over one UDP socket: what is sent leaves from the port that is listened on (symmetric, RFC 3581 §4). */
export class UdpTransport implements Transport {
  readonly listener: SipListener;
  readonly #socket: DatagramSocket;
  readonly #onSent: OnSent;
  readonly #reaches = (address: string): boolean => speaksTo(this.listener.address, address);

  constructor({
    socket,
    onDatagram,
    onSent,
  }: { socket: DatagramSocket; onDatagram: (datagram: Buffer, source: SipSource) => void; onSent: OnSent }) {
    this.#socket = socket;
    this.#onSent = onSent;
    this.listener = { ...socket.local, transport: 'udp' };
    socket.onDatagram = (datagram, { address, port }) => onDatagram(datagram, { address, port, transport: 'udp' });
  }

  flowTo(remote: Endpoint): Flow {
    return {
      transport: 'udp',
      reliable: false,
      remote,
      open: true,
      reaches: this.#reaches,
      send: (message) => {
        this.#onSent(message, remote);
        this.#socket.send(message, remote);
      },
    };
  }

  close(): void {
    this.#socket.onDatagram = undefined;
    this.#socket.close();
  }
}
