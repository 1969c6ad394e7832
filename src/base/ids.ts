import { randomBytes } from 'node:crypto';

/** Random text of the base64url alphabet: 6 bits a character, from the system's cryptographic generator. */
export function randomText(characters: number): string {
  return randomBytes(Math.ceil((characters * 3) / 4))
    .toString('base64url')
    .slice(0, characters);
}

/** Random lower-case hexadecimal text, 4 bits a character. */
export function randomHex(characters: number): string {
  return randomBytes(Math.ceil(characters / 2))
    .toString('hex')
    .slice(0, characters);
}

/** A random unsigned 32-bit number (SSRC, initial timestamps). */
export function randomUint32(): number {
  return randomBytes(4).readUInt32BE(0);
}

/** A random unsigned 16-bit number (initial sequence numbers). */
export function randomUint16(): number {
  return randomBytes(2).readUInt16BE(0);
}
