import { MAX_PAYLOAD_BYTES } from '../ownership/inner-frame.ts';

/** RFC 4571: 16 bits of length before each packet. */
const LENGTH_BYTES = 2;

const NOTHING = Buffer.alloc(0);

/**
 * Cuts a byte stream into packets (RFC 4571), however it was put into segments. Push bytes, then take frames until there is none. Holds at most one
 * unfinished frame.
 */
export class FrameReader {
  /** Larger frames break the stream. */
  maxFrameBytes: number;
  #bytes: Buffer = NOTHING;
  #at = 0;
  #lengthBytes = 0;
  #length = 0;
  /** The frame that is still coming, and how much of it is there. */
  #frame: Buffer | undefined;
  #filled = 0;
  #broken = false;

  constructor(maxFrameBytes = MAX_PAYLOAD_BYTES) {
    this.maxFrameBytes = maxFrameBytes;
  }

  /** A frame was announced that is too large: where the next one begins cannot be known any more. */
  get broken(): boolean {
    return this.#broken;
  }

  /** Takes bytes, which then belong to the reader. All frames of what was pushed before must have been taken. */
  push(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#at = 0;
  }

  /** The next whole frame; undefined when more bytes are needed. It may be empty, and it is a view into what was pushed. */
  next(): Buffer | undefined {
    const bytes = this.#bytes;
    if (this.#broken) return undefined;
    while (this.#lengthBytes < LENGTH_BYTES) {
      if (this.#at >= bytes.length) return this.#spent();
      this.#length = (this.#length << 8) | (bytes[this.#at] ?? 0);
      this.#at += 1;
      this.#lengthBytes += 1;
    }
    if (this.#length > this.maxFrameBytes) {
      this.#broken = true;
      return this.#spent();
    }
    if (!this.#frame) {
      const end = this.#at + this.#length;
      if (end <= bytes.length) return this.#finish(bytes.subarray(this.#at, end), end);
      // Of its own, so that a few bytes do not keep the whole segment in memory.
      this.#frame = Buffer.allocUnsafe(this.#length);
      this.#filled = 0;
    }
    const end = Math.min(bytes.length, this.#at + this.#length - this.#filled);
    this.#filled += bytes.copy(this.#frame, this.#filled, this.#at, end);
    return this.#filled < this.#length ? this.#spent() : this.#finish(this.#frame, end);
  }

  #finish(frame: Buffer, at: number): Buffer {
    this.#at = at;
    this.#lengthBytes = this.#length = 0;
    this.#frame = undefined;
    return frame;
  }

  #spent(): undefined {
    this.#bytes = NOTHING;
    this.#at = 0;
    return undefined;
  }
}

/** A packet as it goes into the stream. Copies it. */
export function writeFrame(packet: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + packet.length);
  frame[0] = packet.length >>> 8;
  frame[1] = packet.length & 0xff;
  frame.set(packet, LENGTH_BYTES);
  return frame;
}
