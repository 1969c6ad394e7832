import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createLog } from '../../../src/base/log.ts';
import type { MessageSocket } from '../../../src/base/message-socket.ts';
import { BindingJournal } from '../../../src/sip/binding-journal.ts';
import { DigestClient } from '../../../src/sip/digest/digest-client.ts';
import type { Call, DialOptions } from '../../../src/sip/engine.ts';
import { TrunkBook } from '../../../src/sip/trunk-book.ts';
import { type SipUser, UserBook } from '../../../src/sip/user.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { removeFolder, tempFolder } from '../../support/temp-folder.ts';
import { ANSWER, EngineUnderTest, header, OFFER, PEER, request, type Sent } from './engine-under-test.ts';

const REALM = 'ringdown';
const NAT = { address: '198.51.100.20', port: 40_001 };

function user(name: string, password: string, more: Partial<SipUser> = {}): SipUser {
  const of = (hash: string): string => createHash(hash).update(`${name}:${REALM}:${password}`).digest('hex');
  const calls = [{ type: 'agent' }, { type: 'users' }] as const;
  return { name, ha1: { 'SHA-256': of('sha256'), MD5: of('md5') }, calls, maxContacts: 3, ...more };
}

const started = (users = [user('alice', 'wonderland'), user('bob', 'builder')]): Promise<EngineUnderTest> =>
  EngineUnderTest.start({}, (clock) => ({ trunks: new TrunkBook(clock, []), users: new UserBook(users, REALM) }));

class FakeSocket implements MessageSocket {
  readonly encrypted: boolean;
  readonly queuedBytes = 0;
  readonly sent: string[] = [];
  onMessage: ((message: Buffer) => void) | undefined;
  onClose: (() => void) | undefined;

  readonly remote: typeof PEER;

  constructor(remote: typeof PEER, encrypted = true) {
    this.remote = remote;
    this.encrypted = encrypted;
  }

  send(message: Uint8Array): void {
    this.sent.push(Buffer.from(message).toString());
  }

  pause(): void {}
  resume(): void {}
  close(): void {}
}

let count = 0;

interface Ask {
  readonly name?: string;
  readonly password?: string;
  readonly as?: string;
  readonly contacts?: readonly string[];
  readonly headers?: readonly string[];
  readonly callId?: string;
  readonly cseq?: number;
  readonly from?: typeof PEER;
}

