import type { Endpoint } from '../../base/addresses.ts';
import type { SipListener } from '../engine.ts';

/** A way to one peer: a UDP address behind our socket, or later one TCP, TLS or WebSocket connection. */
export interface Flow {
  readonly transport: SipListener['transport'];
  /** Whether the transport repeats what is lost, so that transactions need not. */
  readonly reliable: boolean;
  readonly remote: Endpoint;
  send(message: Uint8Array): void;
}

/** A listening transport as the user agent sees it. */
export interface Transport {
  readonly listener: SipListener;
  /** The flow that reaches this address. */
  flowTo(remote: Endpoint): Flow;
  close(): void;
}
