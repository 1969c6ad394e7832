import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { IceOutput } from '../../../../src/webrtc/ice/ice-agent.ts';
import { IceLiteAgent } from '../../../../src/webrtc/ice/ice-lite-agent.ts';
import type { Path } from '../../../../src/webrtc/path.ts';
import { verifyIntegrity } from '../../../../src/webrtc/stun/integrity.ts';
import { parseStun } from '../../../../src/webrtc/stun/parse-stun.ts';
import { type StunDraft, writeStun } from '../../../../src/webrtc/stun/write-stun.ts';

const local = { ufrag: 'ours', pwd: 'our-password-of-22-chars' };

function pathTo(port: number, address = '192.0.2.7'): Path {
  return { key: `${address}:${port}`, address, port, send: () => undefined };
}

function check(change: Partial<StunDraft> = {}, pwd: string | null = local.pwd): Buffer {
  const transactionId = randomBytes(12);
  return writeStun(
    { class: 'request', transactionId, username: 'ours:theirs', priority: 1, iceControlling: 1n, ...change },
    pwd ?? undefined,
  );
}

function outputs(agent: IceLiteAgent): IceOutput[] {
  const all: IceOutput[] = [];
  for (let output = agent.pollOutput(); output; output = agent.pollOutput()) all.push(output);
  return all;
}

const types = (agent: IceLiteAgent) => outputs(agent).map(({ type }) => type);

function reply(agent: IceLiteAgent) {
  const [first] = outputs(agent);
  if (first?.type !== 'send') throw new Error('no reply');
  const message = parseStun(first.datagram);
  if (!message) throw new Error('malformed reply');
  return { ...message, verified: verifyIntegrity(first.datagram, message, local.pwd) };
}

