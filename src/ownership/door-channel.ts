import { createCipheriv, createDecipheriv } from 'node:crypto';

/** AES-128-GCM: authenticates what a MAC would, and keeps ICE passwords in SDP answers from whoever listens on the inner network. */
const CIPHER = 'aes-128-gcm';
export const CHANNEL_KEY_BYTES = 16;
const TAG_BYTES = 16;
const NONCE_BYTES = 12;

/**
 * Messages of one authenticated connection, each direction under its own key. Both ends count: the count is the nonce, so a message
 * repeated, left out or moved does not open. The keys live as long as the connection, so no nonce is used twice.
 */
export class DoorChannel {
  readonly #sendKey: Buffer;
  readonly #receiveKey: Buffer;
  #sent = 0;
  #received = 0;

  constructor(sendKey: Buffer, receiveKey: Buffer) {
    this.#sendKey = sendKey;
    this.#receiveKey = receiveKey;
  }

  seal(text: string): Buffer {
    const cipher = createCipheriv(CIPHER, this.#sendKey, nonce(this.#sent));
    this.#sent += 1;
    return Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  }

  /** The text of the next message; undefined when this is not it. After that the connection is of no more use. */
  open(sealed: Buffer): string | undefined {
    const end = sealed.length - TAG_BYTES;
    if (end < 0) return undefined;
    const decipher = createDecipheriv(CIPHER, this.#receiveKey, nonce(this.#received), { authTagLength: TAG_BYTES });
    decipher.setAuthTag(sealed.subarray(end));
    try {
      const text = Buffer.concat([decipher.update(sealed.subarray(0, end)), decipher.final()]).toString('utf8');
      this.#received += 1;
      return text;
    } catch {
      return undefined;
    }
  }
}

function nonce(count: number): Buffer {
  const bytes = Buffer.alloc(NONCE_BYTES);
  bytes.writeBigUInt64BE(BigInt(count), 4);
  return bytes;
}
