import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HeaderFields } from '../../src/sip/embedded/header-fields.ts';
import { parseMessage } from '../../src/sip/embedded/message.ts';
import { parseNameAddress } from '../../src/sip/embedded/name-address.ts';
import { splitElements } from '../../src/sip/embedded/text.ts';
import { parseUri } from '../../src/sip/embedded/uri.ts';
import { parseVia, writeReceivedVia } from '../../src/sip/embedded/via.ts';
import { writeResponse } from '../../src/sip/embedded/write-response.ts';
import { EngineUnderTest, request } from '../unit/sip/engine-under-test.ts';

const token = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9.!%*_+`'~-]{0,20}$/);
const host = fc.oneof(fc.stringMatching(/^[a-z0-9][a-z0-9.-]{0,20}$/), fc.ipV4(), fc.constant('[2001:db8::1]'));
const port = fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined });
const user = fc.option(fc.stringMatching(/^[A-Za-z0-9;?&=+$,/*#._~%-]{1,20}$/), { nil: undefined });
const uri = fc
  .tuple(user, host, port)
  .map(([name, where, at]) => `sip:${name === undefined ? '' : `${name}@`}${where}${at ? `:${at}` : ''}`);
const display = fc.stringMatching(/^[^"\\\r\n]{0,20}$/).map((text) => Buffer.from(text, 'utf8').toString('latin1'));

describe('SIP text', () => {
  it('comes back as it was written', () => {
    fc.assert(
      fc.property(display, uri, token, (name, address, tag) => {
        expect(parseNameAddress(`"${name}" <${address}>;tag=${tag}`)).toEqual({
          displayName: name,
          uri: address,
          parameters: new Map([['tag', tag]]),
        });
      }),
    );
  });

  it('has URIs whose parts make the URI again', () => {
    fc.assert(
      fc.property(uri, (text) => {
        const parsed = parseUri(text);
        if (parsed?.type !== 'sip') throw new Error(`not read: ${text}`);
        const again = `sip:${parsed.user === undefined ? '' : `${parsed.user}@`}${parsed.host}${parsed.port ? `:${parsed.port}` : ''}`;
        expect(again).toBe(text);
      }),
    );
  });

  it('has Vias that stay what they are but for received and rport', () => {
    fc.assert(
      fc.property(host, port, token, fc.boolean(), fc.ipV4(), (where, at, branch, rport, from) => {
        const via = parseVia(`SIP/2.0/UDP ${where}${at ? `:${at}` : ''};branch=z9hG4bK${branch}${rport ? ';rport' : ''}`)!;
        const marked = parseVia(writeReceivedVia(via, { address: from, port: 4000 }))!;
        expect([marked.host, marked.port, marked.branch]).toEqual([via.host, via.port, `z9hG4bK${branch}`]);
        expect(marked.parameters.get('rport')).toBe(rport ? '4000' : undefined);
        expect(marked.parameters.get('received')).toBe(rport || from !== where ? from : undefined);
      }),
    );
  });

  it('splits into the elements it was joined from', () => {
    const element = fc.oneof(
      uri.map((text) => `<${text}>`),
      token,
      display.map((text) => `"${text}"`),
    );
    fc.assert(
      fc.property(fc.array(element, { minLength: 1, maxLength: 10 }), (elements) => {
        expect(splitElements(elements.join(' ,  '))).toEqual(elements);
        expect(new HeaderFields(['x', 'x'], [elements.join(','), elements.join(',')]).elements('x')).toEqual([...elements, ...elements]);
      }),
    );
  });

  it('of a response reads back with its headers and its body', () => {
    const flow = {
      transport: 'udp',
      reliable: false,
      open: true,
      remote: { address: '192.0.2.1', port: 5060 },
      send: () => undefined,
    } as const;
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 699 }), token, fc.string({ unit: 'grapheme' }), (status, id, text) => {
        const head = {
          flow,
          vias: 'Via: SIP/2.0/UDP a\r\n',
          from: '<sip:a@b>',
          to: '<sip:c@d>',
          toHasTag: false,
          callId: id,
          cseq: '1 INVITE',
        };
        const message = parseMessage(writeResponse(head, status, { toTag: id, body: { type: 'text/plain', text } }));
        if (message?.type !== 'response') throw new Error('no response');
        expect([message.status, message.fault, message.headers.first('call-id')]).toEqual([status, undefined, id]);
        expect(message.headers.first('to')).toBe(`<sip:c@d>;tag=${id}`);
        expect(Buffer.from(message.body).equals(Buffer.from(text))).toBe(true);
      }),
    );
  });
});

const DICTIONARY = [
  ...['\0', '\r\n\r\n', '\r\n ', '\t', '[', ']', '<', '>', '"', '\\', '%', ',', ';', '@', '4294967296', '-1', '__proto__', 'constructor'],
  ...[
    'z9hG4bK',
    ';lr',
    ';rport',
    ';received=',
    ';tag=',
    'SIP/2.0',
    'Content-Length: ',
    'CSeq: ',
    'Route: <sip:',
    'Via: ',
    '\xff\xfe',
    ','.repeat(500),
  ],
];

interface Mutation {
  readonly at: number;
  readonly cut: number;
  readonly insert: string;
}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  cut: fc.nat(40),
  insert: fc.oneof(fc.constantFrom('', ...DICTIONARY), fc.string({ unit: 'binary', maxLength: 5 })),
});

function mutate(text: string, mutations: readonly Mutation[]): Buffer {
  let result = text;
  for (const { at, cut, insert } of mutations) {
    const position = Math.floor(at * result.length);
    result = result.slice(0, position) + insert + result.slice(position + cut);
  }
  return Buffer.from(result, 'latin1');
}

describe('the engine', () => {
  it('takes any bytes: it never throws, and goes on answering', async () => {
    const test = await EngineUnderTest.start();
    const errors: unknown[] = [];
    test.engine.onInvite = (invite) => {
      invite.ring();
      const call = invite.answer('v=0\r\n');
      call.onOffer = () => 'v=0\r\n';
    };
    const seeds = [
      request({ headers: ['Record-Route: <sip:192.0.2.5;lr>', 'Require: foo', 'Accept: */*'] }),
      ...['ACK', 'BYE', 'CANCEL', 'OPTIONS', 'UPDATE', 'INFO', 'REGISTER'].map((method) => request({ method, toTag: 'x' })),
      'SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\nCSeq: 1 BYE\r\nl: 0\r\n\r\n',
    ];
    fc.assert(
      fc.property(fc.constantFrom(...seeds), fc.array(mutation, { minLength: 1, maxLength: 5 }), (seed, mutations) => {
        const bytes = mutate(seed, mutations);
        try {
          parseMessage(bytes); // the engine would only log it
        } catch (error) {
          errors.push(error);
        }
        const sent = test.exchange(bytes);
        expect(sent.length).toBeLessThanOrEqual(2);
      }),
      { numRuns: 3000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        test.receive(Buffer.from(bytes));
      }),
    );
    expect(errors).toEqual([]);
    expect(test.exchange(request({ method: 'OPTIONS', callId: 'alive' })).map(({ what }) => what)).toEqual(['200']);
    expect(test.faults).toEqual([]);
    test.clock.advance(120_000);
    expect(await test.count('sip_transactions')).toBe(0);
    expect(await test.count('sip_dialogs')).toBe(0);
  });
});
