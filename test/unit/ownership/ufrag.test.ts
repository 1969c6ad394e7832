import { describe, expect, it } from 'vitest';
import { deriveNodeKeys, parseClusterKeys, randomClusterKeys } from '../../../src/ownership/cluster-keys.ts';
import { icePwd, makeUfrag, readUfrag } from '../../../src/ownership/ufrag.ts';

const secret = (fill: number) => Buffer.alloc(32, fill).toString('base64');
const keysOf = (...lines: string[]) => deriveNodeKeys(parseClusterKeys(lines.join('\n')));
const keys = keysOf(`1:${secret(1)}`);

describe('a ufrag', () => {
  it('is 22 ice-chars that say the owner and nothing of addresses', () => {
    const ufrag = makeUfrag({ nodeId: 0x010203, generation: 7 }, keys);
    expect(ufrag).toMatch(/^[A-Za-z0-9+/]{22}$/);
    expect(readUfrag(ufrag, keys)).toEqual({ nodeId: 0x010203, generation: 7, random: expect.any(Number) });
  });

  it('keeps its random part over an ICE restart and changes all the same, password included', () => {
    const first = makeUfrag({ nodeId: 9, generation: 0 }, keys);
    const random = readUfrag(first, keys)?.random ?? -1;
    const second = makeUfrag({ nodeId: 9, generation: 1, random }, keys);
    expect(readUfrag(second, keys)?.random).toBe(random);
    expect(second).not.toBe(first);
    expect(icePwd(second, keys)).not.toBe(icePwd(first, keys));
  });

  it('differs between two sessions of one node', () => {
    expect(makeUfrag({ nodeId: 9, generation: 0 }, keys)).not.toBe(makeUfrag({ nodeId: 9, generation: 0 }, keys));
  });

  it('is not believed when any character of it is another', () => {
    const ufrag = makeUfrag({ nodeId: 9, generation: 0 }, keys);
    for (let i = 0; i < ufrag.length; i += 1) {
      const other = ufrag[i] === 'A' ? 'B' : 'A';
      expect(readUfrag(ufrag.slice(0, i) + other + ufrag.slice(i + 1), keys)).toBeUndefined();
    }
  });

  it.each(['', 'AAAA', 'A'.repeat(22), 'A'.repeat(23), `${'A'.repeat(21)}-`, `${'A'.repeat(21)}=`, 'é'.repeat(22)])(
    '%j is none',
    (text) => {
      expect(readUfrag(text, keys)).toBeUndefined();
    },
  );

  it('of a stranger is not believed', () => {
    const stranger = deriveNodeKeys(randomClusterKeys());
    expect(readUfrag(makeUfrag({ nodeId: 9, generation: 0 }, stranger), keys)).toBeUndefined();
    const sameId = keysOf(`1:${secret(9)}`);
    expect(readUfrag(makeUfrag({ nodeId: 9, generation: 0 }, sameId), keys)).toBeUndefined();
  });
});

describe('a change of keys', () => {
  const before = keysOf(`1:${secret(1)}`);
  const added = keysOf(`1:${secret(1)}`, `2:${secret(2)}`);
  const swapped = keysOf(`2:${secret(2)}`, `1:${secret(1)}`);
  const after = keysOf(`2:${secret(2)}`);

  it.each([
    ['before and added', before, added],
    ['added and swapped', added, swapped],
    ['swapped and added', swapped, added],
    ['swapped and after', swapped, after],
    ['after and swapped', after, swapped],
  ])('leaves neighbours in the roll-out able to read each other: %s', (_name, maker, reader) => {
    const ufrag = makeUfrag({ nodeId: 4, generation: 0 }, maker);
    expect(readUfrag(ufrag, reader)?.nodeId).toBe(4);
    expect(icePwd(ufrag, reader)).toBe(icePwd(ufrag, maker));
  });

  it('ends with the old key refused', () => {
    const ufrag = makeUfrag({ nodeId: 4, generation: 0 }, before);
    expect(readUfrag(ufrag, after)).toBeUndefined();
    expect(icePwd(ufrag, after)).toBeUndefined();
  });
});

describe('an ICE password', () => {
  it('is 32 ice-chars that follow from the ufrag', () => {
    const ufrag = makeUfrag({ nodeId: 9, generation: 0 }, keys);
    expect(icePwd(ufrag, keys)).toMatch(/^[A-Za-z0-9+/]{32}$/);
    expect(icePwd(ufrag, keys)).toBe(icePwd(ufrag, keys));
    expect(icePwd('nonsense', keys)).toBeUndefined();
  });
});
