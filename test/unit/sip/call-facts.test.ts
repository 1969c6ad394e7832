import { describe, expect, it } from 'vitest';
import { sentHeaderLines } from '../../../src/sip/embedded/sent-headers.ts';
import { type FactsOptions, readCallFacts } from '../../../src/sip/read-call-facts.ts';
import { type NumberRules, rewriteInbound, rewriteOutbound } from '../../../src/sip/rewrite-number.ts';

const RULES: NumberRules = {
  country: { code: '49', national: '0', international: '00' },
  inbound: { caller: [], called: [{ match: '1234*', strip: 4, add: '+4930' }] },
  outbound: {
    caller: [{ match: '+4930*', strip: 5, add: '' }],
    called: [
      { match: '+49*', strip: 3, add: '0' },
      { match: '+*', strip: 1, add: '00' },
    ],
  },
};

const facts = (fields: readonly (readonly [string, string])[], options: FactsOptions = {}) =>
  readCallFacts(
    {
      from: 'sip:03012345@carrier.example.com;user=phone',
      to: 'sip:0800123456@192.0.2.1',
      requestUri: 'sip:12345678@192.0.2.1:5060',
      headers: [['From', '"A \\"B\\"" <sip:03012345@carrier.example.com>;tag=1'] as const, ...fields].map(([name, value]) => ({
        name,
        value,
      })),
    },
    options,
  );

describe('what an INVITE says of its call', () => {
  it('is claimed by a stranger, and asserted by a trunk', () => {
    const pai = ['P-Asserted-Identity', '"X" <sip:+4930999@carrier.example.com>, <tel:+4930999>'] as const;
    expect(facts([pai])).toMatchObject({ caller: '03012345', called: '12345678', displayName: 'A "B"' });
    expect(facts([pai])).not.toHaveProperty('asserted');
    expect(facts([pai], { trunk: 'carrier' })).toMatchObject({ trunk: 'carrier', caller: '+4930999', asserted: '+4930999' });
  });

  it('is what the user is configured as, whatever its phone says', () => {
    expect(facts([], { user: 'alice', callerId: '+15550100' }).caller).toBe('+15550100');
    expect(facts([], { user: 'alice' }).caller).toBe('alice');
  });

  it('has numbers in one form, and To where the Request-URI is our own Contact', () => {
    expect(facts([], { trunk: 't', numbers: RULES })).toMatchObject({ caller: '+493012345', called: '+49305678' });
    expect(facts([], { trunk: 't', numbers: RULES, isRegistered: true }).called).toBe('+49800123456');
  });

  it('names who was dialled first and who sent it on, by Diversion or History-Info', () => {
    const diverted = facts([
      ['Diversion', '<sip:second@x>;reason=user-busy;counter=1'],
      ['Diversion', '"First" <sip:first@x>;reason="no-answer"'],
    ]);
    expect(diverted).toMatchObject({
      originalCalled: 'first',
      diversions: [
        { number: 'second', reason: 'user-busy' },
        { number: 'first', reason: 'no-answer' },
      ],
    });
    const history = facts([
      ['History-Info', '<sip:first@x>;index=1, <sip:second@x;cause=486>;index=1.1,<sip:third@x;cause=302>;index=1.1.1'],
    ]);
    expect(history).toMatchObject({
      originalCalled: 'first',
      diversions: [
        { number: 'second', reason: 'unconditional' },
        { number: 'first', reason: 'user-busy' },
      ],
    });
  });

  it.each([
    ['56a390f3;encoding=hex;purpose=isdn-uui', { data: '56a390f3', encoding: 'hex', purpose: 'isdn-uui' }],
    ['56a390f3', { data: '56a390f3', encoding: 'hex' }],
    ['"hello there";encoding=text', { data: 'hello there', encoding: 'text' }],
    ['xyz', { data: 'xyz', encoding: 'text' }],
    ['a b', undefined],
    [`${'ab'.repeat(300)}`, undefined],
  ])('has User-to-User %s', (value, expected) => {
    expect(facts([['User-to-User', value]]).userToUser).toEqual(expected);
  });

  it('has X- headers and the wish for privacy, and nothing of what is malformed or too much', () => {
    const many = Array.from({ length: 100 }, (_, at) => [`X-N${at}`, 'y'.repeat(1000)] as const);
    const read = facts([['Privacy', 'id;critical'], ['Diversion', 'nonsense <'], ['P-Asserted-Identity', '<<>'], ...many], { trunk: 't' });
    expect(read).toMatchObject({ isPrivate: true, caller: '03012345' });
    expect([read.headers?.length, read.headers?.[0]?.value.length]).toEqual([32, 256]);
    expect(read).not.toHaveProperty('diversions');
  });
});

describe('numbers', () => {
  it.each([
    ['030 is not one', 'alice', 'alice'],
    ['national', '03012345', '+493012345'],
    ['international', '004312345', '+4312345'],
    ['with a plus', '+4312345', '+4312345'],
    ['short', '110', '110'],
  ])('come in %s', (_what, written, inside) => {
    expect(rewriteInbound(written, 'caller', RULES)).toBe(inside);
  });

  it.each([
    ['+493012345', '03012345'],
    ['+15550100', '0015550100'],
    ['alice', 'alice'],
  ])('go out: %s', (inside, written) => {
    expect(rewriteOutbound(inside, 'called', RULES)).toBe(written);
  });

  it('leaves a number as it is of which nothing would be left', () => {
    const cut = { inbound: { caller: [], called: [] }, outbound: { caller: [], called: [{ match: '0*', strip: 2, add: '' }] } };
    expect([rewriteOutbound('0', 'called', cut), rewriteOutbound('015', 'called', cut)]).toEqual(['0', '5']);
  });
});

describe('headers that somebody wants in a request of ours', () => {
  it('are X- ones and those that describe a call', () => {
    expect(
      sentHeaderLines([
        ['X-Case', '4711'],
        ['User-to-User', '00'],
      ]),
    ).toEqual([
      ['X-Case', '4711'],
      ['User-to-User', '00'],
    ]);
  });

  it.each([
    ['Route', '<sip:evil>'],
    ['Authorization', 'Digest x'],
    ['Via', 'x'],
    ['Contact', '<sip:x>'],
    ['Content-Length', '0'],
    ['X-A\r\nRoute', 'x'],
    ['X-A', 'x\r\nRoute: <sip:evil>'],
    ['X-A', 'x\nRoute: <sip:evil>'],
    ['X-A', 'x\0'],
    ['X-A', 'x'.repeat(1025)],
    ['X A', 'x'],
    ['', 'x'],
  ])('are never %j: %j', (name, value) => {
    expect(() => sentHeaderLines([[name, value]])).toThrow(expect.objectContaining({ code: 'ERR_FORBIDDEN' }));
  });
});
