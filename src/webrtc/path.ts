/**
 * A way to one remote transport address: through a relay's flow for the transceiver, through a socket for a client.
 * Two paths are the same way exactly when their keys are equal.
 */
export interface Path {
  readonly key: string;
  /** The remote address, for the XOR-MAPPED-ADDRESS of a STUN response. */
  readonly address: string;
  readonly port: number;
  send(datagram: Uint8Array): void;
}
