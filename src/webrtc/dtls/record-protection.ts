/** ContentType of a record. */
export const ContentType = { changeCipherSpec: 20, alert: 21, handshake: 22, applicationData: 23, ack: 26 } as const;

/** One record as it stands in a datagram. */
export interface WireRecord {
  /** On the outside; a protection that hides it (DTLS 1.3) gives the true one when it opens the record. */
  readonly contentType: number;
  /** Of a record with a unified header: its two lowest bits. */
  readonly epoch: number;
  /** 48 bits. Of a record with a unified header: its lowest 8 or 16, masked. */
  readonly sequence: number;
  readonly fragment: Buffer;
  /** The header as it came, when it is the unified one of DTLS 1.3 (RFC 9147 §4). */
  readonly unified?: Buffer;
}

export interface OpenedRecord {
  readonly contentType: number;
  readonly plain: Buffer;
}

/** Names one record of a direction, as acknowledgements do (RFC 9147 §4). */
export interface RecordNumber {
  readonly epoch: number;
  readonly sequence: number;
}

/** Seals and opens the records of one epoch in one direction. It keeps no state: numbers are the record layer's. */
export interface RecordProtection {
  /** Its records have the unified header of DTLS 1.3. */
  readonly isUnified: boolean;
  /** Bytes that a record is longer than what it carries, header included. */
  readonly overhead: number;
  /** The whole record, header included. */
  seal(contentType: number, epoch: number, sequence: number, plain: Uint8Array): Buffer;
  /**
   * The whole number of a record. Undefined when it is too short to have one.
   * @param next one more than the greatest that was seen: of several numbers that fit, the nearest to it is meant
   */
  sequenceOf(record: WireRecord, next: number): number | undefined;
  /** @param sequence as `sequenceOf` gave it. Undefined when it is not authentic. */
  open(record: WireRecord, sequence: number): OpenedRecord | undefined;
}
