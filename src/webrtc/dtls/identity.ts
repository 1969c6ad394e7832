import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import {
  derBitString,
  derInteger,
  derNull,
  derObjectIdentifier,
  derSequence,
  derSet,
  derTagged,
  derText,
  derTime,
} from '../../base/der.ts';
import { type Fingerprint, fingerprintOf } from './fingerprint.ts';

/** Who we are to every peer: a self-signed certificate and its key. One for the life of the process. */
export interface Identity {
  /** DER. */
  readonly certificate: Buffer;
  readonly privateKey: KeyObject;
  /** SHA-256, for our SDP. */
  readonly fingerprint: Fingerprint;
}

const DAY_MS = 24 * 3600 * 1000;
/** Peers go by the fingerprint, not by the dates; long enough that no process outlives it, a day early for clocks that are behind. */
const LIFETIME_MS = 5 * 365 * DAY_MS;
const SERIAL_BYTES = 16;

const OID = { commonName: '2.5.4.3', ecdsaWithSha256: '1.2.840.10045.4.3.2', rsaWithSha256: '1.2.840.113549.1.1.11' } as const;

/** Makes an ECDSA P-256 identity. @param wallclock Unix milliseconds (Clock.wallclock) */
export function createIdentity(wallclock: number): Identity {
  // Generated as bytes and read back: see X25519Share for what exporting a generated key can do.
  const { publicKey, privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'prime256v1',
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
  });
  return selfSign(publicKey, createPrivateKey({ key: privateKey, type: 'pkcs8', format: 'der' }), wallclock);
}

/**
 * An identity of a given key: EC, or RSA of at least 2048 bits.
 * @param publicKey SubjectPublicKeyInfo, DER @param wallclock Unix milliseconds
 */
export function selfSign(publicKey: Uint8Array, privateKey: KeyObject, wallclock: number): Identity {
  const isRsa = privateKey.asymmetricKeyType === 'rsa';
  const algorithm = isRsa
    ? derSequence(derObjectIdentifier(OID.rsaWithSha256), derNull())
    : derSequence(derObjectIdentifier(OID.ecdsaWithSha256));
  const name = derSequence(derSet(derSequence(derObjectIdentifier(OID.commonName), derText('ringdown'))));
  const version3 = derTagged(0, derInteger(Buffer.of(2)));
  const toBeSigned = derSequence(
    version3,
    derInteger(randomBytes(SERIAL_BYTES)),
    algorithm,
    name,
    derSequence(derTime(wallclock - DAY_MS), derTime(wallclock + LIFETIME_MS)),
    name,
    publicKey,
  );
  const certificate = derSequence(toBeSigned, algorithm, derBitString(sign('sha256', toBeSigned, privateKey)));
  return { certificate, privateKey, fingerprint: fingerprintOf(certificate) };
}
