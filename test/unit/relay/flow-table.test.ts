import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ClientAddress } from '../../../src/ownership/client-address.ts';
import { deriveRelayKeys, parseClusterKeys, randomClusterKeys } from '../../../src/ownership/cluster-keys.ts';
import { makeUfrag } from '../../../src/ownership/ufrag.ts';
import { FlowTable, type Route } from '../../../src/relay/flow-table.ts';
import { writeStun } from '../../../src/webrtc/stun/write-stun.ts';
import { checkFor, DTLS, RTP } from './stun-check.ts';

const keys = deriveRelayKeys(randomClusterKeys());
const ufragOf = (nodeId: number) => makeUfrag({ nodeId, generation: 0 }, keys);
const at = (port: number, address = '192.0.2.7') => ({ address, port });
const ref = (port: number, address = '192.0.2.7') => ClientAddress.of(address, port) as ClientAddress;
const table = (capacity?: number) => new FlowTable(keys, (nodeId) => nodeId < 100, capacity === undefined ? {} : { capacity });

function nodeOf(route: Route | string): number | string {
  return typeof route === 'string' ? route : route.nodeId;
}

/** All nodes that get the datagram. */
function routesOf(route: Route | string): readonly number[] {
  return typeof route === 'string' ? [] : [route.nodeId, ...(route.also ? routesOf(route.also) : [])];
}

describe('the first datagram of a client', () => {
  it('that is a check for a session of ours makes a flow, and what follows goes the same way unread', () => {
    const flows = table();
    expect(nodeOf(flows.route(0, checkFor(ufragOf(7)), at(1)))).toBe(7);
    expect([DTLS, RTP, randomBytes(50)].map((each) => nodeOf(flows.route(1, each, at(1))))).toEqual([7, 7, 7]);
    expect(flows.size).toBe(1);
  });

  const integrityOnly = writeStun({ class: 'request', transactionId: randomBytes(12) }, 'x');
  const response = writeStun({ class: 'success', transactionId: randomBytes(12), username: `${ufragOf(7)}:peer` });
  const indication = writeStun({ class: 'indication', transactionId: randomBytes(12), username: `${ufragOf(7)}:peer` });

  it.each([
    ['DTLS', DTLS, 'no_check'],
    ['RTP', RTP, 'no_check'],
    ['nothing', Buffer.alloc(0), 'no_check'],
    ['a check without a name', integrityOnly, 'no_check'],
    ['a STUN response', response, 'no_check'],
    ['a STUN indication', indication, 'no_check'],
    ['a check cut short', checkFor(ufragOf(7)).subarray(0, 40), 'no_check'],
    ['a check for a made-up session', checkFor('A'.repeat(22)), 'bad_ufrag'],
    ['a check for a short name', checkFor('abcd'), 'bad_ufrag'],
    ['a check made with another key', checkFor(makeUfrag({ nodeId: 7, generation: 0 }, deriveRelayKeys(randomClusterKeys()))), 'bad_ufrag'],
    ['a check for a node nobody knows', checkFor(ufragOf(100)), 'unknown_node'],
  ])('that is %s leaves no trace', (_name, datagram, reason) => {
    const flows = table();
    expect(flows.route(0, datagram, at(1))).toBe(reason);
    expect(flows.size).toBe(0);
  });

  it('is believed with either key while keys are changed', () => {
    const secret = (fill: number) => Buffer.alloc(32, fill).toString('base64');
    const of = (...lines: string[]) => deriveRelayKeys(parseClusterKeys(lines.join('\n')));
    const flows = new FlowTable(of(`2:${secret(2)}`, `1:${secret(1)}`), () => true);
    const old = makeUfrag({ nodeId: 5, generation: 0 }, of(`1:${secret(1)}`));
    expect(nodeOf(flows.route(0, checkFor(old), at(1)))).toBe(5);
  });

  it('comes from a literal address', () => {
    expect(table().route(0, checkFor(ufragOf(7)), at(1, 'fe80::1%eth0'))).toBe('bad_address');
    expect(nodeOf(table().route(0, checkFor(ufragOf(7)), at(1, '2001:db8::1')))).toBe(7);
  });
});

