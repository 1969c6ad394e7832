/** STUN (RFC 8489) as ICE uses it: numbers, and a message once parsed. */

export const STUN_HEADER_BYTES = 20;
export const STUN_MAGIC_COOKIE = 0x2112a442;
export const BINDING_METHOD = 1;

/** FINGERPRINT is the CRC-32 of the message XOR this (RFC 8489 §14.7). */
export const FINGERPRINT_XOR = 0x5354554e;

/** IANA "STUN Attributes". Types below 0x8000 must be understood by the receiver (comprehension-required). */
export const StunAttribute = {
  username: 0x0006,
  messageIntegrity: 0x0008,
  errorCode: 0x0009,
  unknownAttributes: 0x000a,
  messageIntegritySha256: 0x001c,
  xorMappedAddress: 0x0020,
  priority: 0x0024,
  useCandidate: 0x0025,
  fingerprint: 0x8028,
  iceControlled: 0x8029,
  iceControlling: 0x802a,
  /** DTLS-IN-STUN and its acknowledgement (IANA; draft-hancke-webrtc-sped). */
  dtlsInStun: 0xc070,
  dtlsInStunAck: 0xc071,
} as const;

export type StunClass = 'request' | 'indication' | 'success' | 'error';

/** A raw attribute to write, for those that have no field of their own. */
export interface RawAttribute {
  readonly type: number;
  readonly value: Uint8Array;
}

/** A well-formed message. Nothing in it is authenticated until `verifyIntegrity` said so. */
export interface StunMessage {
  readonly class: StunClass;
  readonly method: number;
  /** 12 bytes; a view into the datagram. */
  readonly transactionId: Buffer;
  /** USERNAME as bytes; a view into the datagram. */
  readonly username: Buffer | undefined;
  readonly priority: number | undefined;
  readonly useCandidate: boolean;
  /** The tie-breaker of ICE-CONTROLLING or ICE-CONTROLLED, whichever the sender claims. */
  readonly iceControlling: bigint | undefined;
  readonly iceControlled: bigint | undefined;
  readonly xorMappedAddress: { readonly address: string; readonly port: number } | undefined;
  readonly errorCode: number | undefined;
  /** What a datagram of DTLS would be, as far as STUN can tell. */
  readonly dtlsInStun: Buffer | undefined;
  /** 32-bit checksums of datagrams that the sender has. */
  readonly dtlsAcks: Buffer | undefined;
  /** Comprehension-required attribute types that are not known here (at most MAX_ATTRIBUTES of them). */
  readonly unknownRequired: readonly number[];
  /** Where MESSAGE-INTEGRITY starts in the datagram; undefined when there is none. */
  readonly integrityOffset: number | undefined;
  readonly hasFingerprint: boolean;
}
