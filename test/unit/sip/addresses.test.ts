import { describe, expect, it } from 'vitest';
import { speaksTo } from '../../../src/base/local-address.ts';
import { parseNameAddress } from '../../../src/sip/embedded/name-address.ts';
import { nextHop, type PeerPlace } from '../../../src/sip/embedded/next-hop.ts';
import { parseParameters } from '../../../src/sip/embedded/parameters.ts';
import { literalEndpoint, parseUri } from '../../../src/sip/embedded/uri.ts';
import { parseVia, writeReceivedVia } from '../../../src/sip/embedded/via.ts';
import { TrunkBook } from '../../../src/sip/trunk-book.ts';
import { answeredCall, EngineUnderTest, PEER } from './engine-under-test.ts';
import { answer, dial, dialling, TRUNK } from './outbound-under-test.ts';

describe('a URI', () => {
  it('of SIP has user, host, port, parameters and headers', () => {
    expect(parseUri('SIPS:user;par=u%40x:pw@[2001:DB8::1]:5061;Transport=tcp;lr?Subject=x')).toEqual({
      type: 'sip',
      secure: true,
      user: 'user;par=u%40x:pw',
      host: '[2001:db8::1]',
      port: 5061,
      parameters: new Map([
        ['transport', 'tcp'],
        ['lr', ''],
      ]),
      headers: 'Subject=x',
    });
    expect(parseUri('sip:example.com')).toMatchObject({ user: undefined, host: 'example.com', port: undefined, headers: undefined });
  });

  it('may be a telephone number or of another scheme', () => {
    expect(parseUri('tel:+1-201-555-0123;ext=5')).toEqual({ type: 'tel', number: '+1-201-555-0123' });
    expect(parseUri('urn:service:sos')).toEqual({ type: 'other', scheme: 'urn' });
    expect(parseUri('soap.beep://192.0.2.103:3002')).toEqual({ type: 'other', scheme: 'soap.beep' });
  });

  it('is refused when malformed', () => {
    const malformed = [
      ...[
        '',
        'sip',
        'sip:',
        ':a',
        'sip:@b',
        'sip:a@',
        'sip:a@b@c',
        'sip:a b@c',
        'sip:<a@b>',
        'sip:2001:db8::10',
        'sip:a@b:0',
        'sip:a@b:65536',
      ],
      ...['sip:a@b:', 'sip:a@b:x', 'sip:a@b;;lr', 'sip:a@[::1', 'sip:a@b c', 'tel:', 'tel:alice', '1sip:a@b', 'sip:a@b\0'],
    ];
    for (const text of malformed) expect([text, parseUri(text)]).toEqual([text, undefined]);
  });

  it('names a transport address when its host is a literal one', () => {
    const endpoint = (text: string) => literalEndpoint(parseUri(text)!);
    expect(endpoint('sip:a@192.0.2.1')).toEqual({ address: '192.0.2.1', port: 5060 });
    expect(endpoint('sip:a@[2001:db8::1]:5070')).toEqual({ address: '2001:db8::1', port: 5070 });
    expect(endpoint('sip:a@b.example;maddr=192.0.2.9')).toEqual({ address: '192.0.2.9', port: 5060 });
    for (const text of ['sip:a@b.example', 'sip:a@192.0.2.1;maddr=b.example', 'sip:a@1.2.3', 'tel:1'])
      expect(endpoint(text)).toBeUndefined();
  });
});

