import { randomBytes } from 'node:crypto';

/** The suites we speak, the preferred first: the names of RFC 4568 §6.2 and RFC 7714 §14.1. */
export const CRYPTO_SUITES = ['AES_CM_128_HMAC_SHA1_80', 'AEAD_AES_128_GCM', 'AES_CM_128_HMAC_SHA1_32'] as const;
export type CryptoSuite = (typeof CRYPTO_SUITES)[number];

const KEY_BYTES = 16;
/** Of the master salt: RFC 4568 §6.1, RFC 7714 §12. */
const SALT_BYTES: Readonly<Record<CryptoSuite, number>> = {
  AES_CM_128_HMAC_SHA1_80: 14,
  AES_CM_128_HMAC_SHA1_32: 14,
  AEAD_AES_128_GCM: 12,
};

/** What protects the packets of whoever wrote it. Never to be logged. */
export interface SdesKey {
  readonly key: Buffer;
  readonly salt: Buffer;
  /** Stands in every packet, before the tag; nothing does when absent. */
  readonly mki?: Buffer;
}

/** An a=crypto line that can be used. */
export interface CryptoLine {
  readonly tag: number;
  readonly suite: CryptoSuite;
  readonly key: SdesKey;
}

/** We change no key by ourselves: 2^23 packets are 46 hours at 50 a second, and no call lasts longer than 24. */
const LEAST_LIFETIME = 2n ** 23n;
/** RFC 3711 §9.2. */
const LONGEST_LIFETIME = 2n ** 48n;
/** Longer ones are legal, up to 128 bytes, and nobody writes them. */
const MAX_MKI_BYTES = 4;

/**
 * Reads the value of a=crypto (RFC 4568 §9.1). Undefined for a line that we pass over, as §5.1.2 lets us: another suite, a malformed key,
 * several keys, a lifetime shorter than a call, and session parameters (they all ask for something we do not do, and may not be ignored).
 */
export function parseCrypto(value: string): CryptoLine | undefined {
  const [tagText, suiteText, keyText, ...session] = value.trim().split(/ +/);
  if (!/^\d{1,9}$/.test(tagText ?? '') || !keyText || keyText.includes(';')) return undefined;
  // A hint that receivers may ignore: every packet's window is 128 here (§6.3.6).
  if (session.some((each) => !/^WSH=\d{1,4}$/.test(each))) return undefined;
  const suite = CRYPTO_SUITES.find((each) => each === suiteText);
  if (!suite) return undefined;
  const match = /^inline:([A-Za-z0-9+/]{37,40}={0,2})(?:\|(?:2\^(\d{1,2})|(\d{1,15})))?(?:\|(\d{1,10}):(\d{1,3}))?$/i.exec(keyText);
  if (!match) return undefined;
  const [, encoded = '', power, number, mkiText, mkiBytes] = match;
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.length !== KEY_BYTES + SALT_BYTES[suite]) return undefined;
  const lifetime = power !== undefined ? 2n ** BigInt(power) : number !== undefined ? BigInt(number) : LONGEST_LIFETIME;
  if (lifetime < LEAST_LIFETIME || lifetime > LONGEST_LIFETIME) return undefined;
  const mki = mkiText === undefined ? undefined : mkiOf(Number(mkiText), Number(mkiBytes));
  if (mkiText !== undefined && !mki) return undefined;
  const key = { key: bytes.subarray(0, KEY_BYTES), salt: bytes.subarray(KEY_BYTES), ...(mki && { mki }) };
  return { tag: Number(tagText), suite, key };
}

function mkiOf(value: number, bytes: number): Buffer | undefined {
  if (bytes < 1 || bytes > MAX_MKI_BYTES || value >= 2 ** (8 * bytes)) return undefined;
  const mki = Buffer.alloc(bytes);
  mki.writeUIntBE(value, 0, bytes);
  return mki;
}

/** The value of a=crypto. Ours have no lifetime (the longest) and no MKI. */
export function writeCrypto({ tag, suite, key: { key, salt } }: CryptoLine): string {
  return `${tag} ${suite} inline:${Buffer.concat([key, salt]).toString('base64')}`;
}

/** A fresh key of ours. */
export function makeSdesKey(suite: CryptoSuite): SdesKey {
  return { key: randomBytes(KEY_BYTES), salt: randomBytes(SALT_BYTES[suite]) };
}

export function sameSdesKey(a: SdesKey, b: SdesKey): boolean {
  return a.key.equals(b.key) && a.salt.equals(b.salt) && (a.mki ?? NO_MKI).equals(b.mki ?? NO_MKI);
}

const NO_MKI = Buffer.alloc(0);
