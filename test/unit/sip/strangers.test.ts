import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Alert } from '../../../src/base/alert.ts';
import { DigestClient } from '../../../src/sip/digest/digest-client.ts';
import { TrunkBook } from '../../../src/sip/trunk-book.ts';
import { UserBook } from '../../../src/sip/user.ts';
import { answeredCall, EngineUnderTest, header, PEER, type Sent } from './engine-under-test.ts';

/* What those get who are nobody to us, however they try. */

const SCANNER = { address: '198.51.100.66', port: 5060 };
const TRUNK = '203.0.113.5';

const hash = (algorithm: string): string => createHash(algorithm).update('alice:ringdown:wonderland').digest('hex');
const ALICE = { name: 'alice', ha1: { 'SHA-256': hash('sha256'), MD5: hash('md5') }, calls: [{ type: 'agent' }], maxContacts: 3 } as const;

async function started(callers: 'trunks' | 'anyone' = 'trunks', users = [ALICE]) {
  const alerts: Alert[] = [];
  const trunk = { name: 'carrier', peer: { address: TRUNK, port: 5060 }, addresses: [], destinations: [], caps: CAPS, defaultCountry: '' };
  const test = await EngineUnderTest.start({ bans: { seconds: 300, after: 20 } }, (clock) => ({
    trunks: new TrunkBook(clock, [trunk as never], undefined, callers),
    users: new UserBook(users),
    onAlert: (alert) => void alerts.push(alert),
  }));
  return { test, alerts };
}

const CAPS = { concurrent: 100, perSecond: 100, perDay: 1000, durationS: 3600 };

let ids = 0;

