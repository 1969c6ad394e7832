import { describe, expect, it } from 'vitest';
import { PathOwners } from '../../../src/transceiver/path-owners.ts';

describe('the owners of a path', () => {
  it('are all who claim it, once each, in the order of their claims', () => {
    const owners = new PathOwners<string>();
    expect(owners.of('a')).toBeUndefined();
    owners.add('a', 'victim');
    owners.add('a', 'thief');
    owners.add('a', 'victim');
    owners.add('b', 'thief');
    expect(owners.of('a')).toEqual(['victim', 'thief']);
    expect(owners.of('b')).toEqual(['thief']);
  });

  it('lose nothing but what is taken back, and are forgotten with the last one', () => {
    const owners = new PathOwners<string>();
    owners.add('a', 'victim');
    owners.add('a', 'thief');
    owners.remove('a', 'thief');
    owners.remove('a', 'nobody');
    owners.remove('c', 'victim');
    expect(owners.of('a')).toEqual(['victim']);
    owners.remove('a', 'victim');
    expect(owners.of('a')).toBeUndefined();
  });
});
