import { createECDH, createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject } from 'node:crypto';

/** NamedGroup numbers (RFC 8422 §5.1.1). */
export const Group = { p256: 0x0017, x25519: 0x001d } as const;
export type Group = (typeof Group)[keyof typeof Group];

/** P-256 first: in Node both halves of it cost 90 µs, those of X25519 110 µs, as it has no object like ECDH's. */
export const GROUPS: readonly Group[] = [Group.p256, Group.x25519];

export function isGroup(number: number): number is Group {
  return number === Group.p256 || number === Group.x25519;
}

/**
 * One ephemeral key, made for one handshake. It is used once, but for a client of DTLS 1.3: whether a ServerHello is the true one shows only
 * after the agreement, so there each of a few has to be tried.
 */
export interface KeyShare {
  readonly group: Group;
  /** As it goes on the wire: an uncompressed point, or 32 bytes. */
  readonly publicKey: Buffer;
  /** The shared secret, or undefined when the peer's key is not valid or the share was used up. Never throws. */
  agree(peerPublicKey: Buffer): Buffer | undefined;
}

/** @param uses how many agreements it is good for */
export function createKeyShare(group: Group, uses = 1): KeyShare {
  return group === Group.p256 ? new P256Share(uses) : new X25519Share(uses);
}

const P256_POINT_BYTES = 65;
const UNCOMPRESSED = 0x04;

class P256Share implements KeyShare {
  readonly group = Group.p256;
  readonly publicKey: Buffer;
  #ecdh: ReturnType<typeof createECDH> | undefined = createECDH('prime256v1');
  #uses: number;

  constructor(uses: number) {
    this.#uses = uses;
    this.publicKey = this.#ecdh?.generateKeys() ?? Buffer.alloc(0);
  }

  agree(peerPublicKey: Buffer): Buffer | undefined {
    const ecdh = this.#ecdh;
    if (!ecdh || peerPublicKey.length !== P256_POINT_BYTES || peerPublicKey[0] !== UNCOMPRESSED) return undefined;
    this.#uses -= 1;
    if (this.#uses <= 0) this.#ecdh = undefined;
    try {
      return ecdh.computeSecret(peerPublicKey);
    } catch {
      return undefined; // a point that is not on the curve
    }
  }
}

const X25519_BYTES = 32;

function x25519PublicKey(bytes: Buffer): KeyObject {
  return createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x: bytes.toString('base64url') }, format: 'jwk' });
}

/** RFC 7748 §4.1: the public key is the private key's product with 9. */
const X25519_BASE_POINT = x25519PublicKey(Buffer.concat([Buffer.of(9)], X25519_BYTES));

/**
 * The public key is computed, not exported: exporting a key that generateKeyPairSync made can hang the process for good
 * (seen on Node 20.20.2: the export holds the key's lock while it allocates, and a collection then frees the generator,
 * whose destructor takes the same lock).
 */
class X25519Share implements KeyShare {
  readonly group = Group.x25519;
  readonly publicKey: Buffer;
  #privateKey: KeyObject | undefined;
  #uses: number;

  constructor(uses: number) {
    this.#uses = uses;
    const { privateKey } = generateKeyPairSync('x25519');
    this.publicKey = diffieHellman({ privateKey, publicKey: X25519_BASE_POINT });
    this.#privateKey = privateKey;
  }

  agree(peerPublicKey: Buffer): Buffer | undefined {
    const privateKey = this.#privateKey;
    if (!privateKey || peerPublicKey.length !== X25519_BYTES) return undefined;
    this.#uses -= 1;
    if (this.#uses <= 0) this.#privateKey = undefined;
    try {
      return diffieHellman({ privateKey, publicKey: x25519PublicKey(peerPublicKey) });
    } catch {
      return undefined; // a point of small order, whose secret would be all zeros (RFC 8422 §5.11)
    }
  }
}
