import { describe, expect, it } from 'vitest';
import { nextHop, type PeerPlace } from '../../../src/sip/embedded/next-hop.ts';
import { certificateMismatch } from '../../../src/sip/embedded/tls-identity.ts';
import type { Located } from '../../../src/sip/name-location.ts';
import { TrunkBook } from '../../../src/sip/trunk-book.ts';
import { readDestination } from '../../../src/sip/trunk-destination.ts';
import { EngineUnderTest, header } from './engine-under-test.ts';
import { dial, last, reply, SDP, TRUNK } from './outbound-under-test.ts';

/* Which way a request takes, and whom a certificate speaks for. */

describe('a certificate', () => {
  const OTHER = 'its certificate does not name sip.example.com, but x, dns:sip.example.com, dns:", dns:sip.example.com, "y, other.example';
  it.each<[string, string, string, string | undefined]>([
    ['sip.example.com', 'DNS:sip.example.com', '', undefined],
    ['SIP.example.com', 'DNS:a.example, DNS:sip.EXAMPLE.com', '', undefined],
    ['example.com', 'URI:sip:example.com, DNS:other.example', '', undefined],
    ['other.example', 'URI:sip:example.com, DNS:other.example', '', 'its certificate does not name other.example, but example.com'],
    ['example.com', 'URI:sip:alice@example.com, DNS:example.com', '', undefined],
    ['sip.example.com', 'DNS:*.example.com', '', 'its certificate does not name sip.example.com, but *.example.com'],
    ['*.example.com', 'DNS:*.example.com', '', undefined],
    ['sip.example.com', '', 'sip.example.com', undefined],
    ['sip.example.com', 'DNS:other.example', 'sip.example.com', 'its certificate does not name sip.example.com, but other.example'],
    ['192.0.2.1', 'DNS:192.0.2.1, IP Address:192.0.2.2', '192.0.2.1', 'its certificate does not name 192.0.2.1'],
    ['192.0.2.1', 'IP Address:192.0.2.1', '', undefined],
    ['2001:db8::1', 'IP Address:2001:DB8:0:0:0:0:0:1', '', undefined],
    // Node.js quotes a name with a comma in it: what stands within is that name's, however it looks.
    ['sip.example.com', 'URI:"http://x/, DNS:sip.example.com, "', '', 'its certificate does not name sip.example.com'],
    ['sip.example.com', 'DNS:"x, DNS:sip.example.com, DNS:\\", DNS:sip.example.com, \\"y", DNS:other.example', '', OTHER],
    ['sip.example.com', 'DirName:"CN=x, y", DNS:sip.example.com', '', undefined],
    ['sip.example.com', 'DNS:"sip.example.com', '', 'its certificate does not name sip.example.com'],
  ])('for %s of %j and %j', (name, subjectaltname, commonName, expected) => {
    expect(certificateMismatch(name, { subject: { CN: commonName }, subjectaltname } as never)).toBe(expected);
  });
});

describe('the next hop', () => {
  const source = { address: '192.0.2.1', port: 40_001 };
  const place = (transport: 'tls' | 'tcp' | 'ws' | 'wss', more: Partial<PeerPlace> = {}): PeerPlace => {
    const flow = {
      transport,
      reliable: true,
      remote: source,
      open: true,
      tls: { profile: 'carrier', name: 'x.example' },
      send: () => undefined,
    };
    return { source, viaAddress: '192.0.2.1', viaPort: 5070, direct: true, flow, ...more };
  };
  const hop = (uri: string, at: PeerPlace): unknown => {
    const { flow, tls, ...rest } = nextHop(uri, at);
    return [`${rest.transport} ${rest.address}:${rest.port}`, flow ? 'by its connection' : 'by another', tls?.name];
  };

  it.each<[string, PeerPlace, unknown]>([
    ['sips:a@192.0.2.1', place('tls'), ['tls 192.0.2.1:5061', 'by its connection', 'x.example']],
    ['sip:a@192.0.2.1;transport=tls', place('tls'), ['tls 192.0.2.1:5061', 'by its connection', 'x.example']],
    ['sip:a@192.0.2.1:5066', place('tls'), ['tls 192.0.2.1:5066', 'by its connection', 'x.example']],
    ['sip:a@192.0.2.7;transport=tls', place('tls'), ['tls 192.0.2.7:5061', 'by another', 'x.example']],
    // Never in the clear, and never to where the clear would have been.
    ['sip:a@192.0.2.1;transport=tcp', place('tls'), ['tls 192.0.2.1:5070', 'by its connection', 'x.example']],
    ['sip:a@192.0.2.7', place('tls'), ['tls 192.0.2.1:5070', 'by its connection', 'x.example']],
    ['sip:a@proxy.example;transport=tls', place('tls'), ['tls 192.0.2.1:5070', 'by its connection', 'x.example']],
    ['sip:a@df7jal23ls0d.invalid;transport=ws', place('ws'), ['ws 192.0.2.1:5070', 'by its connection', 'x.example']],
    ['sip:a@192.0.2.7:5060', place('wss'), ['wss 192.0.2.1:5060', 'by its connection', 'x.example']],
    ['sips:a@192.0.2.1', place('tcp'), ['tls 192.0.2.1:5061', 'by another', 'x.example']],
    ['sip:a@192.0.2.1', place('tcp'), ['tcp 192.0.2.1:5060', 'by its connection', undefined]],
  ])('of %s', (uri, at, expected) => {
    expect(hop(uri, at)).toEqual(expected);
  });
});

