import { createCipheriv, createDecipheriv } from 'node:crypto';
import { type PacketCipher, RTCP_HEADER_BYTES, SRTCP_ENCRYPTED, SRTCP_WORD_BYTES } from './packet-cipher.ts';
import type { DirectionKeys, SessionKeys } from './session-keys.ts';

const ALGORITHM = 'aes-128-gcm';
const TAG_BYTES = 16;
const TAG = { authTagLength: TAG_BYTES } as const;

/** AEAD_AES_128_GCM (RFC 7714). Node makes one cipher object a packet: no keystream can be made ahead. */
export class GcmCipher implements PacketCipher {
  readonly rtpOverhead = TAG_BYTES;
  readonly rtcpOverhead = TAG_BYTES + SRTCP_WORD_BYTES;
  readonly #rtp: SessionKeys;
  readonly #rtcp: SessionKeys;
  readonly #nonce = Buffer.alloc(12);

  constructor({ rtp, rtcp }: DirectionKeys) {
    this.#rtp = rtp;
    this.#rtcp = rtcp;
  }

  sealRtp(packet: Uint8Array, headerBytes: number, ssrc: number, index: number): Buffer {
    const cipher = createCipheriv(ALGORITHM, this.#rtp.encryption, this.#makeNonce(this.#rtp, ssrc, index), TAG);
    const header = packet.subarray(0, headerBytes);
    cipher.setAAD(header);
    const encrypted = cipher.update(packet.subarray(headerBytes));
    cipher.final();
    return Buffer.concat([header, encrypted, cipher.getAuthTag()]);
  }

  openRtp(packet: Buffer, headerBytes: number, ssrc: number, index: number): Buffer | undefined {
    const length = packet.length - TAG_BYTES;
    const nonce = this.#makeNonce(this.#rtp, ssrc, index);
    const opened = this.#open(this.#rtp, nonce, packet.subarray(0, headerBytes), packet.subarray(headerBytes));
    if (!opened) return undefined;
    packet.set(opened, headerBytes);
    return packet.subarray(0, length);
  }

  sealRtcp(packet: Uint8Array, ssrc: number, index: number): Buffer {
    const cipher = createCipheriv(ALGORITHM, this.#rtcp.encryption, this.#makeNonce(this.#rtcp, ssrc, index), TAG);
    const header = packet.subarray(0, RTCP_HEADER_BYTES);
    const word = Buffer.alloc(SRTCP_WORD_BYTES);
    word.writeUInt32BE((SRTCP_ENCRYPTED | index) >>> 0);
    cipher.setAAD(Buffer.concat([header, word]));
    const encrypted = cipher.update(packet.subarray(RTCP_HEADER_BYTES));
    cipher.final();
    return Buffer.concat([header, encrypted, cipher.getAuthTag(), word]);
  }

  openRtcp(packet: Buffer, ssrc: number): Buffer | undefined {
    const wordAt = packet.length - SRTCP_WORD_BYTES;
    const length = packet.length - this.rtcpOverhead;
    const word = this.rtcpWord(packet);
    const isEncrypted = word >= SRTCP_ENCRYPTED;
    // RFC 7714 §9.3: a packet that is not encrypted is associated data as a whole.
    const clear = isEncrypted ? RTCP_HEADER_BYTES : length;
    const associated = Buffer.concat([packet.subarray(0, clear), packet.subarray(wordAt)]);
    const nonce = this.#makeNonce(this.#rtcp, ssrc, isEncrypted ? word - SRTCP_ENCRYPTED : word);
    const opened = this.#open(this.#rtcp, nonce, associated, packet.subarray(clear, wordAt));
    if (!opened) return undefined;
    packet.set(opened, clear);
    return packet.subarray(0, length);
  }

  rtcpWord(packet: Buffer): number {
    return packet.readUInt32BE(packet.length - SRTCP_WORD_BYTES);
  }

  /** RFC 7714 §8.1 and §9.1: both are 0 ‖ SSRC ‖ 48-bit index, the SRTCP index having 31 bits. */
  #makeNonce(keys: SessionKeys, ssrc: number, index: number): Buffer {
    const nonce = this.#nonce;
    nonce.writeUInt16BE(0, 0);
    nonce.writeUInt32BE(ssrc, 2);
    nonce.writeUIntBE(index, 6, 6);
    for (let i = 0; i < nonce.length; i++) nonce[i]! ^= keys.salt[i]!;
    return nonce;
  }

  #open(keys: SessionKeys, nonce: Buffer, associated: Buffer, sealed: Buffer): Buffer | undefined {
    const decipher = createDecipheriv(ALGORITHM, keys.encryption, nonce, TAG);
    decipher.setAAD(associated);
    decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
    const opened = decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES));
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    return opened;
  }
}
