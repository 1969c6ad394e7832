import { createHash } from 'node:crypto';
import { sha1Compress, sha1Start } from './sha1.ts';

/** SRTP keeps the first 80 bits of the HMAC (RFC 3711 §5.2). */
export const SHA1_80_TAG_BYTES = 10;
/** Or the first 32, of RTP alone (RFC 3711 §4.2.1, RFC 4568 §6.2.2). */
export const SHA1_32_TAG_BYTES = 4;

const BLOCK_BYTES = 64;
/** Scratch for the last blocks of the packet being hashed; one thread, no re-entry. */
const tail = new Uint8Array(2 * BLOCK_BYTES);
const outerBlock = new Uint8Array(BLOCK_BYTES);
// The outer hash always ends the same way: a one bit, zeros, and the length of one block and one digest in bits.
outerBlock[20] = 0x80;
outerBlock[62] = ((BLOCK_BYTES + 20) * 8) >>> 8;
outerBlock[63] = ((BLOCK_BYTES + 20) * 8) & 0xff;
const state = new Int32Array(5);

/** HMAC-SHA1 with the two key blocks hashed once: four compressions a voice packet instead of six. */
export class HmacSha1 {
  readonly #inner: Int32Array;
  readonly #outer: Int32Array;

  constructor(key: Uint8Array) {
    const block = new Uint8Array(BLOCK_BYTES);
    block.set(key.length > BLOCK_BYTES ? createHash('sha1').update(key).digest() : key);
    this.#inner = padded(block, 0x36);
    this.#outer = padded(block, 0x5c);
  }

  /** Writes the 80-bit tag of the first `length` bytes, followed by `word` (a roll-over counter or an SRTCP index). */
  writeTag(bytes: Uint8Array, length: number, word: number, into: Uint8Array, at: number): void {
    this.#compute(bytes, length, word);
    writeWord(into, at, state[0]!);
    writeWord(into, at + 4, state[1]!);
    into[at + 8] = state[2]! >>> 24;
    into[at + 9] = (state[2]! >>> 16) & 0xff;
  }

  /** As writeTag, 32 bits of it. */
  writeShortTag(bytes: Uint8Array, length: number, word: number, into: Uint8Array, at: number): void {
    this.#compute(bytes, length, word);
    writeWord(into, at, state[0]!);
  }

  /** As hasTag, for 32 bits. */
  hasShortTag(bytes: Uint8Array, length: number, word: number, tagged: Uint8Array, at: number): boolean {
    this.#compute(bytes, length, word);
    return (state[0]! ^ readWord(tagged, at)) === 0;
  }

  /** Does the 80-bit tag stand at `at`? Takes the same time whatever the answer. */
  hasTag(bytes: Uint8Array, length: number, word: number, tagged: Uint8Array, at: number): boolean {
    this.#compute(bytes, length, word);
    const difference =
      (state[0]! ^ readWord(tagged, at)) |
      (state[1]! ^ readWord(tagged, at + 4)) |
      ((state[2]! >>> 16) ^ ((tagged[at + 8]! << 8) | tagged[at + 9]!));
    return difference === 0;
  }

  #compute(bytes: Uint8Array, length: number, word: number): void {
    state.set(this.#inner);
    const whole = length - (length % BLOCK_BYTES);
    for (let at = 0; at < whole; at += BLOCK_BYTES) sha1Compress(state, bytes, at);
    let used = 0;
    for (let at = whole; at < length; at++) tail[used++] = bytes[at]!;
    writeWord(tail, used, word);
    used += 4;
    tail[used++] = 0x80;
    const end = used + 8 <= BLOCK_BYTES ? BLOCK_BYTES : 2 * BLOCK_BYTES;
    tail.fill(0, used, end - 4);
    // 2^32 bits are half a gigabyte: the upper half of the length is always 0.
    writeWord(tail, end - 4, (BLOCK_BYTES + length + 4) * 8);
    sha1Compress(state, tail, 0);
    if (end > BLOCK_BYTES) sha1Compress(state, tail, BLOCK_BYTES);

    for (let i = 0; i < 5; i++) writeWord(outerBlock, 4 * i, state[i]!);
    state.set(this.#outer);
    sha1Compress(state, outerBlock, 0);
  }
}

function padded(key: Uint8Array, pad: number): Int32Array {
  const chaining = sha1Start();
  sha1Compress(
    chaining,
    key.map((byte) => byte ^ pad),
    0,
  );
  return chaining;
}

function writeWord(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word >>> 24;
  bytes[at + 1] = word >>> 16;
  bytes[at + 2] = word >>> 8;
  bytes[at + 3] = word;
}

function readWord(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}
