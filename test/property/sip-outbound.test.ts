import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DigestClient, parseChallenge } from '../../src/sip/digest/digest-client.ts';
import { DigestServer } from '../../src/sip/digest/digest-server.ts';
import { readReferTo, withReplaces } from '../../src/sip/embedded/refer-to.ts';
import { readReplaces, writeReplaces } from '../../src/sip/embedded/replaces.ts';
import { readFragment, writeFragment } from '../../src/sip/embedded/sipfrag.ts';
import { isAllowed, readDestination } from '../../src/sip/trunk-destination.ts';

const PEER = { address: '192.0.2.9', port: 5060 };
const wire = fc.string({ unit: 'binary-ascii', maxLength: 200 });
const token = fc.stringMatching(/^[A-Za-z0-9.-]{1,20}$/);

describe('what peers write', () => {
  it('is read or left, and never throws', () => {
    fc.assert(
      fc.property(wire, (text) => {
        for (const value of [text, `Digest ${text}`, `Digest realm="${text}", nonce="x"`]) parseChallenge(value);
        for (const value of [text, `<sip:a@b?Replaces=${text}>`, `<sip:${text}>`]) readReferTo(value);
        for (const value of [text, `a;to-tag=1;from-tag=${text}`]) readReplaces(value);
        readFragment(Buffer.from(text));
        new DigestServer({ realm: 'r', passwordOf: () => 'p' }).verify(0, 'a', [text, `Digest ${text}`], {
          method: 'INVITE',
          uri: 'sip:a@b',
        });
      }),
    );
  });

  it('comes back as it was written', () => {
    fc.assert(
      fc.property(token, token, token, fc.integer({ min: 100, max: 699 }), (callId, toTag, fromTag, status) => {
        fc.pre(fromTag !== '0');
        const replaces = writeReplaces({ callId, toTag, fromTag });
        expect(readReplaces(replaces)).toEqual({ callId, toTag, fromTag, earlyOnly: false });
        expect(readReferTo(`<${withReplaces('sip:a@192.0.2.1', replaces)}>`)).toEqual({ uri: 'sip:a@192.0.2.1', replaces });
        expect(readFragment(Buffer.from(writeFragment(status, callId)))).toEqual({ status, reason: callId });
      }),
    );
  });
});

describe('a destination', () => {
  it('never holds what would break out of a request, whatever is asked for', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          wire,
          wire.map((text) => `sip:${text}@192.0.2.9`),
          wire.map((text) => `sip:a@${text}`),
        ),
        (text) => {
          const read = readDestination(text, { peer: PEER });
          if ('fault' in read) return;
          expect(read.uri).toMatch(/^sip:[!-;=?-~]+$/);
          expect(read.uri).not.toMatch(/[\r\n <>"?]/);
          expect(isAllowed(read, [])).toBe(false);
        },
      ),
    );
  });

  it('is allowed by a prefix only when it begins so', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^\+?[0-9]{1,15}$/), fc.stringMatching(/^\+?[0-9]{1,6}$/), (number, prefix) => {
        const read = readDestination(number, { peer: PEER });
        if ('fault' in read) throw new Error(read.fault);
        expect(isAllowed(read, [`${prefix}*`])).toBe(number.startsWith(prefix));
      }),
    );
  });
});

it('whoever knows the password is let in, and nobody else', () => {
  const server = new DigestServer({ realm: 'r', passwordOf: () => 'right' });
  fc.assert(
    fc.property(fc.string({ minLength: 1, maxLength: 20 }), fc.string({ maxLength: 20 }), fc.nat(1), (username, password, which) => {
      const client = new DigestClient({ username, password });
      client.challenged([server.challenges(1000, 'a', false)[which] ?? '']);
      const request = { method: 'INVITE', uri: 'sip:a@b' };
      expect(server.verify(1000, 'a', client.authorize(request), request).type).toBe(password === 'right' ? 'ok' : 'challenge');
      const honest = new DigestClient({ username, password: 'right' });
      honest.challenged([server.challenges(1000, 'a', false)[which] ?? '']);
      expect(server.verify(1000, 'a', honest.authorize(request), request)).toEqual({ type: 'ok', username });
    }),
  );
});
