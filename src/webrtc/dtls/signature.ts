import { constants, type KeyObject, sign, verify } from 'node:crypto';

interface Scheme {
  readonly keyType: 'ec' | 'rsa';
  /** Of the key, where DTLS 1.3 insists on it (RFC 8446 §4.2.3). */
  readonly curve?: string;
  readonly hash: 'sha256' | 'sha384' | 'sha512';
  readonly isPss?: true;
}

/** SignatureScheme numbers (RFC 8446 §4.2.3, the same as the hash and signature pairs of RFC 5246), in our order of preference. */
const SCHEMES: ReadonlyMap<number, Scheme> = new Map([
  [0x0403, { keyType: 'ec', curve: 'prime256v1', hash: 'sha256' }],
  [0x0804, { keyType: 'rsa', hash: 'sha256', isPss: true }],
  [0x0401, { keyType: 'rsa', hash: 'sha256' }],
  [0x0503, { keyType: 'ec', curve: 'secp384r1', hash: 'sha384' }],
  [0x0805, { keyType: 'rsa', hash: 'sha384', isPss: true }],
  [0x0501, { keyType: 'rsa', hash: 'sha384' }],
  [0x0603, { keyType: 'ec', curve: 'secp521r1', hash: 'sha512' }],
  [0x0806, { keyType: 'rsa', hash: 'sha512', isPss: true }],
  [0x0601, { keyType: 'rsa', hash: 'sha512' }],
]);

/** Everything we can verify: what we offer, and what a certificate request asks for. */
export const SIGNATURE_SCHEMES: readonly number[] = [...SCHEMES.keys()];

/** The first scheme of ours that the peer accepts and the key can do. */
export function chooseScheme(key: KeyObject, accepted: readonly number[]): number | undefined {
  for (const [number, scheme] of SCHEMES) {
    if (scheme.keyType === key.asymmetricKeyType && accepted.includes(number)) return number;
  }
  return undefined;
}

/** May DTLS 1.3 sign with this scheme and key? It binds hashes to curves and wants PSS of RSA keys (RFC 8446 §4.2.3). */
export function isTls13Scheme(scheme: number, key: KeyObject): boolean {
  const known = SCHEMES.get(scheme);
  if (!known || known.keyType !== key.asymmetricKeyType) return false;
  return known.keyType === 'rsa' ? known.isPss === true : known.curve === key.asymmetricKeyDetails?.namedCurve;
}

/** As `chooseScheme`, for DTLS 1.3. */
export function chooseTls13Scheme(key: KeyObject, accepted: readonly number[]): number | undefined {
  return SIGNATURE_SCHEMES.find((scheme) => accepted.includes(scheme) && isTls13Scheme(scheme, key));
}

/** @param scheme one that `chooseScheme` gave for this key */
export function signWith(scheme: number, key: KeyObject, data: Buffer): Buffer {
  const { hash, isPss } = SCHEMES.get(scheme) ?? { hash: 'sha256' };
  return sign(hash, data, isPss ? { key, ...PSS } : key);
}

/** Never throws: a signature that is no signature is a wrong one. */
export function verifyWith(scheme: number, key: KeyObject, data: Buffer, signature: Buffer): boolean {
  const known = SCHEMES.get(scheme);
  if (!known || known.keyType !== key.asymmetricKeyType) return false;
  try {
    return verify(known.hash, data, known.isPss ? { key, ...PSS } : key, signature);
  } catch {
    return false;
  }
}

const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST } as const;
