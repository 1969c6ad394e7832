import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DigestClient } from '../../src/sip/digest/digest-client.ts';
import { DigestServer } from '../../src/sip/digest/digest-server.ts';
import type { Trunk } from '../../src/sip/trunk.ts';
import { type SipUser, UserBook } from '../../src/sip/user.ts';
import { type Endpoint, endpointText, LOOPBACK } from '../support/endpoint.ts';
import { ENGINES, EngineBench, sdp, trunkTo } from '../support/engine-bench.ts';
import { newBranch, newTag } from '../support/phone-dialog.ts';
import type { HeaderLine, SipMessage } from '../support/sip-message.ts';
import { writeSip } from '../support/sip-message.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { EventLog, eventually } from '../support/wait.ts';

/*
 * Who is who, whoever has the sockets: users and their phones, the accounts that we have elsewhere, and those who guess.
 */

const REALM = 'ringdown';
const PASSWORD = 'wonderland';
/** No trunk's. */
const HOME = '127.0.0.4';
const GUESSER = '127.0.0.9';
const BANNED_AFTER = 6;

function user(name: string): SipUser {
  const of = (hash: string): string => createHash(hash).update(`${name}:${REALM}:${PASSWORD}`).digest('hex');
  return { name, ha1: { 'SHA-256': of('sha256'), MD5: of('md5') }, calls: [{ type: 'agent' }], maxContacts: 3 };
}

/** Where we have an account. */
function account(registrar: Endpoint): Trunk {
  const register = { registrars: [registrar], domain: 'far.invalid', username: '1001', authUsername: '1001', password: PASSWORD };
  return { ...trunkTo(registrar), name: 'account', register: { ...register, expiresS: 60, contact: 'local', keepAliveS: 0 } };
}

