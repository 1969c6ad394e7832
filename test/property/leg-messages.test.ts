import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decode, doorHello, doorProof, doorWelcome, envelopeFromBridge, envelopeFromHost } from '../../src/leg/door-envelope.ts';
import { bridgeMessage } from '../../src/leg/messages.ts';

const schemas = [doorHello, doorWelcome, doorProof, envelopeFromBridge, envelopeFromHost];

describe('whatever comes through the node door', () => {
  it('is read or refused, and nothing throws', () => {
    const word = fc.constantFrom('message', 'beat', 'resume', 'resumed', 'open', 'command');
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      fc
        .record({ type: word, sequence: fc.anything(), received: fc.anything(), message: fc.object() })
        .map((each) => JSON.stringify(each) ?? ''),
    );
    fc.assert(
      fc.property(text, (each) => {
        for (const schema of schemas) decode(schema, each);
      }),
    );
  });

  it('an opening of any text reads back as it was', () => {
    const uri = fc.string({ unit: 'binary', maxLength: 300 });
    fc.assert(
      fc.property(uri, uri, fc.string({ unit: 'binary', maxLength: 2000 }), (from, to, offer) => {
        const message = { type: 'open', leg: 5, origin: { kind: 'phone', from, to }, offer };
        expect(decode(bridgeMessage, JSON.stringify(message))).toEqual(message);
      }),
    );
  });
});
