import { type Cipher, createCipheriv } from 'node:crypto';

/** Packets whose keystream one native call makes: enough to make the call's cost small, 2.5 kB a stream at 160 B a packet. */
const BATCH_PACKETS = 16;
/** 320 B, the greatest audio payload; the keystream of a larger packet is made for it alone. */
const BATCH_BLOCKS = 20;

/** Keystream made ahead for one stream; kept beside its index so that the next packet finds it ready. */
export interface KeystreamBatch {
  firstIndex: number;
  /** Packets held. */
  packets: number;
  /** AES blocks held for each packet. */
  blocks: number;
  /** Most blocks that a packet of this batch needed: the width of the next one. */
  widest: number;
  bytes: Buffer;
}

/** Where the keystream of one packet stands. */
export interface KeystreamHolder {
  batch: KeystreamBatch | undefined;
}

/** AES in counter mode (RFC 3711 §4.1.1), made by one long-lived ECB cipher: creating a cipher for each packet costs more than encrypting it. */
export class Keystream {
  readonly #aes: Cipher;
  readonly #salt: readonly [number, number, number, number];
  /** The bytes of the last `of` call, until the next one. */
  bytes: Buffer = Buffer.alloc(0);

  constructor(key: Buffer, salt: Buffer) {
    this.#aes = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
    const block = Buffer.alloc(16);
    block.set(salt.subarray(0, 14));
    this.#salt = [block.readInt32BE(0), block.readInt32BE(4), block.readInt32BE(8), block.readInt32BE(12)];
  }

  /** Makes the keystream of one packet stand in `this.bytes`. @returns its offset there */
  of(holder: KeystreamHolder, ssrc: number, index: number, payloadBytes: number): number {
    const blocks = (payloadBytes + 15) >>> 4;
    const batch = holder.batch;
    if (batch && index >= batch.firstIndex) {
      const place = index - batch.firstIndex;
      if (place < batch.packets && blocks <= batch.blocks) {
        if (blocks > batch.widest) batch.widest = blocks;
        this.bytes = batch.bytes;
        return place * batch.blocks * 16;
      }
    }
    // A late packet must not throw away what was made ahead, and a large one would make too much of it.
    if (blocks > BATCH_BLOCKS || (batch && index < batch.firstIndex)) {
      return this.one(ssrc, index, payloadBytes);
    }
    const wide = Math.max(1, blocks, batch?.widest ?? 0);
    holder.batch = {
      firstIndex: index,
      packets: BATCH_PACKETS,
      blocks: wide,
      widest: blocks,
      bytes: this.#make(ssrc, index, BATCH_PACKETS, wide),
    };
    this.bytes = holder.batch.bytes;
    return 0;
  }

  /** The same for a packet on its own: nothing is made ahead. */
  one(ssrc: number, index: number, payloadBytes: number): number {
    this.bytes = this.#make(ssrc, index, 1, (payloadBytes + 15) >>> 4);
    return 0;
  }

  #make(ssrc: number, firstIndex: number, packets: number, blocks: number): Buffer {
    const counters = Buffer.allocUnsafe(packets * blocks * 16);
    const view = new DataView(counters.buffer, counters.byteOffset, counters.length);
    const [salt0, salt1, salt2, salt3] = this.#salt;
    let at = 0;
    for (let index = firstIndex; index < firstIndex + packets; index++) {
      const upper = salt2 ^ Math.floor(index / 0x10000);
      const lower = salt3 ^ (index << 16);
      for (let block = 0; block < blocks; block++, at += 16) {
        view.setInt32(at, salt0);
        view.setInt32(at + 4, salt1 ^ ssrc);
        view.setInt32(at + 8, upper);
        view.setInt32(at + 12, lower | block);
      }
    }
    return this.#aes.update(counters);
  }
}
