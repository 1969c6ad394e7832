import { createHash } from 'node:crypto';

/** Algorithms of RFC 8760 and RFC 7616, the strongest first. SHA-512-256 is left out: no phone or trunk offers it. */
export const DIGEST_ALGORITHMS = ['SHA-256', 'SHA-256-sess', 'MD5', 'MD5-sess'] as const;
export type DigestAlgorithm = (typeof DIGEST_ALGORITHMS)[number];

/** The algorithm of this name, in any case; MD5 when none is named (RFC 7616 §3.3). Undefined for one that is not spoken here. */
export function digestAlgorithm(name: string | undefined): DigestAlgorithm | undefined {
  if (name === undefined) return 'MD5';
  const wanted = name.toLowerCase();
  return DIGEST_ALGORITHMS.find((algorithm) => algorithm.toLowerCase() === wanted);
}

/** What a response is made of. Texts are wire text: one character a byte. */
export interface DigestInput {
  readonly algorithm: DigestAlgorithm;
  readonly username: string;
  readonly realm: string;
  readonly password: string;
  /** Digest of the three above, where that is kept in place of the password. */
  readonly ha1?: string | undefined;
  readonly method: string;
  readonly uri: string;
  readonly nonce: string;
  /** Protection `auth`; without it the form of RFC 2069, which RFC 3261 §22.4 keeps alive. */
  readonly auth?: { readonly cnonce: string /** Eight hexadecimal digits. */; readonly nc: string };
}

/** The `response` of RFC 7616 §3.4.1, in lower-case hexadecimal. */
export function digestResponse({ algorithm, username, realm, password, ha1, method, uri, nonce, auth }: DigestInput): string {
  const hash = algorithm.startsWith('SHA-256') ? 'sha256' : 'md5';
  const of = (text: string): string => createHash(hash).update(text, 'latin1').digest('hex');
  const secret = ha1 ?? of(`${username}:${realm}:${password}`);
  const a1 = algorithm.endsWith('-sess') ? of(`${secret}:${nonce}:${auth?.cnonce ?? ''}`) : secret;
  const a2 = of(`${method}:${uri}`);
  return of(auth ? `${a1}:${nonce}:${auth.nc}:${auth.cnonce}:auth:${a2}` : `${a1}:${nonce}:${a2}`);
}

/** The count of a nonce's uses as it is written. */
export function nonceCount(count: number): string {
  return count.toString(16).padStart(8, '0');
}