describe('a flow', () => {
  it('is one of at most eight of a ufrag', () => {
    const flows = table();
    const ufrag = ufragOf(7);
    const made = Array.from({ length: 9 }, (_, i) => nodeOf(flows.route(0, checkFor(ufrag), at(i + 1))));
    expect(made).toEqual([...Array<number>(8).fill(7), 'too_many_flows']);
    expect(nodeOf(flows.route(0, checkFor(ufragOf(7)), at(9)))).toBe(7);
    flows.gone(7, ref(1));
    expect(nodeOf(flows.route(0, checkFor(ufrag), at(10)))).toBe(7);
  });

  it('moves to another owner when a check names it and it answers, and not before', () => {
    const flows = table();
    flows.route(0, checkFor(ufragOf(7)), at(1));
    flows.answered(0, 7, ref(1));
    const other = checkFor(ufragOf(8));
    const moved = 15_001;
    expect(nodeOf(flows.route(moved, other, at(1)))).toBe(8);
    expect(nodeOf(flows.route(moved, DTLS, at(1)))).toBe(7); // nobody has verified that check yet
    flows.answered(moved, 7, ref(1)); // the old owner is still talking
    expect(nodeOf(flows.route(moved, RTP, at(1)))).toBe(7);
    flows.answered(moved, 8, ref(1));
    expect(nodeOf(flows.route(moved, DTLS, at(1)))).toBe(8);
    flows.answered(moved, 7, ref(1)); // a late packet of the old owner changes nothing
    expect(nodeOf(flows.route(moved, DTLS, at(1)))).toBe(8);
  });

  it('moves at once from an owner that never answered', () => {
    const flows = table();
    flows.route(0, checkFor(ufragOf(7)), at(1));
    flows.route(1, checkFor(ufragOf(8)), at(1));
    flows.answered(2, 8, ref(1));
    expect(routesOf(flows.route(3, RTP, at(1)))).toEqual([8]);
  });

  it('cannot be taken from an owner whose client is there: both get what comes', () => {
    const flows = table();
    const own = checkFor(ufragOf(7));
    const forged = checkFor(ufragOf(8));
    for (let now = 0; now < 60_000; now += 500) {
      flows.route(now, own, at(1));
      flows.answered(now, 7, ref(1));
      for (let n = 0; n < 3; n += 1) flows.route(now, forged, at(1));
      flows.answered(now, 8, ref(1));
      expect(routesOf(flows.route(now, RTP, at(1)))).toEqual([7, 8]);
    }
    // A third owner takes the second one's place, not the first one's.
    flows.route(60_000, checkFor(ufragOf(9)), at(1));
    expect(routesOf(flows.route(60_000, RTP, at(1)))).toEqual([7]);
    flows.answered(60_001, 9, ref(1));
    expect(routesOf(flows.route(60_002, RTP, at(1)))).toEqual([7, 9]);
    flows.gone(9, ref(1));
    expect(routesOf(flows.route(60_003, RTP, at(1)))).toEqual([7]);
  });

  it('is left to the other owner when the first one knows nothing of the session any more', () => {
    const flows = table();
    flows.route(0, checkFor(ufragOf(7)), at(1));
    flows.answered(0, 7, ref(1));
    flows.route(1, checkFor(ufragOf(8)), at(1));
    flows.answered(1, 8, ref(1));
    flows.gone(7, ref(1));
    expect(routesOf(flows.route(2, RTP, at(1)))).toEqual([8]);
  });

  it('stays when a check on it has a forged name', () => {
    const flows = table();
    flows.route(0, checkFor(ufragOf(7)), at(1));
    expect(flows.route(1, checkFor('B'.repeat(22)), at(1))).toBe('bad_ufrag');
    expect(nodeOf(flows.route(2, RTP, at(1)))).toBe(7);
  });

  it('follows an ICE restart at the same owner at once', () => {
    const flows = table();
    const first = ufragOf(7);
    flows.route(0, checkFor(first), at(1));
    expect(nodeOf(flows.route(1, checkFor(ufragOf(7)), at(1)))).toBe(7);
    for (let i = 2; i < 10; i += 1) expect(nodeOf(flows.route(1, checkFor(first), at(i)))).toBe(7); // the first ufrag counts no more
  });

  it('of a TCP connection is not the one over UDP from the same port, and ends with the connection', () => {
    const flows = table();
    const [one, two] = [1, 2].map((flowId) => ClientAddress.overTcp('192.0.2.7', 1, flowId) as ClientAddress) as [
      ClientAddress,
      ClientAddress,
    ];
    flows.route(0, checkFor(ufragOf(7)), at(1));
    flows.route(0, checkFor(ufragOf(8)), one);
    expect([at(1), one, two].map((from) => nodeOf(flows.route(1, DTLS, from)))).toEqual([7, 8, 'no_check']);
    flows.forget(one.key);
    expect([at(1), one].map((from) => nodeOf(flows.route(1, DTLS, from)))).toEqual([7, 'no_check']);
  });

  it('carries STUN that names nobody, as everything else', () => {
    const flows = table();
    flows.route(0, checkFor(ufragOf(7)), at(1));
    const response = writeStun({ class: 'success', transactionId: randomBytes(12) });
    expect(nodeOf(flows.route(1, response, at(1)))).toBe(7);
  });

  it('is ended by the node it leads to, and by no other', () => {
    const flows = table();
    flows.route(0, checkFor(ufragOf(7)), at(1));
    flows.gone(8, ref(1));
    expect(flows.size).toBe(1);
    flows.gone(7, ref(1));
    expect(flows.size).toBe(0);
    expect(flows.route(1, DTLS, at(1))).toBe('no_check');
  });

  it('loses only the new owner when that one knows nothing of the session', () => {
    const flows = table();
    flows.route(0, checkFor(ufragOf(7)), at(1));
    flows.route(0, checkFor(ufragOf(8)), at(1));
    flows.gone(8, ref(1));
    flows.answered(1, 8, ref(1));
    expect(nodeOf(flows.route(1, RTP, at(1)))).toBe(7);
  });

  it('is learned from the first datagram a node sends to a client', () => {
    const flows = table();
    expect(flows.answered(0, 7, ref(1))).toEqual(ref(1));
    expect(nodeOf(flows.route(1, RTP, at(1)))).toBe(7);
    const ufrag = ufragOf(7);
    expect(nodeOf(flows.route(2, checkFor(ufrag), at(1)))).toBe(7);
    expect(nodeOf(flows.route(3, checkFor(ufragOf(8)), at(1)))).toBe(8);
  });
});

