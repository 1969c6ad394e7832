import type { Endpoint } from '../../base/addresses.ts';
import type { SipListener } from '../engine.ts';

/** Who has to answer at the far end of a TLS connection, and which certificates are used towards it. */
export interface TlsName {
  /** Name of the trunk whose files are used; '' for the authorities that Node.js brings and no certificate of ours. */
  readonly profile: string;
  /** The domain that was asked for (RFC 5922 §4), not what DNS made of it; an address where nobody asked for a name. */
  readonly name: string;
}

/** A way to one peer: a UDP address behind our socket, or one connection. */
export interface Flow {
  readonly transport: SipListener['transport'];
  /** Whether the transport repeats what is lost, so that transactions need not. */
  readonly reliable: boolean;
  readonly remote: Endpoint;
  /** Over TLS that we asked for: whom. */
  readonly tls?: TlsName | undefined;
  /** Have we a socket of the family of this address? */
  reaches?(address: string): boolean;
  /** Whether a connection still stands; without one always true. */
  readonly open: boolean;
  /** @param onFailed what was sent cannot arrive: the connection broke or was refused, in words where they are known. At most once, never for a datagram. */
  send(message: Uint8Array, onFailed?: (why?: string) => void): void;
}

/** Hears of each message that is sent. */
export type OnSent = (message: Uint8Array, remote: Endpoint) => void;

/** Where a request of ours goes. */
export interface Hop extends Endpoint {
  readonly transport: SipListener['transport'];
  /** The connection the peer uses towards us, to be taken as long as it stands (RFC 5923 §4). */
  readonly flow?: Flow | undefined;
  /** Over TLS; the address itself must be in the certificate when absent. */
  readonly tls?: TlsName | undefined;
}

/** A listening transport as the user agent sees it. */
export interface Transport {
  readonly listener: SipListener;
  /** The flow that reaches this address. */
  flowTo(remote: Endpoint, tls?: TlsName): Flow;
  close(): void;
}
