import { createSecretKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto';
import { GatewayError } from '../base/errors.ts';

/** A secret shared by all nodes of a deployment. Nothing uses it but the derivation of the keys below. */
export interface ClusterKey {
  /** 0–15: the 4 bits that name the key on the wire. */
  readonly id: number;
  readonly secret: Buffer;
}

/** The current key, and while keys are being changed one more that is still (or already) accepted. */
export interface ClusterKeys {
  readonly current: ClusterKey;
  readonly accepted?: ClusterKey;
}

type Purpose = 'ufrag tag' | 'ice pwd' | 'inner frames' | 'node door';

interface PurposeKey {
  readonly id: number;
  readonly key: KeyObject;
}

/** The keys of one purpose. A ring for one purpose does not pass where another is wanted. */
export interface KeyRing<P extends Purpose> {
  readonly purpose: P;
  /** What is made now is made with this one. */
  readonly current: PurposeKey;
  /** All that are accepted, the current one first. */
  readonly accepted: readonly PurposeKey[];
}

/** All a relay may know: it recognises our ufrags and speaks to the transceivers. It can derive no ICE password and open no door. */
export interface RelayKeys {
  readonly ufragTag: KeyRing<'ufrag tag'>;
  readonly inner: KeyRing<'inner frames'>;
}

/** All a SIP front needs. */
export interface DoorKeys {
  readonly door: KeyRing<'node door'>;
}

/** What a transceiver needs: it makes ufrags and passwords, and stands at both doors. */
export interface NodeKeys extends RelayKeys, DoorKeys {
  readonly icePwd: KeyRing<'ice pwd'>;
}

/** HMAC-SHA256 gains nothing beyond its output, and loses below it. */
const KEY_BYTES = 32;

/** A key for one process that runs all roles: nobody else needs to know it. */
export function randomClusterKeys(): ClusterKeys {
  return { current: { id: 0, secret: randomBytes(KEY_BYTES) } };
}

/**
 * Reads a key file: one `id:base64` a line, id 0–15, at least 32 bytes; the first is current, a second one accepted. Empty lines and
 * lines that begin with # are skipped. To change keys without a gap: add the new key second everywhere, then swap, then remove the old.
 * @throws GatewayError ERR_CONFIG naming every faulty line; never the key
 */
export function parseClusterKeys(text: string): ClusterKeys {
  const keys: ClusterKey[] = [];
  const faults: string[] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const key = parseLine(line);
    if (typeof key === 'string') faults.push(`line ${index + 1}: ${key}`);
    else if (keys.some((each) => each.id === key.id)) faults.push(`line ${index + 1}: id ${key.id} stands there twice`);
    else keys.push(key);
  }
  if (keys.length > 2) faults.push(`${keys.length} keys, at most 2 (current and accepted)`);
  const [current, accepted] = keys;
  if (!current && faults.length === 0) faults.push('no key in it');
  if (!current || faults.length > 0) throw new GatewayError('ERR_CONFIG', `cluster key file: ${faults.join('; ')}`);
  return accepted ? { current, accepted } : { current };
}

function parseLine(line: string): ClusterKey | string {
  const match = /^(\d{1,2}):([A-Za-z0-9+/]+={0,2})$/.exec(line);
  if (!match) return 'not id:base64';
  const id = Number(match[1]);
  if (id > 15) return `id ${id} is not 0-15`;
  const secret = Buffer.from(match[2] ?? '', 'base64');
  if (secret.length < KEY_BYTES) return `${secret.length} bytes, at least ${KEY_BYTES}`;
  return { id, secret };
}

export function deriveRelayKeys(keys: ClusterKeys): RelayKeys {
  return { ufragTag: ring(keys, 'ufrag tag'), inner: ring(keys, 'inner frames') };
}

export function deriveDoorKeys(keys: ClusterKeys): DoorKeys {
  return { door: ring(keys, 'node door') };
}

export function deriveNodeKeys(keys: ClusterKeys): NodeKeys {
  return { ...deriveRelayKeys(keys), ...deriveDoorKeys(keys), icePwd: ring(keys, 'ice pwd') };
}

/** The key of a ring with this id, or undefined. */
export function findKey(ring: KeyRing<Purpose>, id: number): KeyObject | undefined {
  for (const each of ring.accepted) if (each.id === id) return each.key;
  return undefined;
}

function ring<P extends Purpose>(keys: ClusterKeys, purpose: P): KeyRing<P> {
  const current = derive(keys.current, purpose);
  return { purpose, current, accepted: keys.accepted ? [current, derive(keys.accepted, purpose)] : [current] };
}

/** RFC 5869, one info string a purpose; `v1` leaves room for another meaning of the same file. */
function derive({ id, secret }: ClusterKey, purpose: Purpose): PurposeKey {
  const bytes = hkdfSync('sha256', secret, 'ringdown cluster key', `${purpose} v1`, KEY_BYTES);
  return { id, key: createSecretKey(Buffer.from(bytes)) };
}
