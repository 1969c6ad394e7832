import { createHmac, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto';
import { findKey, type NodeKeys, type RelayKeys } from './cluster-keys.ts';
import type { NodeId } from './node-id.ts';

/**
 * The ICE ufrag of a session, 22 ice-chars of 6 bits (RFC 8839 §5.4):
 * key id (4 bit) ‖ restart generation (8) ‖ node id (24) ‖ random (48) ‖ tag (48, HMAC-SHA256 over what stands before it).
 * It names the owner and holds no address, so nobody can aim a relay; the tag tells a relay without any look-up that it is ours.
 */
export interface UfragFacts {
  readonly nodeId: NodeId;
  /** Grows with each ICE restart, modulo 256. */
  readonly generation: number;
  /** 48 bits that tell sessions of a node apart; a restart keeps them. */
  readonly random: number;
}

const UFRAG = /^[A-Za-z0-9+/]{22}$/;

// 18 bytes make 24 base64 characters. The first 12 bits are always zero, which is `AA`: without them 22 characters remain.
const PREFIX = 'AA';
const BODY_END = 12;
const TAG_BYTES = 6;

/** 192 bits: RFC 8445 §5.3 wants at least 128 in a password of at least 22 characters. */
const PWD_CHARACTERS = 32;

/** Makes a ufrag with the current key. Give `random` (from readUfrag) to keep the session recognisable over an ICE restart. */
export function makeUfrag(facts: Omit<UfragFacts, 'random'> & { readonly random?: number }, keys: Pick<RelayKeys, 'ufragTag'>): string {
  const { id, key } = keys.ufragTag.current;
  const bytes = Buffer.alloc(BODY_END + TAG_BYTES);
  bytes[1] = id;
  bytes[2] = facts.generation & 0xff;
  bytes.writeUIntBE(facts.nodeId, 3, 3);
  bytes.writeUIntBE(facts.random ?? randomBytes(6).readUIntBE(0, 6), 6, 6);
  tagOf(bytes, key).copy(bytes, BODY_END);
  return bytes.toString('base64').slice(PREFIX.length);
}

/** What a ufrag says, if one of our keys made its tag; undefined for every other text. Compares in constant time. */
export function readUfrag(text: string, keys: Pick<RelayKeys, 'ufragTag'>): UfragFacts | undefined {
  if (!UFRAG.test(text)) return undefined;
  const bytes = Buffer.from(PREFIX + text, 'base64');
  const key = findKey(keys.ufragTag, keyIdOf(bytes));
  if (!key || !timingSafeEqual(tagOf(bytes, key), bytes.subarray(BODY_END))) return undefined;
  return { nodeId: bytes.readUIntBE(3, 3), generation: bytes[2] ?? 0, random: bytes.readUIntBE(6, 6) };
}

/**
 * The ICE password that belongs to a ufrag: 32 ice-chars. Follows from the ufrag alone, so the owner can verify MESSAGE-INTEGRITY
 * before it makes any state. Undefined for text that is no ufrag or names a key we do not have; the tag is not looked at.
 */
export function icePwd(ufrag: string, keys: Pick<NodeKeys, 'icePwd'>): string | undefined {
  if (!UFRAG.test(ufrag)) return undefined;
  const key = findKey(keys.icePwd, keyIdOf(Buffer.from(PREFIX + ufrag, 'base64')));
  if (!key) return undefined;
  return createHmac('sha256', key).update(ufrag, 'latin1').digest('base64').slice(0, PWD_CHARACTERS);
}

function keyIdOf(bytes: Buffer): number {
  return (bytes[1] ?? 0) & 0x0f;
}

function tagOf(bytes: Buffer, key: KeyObject): Buffer {
  return createHmac('sha256', key).update(bytes.subarray(1, BODY_END)).digest().subarray(0, TAG_BYTES);
}
