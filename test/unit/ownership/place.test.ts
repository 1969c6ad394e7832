import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../../src/base/errors.ts';
import { nearFirst, openAtBest } from '../../../src/ownership/place.ts';
import { makeSessionId } from '../../../src/ownership/session-id.ts';

const NOBODY = new GatewayError('ERR_NODE_UNREACHABLE', 'nobody');

describe('the order of nodes', () => {
  it('begins with the owner of a session that is to be near, where it takes anything', () => {
    expect(nearFirst([1, 2, 3], makeSessionId(3))).toEqual([3, 1, 2]);
    expect(nearFirst([1, 2], makeSessionId(3))).toEqual([1, 2]);
    expect(nearFirst([1, 2], undefined)).toEqual([1, 2]);
    expect(nearFirst([1, 2], 'no session')).toEqual([1, 2]);
  });
});

describe('something that is opened', () => {
  const asked: number[] = [];
  const open = (refusals: Readonly<Record<number, GatewayError>>) => {
    asked.length = 0;
    return openAtBest([4, 5, 6], NOBODY, async (node) => {
      asked.push(node);
      const refusal = refusals[node];
      if (refusal) throw refusal;
      return node;
    });
  };
  const full = new GatewayError('ERR_OVERLOADED', 'full');

  it('is opened at the best, or at the next one when that is full', async () => {
    expect([await open({}), await open({ 4: full }), asked]).toEqual([4, 5, [4, 5]]);
  });

  it('is tried at two and no more, and not elsewhere when the fault is its own', async () => {
    await expect(open({ 4: full, 5: full })).rejects.toBe(full);
    expect(asked).toEqual([4, 5]);
    const own = new GatewayError('ERR_BAD_OFFER', 'no audio');
    await expect(open({ 4: own })).rejects.toBe(own);
    expect(asked).toEqual([4]);
    await expect(openAtBest([], NOBODY, async () => 0)).rejects.toBe(NOBODY);
  });
});