/** As phones and scanners send it. */
function ask(method: string, user: string, headers: readonly string[] = []): string {
  ids += 1;
  return [
    `${method} sip:${method === 'REGISTER' ? '' : `${user}@`}192.0.2.1 SIP/2.0`,
    `Via: SIP/2.0/UDP 198.51.100.66:5060;branch=z9hG4bKs${ids};rport`,
    'Max-Forwards: 70',
    `From: "${user}" <sip:${user}@192.0.2.1>;tag=t${ids}`,
    `To: "${user}" <sip:${user}@192.0.2.1>`,
    `Call-ID: ${ids}@198.51.100.66`,
    `CSeq: 1 ${method}`,
    `Contact: <sip:${user}@198.51.100.66:5060>`,
    ...(method === 'SUBSCRIBE' ? ['Event: presence'] : []),
    'User-Agent: softphone 1.2',
    ...headers,
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');
}

/** Tries a password; the answer to it. */
function login(test: EngineUnderTest, user: string, password: string, from = SCANNER): Sent | undefined {
  const [challenge] = test.exchange(ask('REGISTER', user), from);
  const client = new DigestClient({ username: user, password });
  client.challenged([...(challenge?.text ?? '').matchAll(/^WWW-Authenticate: (.*)\r$/gm)].map(([, value = '']) => value));
  const lines = client.authorize({ method: 'REGISTER', uri: 'sip:192.0.2.1' }).map((value) => `Authorization: ${value}`);
  return test.exchange(ask('REGISTER', user, lines), from)[0];
}

describe('a scanner', () => {
  it.each(['REGISTER', 'INVITE', 'OPTIONS', 'SUBSCRIBE'])('that tries names by %s is not heard after twenty of them', async (method) => {
    const { test, alerts } = await started();
    const answers = Array.from({ length: 50 }, (_, n) => test.exchange(ask(method, `${100 + n}`), SCANNER).length);
    expect(answers.slice(0, 20).every((count) => count > 0)).toBe(true);
    expect(answers.slice(20).every((count) => count === 0)).toBe(true);
    expect(alerts.filter(({ kind }) => kind === 'source_banned')).toEqual([
      { kind: 'source_banned', subject: SCANNER.address, detail: 'tries many names: not listened to for 300 s' },
    ]);
    expect(await test.count('sip_banned_sources')).toBe(1);
    expect(test.exchange(ask('OPTIONS', 'agent'), PEER)).toHaveLength(1);
    await test.clock.advance(300_000);
    expect(test.exchange(ask(method, '1000'), SCANNER)).toHaveLength(1);
  });

  it('that guesses passwords is braked after five, and not heard after ten', async () => {
    const { test, alerts } = await started();
    const answers = Array.from({ length: 15 }, (_, n) => login(test, 'alice', `guess-${n}`)?.what);
    expect(answers).toEqual([...Array<string>(5).fill('401'), ...Array<string>(5).fill('503'), ...Array<undefined>(5).fill(undefined)]);
    expect(alerts.at(-1)).toMatchObject({ kind: 'source_banned', detail: 'guesses passwords: not listened to for 300 s' });
    expect(test.engine.bans.lift(SCANNER.address, test.clock.now())).toBe(true);
    await test.clock.advance(60_000);
    expect(login(test, 'alice', 'wonderland')?.what).toBe('200');
  });

  it('gets no connection either', async () => {
    const { test } = await started();
    for (let n = 0; n < 20; n += 1) test.receive(ask('REGISTER', `${n}`), SCANNER);
    const stream = test.connect(SCANNER);
    expect(stream.ended).toBe('destroyed');
    expect(test.connect(PEER).ended).toBeUndefined();
  });

  it('cannot have others banned by writing their address on what it sends: trunks, phones of users, those in a call', async () => {
    const { test, alerts } = await started('anyone');
    const phone = { address: '198.51.100.20', port: 40_000 };
    expect(login(test, 'alice', 'wonderland', phone)?.what).toBe('200');
    const { call } = answeredCall(test);
    for (const from of [{ address: TRUNK, port: 5060 }, phone, PEER]) {
      for (let n = 0; n < 100; n += 1) {
        test.receive(ask('SUBSCRIBE', `${n}`, ['User-Agent: friendly-scanner']), from);
        test.receive('garbage in a row', from);
      }
      expect(test.exchange(ask('OPTIONS', 'agent'), from)).toHaveLength(1);
    }
    expect(alerts).toEqual([]);
    call.hangup();
  });

  it.each([false, true])(
    'with an answered call is heard on where it has acknowledged that (%s), and not for the answer alone',
    async (acknowledged) => {
      const { test, alerts } = await started('anyone');
      const { call } = answeredCall(test, {}, acknowledged);
      const heard = Array.from({ length: 30 }, (_, n) => test.exchange(ask('OPTIONS', `${n}`), PEER).length);
      expect(heard.filter((count) => count > 0)).toHaveLength(acknowledged ? 30 : 20);
      expect(alerts).toHaveLength(acknowledged ? 0 : 1);
      call.hangup();
    },
  );
});

describe('a user that is there and one that is not', () => {
  it.each(['REGISTER', 'INVITE', 'OPTIONS', 'SUBSCRIBE', 'MESSAGE', 'BYE'])('are answered alike by %s', async (method) => {
    const { test } = await started();
    const wiped = (user: string): string[] =>
      test.exchange(ask(method, user), SCANNER).map(({ text }) =>
        text
          .replaceAll(user, 'USER')
          .replaceAll(/nonce="[^"]*"/g, 'nonce')
          .replaceAll(/(tag=|branch=|Call-ID: |^i: )[^;\r]*/gm, '$1'),
      );
    const known = wiped('alice');
    expect(known).toHaveLength(1);
    expect(known).toEqual(wiped('bobby'));
  });

  it('take the same time, median of 400 each', async () => {
    const { test } = await started();
    const bans = test.engine.bans;
    const times: Record<'alice' | 'bobby', number[]> = { alice: [], bobby: [] };
    // Credentials with a nonce of ours: whether the user is there is looked up for these.
    for (let n = 0; n < 400; n += 1) {
      for (const user of ['alice', 'bobby'] as const) {
        const from = { address: `10.${user === 'alice' ? 1 : 2}.${n >> 8}.${n & 255}`, port: 5060 };
        const [challenge] = test.exchange(ask('REGISTER', user), from);
        const client = new DigestClient({ username: user, password: 'wrong' });
        client.challenged([header(challenge?.text ?? '', 'WWW-Authenticate') ?? '']);
        const lines = client.authorize({ method: 'REGISTER', uri: 'sip:192.0.2.1' }).map((value) => `Authorization: ${value}`);
        const text = ask('REGISTER', user, lines);
        const at = performance.now();
        test.receive(text, from);
        times[user].push(performance.now() - at);
      }
    }
    const median = (all: number[]): number => all.sort((a, b) => a - b)[all.length >> 1] ?? Number.NaN;
    const [known, unknown] = [median(times.alice), median(times.bobby)];
    expect(bans.count(test.clock.now())).toBe(0);
    // Of some 0.05 ms: what one saw over a network would be lost in its jitter a hundred times over.
    expect(Math.abs(known - unknown)).toBeLessThan(0.1 + 0.5 * Math.min(known, unknown));
  });
});

describe('an answer to a datagram of somebody unknown', () => {
  const METHODS = [
    'INVITE',
    'OPTIONS',
    'REGISTER',
    'SUBSCRIBE',
    'PUBLISH',
    'MESSAGE',
    'BYE',
    'CANCEL',
    'UPDATE',
    'PRACK',
    'REFER',
    'INFO',
    'FOO',
  ];
  const shortest = (method: string): string =>
    `${method} sip:192.0.2.1 SIP/2.0\r\nv:SIP/2.0/UDP a;branch=z9hG4bK${method}\r\nf:<sip:a@b>;tag=1\r\nt:<sip:a@b>\r\ni:${method}\r\nCSeq:1 ${method}\r\nm:<sip:a@b>\r\n\r\n`;

  it('is at most one, and at most half again as long: a request that is shorter than any gets none', async () => {
    const { test } = await started();
    let loudest = 0;
    const lengths = [0, 30, 60, 90, 120, 200, 400];
    for (const [index, method] of METHODS.entries()) {
      for (const text of [
        shortest(method),
        ask(method, 'alice'),
        ...lengths.map((more) => ask(method, 'alice', [`X-Long: ${'x'.repeat(more)}`]).replace('User-Agent: softphone 1.2\r\n', '')),
      ]) {
        const sent = test.exchange(text, { address: `198.51.100.${index + 100}`, port: 5060 });
        expect(sent.length, text).toBeLessThanOrEqual(1);
        for (const answer of sent) loudest = Math.max(loudest, answer.text.length / text.length);
      }
      // As phones send it, each is answered.
      expect(test.exchange(ask(method, 'alice'), { address: `198.51.100.${index + 100}`, port: 5060 }), method).toHaveLength(1);
    }
    await test.clock.advance(40_000);
    expect(loudest).toBeLessThanOrEqual(1.5);
    expect(loudest).toBeGreaterThan(1);
  });

  it('comes once: who is refused as nobody is not told again until it asks again', async () => {
    const { test } = await started('trunks', []);
    test.engine.onInvite = (invite) => invite.reject({ status: 403 });
    const invite = ask('INVITE', '100');
    expect(test.exchange(invite, SCANNER).map(({ what }) => what)).toEqual(['403']);
    const before = test.sent.length;
    await test.clock.advance(40_000);
    expect(test.sent).toHaveLength(before);
  });

  it('has both challenges where there is room for them, in short names where there is not, the one that every phone knows alone in less', async () => {
    const { test } = await started();
    const challengesOf = (padding: number): [string[], boolean] => {
      const base = ask('REGISTER', 'alice', padding > 0 ? [`X: ${'x'.repeat(padding)}`] : []).replace('User-Agent: softphone 1.2\r\n', '');
      const [{ text } = { text: '' }] = test.exchange(base, SCANNER);
      return [text.match(/(?<=WWW-Authenticate: .*algorithm=)[\w-]+/g) ?? [], /^v: /m.test(text)];
    };
    expect([challengesOf(150), challengesOf(0)]).toEqual([
      [['SHA-256', 'MD5'], false],
      [['MD5'], true],
    ]);
  });
});
