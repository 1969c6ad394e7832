/** ContentType of a record. */
export const ContentType = { changeCipherSpec: 20, alert: 21, handshake: 22, applicationData: 23 } as const;

/** One record as it stands in a datagram. */
export interface WireRecord {
  /** On the outside; a protection that hides it (DTLS 1.3) gives the true one when it opens the record. */
  readonly contentType: number;
  readonly epoch: number;
  /** 48 bits. */
  readonly sequence: number;
  readonly fragment: Buffer;
}

export interface OpenedRecord {
  readonly contentType: number;
  readonly plain: Buffer;
}

/** Seals and opens the records of one epoch in one direction. It keeps no state: numbers are the record layer's. */
export interface RecordProtection {
  /** Bytes that a record is longer than what it carries, header included. */
  readonly overhead: number;
  /** The whole record, header included. */
  seal(contentType: number, epoch: number, sequence: number, plain: Uint8Array): Buffer;
  /** Undefined when it is not authentic. */
  open(record: WireRecord): OpenedRecord | undefined;
}
