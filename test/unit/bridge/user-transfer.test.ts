import { describe, expect, test } from 'vitest';
import { DialledCall } from '../../../src/bridge/dialled-call.ts';
import { placeOf, successorFor, type TransferableCall, userOf } from '../../../src/bridge/user-transfer.ts';
import type { SipEngine } from '../../../src/sip/engine.ts';
import { TrunkBook } from '../../../src/sip/trunk-book.ts';
import { type SipUser, UserBook } from '../../../src/sip/user.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeInvite } from './call-bench.ts';

const user = (name: string, more: Partial<SipUser> = {}): SipUser => ({ name, ha1: {}, calls: [], maxContacts: 5, ...more });
const users = new UserBook([
  user('alice', { calls: [{ type: 'agent' }, { type: 'users' }, { type: 'trunk', trunk: 'pbx', destinations: ['+1555*'] }] }),
  user('bob', { calls: [{ type: 'users' }], callerId: '+15550100' }),
  user('carol'),
]);
const trunks = new TrunkBook(new FakeClock(), [
  {
    ...{ name: 'pbx', peer: { address: '192.0.2.9', port: 5060 }, transport: 'udp', addresses: [], destinations: ['+1*'] },
    ...{ caps: { concurrent: 9, perSecond: 9, perDay: 9, durationS: 9 }, redirects: 'refuse', refer: 'refuse' },
  },
]);
const books = { users, trunks };

const call = (name: string | undefined, sessionId?: string, named = ''): TransferableCall => ({
  user: name,
  place: sessionId === undefined ? undefined : { sessionId, leg: 'caller' },
  isNamedBy: (replaces) => replaces === named,
});
const to = (target: string, replaces?: string) => ({ target, replaces });

describe('a user has a call transferred', () => {
  test.each([
    ['alice', 'sip:bob@192.0.2.1', { type: 'dial', to: { trunk: 'users', destination: 'user:bob', from: 'alice' } }],
    ['bob', 'sip:alice@192.0.2.1', { type: 'dial', to: { trunk: 'users', destination: 'user:alice', from: '+15550100' } }],
    ['alice', 'sip:+15550001@192.0.2.1', { type: 'dial', to: { trunk: 'pbx', destination: '+15550001', from: 'alice' } }],
    ['alice', 'tel:+1-555-0001', { type: 'dial', to: { trunk: 'pbx', destination: '+15550001', from: 'alice' } }],
    ['alice', 'sip:agent@192.0.2.1', { type: 'agent' }],
  ])('%s to %s', (name, target, successor) => {
    expect(successorFor(to(target), call(name), books, [])).toEqual(successor);
  });

  test.each([
    ['alice', 'sip:+19990001@192.0.2.1', 'a number that its own list lacks'],
    ['alice', 'sip:+4930@192.0.2.1', 'a number that no list has'],
    ['alice', 'sip:alice@192.0.2.1', 'itself'],
    ['alice', 'sip:bbo@192.0.2.1', 'a name that is misspelt: that is not the agent'],
    ['bob', 'sip:agent@192.0.2.1', 'the agent, which it may not call'],
    ['carol', 'sip:bob@192.0.2.1', 'anybody, which it may not'],
    ['mallory', 'sip:bob@192.0.2.1', 'anybody, being no user any more'],
    ['alice', 'nonsense', 'what is no URI'],
  ])('%s not to %s: %s', (name, target) => {
    expect(successorFor(to(target), call(name), books, [])).toBe(403);
  });

  test('not where nobody has configured users, and not as a stranger', () => {
    expect(successorFor(to('sip:bob@192.0.2.1'), call('alice'), {}, [])).toBe(403);
    expect(successorFor(to('sip:bob@192.0.2.1'), call(undefined), books, [])).toBe(403);
  });

  test('to whom it talks in another call of its own', () => {
    const asking = call('carol', 'rtc_1', 'x');
    const others = [call('bob', 'rtc_2', 'x'), asking, call('carol', 'rtc_3', 'y'), call('carol', 'rtc_4', 'x')];
    expect(successorFor(to('sip:any@192.0.2.1', 'x'), asking, books, others)).toEqual({ type: 'leg', sessionId: 'rtc_4', leg: 'caller' });
    expect(successorFor(to('sip:any@192.0.2.1', 'z'), asking, books, others)).toBe(481);
    expect(successorFor(to('sip:any@192.0.2.1', 'x'), asking, books, others.slice(0, 3))).toBe(481);
    expect(successorFor(to('sip:any@192.0.2.1', 'x'), asking, books, [call('carol', undefined, 'x')])).toBe(481);
  });
});

describe('the user of a call', () => {
  const outbound = { sipCallId: 'a', from: '', requestUri: '', localAddress: '', remote: { address: '', port: 0 }, transport: 'udp' };
  const engine = { dial: () => ({ ...outbound }) } as unknown as SipEngine;
  const joins = { sessionId: 'rtc_9', leg: 'leg_x' };

  test('is who has shown a password, or who was called', () => {
    const invite = new FakeInvite();
    expect(userOf(invite)).toBeUndefined();
    for (const caller of [{ type: 'stranger' }, { type: 'trunk', name: 'alice' }] as const) {
      expect(userOf(Object.assign(new FakeInvite(), { caller }))).toBeUndefined();
    }
    expect(userOf(Object.assign(new FakeInvite(), { caller: { type: 'user', name: 'alice' } as const }))).toBe('alice');
    expect(userOf(new DialledCall(engine, { trunk: 'users', destination: 'user:bob' }))).toBe('bob');
    expect(userOf(new DialledCall(engine, { trunk: 'pbx', destination: 'user:bob' }))).toBeUndefined();
  });

  test('is the caller of its session, or the leg as which it joined', () => {
    expect(placeOf(new FakeInvite(), undefined)).toBeUndefined();
    expect(placeOf(new FakeInvite(), 'rtc_1')).toEqual({ sessionId: 'rtc_1', leg: 'caller' });
    expect(placeOf(new DialledCall(engine, { trunk: 'users', destination: 'user:bob' }), 'rtc_2')).toEqual({
      sessionId: 'rtc_2',
      leg: 'caller',
    });
    expect(placeOf(new DialledCall(engine, { trunk: 'users', destination: 'user:bob' }, joins), 'rtc_9')).toEqual(joins);
  });
});
