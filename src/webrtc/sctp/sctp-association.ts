export type SctpCloseReason =
  /** Closed by us. */
  | 'closed'
  /** The far side has ended it of its own will: it is leaving. */
  | 'remote_closed'
  /** The far side gave up because of a fault, or did not answer. */
  | 'ended'
  /** The far side sent more than it may keep us waiting with: an unfinished message beyond the limit, too many streams or gaps. */
  | 'overflow';

export interface SctpHandlers {
  /** A packet for the far side, to go into one DTLS record. */
  send(packet: Buffer): void;
  onConnected(): void;
  onMessage(streamId: number, payloadId: number, data: Buffer): void;
  /** The far side closed its direction of these streams, or confirmed that ours are closed. */
  onReset(streamIds: readonly number[]): void;
  onClosed(reason: SctpCloseReason): void;
  /**
   * The far side did not take up what the descriptions said of the association and starts one by INIT. This one is over.
   * @param unheard what was sent in it
   */
  onRestart?(packet: Buffer, unheard: readonly OutgoingMessage[]): void;
  /** Something threw inside. The association goes on. */
  onFault(error: unknown): void;
}

/** A message on its way out. */
export interface OutgoingMessage {
  readonly streamId: number;
  readonly payloadId: number;
  readonly data: Buffer;
  readonly ordered: boolean;
}

/** One SCTP association over DTLS (RFC 8261). Nothing here throws or rejects. */
export interface SctpAssociation {
  readonly connected: boolean;
  /** Bytes that wait to be sent for the first time. */
  readonly bufferedBytes: number;
  /** Packets that were not well-formed and went no further. */
  readonly droppedPackets: number;
  /** Sends INIT; without it the association waits for the far side's. Both may happen at once. */
  connect(): void;
  /** Both sides know each other's INIT from the descriptions (SNAP): the association is up now. */
  establish(): void;
  handlePacket(packet: Buffer): void;
  send(streamId: number, payloadId: number, data: Buffer, ordered: boolean): void;
  resetStream(streamId: number): void;
  /** Tells the far side and frees timers. Idempotent. */
  close(): void;
}