describe('a destination by name', () => {
  const trunk = { ...TRUNK, lookUp: { host: 'pbx.example' }, peer: { address: 'pbx.example', port: 5060 } };
  const read = (text: string, more: object = {}): unknown => {
    const found = readDestination(text, { ...trunk, ...more });
    return 'fault' in found ? 'fault' : [found.key, found.uri, found.lookUp?.host];
  };

  it.each<[string, object, unknown]>([
    ['+1555', {}, ['+1555', 'sip:+1555@pbx.example', 'pbx.example']],
    ['sip:bob@PBX.example', {}, ['bob', 'sip:bob@pbx.example', 'pbx.example']],
    ['sip:bob@pbx.example:5070', {}, 'fault'],
    ['sips:bob@pbx.example', {}, 'fault'],
    ['sips:bob@pbx.example', { transport: 'tls' }, ['bob', 'sips:bob@pbx.example', 'pbx.example']],
    ['sip:bob@other.example', {}, 'fault'],
    ['sip:bob@other.example', { destinations: ['sip:bo*', 'sip:*'] }, 'fault'],
    [
      'sip:bob@other.example',
      { destinations: ['sip:*@other.example'] },
      ['sip:bob@other.example', 'sip:bob@other.example', 'other.example'],
    ],
    ['sip:bob@other.example:5070', { destinations: ['sip:*@other.example'] }, 'fault'],
  ])('%s, with %j', (text, more, expected) => {
    expect(read(text, more)).toEqual(expected);
  });
});

describe('a call to a trunk at several places', () => {
  const PLACES = [1, 2, 3].map(
    (number): Located => ({ address: `192.0.2.9${number}`, port: 5060, transport: 'udp', rank: number, weight: 0, host: number }),
  );

  async function dialling(places: readonly Located[]): Promise<EngineUnderTest> {
    const names = { use: () => undefined, failureOf: () => 'DNS did not answer', placesOf: () => places, onChange: undefined };
    return EngineUnderTest.start({}, (clock) => {
      const trunk = {
        ...TRUNK,
        lookUp: { host: 'pbx.example' },
        peer: { address: 'pbx.example', port: 5060 },
        username: 'u',
        password: 'p',
      };
      const trunks = new TrunkBook(clock, [trunk]);
      trunks.names = names;
      return { trunks };
    });
  }

  const invites = (test: EngineUnderTest): [number, string][] =>
    test.sent.flatMap(({ at, to, what, text }) =>
      what === 'INVITE' ? [[at, `${to.address} ${header(text, 'CSeq')}`] as [number, string]] : [],
    );

  it('goes on after four seconds of silence, at once after 503, and to nowhere after the last', async () => {
    const test = await dialling(PLACES);
    const one = dial(test);
    test.clock.advance(4000);
    test.receive(reply(last(test, 'INVITE'), 503), { address: '192.0.2.92', port: 5060 });
    expect(invites(test).filter(([, what], index, all) => all.findIndex(([, other]) => other === what) === index)).toEqual([
      [0, '192.0.2.91 1 INVITE'],
      [4000, '192.0.2.92 2 INVITE'],
      [4000, '192.0.2.93 3 INVITE'],
    ]);
    test.receive(reply(last(test, 'INVITE'), 503), { address: '192.0.2.93', port: 5060 });
    expect(one.failures).toMatchObject([{ status: 503 }]);
  });

  it('tells the first place to stop ringing when it rings too late', async () => {
    const test = await dialling(PLACES);
    const one = dial(test);
    const first = last(test, 'INVITE');
    test.clock.advance(4000);
    const late = test.exchange(reply(first, 180), { address: '192.0.2.91', port: 5060 });
    expect(late.map(({ what, to }) => `${what} ${to.address}`)).toEqual(['CANCEL 192.0.2.91']);
    expect(one.progress).toEqual([]);
    test.receive(reply(last(test, 'INVITE'), 200, { sdp: SDP }), { address: '192.0.2.92', port: 5060 });
    expect(one.answers).toEqual([SDP]);
  });

  it('shows its password at the place that asks, and knows the calls of all of them', async () => {
    const test = await dialling(PLACES);
    dial(test);
    const challenge = { headers: ['WWW-Authenticate: Digest realm="r", nonce="n", algorithm=MD5'] };
    test.receive(reply(last(test, 'INVITE'), 401, challenge), { address: '192.0.2.91', port: 5060 });
    expect(last(test, 'INVITE').to.address).toBe('192.0.2.91');
    expect(header(last(test, 'INVITE').text, 'Authorization')).toContain('username="u"');
  });

  it('is refused at once while its name is nowhere', async () => {
    const test = await dialling([]);
    expect(() => dial(test)).toThrow('pbx.example cannot be found: DNS did not answer');
  });
});
