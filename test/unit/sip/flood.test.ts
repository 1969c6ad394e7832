import { describe, expect, it } from 'vitest';
import { TrunkBook } from '../../../src/sip/trunk-book.ts';
import { UserBook } from '../../../src/sip/user.ts';
import { EngineUnderTest, PEER, request } from './engine-under-test.ts';

const USER = { name: 'alice', ha1: { MD5: 'a'.repeat(32) }, calls: [{ type: 'agent' }], maxContacts: 3 } as const;

/** Methods of floods, one after the other. */
const METHODS = ['REGISTER', 'INVITE', 'OPTIONS', 'SUBSCRIBE'];

/** Half again as many as there is room for sources. */
const MESSAGES = 15_000;

async function flooded(addressOf: (n: number) => string, requestsPerSecond: number) {
  const test = await EngineUnderTest.start({ requestsPerSecond, bans: { seconds: 300, after: 20 } }, (clock) => ({
    trunks: new TrunkBook(clock, [], undefined, 'trunks'),
    users: new UserBook([USER]),
  }));
  let answers = 0;
  for (let n = 0; n < MESSAGES; n += 1) {
    const parts = { method: METHODS[n % 4] ?? '', uri: `sip:u${n}@192.0.2.1`, callId: `flood-${n}`, fromTag: `f${n}` };
    answers += test.exchange(request(parts), { address: addressOf(n), port: 5060 }).length;
    test.sent.length = 0;
    if (n % 1000 === 0) await test.clock.advance(1000);
  }
  return { test, answers };
}

describe('a flood of requests that are all different', () => {
  it('from one source ends in a ban: some answers, no transactions, and others are served', async () => {
    const { test, answers } = await flooded(() => '198.51.100.66', 200);
    expect(answers).toBeLessThanOrEqual(30);
    expect(await test.count('sip_transactions')).toBe(0);
    expect(await test.count('sip_banned_sources')).toBe(1);
    expect(test.exchange(request({ method: 'OPTIONS' }), PEER).map(({ what }) => what)).toEqual(['200']);
  });

  it('from forged sources leaves nothing but tables that are full: one answer each, no transactions, no bans of those who ask once', async () => {
    const { test, answers } = await flooded((n) => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, 200);
    expect(answers).toBe(MESSAGES);
    expect(await test.count('sip_transactions')).toBe(0);
    expect(await test.count('sip_banned_sources')).toBe(0);
    expect(test.engine.bans.suspects).toBeLessThanOrEqual(10_000);
    expect(test.exchange(request({ method: 'OPTIONS' }), PEER).map(({ what }) => what)).toEqual(['200']);
  });
});