describe('the table', () => {
  it('forgets flows that are idle for a minute, and unanswered ones after ten seconds', () => {
    const flows = table();
    flows.route(0, checkFor(ufragOf(7)), at(1));
    flows.route(0, checkFor(ufragOf(7)), at(2));
    flows.answered(0, 7, ref(2));
    flows.sweep(10_000, 100);
    expect(flows.size).toBe(2);
    flows.sweep(10_001, 100);
    expect(flows.size).toBe(1);
    flows.route(50_000, RTP, at(2));
    flows.sweep(110_000, 100);
    expect(flows.size).toBe(1);
    flows.sweep(110_001, 100);
    expect(flows.size).toBe(0);
  });

  it('sweeps a part at a time and comes round', () => {
    const flows = table();
    for (let port = 1; port <= 10; port += 1) flows.route(0, checkFor(ufragOf(7)), at(port));
    const sizes = Array.from({ length: 4 }, () => {
      flows.sweep(20_000, 3);
      return flows.size;
    });
    expect(sizes).toEqual([7, 4, 1, 0]);
  });

  it('is bounded: what nobody answered gives way first, then what is idle longest', () => {
    const flows = table(3);
    flows.route(0, checkFor(ufragOf(1)), at(1));
    flows.answered(0, 1, ref(1));
    flows.route(1, checkFor(ufragOf(2)), at(2));
    flows.answered(1, 2, ref(2));
    flows.route(2, checkFor(ufragOf(3)), at(3));
    flows.route(3, checkFor(ufragOf(4)), at(4));
    expect(flows.route(3, RTP, at(3))).toBe('no_check');
    flows.answered(4, 4, ref(4));
    flows.route(5, RTP, at(1));
    flows.route(6, checkFor(ufragOf(5)), at(5));
    expect([1, 2, 4, 5].map((port) => nodeOf(flows.route(7, RTP, at(port))))).toEqual([1, 'no_check', 4, 5]);
    expect(flows.size).toBe(3);
  });

  it('stays bounded under a flood of good names', () => {
    const flows = table(50);
    for (let i = 0; i < 500; i += 1) flows.route(i, checkFor(ufragOf(i % 100)), at(1000 + i));
    expect(flows.size).toBe(50);
  });
});
