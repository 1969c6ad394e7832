import { describe, expect, it } from 'vitest';
import { DigestClient } from '../../../src/sip/digest/digest-client.ts';
import { GuessBrake } from '../../../src/sip/embedded/guess-brake.ts';
import { TrunkBook } from '../../../src/sip/trunk-book.ts';
import { ANSWER, EngineUnderTest, header, PEER, request, type Sent, toTagOf } from './engine-under-test.ts';
import { TRUNK } from './outbound-under-test.ts';

const URI = 'sip:agent@192.0.2.1';
const AUTH = { username: 'gw', password: 'pa55-canary', realm: 'ringdown' };

const started = (): Promise<EngineUnderTest> =>
  EngineUnderTest.start({}, (clock) => ({
    trunks: new TrunkBook(clock, [{ ...TRUNK, peer: PEER, auth: AUTH, destinations: [] }]),
  }));

const challenges = (sent: Sent | undefined): string[] =>
  [...(sent?.text ?? '').matchAll(/^WWW-Authenticate: (.*)$/gm)].map(([, value = '']) => value.trim());

let calls = 0;

/** One INVITE of a peer that knows this password, after what it was asked. */
function withPassword(test: EngineUnderTest, client: DigestClient, from = PEER): Sent[] {
  calls += 1;
  const headers = client.authorize({ method: 'INVITE', uri: URI }).map((value) => `Authorization: ${value}`);
  return test.exchange(request({ uri: URI, callId: `login-${calls}`, headers }), from);
}

function challenged(test: EngineUnderTest, password = AUTH.password, username = AUTH.username): DigestClient {
  calls += 1;
  const client = new DigestClient({ username, password });
  client.challenged(challenges(test.exchange(request({ uri: URI, callId: `login-${calls}` }))[0]));
  return client;
}

describe('a trunk that must show a password', () => {
  it('is asked for it by SHA-256 and MD5 without a call being made, and let in with it', async () => {
    const test = await started();
    const [asked] = test.exchange(request({ uri: URI }));
    expect([asked?.what, challenges(asked).map((each) => /algorithm=([\w-]+)/.exec(each)?.[1])]).toEqual(['401', ['SHA-256', 'MD5']]);
    expect([test.invites.length, await test.count('sip_transactions')]).toEqual([0, 0]);
    expect(withPassword(test, challenged(test)).map((each) => each.what)).toEqual(['100']);
    expect(test.invites).toHaveLength(1);
    test.invites[0]?.answer(ANSWER);
    const tag = toTagOf(test.sent.at(-1)?.text ?? '');
    const bye = request({ method: 'BYE', callId: `login-${calls}`, cseq: 2, toTag: tag });
    expect(test.exchange(bye).map((each) => each.what)).toEqual(['200']); // who knows the tags is known
  });

  it('is let in once with one set of credentials, and told that only the nonce was old', async () => {
    const test = await started();
    const client = challenged(test);
    const headers = client.authorize({ method: 'INVITE', uri: URI }).map((value) => `Authorization: ${value}`);
    expect(test.exchange(request({ uri: URI, callId: 'a', headers }))[0]?.what).toBe('100');
    const [again] = test.exchange(request({ uri: URI, callId: 'b', headers }));
    expect([again?.what, challenges(again).every((each) => each.includes('stale=true'))]).toEqual(['401', true]);
    test.clock.advance(300_001);
    const [old] = withPassword(test, client);
    expect([old?.what, challenges(old).every((each) => each.includes('stale=true'))]).toEqual(['401', true]);
    client.challenged(challenges(old));
    expect(withPassword(test, client)[0]?.what).toBe('100');
  });

  it('gets five guesses and then one in ten seconds, right or wrong, and nobody else is slowed', async () => {
    const test = await EngineUnderTest.start({}, (clock) => ({
      trunks: new TrunkBook(clock, [{ ...TRUNK, peer: PEER, addresses: ['198.51.100.0/24'], auth: AUTH }]),
    }));
    const outcomes: (string | undefined)[] = [];
    for (let n = 0; n < 7; n += 1) outcomes.push(withPassword(test, challenged(test, `guess-${n}`))[0]?.what);
    expect(outcomes).toEqual(['401', '401', '401', '401', '401', '503', '503']);
    const [held] = withPassword(test, challenged(test));
    expect([held?.what, Number(header(held?.text ?? '', 'Retry-After'))]).toEqual(['503', 10]);
    const other = { address: '198.51.100.7', port: 5060 };
    const client = new DigestClient({ username: AUTH.username, password: AUTH.password });
    client.challenged(challenges(test.exchange(request({ uri: URI, callId: 'other' }), other)[0]));
    expect(withPassword(test, client, other)[0]?.what).toBe('100');
    test.clock.advance(10_000);
    expect(withPassword(test, challenged(test, 'another'))[0]?.what).toBe('401');
    expect(withPassword(test, challenged(test))[0]?.what).toBe('503');
    test.clock.advance(10_000);
    expect(withPassword(test, challenged(test))[0]?.what).toBe('100');
  });

  it('learns nothing from the answer about which users there are, nor with credentials of somewhere else', async () => {
    const test = await started();
    const shape = (sent: Sent | undefined): string => (sent?.text ?? '').replaceAll(/(nonce="|branch=|tag=|Call-ID: )[^";\r]+/g, '$1');
    const wrong = withPassword(test, challenged(test, 'wrong'))[0];
    const nobody = withPassword(test, challenged(test, AUTH.password, 'nobody'))[0];
    expect(shape(nobody)).toBe(shape(wrong));
    const garbage = ['Digest', 'Digest username="gw"', 'Basic Z3c6cGE1NQ==', `Digest ${'x=1,'.repeat(500)}`, 'Digest nc=ffffffff'];
    for (const value of garbage) {
      calls += 1;
      const headers = [`Authorization: ${value}`];
      expect(test.exchange(request({ uri: URI, callId: `login-${calls}`, headers }))[0]?.what).toBe('401');
    }
    expect(test.sent.some(({ text }) => text.includes('canary'))).toBe(false);
    expect(test.invites).toEqual([]);
  });

  it('is asked by MD5 alone where its phones know nothing else', async () => {
    const test = await EngineUnderTest.start({}, (clock) => ({
      trunks: new TrunkBook(clock, [{ ...TRUNK, peer: PEER, auth: { ...AUTH, algorithms: ['MD5'] } }]),
    }));
    const asked = challenges(test.exchange(request({ uri: URI }))[0]);
    expect(asked.map((each) => /algorithm=([\w-]+)/.exec(each)?.[1])).toEqual(['MD5']);
    expect(withPassword(test, challenged(test))[0]?.what).toBe('100');
  });

  it('is the only one asked: OPTIONS and callers of no trunk are not', async () => {
    const test = await started();
    expect(test.exchange(request({ method: 'OPTIONS', uri: URI }))[0]?.what).toBe('200');
    expect(test.exchange(request({ uri: URI, callId: 'stranger' }), { address: '203.0.113.5', port: 5060 })[0]?.what).toBe('100');
  });
});

it('of guessers a bounded number is remembered, and none that has waited', () => {
  const brake = new GuessBrake();
  for (let n = 0; n < 20_000; n += 1) brake.guessed(`source-${n}`, 0);
  expect(brake.size).toBe(10_000);
  for (let n = 0; n < 4; n += 1) brake.guessed('source-19999', 0);
  expect(brake.waitS('source-19999', 0)).toBe(10);
  expect(brake.waitS('source-19999', 50_000)).toBe(0);
  expect(brake.size).toBe(9_999);
});
