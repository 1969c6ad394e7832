import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { verifyIntegrity } from '../../src/webrtc/stun/integrity.ts';
import { parseStun } from '../../src/webrtc/stun/parse-stun.ts';
import { readUsername } from '../../src/webrtc/stun/read-username.ts';
import { type StunDraft, writeStun } from '../../src/webrtc/stun/write-stun.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const ufrag = fc.stringMatching(/^[A-Za-z0-9+/]{4,32}$/);
const address = fc.oneof(fc.ipV4(), fc.ipV6());
const tieBreaker = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

const draft: fc.Arbitrary<StunDraft> = fc.record(
  {
    class: fc.constantFrom('request', 'indication', 'success', 'error'),
    transactionId: bytes(12),
    username: fc.tuple(ufrag, ufrag).map((parts) => parts.join(':')),
    priority: fc.nat(),
    useCandidate: fc.boolean(),
    iceControlling: tieBreaker,
    iceControlled: tieBreaker,
    xorMappedAddress: fc.record({ address, port: fc.nat(65535) }),
    extra: fc.array(fc.record({ type: fc.integer({ min: 0xc000, max: 0xcfff }), value: fc.uint8Array({ maxLength: 40 }) }), {
      maxLength: 4,
    }),
  },
  { requiredKeys: ['class', 'transactionId'] },
);

describe('STUN messages', () => {
  it('come back as they were written', () => {
    fc.assert(
      fc.property(draft, ufrag, (written, password) => {
        const datagram = writeStun(written, password);
        const message = parseStun(datagram);
        expect(message).toMatchObject({
          class: written.class,
          method: 1,
          hasFingerprint: true,
          useCandidate: written.useCandidate ?? false,
        });
        expect(message?.username?.toString()).toBe(written.username);
        expect(message?.priority).toBe(written.priority);
        expect(message?.iceControlling).toBe(written.iceControlling);
        expect(message?.iceControlled).toBe(written.iceControlled);
        expect(message?.xorMappedAddress?.port).toBe(written.xorMappedAddress?.port);
        expect(message && verifyIntegrity(datagram, message, password)).toBe(true);
        expect(message && verifyIntegrity(datagram, message, `${password}.`)).toBe(false);
        expect(readUsername(datagram)).toBe(written.class === 'request' ? written.username : undefined);
      }),
    );
  });

  it('never throw, whatever was changed, and never verify after a change under integrity', () => {
    const change = fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(draft, change, fc.nat(400), (written, changes, cut) => {
        const good = writeStun(written, 'password');
        const datagram = Buffer.from(good).subarray(0, cut === 0 ? good.length : cut);
        for (const [at, value] of changes) if (at < datagram.length) datagram[at] = value;
        const message = parseStun(datagram);
        readUsername(datagram);
        if (!message || !verifyIntegrity(datagram, message, 'password')) return;
        const end = message.integrityOffset ?? 0;
        // The header length may differ: integrity is defined over the length up to itself.
        expect(datagram.subarray(4, end).equals(good.subarray(4, end))).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it('never throw on noise', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        const datagram = Buffer.from(noise);
        parseStun(datagram);
        readUsername(datagram);
      }),
    );
  });
});
