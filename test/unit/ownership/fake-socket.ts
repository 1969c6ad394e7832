import type { Endpoint } from '../../../src/base/addresses.ts';
import type { DatagramSocket } from '../../../src/base/udp.ts';

/** A socket that keeps what it is asked to send. */
export class FakeSocket implements DatagramSocket {
  readonly local: Endpoint;
  readonly sendErrors = 0;
  onDatagram: ((datagram: Buffer, from: Endpoint) => void) | undefined;
  readonly sent: { readonly datagram: Buffer; readonly to: string }[] = [];
  closed = false;

  constructor(local: Endpoint = { address: '192.0.2.1', port: 3478 }) {
    this.local = local;
  }

  send(datagram: Uint8Array, to: Endpoint): void {
    this.sent.push({ datagram: Buffer.from(datagram), to: `${to.address}:${to.port}` });
  }

  close(): void {
    this.closed = true;
  }
}
