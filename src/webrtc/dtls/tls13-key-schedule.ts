import { createHash, createHmac } from 'node:crypto';
import { uint16, vector8 } from './byte-writer.ts';
import type { DtlsRole, KeySchedule } from './key-schedule.ts';
import { Tls13Protection } from './tls13-protection.ts';

const HASH_BYTES = 32;
const KEY_BYTES = 16;
const IV_BYTES = 12;
const ZEROS = Buffer.alloc(HASH_BYTES);
const NOTHING = Buffer.alloc(0);

/** SHA-256 of everything said so far. */
export function transcriptHash(transcript: readonly Buffer[]): Buffer {
  const hash = createHash('sha256');
  for (const message of transcript) hash.update(message);
  return hash.digest();
}

function hmac(key: Buffer, data: Buffer): Buffer {
  return createHmac('sha256', key).update(data).digest();
}

/** HKDF-Expand-Label (RFC 8446 §7.1). @param prefix of RFC 9147 §5.9; TLS has another one */
export function expandLabel(secret: Buffer, label: string, context: Buffer, length: number, prefix = 'dtls13'): Buffer {
  const info = Buffer.concat([uint16(length), vector8(Buffer.from(`${prefix}${label}`)), vector8(context)]);
  const blocks: Buffer[] = [];
  let block: Buffer = NOTHING;
  for (let n = 1; blocks.length * HASH_BYTES < length; n += 1) {
    block = hmac(secret, Buffer.concat([block, info, Buffer.of(n)]));
    blocks.push(block);
  }
  // What is one block has its memory to itself. A copy would lie in Node's pool, and a key that lives as long as a call keep 8 kB of that.
  return blocks.length === 1 ? block.subarray(0, length) : Buffer.concat(blocks, length);
}

function derive(secret: Buffer, label: string, transcript: readonly Buffer[]): Buffer {
  return expandLabel(secret, label, transcriptHash(transcript), HASH_BYTES);
}

/** Without a pre-shared key the early secret is a constant, and so is what the handshake secret is salted with. */
const HANDSHAKE_SALT = derive(hmac(ZEROS, ZEROS), 'derived', []);

/** The keys that follow from a traffic secret (RFC 8446 §7.3, RFC 9147 §4.2.3). */
export function protectionFrom(secret: Buffer): Tls13Protection {
  return new Tls13Protection({
    key: expandLabel(secret, 'key', NOTHING, KEY_BYTES),
    iv: expandLabel(secret, 'iv', NOTHING, IV_BYTES),
    sequenceKey: expandLabel(secret, 'sn', NOTHING, KEY_BYTES),
  });
}

/** The traffic secret after a key update (RFC 8446 §7.2). */
export function nextSecret(secret: Buffer): Buffer {
  return expandLabel(secret, 'traffic upd', NOTHING, HASH_BYTES);
}

/** Keys of the handshake of DTLS 1.3 (RFC 8446 §7.1), from a key agreement without a pre-shared key. The only suite is AES-128-GCM with SHA-256. */
export class Tls13KeySchedule implements Omit<KeySchedule, 'exportKeyingMaterial'> {
  readonly #handshakeSecret: Buffer;
  readonly #client: Buffer;
  readonly #server: Buffer;

  /** @param hellos the transcript up to and including ServerHello */
  constructor(sharedSecret: Buffer, hellos: readonly Buffer[]) {
    this.#handshakeSecret = hmac(HANDSHAKE_SALT, sharedSecret);
    this.#client = derive(this.#handshakeSecret, 'c hs traffic', hellos);
    this.#server = derive(this.#handshakeSecret, 's hs traffic', hellos);
  }

  protectionOf(sender: DtlsRole): Tls13Protection {
    return protectionFrom(sender === 'client' ? this.#client : this.#server);
  }

  finishedOf(sender: DtlsRole, transcript: readonly Buffer[]): Buffer {
    const key = expandLabel(sender === 'client' ? this.#client : this.#server, 'finished', NOTHING, HASH_BYTES);
    return hmac(key, transcriptHash(transcript));
  }

  /** @param transcript up to and including the server's Finished */
  applicationSecrets(transcript: readonly Buffer[]): Tls13Secrets {
    const master = hmac(derive(this.#handshakeSecret, 'derived', []), ZEROS);
    return new Tls13Secrets(
      derive(master, 'c ap traffic', transcript),
      derive(master, 's ap traffic', transcript),
      derive(master, 'exp master', transcript),
    );
  }
}

/** What a handshake of DTLS 1.3 ends with. */
export class Tls13Secrets {
  readonly #client: Buffer;
  readonly #server: Buffer;
  readonly #exporter: Buffer;

  constructor(client: Buffer, server: Buffer, exporter: Buffer) {
    this.#client = client;
    this.#server = server;
    this.#exporter = exporter;
  }

  /** The first traffic secret of application data. */
  trafficSecretOf(sender: DtlsRole): Buffer {
    return sender === 'client' ? this.#client : this.#server;
  }

  /** RFC 8446 §7.5, without a context. */
  exportKeyingMaterial(label: string, length: number): Buffer {
    return expandLabel(derive(this.#exporter, label, []), 'exporter', transcriptHash([]), length);
  }
}
