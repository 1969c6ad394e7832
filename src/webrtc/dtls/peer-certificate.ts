import { createHash, type KeyObject, X509Certificate } from 'node:crypto';
import { type Fingerprint, matchFingerprint } from './fingerprint.ts';
import type { HandshakeMessage } from './handshake-message.ts';

/** RFC 7525 §4.3; the upper bound keeps one verification below a millisecond. */
const RSA_BITS = { min: 2048, max: 8192 } as const;
const CURVES: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1']);

/** Nodes that meet for every phone call show the same certificate each time: reading it takes 110 µs of a handshake's millisecond. */
const MAX_CACHED_KEYS = 64;
const cachedKeys = new Map<string, KeyObject>();

/** The public key of a peer's DER certificate: ECDSA P-256 or P-384, or RSA. Undefined for anything else; never throws. */
export function peerKey(certificate: Buffer): KeyObject | undefined {
  const name = createHash('sha256').update(certificate).digest('base64');
  const cached = cachedKeys.get(name);
  if (cached) return cached;
  const key = readKey(certificate);
  if (!key) return undefined;
  const [oldest] = cachedKeys.keys();
  if (cachedKeys.size >= MAX_CACHED_KEYS && oldest !== undefined) cachedKeys.delete(oldest);
  cachedKeys.set(name, key);
  return key;
}

function readKey(certificate: Buffer): KeyObject | undefined {
  try {
    const { publicKey } = new X509Certificate(certificate);
    const details = publicKey.asymmetricKeyDetails;
    if (publicKey.asymmetricKeyType === 'ec') return CURVES.has(details?.namedCurve ?? '') ? publicKey : undefined;
    if (publicKey.asymmetricKeyType !== 'rsa') return undefined;
    const bits = details?.modulusLength ?? 0;
    return bits >= RSA_BITS.min && bits <= RSA_BITS.max ? publicKey : undefined;
  } catch {
    return undefined;
  }
}

/** What a Certificate message shows. */
export interface PeerCertificate {
  /** Undefined when there is none that we take. */
  readonly key: KeyObject | undefined;
  /** The fingerprint of the SDP that it matches. */
  readonly fingerprint: Fingerprint | undefined;
}

/** Reads each Certificate message once: parsing a certificate costs as much as checking a signature. */
export class PeerCertificates {
  readonly #expected: readonly Fingerprint[];
  readonly #parse: (body: Buffer) => Buffer | undefined;
  readonly #seen = new WeakMap<HandshakeMessage, PeerCertificate>();

  /** @param parse finds the peer's own certificate in a Certificate message, of whatever version */
  constructor(expected: readonly Fingerprint[], parse: (body: Buffer) => Buffer | undefined) {
    this.#expected = expected;
    this.#parse = parse;
  }

  read(message: HandshakeMessage): PeerCertificate {
    const known = this.#seen.get(message);
    if (known) return known;
    const certificate = this.#parse(message.body);
    const shown = { key: certificate && peerKey(certificate), fingerprint: certificate && matchFingerprint(certificate, this.#expected) };
    this.#seen.set(message, shown);
    return shown;
  }
}
