/** The SRTP protection profiles we speak, by the names of the IANA registry without their SRTP_ prefix. */
export type SrtpProfile =
  | 'AES128_CM_HMAC_SHA1_80'
  /** For keys of descriptions (RFC 4568) alone: no DTLS handshake of ours offers or takes it. */
  | 'AES128_CM_HMAC_SHA1_32'
  | 'AEAD_AES_128_GCM';

interface SrtpProfileShape {
  /** SRTPProtectionProfile of RFC 5764 §4.1.2 and RFC 7714 §14.2. */
  readonly id: number;
  readonly keyBytes: number;
  /** Of the master salt, and of the session salts made from it. */
  readonly saltBytes: number;
}

export const SRTP_PROFILES: Record<SrtpProfile, SrtpProfileShape> = {
  AES128_CM_HMAC_SHA1_80: { id: 1, keyBytes: 16, saltBytes: 14 },
  AES128_CM_HMAC_SHA1_32: { id: 2, keyBytes: 16, saltBytes: 14 },
  AEAD_AES_128_GCM: { id: 7, keyBytes: 16, saltBytes: 12 },
};

/** The profile of a number in `use_srtp`, or undefined for one that we do not speak. */
export function srtpProfileOf(id: number): SrtpProfile | undefined {
  if (id === SRTP_PROFILES.AES128_CM_HMAC_SHA1_80.id) return 'AES128_CM_HMAC_SHA1_80';
  if (id === SRTP_PROFILES.AEAD_AES_128_GCM.id) return 'AEAD_AES_128_GCM';
  return undefined;
}

/** What protects one direction: a master key and its salt. */
export interface SrtpMaster {
  readonly profile: SrtpProfile;
  readonly key: Buffer;
  readonly salt: Buffer;
  /** Names the key in every packet, before the tag (RFC 3711 §3.1); not there in most. */
  readonly mki?: Buffer;
}

/** Both directions, as a DTLS handshake gives them out (RFC 5764 §4.2). */
export interface SrtpKeys {
  readonly profile: SrtpProfile;
  readonly localKey: Buffer;
  readonly localSalt: Buffer;
  readonly remoteKey: Buffer;
  readonly remoteSalt: Buffer;
}
