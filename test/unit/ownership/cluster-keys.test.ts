import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  deriveDoorKeys,
  deriveNodeKeys,
  deriveRelayKeys,
  findKey,
  parseClusterKeys,
  randomClusterKeys,
} from '../../../src/ownership/cluster-keys.ts';

const key = (fill: number, bytes = 32) => Buffer.alloc(bytes, fill).toString('base64');

describe('the cluster key file', () => {
  it('holds the current key and one that is accepted besides', () => {
    const keys = parseClusterKeys(`# since spring\n\n3:${key(1)}\r\n2:${key(2, 48)}\n`);
    expect(keys.current).toEqual({ id: 3, secret: Buffer.alloc(32, 1) });
    expect(keys.accepted).toEqual({ id: 2, secret: Buffer.alloc(48, 2) });
  });

  it.each([
    ['', 'no key in it'],
    ['hello', 'line 1: not id:base64'],
    [`16:${key(1)}`, 'line 1: id 16 is not 0-15'],
    [`1:${key(1, 31)}`, 'line 1: 31 bytes, at least 32'],
    [`1:${key(1)}\n1:${key(2)}`, 'line 2: id 1 stands there twice'],
    [`1:${key(1)}\n2:${key(2)}\n3:${key(3)}`, '3 keys, at most 2'],
    [`x\n99:${key(1)}`, 'line 1: not id:base64; line 2: id 99 is not 0-15'],
  ])('is refused with every fault named: %j', (text, fault) => {
    expect(() => parseClusterKeys(text)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG', message: expect.stringContaining(fault) }));
  });

  it('is never quoted in a fault', () => {
    const secret = randomBytes(20).toString('base64');
    expect(() => parseClusterKeys(`1:${secret}`)).toThrow(expect.objectContaining({ message: expect.not.stringContaining(secret) }));
  });
});

describe('derived keys', () => {
  const text = (ring: { current: { key: { export(): Buffer } } }) => ring.current.key.export().toString('hex');

  it('differ for each purpose and follow from the file alone', () => {
    const keys = randomClusterKeys();
    const node = deriveNodeKeys(keys);
    const all = [text(node.ufragTag), text(node.icePwd), text(node.inner), text(node.door)];
    expect(new Set(all).size).toBe(4);
    expect(all.every((each) => each.length === 64)).toBe(true);
    expect(text(deriveRelayKeys(keys).inner)).toBe(text(node.inner));
    expect(text(deriveDoorKeys(keys).door)).toBe(text(node.door));
  });

  it('give a relay nothing that makes ICE passwords or opens doors', () => {
    expect(Object.keys(deriveRelayKeys(randomClusterKeys())).sort()).toEqual(['inner', 'ufragTag']);
  });

  it('are made with the current key and accepted with both', () => {
    const ring = deriveRelayKeys(parseClusterKeys(`5:${key(1)}\n6:${key(2)}`)).ufragTag;
    expect(ring.current.id).toBe(5);
    expect(ring.accepted.map(({ id }) => id)).toEqual([5, 6]);
    expect(findKey(ring, 6)).toBeDefined();
    expect(findKey(ring, 7)).toBeUndefined();
  });
});
