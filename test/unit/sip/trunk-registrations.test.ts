import { describe, expect, it } from 'vitest';
import { SipIdentity } from '../../../src/sip/sip-identity.ts';
import type { LookUp, Trunk, TrunkRegister } from '../../../src/sip/trunk.ts';
import { TrunkBook } from '../../../src/sip/trunk-book.ts';
import { EngineUnderTest, header, request, type Sent } from './engine-under-test.ts';
import { TRUNK } from './outbound-under-test.ts';

const REGISTRAR = { address: '192.0.2.9', port: 5060 };
const SECOND = { address: '192.0.2.10', port: 5060 };
const identity = new SipIdentity('urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6', Buffer.alloc(32, 1));

const ACCOUNT_REGISTER: TrunkRegister = {
  registrars: [REGISTRAR, SECOND],
  domain: 'sip.example.com',
  username: '1001',
  authUsername: 'auth-1001',
  password: 'pa55-canary',
  expiresS: 600,
  contact: 'learned',
  keepAliveS: 25,
};
const ACCOUNT: Trunk = { ...TRUNK, username: '1001', password: 'pa55-canary', register: ACCOUNT_REGISTER };

const started = (trunk: Trunk = ACCOUNT): Promise<EngineUnderTest> =>
  EngineUnderTest.start({}, (clock) => ({ trunks: new TrunkBook(clock, [trunk]), identity }));

const registers = (test: EngineUnderTest): Sent[] => test.sent.filter(({ what }) => what === 'REGISTER');

function answer(test: EngineUnderTest, status: number, headers: readonly string[] = [], via?: string): void {
  const sent = registers(test).at(-1);
  if (!sent) throw new Error('nothing was registered');
  const lines = ['From', 'To', 'Call-ID', 'CSeq'].map((name) => `${name}: ${header(sent.text, name)}`);
  const shown = via ?? header(sent.text, 'Via');
  test.receive([`SIP/2.0 ${status} Because`, `Via: ${shown}`, ...lines, ...headers, 'Content-Length: 0', '', ''].join('\r\n'), sent.to);
}

const contactsOf = ({ text }: Sent): string[] => [...text.matchAll(/^Contact: (.*)\r$/gm)].map(([, value = '']) => value);