describe('IceLiteAgent', () => {
  it('answers a verified check with the address it came from, under integrity and fingerprint', () => {
    const agent = new IceLiteAgent({ local, remoteUfrag: 'theirs' });
    agent.handleStun(check(), pathTo(40_000), 5);
    const message = reply(agent);
    expect(message).toMatchObject({ class: 'success', hasFingerprint: true, verified: true });
    expect(message.xorMappedAddress).toEqual({ address: '192.0.2.7', port: 40_000 });
    expect(agent.selected?.port).toBe(40_000);
  });

  it.each([
    ['no integrity', check({}, null), 'integrity'],
    ['a made-up integrity', check({}, 'guess'), 'integrity'],
    ['no user name', writeStun({ class: 'request', transactionId: randomBytes(12), iceControlling: 1n }, local.pwd), 'username'],
    ['another receiver', check({ username: 'others:theirs' }), 'username'],
    ['another sender', check({ username: 'ours:nobody' }), 'username'],
    ['a receiver that only starts like ours', check({ username: 'ours2:theirs' }), 'username'],
    ['a controlled role without integrity', check({ iceControlled: 1n }, null), 'integrity'],
    ['an unknown attribute without integrity', check({ extra: [{ type: 0x7001, value: Buffer.alloc(0) }] }, null), 'integrity'],
    ['a response', check({ class: 'success' }), 'unexpected'],
    ['an indication', check({ class: 'indication' }), 'unexpected'],
    ['noise', Buffer.from('0001000021', 'hex'), 'malformed'],
  ] as const)('stays silent and stateless for %s', (_what, datagram, reason) => {
    const agent = new IceLiteAgent({ local, remoteUfrag: 'theirs' });
    agent.handleStun(datagram, pathTo(1), 0);
    expect(outputs(agent)).toEqual([]);
    expect(agent.snapshot()).toMatchObject({ state: 'new', paths: 0, checks: 0, dropped: { [reason]: 1 } });
    expect(agent.nextTimeout()).toBeUndefined();
  });

  it('takes any sender while the remote ufrag is not known', () => {
    const agent = new IceLiteAgent({ local });
    agent.handleStun(check({ username: 'ours:whoever' }), pathTo(1), 0);
    expect(types(agent)).toEqual(['send', 'verified', 'selected']);
  });

  it('refuses unknown comprehension-required attributes with 420 and believes no path by it', () => {
    const agent = new IceLiteAgent({ local });
    agent.handleStun(check({ extra: [{ type: 0x7001, value: Buffer.alloc(0) }] }), pathTo(1), 0);
    expect(reply(agent)).toMatchObject({ class: 'error', errorCode: 420, verified: true });
    expect(agent.isVerified(pathTo(1))).toBe(false);
  });

  it('tells whoever claims to be controlled that this is our role', () => {
    const agent = new IceLiteAgent({ local });
    agent.handleStun(check({ iceControlling: undefined as never, iceControlled: 2n ** 64n - 1n }), pathTo(1), 0);
    expect(reply(agent)).toMatchObject({ class: 'error', errorCode: 487, verified: true });
    expect(agent.selected).toBeUndefined();
  });

  it('moves only by a verified check that nominates', () => {
    const agent = new IceLiteAgent({ local });
    agent.handleStun(check(), pathTo(1), 0);
    agent.handleStun(check(), pathTo(2), 10);
    expect(agent.selected?.port).toBe(1);
    agent.handleStun(check({ useCandidate: true }, 'guess'), pathTo(3), 20);
    expect(agent.selected?.port).toBe(1);
    agent.handleStun(check({ useCandidate: true }), pathTo(2), 30);
    expect(agent.selected?.port).toBe(2);
    agent.handleStun(check(), pathTo(1), 40);
    expect(agent.selected?.port).toBe(2);
    expect(types(agent)).toEqual(['send', 'verified', 'selected', 'send', 'verified', 'send', 'selected', 'send']);
  });

  it('believes no check that is sent again from elsewhere, but answers retransmissions', () => {
    const agent = new IceLiteAgent({ local });
    const seen = check({ useCandidate: true });
    agent.handleStun(seen, pathTo(1), 0);
    agent.handleStun(seen, pathTo(1), 10);
    agent.handleStun(seen, pathTo(666), 20);
    expect(types(agent)).toEqual(['send', 'verified', 'selected', 'send']);
    expect(agent.snapshot().dropped.replayed).toBe(1);
  });

  it('keeps at most eight paths and never evicts the selected one', () => {
    const agent = new IceLiteAgent({ local });
    agent.handleStun(check({ useCandidate: true }), pathTo(1), 0);
    for (let port = 2; port <= 9; port += 1) agent.handleStun(check(), pathTo(port), port);
    const dropped = outputs(agent).flatMap((output) => (output.type === 'dropped' ? [output.path.port] : []));
    expect(dropped).toEqual([2]);
    expect(agent.snapshot().paths).toBe(8);
    expect(agent.isVerified(pathTo(1))).toBe(true);
    expect(agent.isVerified(pathTo(2))).toBe(false);
  });

  it('loses consent 30 s after the last verified check, whatever else arrives', () => {
    const agent = new IceLiteAgent({ local });
    agent.handleStun(check(), pathTo(1), 0);
    outputs(agent);
    agent.handleStun(check(), pathTo(1), 10_000);
    agent.handleStun(check({}, 'guess'), pathTo(1), 39_000);
    expect(agent.nextTimeout()).toBe(30_000);
    agent.handleTimeout(30_000);
    expect(agent.nextTimeout()).toBe(40_000);
    agent.handleTimeout(40_000);
    expect(types(agent)).toEqual(['send', 'dropped', 'lost']);
    expect(agent.selected).toBeUndefined();
    expect(agent.nextTimeout()).toBeUndefined();
    agent.handleStun(check(), pathTo(1), 41_000);
    expect(outputs(agent)).toEqual([]);
  });

  it('falls back to a living path when the selected one expires', () => {
    const agent = new IceLiteAgent({ local });
    agent.handleStun(check({ useCandidate: true }), pathTo(1), 0);
    agent.handleStun(check(), pathTo(2), 20_000);
    outputs(agent);
    agent.handleTimeout(30_000);
    expect(outputs(agent)).toMatchObject([
      { type: 'dropped', path: { port: 1 } },
      { type: 'selected', path: { port: 2 } },
    ]);
    expect(agent.nextTimeout()).toBe(50_000);
  });
});

