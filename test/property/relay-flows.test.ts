import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ClientAddress } from '../../src/ownership/client-address.ts';
import { deriveRelayKeys, randomClusterKeys } from '../../src/ownership/cluster-keys.ts';
import { makeUfrag } from '../../src/ownership/ufrag.ts';
import { FlowTable } from '../../src/relay/flow-table.ts';
import { checkFor } from '../unit/relay/stun-check.ts';

const keys = deriveRelayKeys(randomClusterKeys());
const NODES = 4;
const CAPACITY = 12;
const checks = Array.from({ length: 8 }, (_, i) => checkFor(makeUfrag({ nodeId: i % NODES, generation: 0 }, keys)));
const address = '192.0.2.7';

describe('the flow table', () => {
  it('makes nothing of datagrams that name no session', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 120 }), { maxLength: 30 }), (datagrams) => {
        const flows = new FlowTable(keys, () => true);
        for (const each of datagrams) expect(typeof flows.route(0, Buffer.from(each), { address, port: 1 })).toBe('string');
        expect(flows.size).toBe(0);
      }),
    );
  });

  it('makes nothing of a check with any byte changed, unless the name stays', () => {
    const [check] = checks as [Buffer];
    fc.assert(
      fc.property(fc.integer({ min: 0, max: check.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const flows = new FlowTable(keys, () => true);
        const changed = Buffer.from(check);
        changed[at] = (changed[at] ?? 0) ^ change;
        const route = flows.route(0, changed, { address, port: 1 });
        if (typeof route !== 'string') expect(route.nodeId).toBe(0);
      }),
    );
  });

  it('stays within its bounds and never sends a client to a node that nobody named, whatever happens', () => {
    const port = fc.integer({ min: 1, max: 20 });
    const step = fc.oneof(
      fc.record({ type: fc.constant('check' as const), port, which: fc.nat({ max: checks.length - 1 }) }),
      fc.record({ type: fc.constant('packet' as const), port }),
      fc.record({ type: fc.constant('answer' as const), port, node: fc.nat({ max: NODES - 1 }) }),
      fc.record({ type: fc.constant('gone' as const), port, node: fc.nat({ max: NODES - 1 }) }),
      fc.record({ type: fc.constant('pass' as const), ms: fc.nat({ max: 70_000 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const flows = new FlowTable(keys, () => true, { capacity: CAPACITY });
        const named = new Map<number, Set<number>>();
        const name = (at: number, node: number) => named.set(at, (named.get(at) ?? new Set()).add(node));
        let now = 0;
        for (const each of steps) {
          if (each.type === 'pass') {
            now += each.ms;
            flows.sweep(now, 5);
            continue;
          }
          const ref = ClientAddress.of(address, each.port) as ClientAddress;
          if (each.type === 'answer') {
            flows.answered(now, each.node, ref);
            name(each.port, each.node);
          } else if (each.type === 'gone') flows.gone(each.node, ref);
          else {
            if (each.type === 'check') name(each.port, each.which % NODES);
            const datagram = each.type === 'check' ? (checks[each.which] as Buffer) : Buffer.from([0x80]);
            const route = flows.route(now, datagram, { address, port: each.port });
            if (typeof route !== 'string') expect(named.get(each.port)).toContain(route.nodeId);
          }
          expect(flows.size).toBeLessThanOrEqual(CAPACITY);
        }
      }),
    );
  });
});