describe.each(Object.entries(ENGINES))('users and accounts over %s', (_name, open) => {
  let bench: EngineBench;
  let registrar: SipPhone;
  let alice: SipPhone;
  const registers = new EventLog<SipMessage>();

  beforeAll(async () => {
    registrar = await SipPhone.open({ user: 'registrar', address: '127.0.0.6' });
    const server = new DigestServer({ realm: 'far', passwordOf: (each) => (each === '1001' ? PASSWORD : undefined) });
    registrar.onRequest = (request, reply) => {
      if (request.method !== 'REGISTER') return false;
      registers.push(request);
      const verdict = server.verify(Date.now(), LOOPBACK, request.all('authorization'), { method: 'REGISTER', uri: request.requestUri });
      const contact = request.header('contact') ?? '';
      const expires = Number(/expires=(\d+)/.exec(contact)?.[1] ?? request.header('expires') ?? -1);
      const asked = (): HeaderLine[] => server.challenges(Date.now(), LOOPBACK, false).map((value) => ['WWW-Authenticate', value] as const);
      if (verdict.type !== 'ok') reply(401, 'Unauthorized', asked());
      else if (expires === 60) reply(423, 'Interval Too Brief', [['Min-Expires', '120']]);
      else reply(200, 'OK', expires === 0 ? [] : [['Contact', contact]]);
      return true;
    };
    bench = await EngineBench.open(open, {
      address: HOME,
      trunks: () => [account(registrar.local)],
      users: new UserBook([user('alice'), user('bob')], REALM),
      options: { bans: { seconds: 60, after: BANNED_AFTER } },
    });
    alice = bench.phone;
  });

  afterAll(async () => {
    await bench.close();
    registrar.close();
  });

  interface Register {
    readonly as?: string;
    readonly password?: string;
    readonly contact?: string;
    readonly expires?: string;
    readonly callId?: string;
    readonly cseq?: number;
    readonly headers?: readonly HeaderLine[];
  }

  /** Asks, answers the challenge, and gives what came of it. */
  async function register(phone: SipPhone, who: string, given: Register = {}): Promise<SipMessage> {
    const {
      as = who,
      password = PASSWORD,
      contact = `<${phone.uri}>`,
      expires,
      callId = `${newTag()}@phone`,
      cseq = 1,
      headers = [],
    } = given;
    const uri = `sip:${bench.sip.address}`;
    const about = `<sip:${as}@${bench.sip.address}>`;
    const ask = (number: number, credentials: readonly HeaderLine[]): Promise<SipMessage> => {
      const lines: HeaderLine[] = [
        ['Via', phone.via(newBranch())],
        ['Max-Forwards', '70'],
        ['From', `${about};tag=${newTag()}`],
        ['To', about],
        ['Call-ID', callId],
        ['CSeq', `${number} REGISTER`],
        ['Contact', contact],
        ...(expires === undefined ? [] : [['Expires', expires] as const]),
        ['User-Agent', 'Softphone 3.11 (as phones send it, so that a challenge may be as long)'],
        ...headers,
        ...credentials,
      ];
      return phone.request(writeSip(`REGISTER ${uri} SIP/2.0`, lines, ''), bench.sip).final(5000);
    };
    const challenge = await ask(cseq, []);
    if (challenge.status !== 401) return challenge;
    expect(challenge.all('www-authenticate').map((value) => /algorithm=([\w-]+)/.exec(value)?.[1])).toEqual(['SHA-256', 'MD5']);
    const client = new DigestClient({ username: who, password });
    client.challenged(challenge.all('www-authenticate'));
    return ask(
      cseq + 1,
      client.authorize({ method: 'REGISTER', uri }).map((value) => ['Authorization', value] as const),
    );
  }

  test('a phone is registered with the password of its user, found again, and forgotten', async () => {
    const callId = `${newTag()}@phone`;
    const taken = await register(alice, 'alice', {
      callId,
      headers: [
        ['Path', `<sip:${HOME}:9;lr>`],
        ['Supported', 'path'],
      ],
    });
    expect([taken.status, taken.header('contact')]).toEqual([200, expect.stringContaining(alice.uri)]);
    expect(taken.header('contact')).toMatch(/expires=\d+/);
    expect(taken.header('path')).toContain(`sip:${HOME}:9`);
    expect((await register(alice, 'alice', { as: 'bob' })).status).toBe(403);
    expect((await register(alice, 'alice', { password: 'guess' })).status).toBe(401);
    const brief = await register(alice, 'alice', { expires: '10' });
    expect([brief.status, Number(brief.header('min-expires')) > 10]).toEqual([423, true]);
    expect((await register(alice, 'alice', { contact: '*' })).status).toBe(400);
    expect((await register(alice, 'alice', { contact: '*', expires: '0' })).status).toBe(200);
    expect(() => bench.dials({ trunk: 'users', destination: 'user:alice' })).toThrow();
  });

  test('all phones of a user ring, and the first that answers has the call', async () => {
    const second = await SipPhone.open({ user: 'second', address: '127.0.0.5' });
    for (const phone of [alice, second]) expect((await register(phone, 'alice')).status).toBe(200);
    const coming = [alice.nextCall(), second.nextCall()] as const;
    const { answered } = bench.dials({ trunk: 'users', destination: 'user:alice' });
    const [one, other] = await Promise.all(coming);
    one.ring();
    other.ring();
    other.answer();
    const { call } = await answered.find(() => true, 5000, 'the answer');
    await other.acknowledged();
    await one.requests.find(({ method }) => method === 'CANCEL', 5000, 'the CANCEL');
    call.hangup();
    await other.hungUp();
    for (const phone of [alice, second]) await register(phone, 'alice', { contact: '*', expires: '0' });
    second.close();
  });

  test('a call with the password of a user is that of the user, once; without it, it is asked for it', async () => {
    const phone = await SipPhone.open({ user: 'somebody', address: '127.0.0.7' });
    const uri = `sip:agent@${endpointText(bench.sip)}`;
    const from = (who: string): string => `sip:${who}@${bench.sip.address}`;
    const asked = async (who: string) => (await phone.dial(bench.sip, { uri, talk: false, from: from(who) })).refused();
    const [challenge, nobody] = [await asked('alice'), await asked('nobody')];
    expect([challenge.status, nobody.status]).toEqual([401, 401]);
    const client = new DigestClient({ username: 'alice', password: PASSWORD });
    client.challenged(challenge.all('www-authenticate'));
    const headers = client.authorize({ method: 'INVITE', uri }).map((value) => ['Authorization', value] as const);
    const { invite, phoneCall } = await bench.rings({ uri, headers, from: from('alice') }, phone);
    expect(invite.caller).toEqual({ type: 'user', name: 'alice' });
    invite.answer(sdp(4000));
    await phoneCall.answered();
    const again = await phone.dial(bench.sip, { uri, headers, talk: false, from: from('alice') });
    expect((await again.refused()).status).toBe(401);
    expect((await phoneCall.bye()).status).toBe(200);
    phone.close();
  });

  test('we are registered where we have an account, for as long as its registrar wants', async () => {
    await eventually(() => bench.engine.registrationOf('account')?.registered, 10_000, 'the registration');
    const said = registers.all.map((each) => /expires=(\d+)/.exec(each.header('contact') ?? '')?.[1]);
    expect(said.slice(0, 3)).toEqual(['60', '60', '120']);
    expect(registers.all.map((each) => each.all('authorization').length)).toEqual(expect.arrayContaining([0, 1]));
    const contact = /<([^>]+)>/.exec(registers.last?.header('contact') ?? '')?.[1] ?? '';
    // Whoever is called there calls our account.
    const { invite, phoneCall } = await bench.rings({ uri: contact }, registrar);
    expect(invite.caller).toMatchObject({ type: 'trunk', name: 'account' });
    invite.reject({ status: 486 });
    await phoneCall.refused();
  });

  test('who guesses is not listened to, until somebody says so', async () => {
    const guesser = await SipPhone.open({ user: 'guesser', address: GUESSER, retransmit: false });
    for (let n = 0; n < 4 * BANNED_AFTER && bench.engine.bans.list(performance.now()).length === 0; n++) {
      const about = `sip:guess${n}@${bench.sip.address}`;
      await guesser.ask('REGISTER', bench.sip, { uri: `sip:${bench.sip.address}`, about }).catch(() => undefined);
    }
    expect(bench.engine.bans.list(performance.now())).toMatchObject([{ source: GUESSER }]);
    await expect(guesser.ask('OPTIONS', bench.sip, { deadlineMs: 300 })).rejects.toThrow('waited');
    expect((await alice.ask('OPTIONS', bench.sip)).status).toBe(200);
    expect(bench.engine.bans.lift(GUESSER, performance.now())).toBe(true);
    expect((await guesser.ask('OPTIONS', bench.sip)).status).toBe(200);
    guesser.close();
  });

  test('when we leave, our account is told', async () => {
    const before = registers.count;
    await bench.engine.stop();
    const last = await registers.find((each) => /expires=0/.test(each.header('contact') ?? ''), 5000, 'the farewell', before);
    expect(last.method).toBe('REGISTER');
  });
});
