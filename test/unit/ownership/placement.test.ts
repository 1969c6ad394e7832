import { describe, expect, it } from 'vitest';
import { type PlacementCandidate, placementOrder } from '../../../src/ownership/placement.ts';

const node = (nodeId: number, other: Partial<PlacementCandidate> = {}): PlacementCandidate => ({
  nodeId,
  roles: ['transceiver'],
  draining: false,
  load: 0,
  healthy: true,
  pending: 0,
  ...other,
});

describe('placement', () => {
  it('takes the least loaded transceiver first', () => {
    expect(placementOrder([node(1, { load: 0.5 }), node(2, { load: 0.1 }), node(3, { load: 0.3 })])).toEqual([2, 3, 1]);
  });

  it('breaks a tie by node id', () => {
    expect(placementOrder([node(9), node(4), node(7)])).toEqual([4, 7, 9]);
  });

  it('gives nothing new to nodes that drain, do not answer, are full or are no transceivers', () => {
    const candidates = [
      node(1, { draining: true }),
      node(2, { healthy: false }),
      node(3, { load: 1 }),
      node(4, { roles: ['sip', 'relay', 'control'] }),
    ];
    expect(placementOrder(candidates)).toEqual([]);
  });

  it('spreads a burst that the loads do not show yet', () => {
    const pending = [0, 0];
    for (let i = 0; i < 10; i += 1) {
      const [best = 0] = placementOrder([node(0, { pending: pending[0] ?? 0 }), node(1, { pending: pending[1] ?? 0 })]);
      pending[best] = (pending[best] ?? 0) + 1;
    }
    expect(pending).toEqual([5, 5]);
  });

  it('does not take a burst for a full node: one may carry more than we think', () => {
    expect(placementOrder([node(1, { pending: 200 }), node(2, { load: 0.9, pending: 20 })])).toEqual([2, 1]);
  });
});
