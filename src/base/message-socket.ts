import type { Endpoint } from './addresses.ts';

/** A connection that carries whole messages, as a WebSocket does: taken in by one part of the gateway and spoken to by another. Nothing here throws. */
export interface MessageSocket {
  readonly remote: Endpoint;
  /** Over TLS. */
  readonly encrypted: boolean;
  /** Bytes written that the kernel has not taken yet: the caller bounds them. */
  readonly queuedBytes: number;
  onMessage: ((message: Buffer) => void) | undefined;
  /** The connection is gone, whoever ended it. Called once. */
  onClose: (() => void) | undefined;
  send(message: Uint8Array, onFailed?: () => void): void;
  /** Stops and restarts reading. What has been read already still comes. */
  pause(): void;
  resume(): void;
  /** @param code of RFC 6455 §7.4 */
  close(code: number, reason: string): void;
}
