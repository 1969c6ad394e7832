import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ClientAddress, clientKey, readClientKey } from '../../src/ownership/client-address.ts';
import { deriveNodeKeys, randomClusterKeys } from '../../src/ownership/cluster-keys.ts';
import { readHello } from '../../src/ownership/hello-frame.ts';
import { DatagramReader, DatagramWriter } from '../../src/ownership/inner-frame.ts';
import { formatNodeId, parseNodeId } from '../../src/ownership/node-id.ts';
import { ReplayWindow } from '../../src/ownership/replay-window.ts';
import { icePwd, makeUfrag, readUfrag } from '../../src/ownership/ufrag.ts';

const keys = deriveNodeKeys(randomClusterKeys());
const nodeId = fc.integer({ min: 0, max: 0xffffff });
const port = fc.integer({ min: 0, max: 65535 });
const safe = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

describe('whatever is said', () => {
  it('a node id reads back', () => {
    fc.assert(fc.property(nodeId, (each) => parseNodeId(formatNodeId(each)) === each));
  });

  it('a ufrag reads back, and is made of ice-chars', () => {
    const random = fc.integer({ min: 0, max: 2 ** 48 - 1 });
    fc.assert(
      fc.property(nodeId, fc.integer({ min: 0, max: 255 }), random, (node, generation, chance) => {
        const ufrag = makeUfrag({ nodeId: node, generation, random: chance }, keys);
        expect(ufrag).toMatch(/^[A-Za-z0-9+/]{22}$/);
        expect(readUfrag(ufrag, keys)).toEqual({ nodeId: node, generation, random: chance });
      }),
    );
  });

  it('a client address reads back with one key', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), port, (address, at) => {
        const client = ClientAddress.of(address, at);
        if (!client) return; // mapped IPv4
        const read = ClientAddress.read(Buffer.from(client.bytes), 0);
        expect(read.key).toBe(client.key);
        expect(readClientKey(Buffer.from(client.bytes), 0)).toBe(clientKey(address, at));
        expect(clientKey(read.address, at)).toBe(client.key);
      }),
    );
  });

  it('frames read back in order', () => {
    const frame = fc.record({
      kind: fc.constantFrom('data', 'gone', 'flow', 'hello', 'hello_ack'),
      payload: fc.uint8Array({ maxLength: 300 }),
      address: fc.ipV4(),
      port,
      flowId: fc.option(fc.integer({ min: 0, max: 0xffff_ffff }), { nil: undefined }),
    });
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 8 }),
        nodeId,
        nodeId,
        safe,
        safe,
        fc.boolean(),
        (all, sender, receiver, bootId, counter, up) => {
          const writer = new DatagramWriter();
          const added = [];
          for (const each of all) {
            const { address, port: at, flowId } = each;
            const client = flowId === undefined ? ClientAddress.of(address, at) : ClientAddress.overTcp(address, at, flowId);
            if (!client || !writer.fits(each.payload, client.bytes)) break;
            writer.add(each.kind, each.payload, client.bytes);
            added.push({ kind: each.kind, payload: Buffer.from(each.payload), key: client.key });
          }
          const header = { direction: up ? 'up' : 'down', sender, receiver, bootId, counter } as const;
          const reader = new DatagramReader();
          expect(reader.open(writer.seal(header, keys), keys)).toEqual(header);
          const read = [];
          while (reader.next()) read.push({ kind: reader.kind, payload: Buffer.from(reader.payload), key: reader.key });
          expect(read).toEqual(added);
        },
      ),
    );
  });
});

describe('whatever arrives', () => {
  it('nothing throws and nothing is believed', () => {
    const reader = new DatagramReader();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.string({ maxLength: 40 }), (bytes, text) => {
        const datagram = Buffer.from(bytes);
        datagram[0] = 0x52; // past the first look
        if (datagram.length > 2) datagram.set([0x10, 1], 1);
        expect(reader.open(datagram, keys)).toBeUndefined();
        expect(reader.next()).toBe(false);
        readHello(Buffer.from(bytes));
        expect(readUfrag(text, keys)).toBeUndefined();
        icePwd(text, keys);
        parseNodeId(text);
        ClientAddress.of(text, 1);
      }),
    );
  });

  it('authenticated nonsense ends the walk', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 400 }), (bytes) => {
        // A payload that looks like frames of its own, and a writer that is trusted: only the walk is under test.
        const writer = new DatagramWriter();
        writer.add('data', bytes);
        const header = { direction: 'up', sender: 1, receiver: 2, bootId: 3, counter: 4 } as const;
        const reader = new DatagramReader();
        expect(reader.open(writer.seal(header, keys), keys)).toBeDefined();
        let steps = 0;
        while (reader.next()) steps += 1;
        expect(steps).toBe(1);
      }),
    );
  });

  it('no counter passes the replay window twice, and every new newest passes', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.integer({ min: 1, max: 5000 }), safe), { maxLength: 400 }), (counters) => {
        const window = new ReplayWindow();
        const taken = new Set<number>();
        let newest = 0;
        for (const each of counters) {
          const accepted = window.accept(each);
          if (accepted) expect(taken.has(each)).toBe(false);
          if (each > newest) expect(accepted).toBe(true);
          if (accepted) taken.add(each);
          newest = Math.max(newest, accepted ? each : 0);
        }
      }),
    );
  });
});
