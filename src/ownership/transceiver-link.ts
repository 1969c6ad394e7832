import type { ClientAddress, ClientRef } from './client-address.ts';
import type { NodeId } from './node-id.ts';

/** The relay's end of the wire to the transceivers; the other end is a RelayLink. */
export interface TransceiverLink {
  /** Is there a way to this node? */
  knows(nodeId: NodeId): boolean;
  /** A client's datagram to the owner of its session. Neither side changes the buffer afterwards. */
  send(nodeId: NodeId, client: ClientAddress, datagram: Buffer): void;
  /** A datagram for a client. `client` is valid until the handler returns. */
  onDatagram: ((nodeId: NodeId, client: ClientRef, datagram: Buffer) => void) | undefined;
  /** The node says that this client is its own: for a relay that has just started. */
  onFlow: ((nodeId: NodeId, client: ClientRef) => void) | undefined;
  /** The node knows nothing of this client's session. */
  onGone: ((nodeId: NodeId, client: ClientRef) => void) | undefined;
  close(): void;
}