describe('a trunk that we register with', () => {
  it('gets our address with a user part of its own, and credentials only after its challenge', async () => {
    const test = await started();
    const [first] = registers(test);
    expect(first?.to).toEqual(REGISTRAR);
    expect(first?.text.split('\r\n')[0]).toBe('REGISTER sip:sip.example.com SIP/2.0');
    const own = identity.contactUser('carrier');
    expect(contactsOf(first as Sent)).toEqual([`<sip:${own}@192.0.2.1:5060>;expires=600;+sip.instance="<${identity.instance}>";reg-id=1`]);
    expect(header(first?.text ?? '', 'Authorization')).toBeUndefined();
    answer(test, 401, ['WWW-Authenticate: Digest realm="x", nonce="n1", algorithm=MD5, qop="auth"']);
    const [, second] = registers(test);
    expect(header(second?.text ?? '', 'Authorization')).toMatch(/username="auth-1001".*uri="sip:sip\.example\.com".*nc=00000001/);
    expect(header(second?.text ?? '', 'CSeq')).toBe('2 REGISTER');
    answer(test, 200, [`Contact: <sip:${own}@192.0.2.1:5060>;expires=120`]);
    expect(test.engine.registrationOf('carrier')).toMatchObject({ registered: true, registrar: '192.0.2.9:5060' });
    test.clock.advance(61_000);
    const third = registers(test).at(-1);
    expect(header(third?.text ?? '', 'Authorization')).toMatch(/nc=00000002/);
    expect(test.faults.join()).not.toContain('canary');
  });

  it('is not asked again with the same wrong password', async () => {
    const test = await started();
    answer(test, 401, ['WWW-Authenticate: Digest realm="x", nonce="n1", algorithm=MD5, qop="auth"']);
    answer(test, 401, ['WWW-Authenticate: Digest realm="x", nonce="n2", algorithm=MD5, qop="auth"']);
    expect(registers(test)).toHaveLength(2);
    expect(test.engine.registrationOf('carrier')).toMatchObject({ registered: false, failure: 'refused (401)' });
    test.clock.advance(149_000);
    expect(registers(test)).toHaveLength(2);
  });

  it('hears of the address that it saw behind our NAT, in place of the one we said', async () => {
    const test = await started();
    const [first] = registers(test);
    const via = header(first?.text ?? '', 'Via')?.replace(';rport', ';received=203.0.113.7;rport=61000');
    answer(test, 200, [], via);
    const own = identity.contactUser('carrier');
    const second = registers(test).at(-1);
    expect(contactsOf(second as Sent)).toEqual([
      `<sip:${own}@203.0.113.7:61000>;expires=600;+sip.instance="<${identity.instance}>";reg-id=1`,
      `<sip:${own}@192.0.2.1:5060>;expires=0`,
    ]);
    answer(test, 200, [], header(second?.text ?? '', 'Via')?.replace(';rport', ';received=203.0.113.7;rport=61000'));
    expect(registers(test)).toHaveLength(2);
    test.clock.advance(25_000);
    expect(test.sent.filter(({ text }) => text === '\r\n\r\n').map(({ to }) => to)).toEqual([REGISTRAR]);
  });

  it('does not believe a registrar that saw us at no address', async () => {
    const test = await started();
    const [first] = registers(test);
    const via = header(first?.text ?? '', 'Via')?.replace(';rport', ';received="x>;expires=9, <sip:evil@203.0.113.66";rport=61000');
    answer(test, 200, [], via);
    expect(registers(test)).toHaveLength(1);
    expect(test.engine.registrationOf('carrier')).toMatchObject({ registered: true });
  });

  it('is looked for where the reloaded configuration says that its name is', async () => {
    const peer = { address: 'sip.example.com', port: 5060 };
    const named: Trunk = { ...ACCOUNT, peer, lookUp: { host: peer.address }, register: { ...ACCOUNT_REGISTER, registrars: [peer] } };
    let wanted: readonly LookUp[] = [];
    const place = { ...REGISTRAR, transport: 'udp', rank: 0, weight: 0, host: 0 } as const;
    const names = {
      use: (lookUps: readonly LookUp[]) => {
        wanted = lookUps;
      },
      failureOf: () => 'nobody asked',
      placesOf: (lookUp: LookUp) => (wanted.some((each) => each.port === lookUp.port) ? [place] : []),
      onChange: undefined,
    };
    const books: TrunkBook[] = [];
    const test = await EngineUnderTest.start({}, (clock) => {
      const trunks = new TrunkBook(clock, [named]);
      trunks.names = names;
      books.push(trunks);
      return { trunks, identity };
    });
    answer(test, 200);
    // The port as it was, and written out: another question for DNS, and the same registrar.
    books[0]?.replace([{ ...named, lookUp: { host: peer.address, port: 5060 } }], 'by-trunks');
    test.engine.configurationChanged();
    test.clock.advance(400);
    await new Promise(setImmediate); // the old one has said goodbye
    answer(test, 200);
    test.clock.advance(601_000);
    expect(registers(test).at(-1)?.at).toBeGreaterThan(500_000);
  });

  it('is turned to the second registrar when the first does not answer', async () => {
    const test = await started();
    test.clock.advance(33_000);
    expect(registers(test).at(-1)?.to).toEqual(SECOND);
    answer(test, 200);
    expect(test.engine.registrationOf('carrier')).toMatchObject({ registered: true, registrar: '192.0.2.10:5060' });
  });

  it('is known by that user part when it calls, wherever the call comes from', async () => {
    const test = await started();
    answer(test, 200);
    const elsewhere = { address: '203.0.113.99', port: 5060 };
    test.receive(request({ uri: `sip:${identity.contactUser('carrier')}@192.0.2.1:5060` }), elsewhere);
    test.receive(request({ uri: 'sip:rd-00000000000000000000@192.0.2.1', callId: 'guess' }), elsewhere);
    expect(test.invites.map(({ caller }) => caller)).toEqual([{ type: 'trunk', name: 'carrier', registered: true }, { type: 'stranger' }]);
  });

  it('is told when we leave, and the process waits for less than half a second', async () => {
    const test = await started();
    answer(test, 200);
    test.engine.drain();
    expect(contactsOf(registers(test).at(-1) as Sent)[0]).toMatch(/;expires=0;/);
    const stopped = test.engine.stop();
    test.clock.advance(1000);
    await stopped;
  });
});
