import type { TransportAddress } from '../base/addresses.ts';

/** One client's flow through one relay, as the transceiver sees it. Structurally a webrtc Path. */
export interface RelayedPath {
  /** Differs for each relay and client address, and for each TCP connection. */
  readonly key: string;
  /** The client's address as the relay saw it. */
  readonly address: string;
  readonly port: number;
  send(datagram: Uint8Array): void;
}

/** The transceiver's end of the wire to its relays: direct calls in one process, MACed UDP frames between processes. */
export interface RelayLink {
  /** A client's datagram. The buffer belongs to the receiver. */
  onDatagram: ((datagram: Buffer, path: RelayedPath) => void) | undefined;
  /** Where clients reach the relays that are alive, by UDP and by TCP, for the candidates of an SDP answer. Empty while no relay is heard. */
  readonly candidates: readonly TransportAddress[];
  /** Tells the relay to forget this flow: its session is not here. */
  gone(path: RelayedPath): void;
  close(): void;
}
