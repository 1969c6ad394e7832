import { randomFillSync } from 'node:crypto';

/** One visit to the system's generator for some hundred ids: each costs as much as everything else about an id. */
const POOL_BYTES = 4096;

const pool = Buffer.alloc(POOL_BYTES);
let used = POOL_BYTES;

/** Random bytes of the pool as text; they are wiped from it. */
function takeText(count: number, encoding: 'base64url' | 'hex'): string {
  if (count > POOL_BYTES) return randomFillSync(Buffer.alloc(count)).toString(encoding);
  const at = take(count);
  const text = pool.toString(encoding, at, at + count);
  pool.fill(0, at, at + count);
  return text;
}

/** Where so many fresh bytes stand in the pool. */
function take(count: number): number {
  if (used + count > POOL_BYTES) {
    randomFillSync(pool);
    used = 0;
  }
  used += count;
  return used - count;
}

/** Random text of the base64url alphabet: 6 bits a character, from the system's cryptographic generator. */
export function randomText(characters: number): string {
  return takeText(Math.ceil((characters * 3) / 4), 'base64url').slice(0, characters);
}

/** Random lower-case hexadecimal text, 4 bits a character. */
export function randomHex(characters: number): string {
  return takeText(Math.ceil(characters / 2), 'hex').slice(0, characters);
}

/** A random unsigned 32-bit number (SSRC, initial timestamps). */
export function randomUint32(): number {
  const at = take(4);
  const value = pool.readUInt32BE(at);
  pool.fill(0, at, at + 4);
  return value;
}

/** A random unsigned 16-bit number (initial sequence numbers). */
export function randomUint16(): number {
  return randomUint32() >>> 16;
}