describe('a name-addr', () => {
  it('is read in every legal form', () => {
    const read = (text: string) => {
      const address = parseNameAddress(text);
      return address && [address.displayName, address.uri, Object.fromEntries(address.parameters)];
    };
    expect(read('sip:a@b;tag=x')).toEqual(['', 'sip:a@b', { tag: 'x' }]);
    expect(read('<sip:a@b;lr>;tag = x ; flag')).toEqual(['', 'sip:a@b;lr', { tag: 'x', flag: undefined }]);
    expect(read('Alice B <sip:a@b>')).toEqual(['Alice B', 'sip:a@b', {}]);
    expect(read('caller<sip:a@b>;p="x;y,\\""')).toEqual(['caller', 'sip:a@b', { p: '"x;y,\\""' }]);
    expect(read('"A, \\"B\\" <c>" <sip:a@b,c>')).toEqual(['A, \\"B\\" <c>', 'sip:a@b,c', {}]);
    expect(read('"BEL:\\\x07 NUL:\\\0" <sip:a@b>')).toEqual(['BEL:\\\x07 NUL:\\\0', 'sip:a@b', {}]);
    expect(read('J\xc3\xb6rg <sip:a@b>')).toEqual(['J\xc3\xb6rg', 'sip:a@b', {}]);
    expect(read('<urn:service:sos>')).toEqual(['', 'urn:service:sos', {}]);
  });

  it('is refused when malformed', () => {
    const malformed = [
      ...[
        '',
        'a',
        '<>',
        '<sip:>',
        '<sip:a@b',
        '"x <sip:a@b>',
        '"x" sip:a@b',
        'Bell, A <sip:a@b>',
        '< sip:a@b >',
        '<sip:a@b>;',
        '<sip:a@b>;;x',
      ],
      ...['<sip:a@b>x', 'sip:a@b?R=x', 'sip:a@b,c', 'sip:a@b;x=', '<sip:a@b>;x=1;x=2', '"a\\', '"a"', '<sip:a@b>;x="y'],
    ];
    for (const text of malformed) expect([text, parseNameAddress(text)]).toEqual([text, undefined]);
  });
});

describe('parameters', () => {
  it('are read to the end of the text, or not at all', () => {
    expect(parseParameters('x', 1)).toEqual(new Map());
    expect(parseParameters('x ;A=1; b = [::1] ;c ', 1)).toEqual(
      new Map([
        ['a', '1'],
        ['b', '[::1]'],
        ['c', undefined],
      ]),
    );
    for (const text of [';', ';=1', 'a', ';a;', ';a b', ';a=', ';a,']) expect([text, parseParameters(text, 0)]).toEqual([text, undefined]);
  });
});

describe('a Via', () => {
  it('is read with blanks in all the places RFC 4475 found', () => {
    expect(parseVia('SIP  / 2.0  / TCP     Spindle.example.com   : 5070 ;  branch  =   z9hG4bK9ikj8')).toMatchObject({
      transport: 'TCP',
      host: 'spindle.example.com',
      port: 5070,
      branch: 'z9hG4bK9ikj8',
    });
    expect(parseVia('SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKas3')).toMatchObject({ host: '[2001:db8::9:1]' });
  });

  it('is refused when malformed', () => {
    for (const text of [
      '',
      'SIP/2.0/UDP',
      'SIP/2.0 a',
      'SIP/3.0/UDP a',
      'SIP/2.0/UDP a b',
      'SIP/2.0/UDP a:0',
      'SIP/2.0/UDP a:99999',
      'SIP/2.0/UDP ::1',
      'SIP/2.0/UDP a;;',
    ]) {
      expect([text, parseVia(text)]).toEqual([text, undefined]);
    }
  });

  it('of the very source is not marked', () => {
    const via = parseVia('SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa')!;
    expect(writeReceivedVia(via, { address: '192.0.2.1', port: 9 })).toBe('SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa');
    const six = parseVia('SIP/2.0/UDP [2001:db8::1]:5070;rport')!;
    expect(writeReceivedVia(six, { address: '2001:db8::1', port: 9 })).toBe('SIP/2.0/UDP [2001:db8::1]:5070;rport=9;received=2001:db8::1');
  });
});

