import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { SRTP_PROFILES, type SrtpKeys, type SrtpProfile } from '../srtp/profile.ts';
import { Aes128GcmProtection } from './aes-gcm-protection.ts';
import type { RecordProtection } from './record-protection.ts';

export type DtlsRole = 'client' | 'server';

/** What a finished key agreement gives, whatever the version of DTLS. */
export interface KeySchedule {
  /** Protects what `sender` sends. */
  protectionOf(sender: DtlsRole): RecordProtection;
  /** The verify_data of the Finished message that `sender` sends after `transcript`. */
  finishedOf(sender: DtlsRole, transcript: readonly Buffer[]): Buffer;
  /** RFC 5705 (1.2) or RFC 8446 §7.5 (1.3), without a context. */
  exportKeyingMaterial(label: string, length: number): Buffer;
}

/** All that SRTP needs of a handshake. */
export type Exporter = Pick<KeySchedule, 'exportKeyingMaterial'>;

const VERIFY_DATA_BYTES = 12;
const KEY_BYTES = 16;
const FIXED_IV_BYTES = 4;
const MASTER_SECRET_BYTES = 48;

/** The PRF of TLS 1.2 with SHA-256 (RFC 5246 §5). */
export function prf(secret: Buffer, label: string, seed: Buffer, length: number): Buffer {
  const labelled = Buffer.concat([Buffer.from(label), seed]);
  // Not out of Node's pool: keys are cut out of it that live as long as a call, and would keep 8 kB of that.
  const output = Buffer.alloc(length);
  let a = labelled;
  for (let bytes = 0; bytes < length; bytes += 32) {
    a = createHmac('sha256', secret).update(a).digest();
    createHmac('sha256', secret).update(a).update(labelled).digest().copy(output, bytes);
  }
  return output;
}

function hashOf(transcript: readonly Buffer[]): Buffer {
  const hash = createHash('sha256');
  for (const message of transcript) hash.update(message);
  return hash.digest();
}

/** Keys of DTLS 1.2 with the extended master secret (RFC 7627). Every suite we speak uses AES-128-GCM and SHA-256. */
export class Tls12KeySchedule implements KeySchedule {
  readonly #masterSecret: Buffer;
  readonly #clientRandom: Buffer;
  readonly #serverRandom: Buffer;
  readonly #keyBlock: Buffer;

  /** @param transcript from the first hello up to and including ClientKeyExchange */
  constructor(preMasterSecret: Buffer, transcript: readonly Buffer[], clientRandom: Buffer, serverRandom: Buffer) {
    this.#masterSecret = prf(preMasterSecret, 'extended master secret', hashOf(transcript), MASTER_SECRET_BYTES);
    this.#clientRandom = clientRandom;
    this.#serverRandom = serverRandom;
    const seed = Buffer.concat([serverRandom, clientRandom]);
    this.#keyBlock = prf(this.#masterSecret, 'key expansion', seed, 2 * (KEY_BYTES + FIXED_IV_BYTES));
  }

  protectionOf(sender: DtlsRole): RecordProtection {
    const place = sender === 'client' ? 0 : 1;
    const keyAt = place * KEY_BYTES;
    const ivAt = 2 * KEY_BYTES + place * FIXED_IV_BYTES;
    return new Aes128GcmProtection(this.#keyBlock.subarray(keyAt, keyAt + KEY_BYTES), this.#keyBlock.subarray(ivAt, ivAt + FIXED_IV_BYTES));
  }

  finishedOf(sender: DtlsRole, transcript: readonly Buffer[]): Buffer {
    return prf(this.#masterSecret, `${sender} finished`, hashOf(transcript), VERIFY_DATA_BYTES);
  }

  exportKeyingMaterial(label: string, length: number): Buffer {
    return prf(this.#masterSecret, label, Buffer.concat([this.#clientRandom, this.#serverRandom]), length);
  }
}

/** Constant-time comparison of two verify_data, or of anything else that is secret or forgeable. */
export function isSame(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}

/** SRTP's master keys (RFC 5764 §4.2): client key ‖ server key ‖ client salt ‖ server salt. */
export function exportSrtpKeys(schedule: Exporter, profile: SrtpProfile, role: DtlsRole): SrtpKeys {
  const { keyBytes, saltBytes } = SRTP_PROFILES[profile];
  const material = schedule.exportKeyingMaterial('EXTRACTOR-dtls_srtp', 2 * (keyBytes + saltBytes));
  const key = (place: number) => material.subarray(place * keyBytes, (place + 1) * keyBytes);
  const salt = (place: number) => material.subarray(2 * keyBytes + place * saltBytes, 2 * keyBytes + (place + 1) * saltBytes);
  const local = role === 'client' ? 0 : 1;
  return { profile, localKey: key(local), localSalt: salt(local), remoteKey: key(1 - local), remoteSalt: salt(1 - local) };
}
