import type { Endpoint } from '../../base/addresses.ts';
import type { SipListener } from '../engine.ts';

/** A way to one peer: a UDP address behind our socket, or one TCP connection. */
export interface Flow {
  readonly transport: SipListener['transport'];
  /** Whether the transport repeats what is lost, so that transactions need not. */
  readonly reliable: boolean;
  readonly remote: Endpoint;
  /** Have we a socket of the family of this address? */
  reaches?(address: string): boolean;
  /** Whether a connection still stands; without one always true. */
  readonly open: boolean;
  /** @param onFailed what was sent cannot arrive: the connection broke or was refused. At most once, never for a datagram. */
  send(message: Uint8Array, onFailed?: () => void): void;
}

/** Where a request of ours goes. */
export interface Hop extends Endpoint {
  readonly transport: 'udp' | 'tcp';
  /** The connection the peer uses towards us, to be taken as long as it stands (RFC 5923 §4). */
  readonly flow?: Flow | undefined;
}

/** A listening transport as the user agent sees it. */
export interface Transport {
  readonly listener: SipListener;
  /** The flow that reaches this address. */
  flowTo(remote: Endpoint): Flow;
  close(): void;
}