describe('the next hop of a request in a dialog', () => {
  const place = (address: string, viaAddress = address, direct = true): PeerPlace => ({
    source: { address, port: 4444 },
    viaAddress,
    direct,
  });
  const source = (address: string) => ({ address, port: 4444, transport: 'udp' });

  it('is the literal address in the URI', () => {
    expect(nextHop('sip:a@192.0.2.5:5070', place('192.0.2.1'))).toEqual({ address: '192.0.2.5', port: 5070, transport: 'udp' });
    expect(nextHop('sip:a@192.0.2.1', place('192.0.2.1'))).toEqual({ address: '192.0.2.1', port: 5060, transport: 'udp' });
    expect(nextHop('sip:a@10.0.0.9', place('10.0.0.5'))).toEqual({ address: '10.0.0.9', port: 5060, transport: 'udp' }); // a proxy in the same network
    expect(nextHop('sip:a@10.0.0.9', place('127.0.0.1'))).toEqual({ address: '10.0.0.9', port: 5060, transport: 'udp' });
  });

  it('is the source for a name, for a NAT, and for addresses nobody has', () => {
    for (const uri of [
      ...[
        'sip:a@phone.example',
        'tel:+1555',
        'sip:a@10.0.0.9',
        'sip:a@127.0.0.1',
        'sip:a@169.254.1.1',
        'sip:a@100.64.0.1',
        'sip:a@0.0.0.0',
      ],
      ...['sip:a@224.0.0.1', 'sip:a@255.255.255.255', 'sip:a@[::]', 'sip:a@[ff02::1]', 'sip:a@[fd00::1]', 'sip:a@[fe80::1]', 'sip:a@[::1]'],
    ]) {
      expect([uri, nextHop(uri, place('192.0.2.1'))]).toEqual([uri, source('192.0.2.1')]);
    }
    expect(nextHop('sip:a@224.0.0.1', place('127.0.0.1'))).toEqual(source('127.0.0.1'));
  });

  it('is the source for a peer whose Via and Contact show the inside of a NAT of the same scope', () => {
    expect(nextHop('sip:a@172.17.0.5', place('10.0.0.1', '172.17.0.5'))).toEqual(source('10.0.0.1'));
    expect(nextHop('sip:a@172.17.0.5', place('10.0.0.1', '172.17.0.5', false))).toEqual({
      address: '172.17.0.5',
      port: 5060,
      transport: 'udp',
    });
    expect(nextHop('sip:a@[2001:db8::5]', place('2001:db8::1', '2001:db8::5'))).toEqual(source('2001:db8::1'));
  });

  it('is the source for an address of a family that nothing of ours is bound to', () => {
    const at = (bind: string, uri: string, from: string): string =>
      nextHop(uri, { ...place(from), reaches: (address) => speaksTo(bind, address) }).address;
    expect(at('0.0.0.0', 'sip:a@[2001:db8::5]', '192.0.2.1')).toBe('192.0.2.1');
    expect(at('192.0.2.7', 'sip:a@[2001:db8::5]', '192.0.2.1')).toBe('192.0.2.1');
    expect(at('2001:db8::7', 'sip:a@203.0.113.5', '2001:db8::1')).toBe('2001:db8::1');
    expect(at('::', 'sip:a@[2001:db8::5]', '192.0.2.1')).toBe('2001:db8::5');
    expect(at('::', 'sip:a@203.0.113.5', '2001:db8::1')).toBe('203.0.113.5');
    expect(at('::', 'sip:a@[::ffff:203.0.113.5]', '203.0.113.5')).toBe('203.0.113.5');
  });
});

describe('an engine that is bound to one family', () => {
  const V6 = '2001:db8::9';

  it('follows no Contact into the other', async () => {
    const test = await EngineUnderTest.start({ bind: '0.0.0.0' });
    const { call } = answeredCall(test, { contact: `<sip:caller@[${V6}]:5062>` });
    call.hangup();
    expect([test.sent.at(-1)?.what, test.sent.at(-1)?.to]).toEqual(['BYE', PEER]);
    const both = await EngineUnderTest.start({ bind: '::' });
    const second = answeredCall(both, { contact: `<sip:caller@[${V6}]:5062>` });
    second.call.hangup();
    expect([both.sent.at(-1)?.what, both.sent.at(-1)?.to]).toEqual(['BYE', { address: V6, port: 5062 }]);
  });

  it('dials nobody in the other, and says so at once', async () => {
    const trunk = { peer: { address: V6, port: 5060 } };
    const test = await EngineUnderTest.start({}, (clock) => ({ trunks: new TrunkBook(clock, [{ ...TRUNK, ...trunk }]) }));
    expect(() => dial(test)).toThrow('family');
    expect(test.sent).toEqual([]);
  });

  it('takes no redirection into the other', async () => {
    const test = await dialling({ redirects: 'follow', destinations: ['+1555*', `sip:x@[${V6}]`, 'sip:y@203.0.113.9'] });
    const one = dial(test);
    answer(test, one.invite(), 302, { headers: [`Contact: <sip:x@[${V6}]>, <sip:y@203.0.113.9>;q=0.5`] });
    expect(one.invite().to.address).toBe('203.0.113.9');
  });
});
