import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readCallFacts } from '../../src/sip/read-call-facts.ts';

const NAMES = ['From', 'P-Asserted-Identity', 'Privacy', 'Diversion', 'History-Info', 'User-to-User', 'X-Any'];
const piece = fc.constantFrom(
  '<sip:',
  '>',
  '"',
  '\\',
  ';',
  ',',
  'reason=',
  'cause=',
  'a@b',
  '%',
  '%zz',
  '+49',
  'encoding=hex',
  '?',
  ' ',
  '\t',
  'é',
);
const text = fc.oneof(
  fc.string(),
  fc.array(piece, { maxLength: 30 }).map((all) => all.join('')),
);

test('whatever stands in an INVITE, its facts are read without a throw and within bounds', () => {
  const headers = fc.array(fc.record({ name: fc.constantFrom(...NAMES), value: text }), { maxLength: 60 });
  fc.assert(
    fc.property(text, text, text, headers, (from, to, requestUri, all) => {
      const facts = readCallFacts({ from, to, requestUri, headers: all }, { trunk: 'carrier' });
      const longest = JSON.stringify(facts).length;
      expect(longest).toBeLessThan(64 * 1024);
      expect((facts.diversions ?? []).length).toBeLessThanOrEqual(16);
      expect((facts.headers ?? []).length).toBeLessThanOrEqual(32);
    }),
  );
});
