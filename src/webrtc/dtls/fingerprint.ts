import { createHash, timingSafeEqual } from 'node:crypto';

/** A certificate's hash as SDP carries it (`a=fingerprint`, RFC 8122 §5). */
export interface Fingerprint {
  /** `sha-256`, `sha-384` or `sha-512`, in any case; others are never matched. */
  readonly algorithm: string;
  /** Pairs of hexadecimal digits with colons between them. */
  readonly value: string;
}

/** Strongest first. SHA-1 and MD5 are not taken. */
const HASHES = [
  { algorithm: 'sha-512', hash: 'sha512', bytes: 64 },
  { algorithm: 'sha-384', hash: 'sha384', bytes: 48 },
  { algorithm: 'sha-256', hash: 'sha256', bytes: 32 },
] as const;

/** The SHA-256 fingerprint of a DER certificate, in the form of SDP. */
export function fingerprintOf(certificate: Uint8Array): Fingerprint {
  const digest = createHash('sha256').update(certificate).digest('hex').toUpperCase();
  return { algorithm: 'sha-256', value: digest.replace(/..(?=.)/g, '$&:') };
}

/**
 * The fingerprint that the certificate matches, or undefined. Of several algorithms only the strongest counts (RFC 8122 §5):
 * otherwise the weakest would decide.
 */
export function matchFingerprint(certificate: Uint8Array, fingerprints: readonly Fingerprint[]): Fingerprint | undefined {
  for (const { algorithm, hash, bytes } of HASHES) {
    const usable = fingerprints.filter((fingerprint) => fingerprint.algorithm.toLowerCase() === algorithm);
    if (usable.length === 0) continue;
    const digest = createHash(hash).update(certificate).digest();
    return usable.find(({ value }) => {
      const expected = Buffer.from(value.replaceAll(':', ''), 'hex');
      return expected.length === bytes && timingSafeEqual(expected, digest);
    });
  }
  return undefined;
}