describe('an ICE restart', () => {
  const second = { local: { ufrag: 'ours2', pwd: 'our-second-password-of-28' }, remoteUfrag: 'theirs2' };
  const third = { local: { ufrag: 'ours3', pwd: 'our-third-password-of-27-' }, remoteUfrag: 'theirs3' };
  const later = (change: Partial<StunDraft> = {}) => check({ username: 'ours2:theirs2', ...change }, second.local.pwd);

  function connected(): IceLiteAgent {
    const agent = new IceLiteAgent({ local, remoteUfrag: 'theirs' });
    agent.handleStun(check({ useCandidate: true }), pathTo(1), 0);
    outputs(agent);
    return agent;
  }

  it('leaves paths and selection as they are, and takes checks under both credentials until the first under the new ones', () => {
    const agent = connected();
    agent.restart(second);
    expect([agent.selected?.port, agent.ufrags]).toEqual([1, ['ours2', 'ours']]);
    agent.handleStun(check(), pathTo(1), 1000);
    expect(types(agent)).toEqual(['send']);
    agent.handleStun(later(), pathTo(2), 2000);
    expect(types(agent)).toEqual(['send', 'verified']);
    expect([agent.selected?.port, agent.ufrags]).toEqual([1, ['ours2']]);
    agent.handleStun(check(), pathTo(1), 3000);
    expect(types(agent)).toEqual([]);
    expect(agent.snapshot().dropped).toMatchObject({ username: 1 });
    // What was sent before on the old path is believed as long as its consent lives.
    expect(agent.isVerified(pathTo(1))).toBe(true);
  });

  it('moves media with the nomination under the new credentials, answered under them', () => {
    const agent = connected();
    agent.restart(second);
    agent.handleStun(later({ useCandidate: true }), pathTo(2), 1000);
    const [answer, ...rest] = outputs(agent);
    expect(rest.map(({ type }) => type)).toEqual(['verified', 'selected']);
    const message = answer?.type === 'send' ? parseStun(answer.datagram) : undefined;
    expect(message && answer?.type === 'send' && verifyIntegrity(answer.datagram, message, second.local.pwd)).toBe(true);
    expect(agent.selected?.port).toBe(2);
  });

  it.each([
    ['the new name with the old password', check({ username: 'ours2:theirs2' })],
    ['the old name with the new password', check({}, second.local.pwd)],
    ['names of both', check({ username: 'ours2:theirs' }, second.local.pwd)],
    ['names of both, the other way round', check({ username: 'ours:theirs2' })],
  ])('takes no check with %s', (_what, datagram) => {
    const agent = connected();
    agent.restart(second);
    agent.handleStun(datagram, pathTo(3), 1000);
    expect([types(agent), agent.snapshot().paths, agent.ufrags]).toEqual([[], 1, ['ours2', 'ours']]);
  });

  it('is not proven by a check that is refused', () => {
    const agent = connected();
    agent.restart(second);
    agent.handleStun(later({ extra: [{ type: 0x7001, value: Buffer.alloc(0) }] }), pathTo(2), 1000);
    expect([types(agent), agent.ufrags]).toEqual([['send'], ['ours2', 'ours']]);
  });

  it('gives way to the next before it was ever used; the proven one stays', () => {
    const agent = connected();
    agent.restart(second);
    agent.restart(third);
    expect(agent.ufrags).toEqual(['ours3', 'ours']);
    agent.handleStun(later(), pathTo(2), 1000);
    agent.handleStun(check(), pathTo(1), 1000);
    expect([types(agent), agent.selected?.port]).toEqual([['send'], 1]);
  });

  it('does not prolong consent: without a check under any credentials it is lost', () => {
    const agent = connected();
    agent.restart(second);
    agent.handleTimeout(30_000);
    expect(types(agent)).toEqual(['dropped', 'lost']);
  });
});