function register({ as = 'alice', contacts = [], headers = [], callId = 'reg-1', cseq = 1 }: Ask): string {
  count += 1;
  return [
    'REGISTER sip:192.0.2.1 SIP/2.0',
    `Via: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bKr${count};rport`,
    'Max-Forwards: 70',
    `From: <sip:${as}@192.0.2.1>;tag=f`,
    `To: <sip:${as}@192.0.2.1>`,
    `Call-ID: ${callId}`,
    `CSeq: ${cseq} REGISTER`,
    ...contacts.map((each) => `Contact: ${each}`),
    'User-Agent: Softphone 3.11 (as phones send it, so that a challenge may be as long)',
    ...headers,
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');
}

function challengesOf(sent: Sent | undefined): string[] {
  return [...(sent?.text ?? '').matchAll(/^WWW-Authenticate: (.*)\r$/gm)].map(([, value = '']) => value);
}

/** Asks, answers the challenge, and gives what came of it. */
function registered(test: EngineUnderTest, ask: Ask = {}): Sent {
  const { name = 'alice', password = 'wonderland', cseq = 1, from = NAT, headers = [] } = ask;
  const [challenge] = test.exchange(register({ ...ask, cseq }), from);
  const client = new DigestClient({ username: name, password });
  client.challenged(challengesOf(challenge));
  const credentials = client.authorize({ method: 'REGISTER', uri: 'sip:192.0.2.1' }).map((value) => `Authorization: ${value}`);
  const [answer] = test.exchange(register({ ...ask, cseq: cseq + 1, headers: [...headers, ...credentials] }), from);
  if (!answer) throw new Error('no answer');
  return answer;
}

const contactsIn = ({ text }: Sent): string[] => [...text.matchAll(/^Contact: (.*)\r$/gm)].map(([, value = '']) => value);
const statusOf = ({ what }: Sent): string => what;

describe('the registrar', () => {
  it('binds a contact to the way it came, after the password was shown', async () => {
    const test = await started();
    const answer = registered(test, { contacts: ['<sip:alice@10.0.0.5:5060>;q=0.5'] });
    expect(statusOf(answer)).toBe('200');
    expect(contactsIn(answer)).toEqual(['<sip:alice@10.0.0.5:5060>;expires=3600;q=0.5']);
    expect(test.engine.registrar?.contactsOf('alice')).toMatchObject([
      { uri: 'sip:alice@10.0.0.5:5060', q: 0.5, hop: { ...NAT, transport: 'udp' } },
    ]);
    expect(test.engine.registrar?.userAt({ ...NAT, transport: 'udp' })).toBe('alice');
  });

  it('refuses REGISTER by 405 where there are no users', async () => {
    const test = await started([]);
    expect(test.exchange(register({}), NAT).map(statusOf)).toEqual(['405']);
  });

  it('answers a known name, an unknown one and a wrong password alike', async () => {
    const test = await started();
    const wipe = ({ text }: Sent): string =>
      text
        .replaceAll(/nonce="[^"]*"/g, '')
        .replaceAll(/(branch|tag)=[^;\r]*/g, '')
        .replaceAll(/alice|mallory|reg-\d|\d REGISTER/g, '');
    const ask = (name: string, callId: string): string[] => {
      const [first] = test.exchange(register({ as: name, callId }), NAT);
      const client = new DigestClient({ username: name, password: 'wrong-password' });
      client.challenged(challengesOf(first));
      const headers = client.authorize({ method: 'REGISTER', uri: 'sip:192.0.2.1' }).map((value) => `Authorization: ${value}`);
      const [second] = test.exchange(register({ as: name, callId, cseq: 2, headers }), NAT);
      return [first, second].map((each) => (each ? wipe(each) : ''));
    };
    expect(ask('alice', 'reg-8')).toEqual(ask('mallory', 'reg-9'));
  });

  it('lets nobody register another, and slows down who guesses', async () => {
    const test = await started();
    expect(statusOf(registered(test, { as: 'bob', contacts: ['<sip:x@10.0.0.5>'] }))).toBe('403');
    expect(test.engine.registrar?.contactsOf('bob')).toEqual([]);
    const answers = Array.from({ length: 6 }, (_, at) => statusOf(registered(test, { password: 'wrong', callId: `guess-${at}` })));
    expect(answers).toEqual(['401', '401', '401', '401', '401', '503']);
  });

  it.each([
    ['a binding shorter than a minute', ['<sip:a@10.0.0.5>;expires=10'], [], '423'],
    ['an asterisk without Expires: 0', ['*'], [], '400'],
    ['an asterisk beside a contact', ['*', '<sip:a@10.0.0.5>'], ['Expires: 0'], '400'],
    ['a contact that is no SIP URI', ['<mailto:a@b>'], [], '400'],
    ['an extension that nobody knows', ['<sip:a@10.0.0.5>'], ['Require: gruu-of-the-future'], '420'],
    ['a path that is none', ['<sip:a@10.0.0.5>'], ['Path: <nonsense>'], '400'],
  ])('refuses %s', async (_what, contacts, headers, status) => {
    const test = await started();
    const answer = registered(test, { contacts, headers });
    expect(statusOf(answer)).toBe(status);
    expect(header(answer.text, 'Min-Expires')).toBe(status === '423' ? '60' : undefined);
    expect(test.engine.registrar?.contactsOf('alice')).toEqual([]);
  });

  it('gives no more than an hour, forgets by the clock, and takes bindings away one by one or all', async () => {
    const test = await started();
    const long = registered(test, { contacts: ['<sip:a@10.0.0.5>;expires=999999'] });
    expect(contactsIn(long)).toEqual(['<sip:a@10.0.0.5>;expires=3600']);
    registered(test, { callId: 'reg-2', contacts: ['<sip:b@10.0.0.6>'], headers: ['Expires: 90'] });
    const uris = (): string[] => test.engine.registrar?.contactsOf('alice').map(({ uri }) => uri) ?? [];
    expect(uris()).toEqual(['sip:a@10.0.0.5', 'sip:b@10.0.0.6']);
    test.clock.advance(91_000);
    expect(uris()).toEqual(['sip:a@10.0.0.5']);
    registered(test, { cseq: 5, contacts: ['<sip:a@10.0.0.5>;expires=0'] });
    expect(uris()).toEqual([]);
    registered(test, { cseq: 7, contacts: ['<sip:a@10.0.0.5>', '<sip:c@10.0.0.7>'] });
    expect(uris()).toHaveLength(2);
    registered(test, { cseq: 9, contacts: ['*'], headers: ['Expires: 0'] });
    expect(uris()).toEqual([]);
  });

  it('keeps one binding a flow of a device, whatever address it has by now, and no more than the user may have', async () => {
    const test = await started();
    const device = ';+sip.instance="<urn:uuid:f81d4fae>";reg-id=1';
    registered(test, { contacts: [`<sip:alice@10.0.0.5:5060>${device}`] });
    registered(test, { callId: 'reg-2', from: { ...NAT, port: 40_002 }, contacts: [`<sip:alice@10.0.0.5:5099>${device}`] });
    const contacts = () => test.engine.registrar?.contactsOf('alice') ?? [];
    expect(contacts().map(({ uri, hop }) => [uri, hop.port])).toEqual([['sip:alice@10.0.0.5:5099', 40_002]]);
    for (const at of [1, 2, 3]) registered(test, { callId: `more-${at}`, contacts: [`<sip:phone-${at}@10.0.0.5>`] });
    expect(contacts().map(({ uri }) => uri)).toEqual(['sip:phone-1@10.0.0.5', 'sip:phone-2@10.0.0.5', 'sip:phone-3@10.0.0.5']);
  });

  it('rings no phone any more that registered with a password of before', async () => {
    const users = new UserBook([user('alice', 'wonderland'), user('bob', 'builder')], REALM);
    const test = await EngineUnderTest.start({}, (clock) => ({ trunks: new TrunkBook(clock, []), users }));
    for (const [name, password] of [
      ['alice', 'wonderland'],
      ['bob', 'builder'],
    ] as const) {
      registered(test, { name, as: name, password, callId: `reg-${name}`, contacts: [`<sip:${name}@10.0.0.5>`] });
    }
    const phones = () => ['alice', 'bob'].map((name) => test.engine.registrar?.contactsOf(name).length);
    const kept = user('bob', 'builder');
    users.replace([user('alice', 'wonderland', { callerId: '100' }), { ...kept, ha1: { MD5: kept.ha1.MD5 ?? '' } }]);
    test.engine.configurationChanged();
    expect(phones()).toEqual([1, 1]);
    users.replace([user('alice', 'another one'), kept]);
    test.engine.configurationChanged();
    expect(phones()).toEqual([0, 1]);
  });

  it('rings no phone after a restart whose password was changed meanwhile, and keeps next to nothing of passwords', async () => {
    const dataDir = tempFolder('registrar');
    const file = join(dataDir, 'registrations.json');
    const marks = (): Record<string, string> =>
      Object.fromEntries(
        Object.entries(JSON.parse(readFileSync(file, 'utf8')).users).map(([name, kept]) => [name, (kept as { mark: string }).mark]),
      );
    const run = async (users: SipUser[], during: (test: EngineUnderTest) => void): Promise<string[]> => {
      const log = createLog('error', { write: (line) => expect.fail(line) });
      const journal = await BindingJournal.open(new FakeClock(), log, { dataDir });
      const test = await EngineUnderTest.start({}, (clock) => ({
        trunks: new TrunkBook(clock, []),
        users: new UserBook(users, REALM),
        bindingJournal: journal,
      }));
      during(test);
      await journal.stop();
      return users.map(({ name }) => `${name} ${test.engine.registrar?.contactsOf(name).length}`);
    };
    const before = await run([user('alice', 'wonderland'), user('bob', 'builder')], (test) => {
      registered(test, { contacts: ['<sip:alice@10.0.0.5>'] });
      registered(test, { name: 'bob', as: 'bob', password: 'builder', callId: 'reg-bob', contacts: ['<sip:bob@10.0.0.5>'] });
    });
    const { alice } = marks();
    expect([before, alice]).toEqual([['alice 1', 'bob 1'], expect.stringMatching(/^[0-9a-f]{16}:[0-9a-f]{4}$/)]);
    const after = await run([user('alice', 'wonderland'), user('bob', 'another one')], (test) => {
      registered(test, { callId: 'reg-2', contacts: ['<sip:alice@10.0.0.6>'] });
    });
    expect([after, marks()]).toEqual([['alice 2', 'bob 0'], { alice }]);
    removeFolder(dataDir);
  });

  it('refuses what an overtaken request of the same Call-ID says, and gives repeats the answer it gave', async () => {
    const test = await started();
    expect(statusOf(registered(test, { cseq: 10, contacts: ['<sip:a@10.0.0.5>'] }))).toBe('200');
    expect(statusOf(registered(test, { cseq: 4, contacts: ['<sip:a@10.0.0.5>'] }))).toBe('500');
    const [challenge] = test.exchange(register({ cseq: 20 }), NAT);
    const client = new DigestClient({ username: 'alice', password: 'wonderland' });
    client.challenged(challengesOf(challenge));
    const [line] = client.authorize({ method: 'REGISTER', uri: 'sip:192.0.2.1' });
    const message = register({ cseq: 21, headers: [`Authorization: ${line}`] });
    expect([...test.exchange(message, NAT), ...test.exchange(message, NAT)].map(statusOf)).toEqual(['200', '200']);
  });

  it('keeps Path and says it again to who knows it (RFC 3327)', async () => {
    const test = await started();
    const path = '<sip:edge.example.net;lr>';
    const answer = registered(test, { contacts: ['<sip:alice@10.0.0.5:5060>'], headers: [`Path: ${path}`, 'Supported: path'] });
    expect([statusOf(answer), header(answer.text, 'Path')]).toEqual(['200', path]);
    const outbound = test.engine.dial({ trunk: 'users', destination: 'user:alice', offer: () => OFFER });
    test.clock.advance(0);
    const invite = test.sent.at(-1)?.text ?? '';
    expect([invite.split('\r\n')[0], header(invite, 'Route')]).toEqual(['INVITE sip:alice@10.0.0.5:5060 SIP/2.0', path]);
    outbound.cancel();
  });

  it('says Require: outbound over a connection, and forgets the binding when the connection is gone', async () => {
    const test = await started();
    const stream = test.connect(NAT);
    const ask = (more: Ask): string =>
      register({ callId: 'tcp', contacts: ['<sip:alice@10.0.0.5;transport=tcp>;+sip.instance="<urn:uuid:1>";reg-id=1'], ...more }).replace(
        'SIP/2.0/UDP',
        'SIP/2.0/TCP',
      );
    stream.receive(ask({ headers: ['Supported: path, outbound'] }));
    const client = new DigestClient({ username: 'alice', password: 'wonderland' });
    client.challenged(challengesOf(test.sent.at(-1)));
    const [line] = client.authorize({ method: 'REGISTER', uri: 'sip:192.0.2.1' });
    stream.receive(ask({ cseq: 2, headers: ['Supported: path, outbound', `Authorization: ${line}`] }));
    const answer = test.sent.at(-1);
    expect([header(answer?.text ?? '', 'Require'), header(answer?.text ?? '', 'Flow-Timer')]).toEqual(['outbound', '120']);
    expect(test.engine.registrar?.contactsOf('alice')).toHaveLength(1);
    stream.close();
    expect(test.engine.registrar?.contactsOf('alice')).toEqual([]);
  });
});

describe('a call to a user', () => {
  const invited = (test: EngineUnderTest): Sent[] => test.sent.filter(({ what }) => what === 'INVITE');
  const dialUser = (test: EngineUnderTest, options: Pick<DialOptions, 'devices'> = {}) => {
    const call = test.engine.dial({ trunk: 'users', destination: 'user:alice', offer: () => OFFER, ...options });
    test.clock.advance(0);
    return call;
  };
  const respond = (sent: Sent, status: number, contact = '<sip:alice@10.0.0.5:5060>'): string =>
    [
      `SIP/2.0 ${status} Because`,
      ...['Via', 'From', 'Call-ID', 'CSeq'].map((name) => `${name}: ${header(sent.text, name)}`),
      `To: ${header(sent.text, 'To')};tag=p${sent.to.port}`,
      ...(status < 300 ? [`Contact: ${contact}`, 'Content-Type: application/sdp'] : []),
      `Content-Length: ${status === 200 ? ANSWER.length : 0}`,
      '',
      status === 200 ? ANSWER : '',
    ].join('\r\n');

  it('rings all its phones by the way they registered, keeps the first answer and gives the others up', async () => {
    const test = await started();
    registered(test, { contacts: ['<sip:alice@10.0.0.5:5060>'] });
    registered(test, { callId: 'other', from: { ...NAT, port: 40_009 }, contacts: ['<sip:alice@10.0.0.9:5060>'] });
    const call = dialUser(test);
    expect(invited(test).map(({ to }) => to.port)).toEqual([40_001, 40_009]);
    expect(invited(test).map(({ text }) => text.split('\r\n')[0])).toEqual([
      'INVITE sip:alice@10.0.0.5:5060 SIP/2.0',
      'INVITE sip:alice@10.0.0.9:5060 SIP/2.0',
    ]);
    const answers: string[] = [];
    call.onAnswered = (_call, answer) => void answers.push(answer);
    const [first, second] = invited(test);
    if (!first || !second) throw new Error('two were to be invited');
    test.receive(respond(second, 180), second.to);
    const after = test.exchange(respond(first, 200), first.to);
    expect(after.map(({ what, to }) => [what, to])).toEqual([
      ['ACK', NAT],
      ['CANCEL', { ...NAT, port: 40_009 }],
    ]);
    expect(answers).toEqual([ANSWER]);
  });

  it('says how its phones are reached, and takes several for as little protected as the least of them', async () => {
    const test = await started();
    const sockets = [true, true, false].map((encrypted, at) => new FakeSocket({ address: '192.0.2.44', port: 41_000 + at }, encrypted));
    for (const [at, socket] of sockets.entries()) {
      test.engine.accept(socket);
      const ask = (headers: readonly string[]): string =>
        register({
          callId: `wss-${at}`,
          cseq: headers.length + 1,
          contacts: [`<sip:a${at}@df7jal23ls0d.invalid;transport=ws>`],
          headers,
        }).replace('SIP/2.0/UDP', socket.encrypted ? 'SIP/2.0/WSS' : 'SIP/2.0/WS');
      socket.onMessage?.(Buffer.from(ask([])));
      const client = new DigestClient({ username: 'alice', password: 'wonderland' });
      client.challenged([...(socket.sent.at(-1) ?? '').matchAll(/^WWW-Authenticate: (.*)\r$/gm)].map(([, value = '']) => value));
      const [line] = client.authorize({ method: 'REGISTER', uri: 'sip:192.0.2.1' });
      socket.onMessage?.(Buffer.from(ask([`Authorization: ${line}`])));
      expect(test.engine.registrar?.contactsOf('alice')).toHaveLength(at + 1);
      expect(dialUser(test, { devices: 'browsers' }).transport).toBe(socket.encrypted ? 'wss' : 'ws');
    }
    const devicesOf = (destination: string): string => test.engine.devicesOf({ trunk: 'users', destination });
    expect([devicesOf('user:alice'), devicesOf('user:bob'), devicesOf('+1555')]).toEqual(['browsers', 'phones', 'phones']);
    registered(test, { callId: 'plain', contacts: ['<sip:alice@10.0.0.5:5060>'] });
    expect(dialUser(test).transport).toBe('udp');
    expect(devicesOf('user:alice')).toBe('all');
    const offer = async () => ({ phones: OFFER, browsers: 'v=0\r\ns=for browsers\r\n' });
    const before = invited(test).length;
    test.engine.dial({ trunk: 'users', destination: 'user:alice', offer, devices: 'all' });
    await new Promise((resolve) => setImmediate(resolve));
    // The first one has made room for the fourth.
    expect(sockets.slice(1).map(({ sent }) => sent.at(-1)?.endsWith('s=for browsers\r\n'))).toEqual([true, true]);
    expect(
      invited(test)
        .slice(before)
        .map(({ text }) => text.endsWith(OFFER)),
    ).toEqual([true]);
  });

  it('is ended where its phone sends from, whatever Contact the phone names in the course of it', async () => {
    const test = await started();
    registered(test, { contacts: ['<sip:alice@10.0.0.5:5060>'] });
    const calls: Call[] = [];
    dialUser(test).onAnswered = (call) => void calls.push(call);
    const [invite] = invited(test);
    if (!invite) throw new Error('nobody was invited');
    test.receive(respond(invite, 200, '<sip:x@203.0.113.66>'), invite.to);
    const [fromTag, toTag] = [`p${invite.to.port}`, /tag=(\S+)/.exec(header(invite.text, 'From') ?? '')?.[1]];
    const { callId, contact } = { callId: header(invite.text, 'Call-ID') ?? '', contact: '<sip:x@203.0.113.66>' };
    const update = request({
      method: 'UPDATE',
      callId,
      fromTag,
      toTag,
      contact,
      via: `SIP/2.0/UDP ${NAT.address}:${NAT.port};branch=z9hG4bKup`,
    });
    expect(test.exchange(update, NAT).map(statusOf)).toEqual(['200']);
    calls[0]?.hangup();
    expect(test.sent.at(-1)).toMatchObject({ what: 'BYE', to: NAT });
  });

  it('tries the phones that are wanted less when the others do not answer, and tells the best refusal', async () => {
    const test = await started();
    registered(test, { contacts: ['<sip:alice@10.0.0.5:5060>;q=1'] });
    registered(test, { callId: 'other', from: { ...NAT, port: 40_009 }, contacts: ['<sip:alice@10.0.0.9:5060>;q=0.1'] });
    const call = dialUser(test);
    const failures: unknown[] = [];
    call.onFailed = ({ cause, status }) => void failures.push([cause, status]);
    const [first] = invited(test);
    if (!first) throw new Error('nobody was invited');
    test.receive(respond(first, 486), first.to);
    const [, second] = invited(test);
    expect(second?.to.port).toBe(40_009);
    if (second) test.receive(respond(second, 480), second.to);
    expect(failures).toEqual([['busy', 486]]);
  });

  it('is refused when no phone is registered', async () => {
    const test = await started();
    expect(() => dialUser(test)).toThrow(expect.objectContaining({ code: 'ERR_NOT_FOUND' }));
  });

  it('can be given up before it is sent', async () => {
    const test = await started();
    registered(test, { contacts: ['<sip:alice@10.0.0.5:5060>'] });
    const call = test.engine.dial({ trunk: 'users', destination: 'user:alice', offer: () => new Promise(() => undefined) });
    const failures: string[] = [];
    call.onFailed = ({ cause }) => void failures.push(cause);
    call.cancel();
    test.clock.advance(0);
    expect([failures, invited(test)]).toEqual([['cancelled'], []]);
  });
});

describe('a call of a user', () => {
  it('is known by its credentials, however their realm is written, where anyone may call', async () => {
    const users = new UserBook([user('alice', 'wonderland')], REALM);
    const test = await EngineUnderTest.start({}, (clock) => ({ trunks: new TrunkBook(clock, [], undefined, 'anyone'), users }));
    const shown = 'Authorization: Digest username="alice", Realm = "ringdown", nonce="n", uri="sip:agent@192.0.2.1", response="r"';
    expect(test.exchange(request({ headers: [shown] })).map(statusOf)).toEqual(['401']);
    const other = shown.replace('Realm = "ringdown"', 'realm="other", opaque="realm=\\"ringdown\\""');
    test.receive(request({ callId: 'other', headers: [other] }));
    expect(test.invites.map(({ caller }) => caller)).toEqual([{ type: 'stranger' }]);
  });

  it('needs its password, whoever it says it is', async () => {
    const test = await started();
    const [challenge] = test.exchange(request({}), PEER);
    expect(challenge?.what).toBe('401');
    const client = new DigestClient({ username: 'alice', password: 'wonderland' });
    client.challenged(challengesOf(challenge));
    const [line] = client.authorize({ method: 'INVITE', uri: 'sip:agent@192.0.2.1' });
    test.receive(request({ callId: 'again', headers: [`Authorization: ${line}`] }));
    expect(test.invites.map(({ caller }) => caller)).toEqual([{ type: 'user', name: 'alice' }]);
    expect(test.invites[0]?.tried).toEqual([
      { rule: 'users', matched: true, why: 'it shows credentials of our realm' },
      { rule: 'users', matched: true, why: 'the password is right' },
    ]);
  });
});
