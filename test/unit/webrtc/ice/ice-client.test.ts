import { describe, expect, it } from 'vitest';
import type { IceAgent, IceOutput } from '../../../../src/webrtc/ice/ice-agent.ts';
import { IceClient, type IceClientOptions } from '../../../../src/webrtc/ice/ice-client.ts';
import { IceLiteAgent } from '../../../../src/webrtc/ice/ice-lite-agent.ts';
import type { Path } from '../../../../src/webrtc/path.ts';
import { parseStun } from '../../../../src/webrtc/stun/parse-stun.ts';
import { writeStun } from '../../../../src/webrtc/stun/write-stun.ts';

const local = { ufrag: 'cccc', pwd: 'client-password-of-22c' };
const remote = { ufrag: 'ssss', pwd: 'server-password-of-22c' };
const pathTo = (port: number): Path => ({ key: `192.0.2.1:${port}`, address: '192.0.2.1', port, send: () => undefined });
const back: Path = { key: 'back', address: '198.51.100.9', port: 5, send: () => undefined };

function client(options: Partial<IceClientOptions> = {}): IceClient {
  return new IceClient({ local, remote, candidates: [pathTo(1)], random: () => 0.5, ...options });
}

function outputs(agent: IceAgent): IceOutput[] {
  const all: IceOutput[] = [];
  for (let output = agent.pollOutput(); output; output = agent.pollOutput()) all.push(output);
  return all;
}

function sent(agent: IceAgent): { datagram: Buffer; port: number }[] {
  return outputs(agent).flatMap((output) => (output.type === 'send' ? [{ datagram: output.datagram, port: output.path.port }] : []));
}

/** Lets time pass until `until`; gives [time, port] of every check. */
function run(agent: IceClient, until: number): [number, number][] {
  const log: [number, number][] = [];
  for (let at = agent.nextTimeout(); at !== undefined && at <= until; at = agent.nextTimeout()) {
    agent.handleTimeout(at);
    for (const output of outputs(agent)) if (output.type === 'send') log.push([at, output.path.port]);
  }
  return log;
}

/** What a server with our credentials answers. */
function answer(datagram: Buffer, server = new IceLiteAgent({ local: remote, remoteUfrag: local.ufrag })): Buffer {
  server.handleStun(datagram, back, 0);
  const [first] = sent(server);
  if (!first) throw new Error('the server did not answer');
  return first.datagram;
}

describe('IceClient', () => {
  it('checks quickly at first, then twice a second', () => {
    const agent = client();
    agent.start(0);
    expect(sent(agent)).toHaveLength(1);
    expect(run(agent, 2200).map(([at]) => at)).toEqual([20, 60, 140, 300, 620, 1120, 1620, 2120]);
  });

  it('is understood by a lite agent, nominates, and measures the round trip', () => {
    const agent = client();
    agent.start(0);
    const [first] = sent(agent);
    if (!first) throw new Error('no check');
    expect(parseStun(first.datagram)).toMatchObject({ useCandidate: true, iceControlled: undefined });
    agent.handleStun(answer(first.datagram), pathTo(1), 37);
    expect(outputs(agent).map(({ type }) => type)).toEqual(['verified', 'selected']);
    expect(agent.snapshot()).toMatchObject({ state: 'connected', rttMs: 37, selected: '192.0.2.1:1' });
    expect(agent.nextTimeout()).toBe(2537);
  });

  it('tries the next candidates when the first stays silent', () => {
    const agent = client({ candidates: [pathTo(1), pathTo(2), pathTo(3)] });
    agent.start(0);
    outputs(agent);
    const log = run(agent, 1200);
    expect(log.filter(([, port]) => port === 2).map(([at]) => at)).toEqual([300, 620, 1120]);
    expect(log.filter(([, port]) => port === 3).map(([at]) => at)).toEqual([620, 1120]);
  });

  it('believes no answer from elsewhere, by another password, or to no question', () => {
    const agent = client();
    agent.start(0);
    const [first] = sent(agent);
    if (!first) throw new Error('no check');
    const good = answer(first.datagram);
    agent.handleStun(good, pathTo(2), 1);
    const transactionId = first.datagram.subarray(8, 20);
    const xorMappedAddress = { address: '192.0.2.1', port: 1 };
    agent.handleStun(writeStun({ class: 'success', transactionId, xorMappedAddress }, 'guess'), pathTo(1), 1);
    agent.handleStun(writeStun({ class: 'success', transactionId, xorMappedAddress }), pathTo(1), 1);
    agent.handleStun(writeStun({ class: 'success', transactionId: Buffer.alloc(12), xorMappedAddress }, remote.pwd), pathTo(1), 1);
    expect(outputs(agent)).toEqual([]);
    expect(agent.snapshot()).toMatchObject({ state: 'checking', dropped: { unexpected: 2, integrity: 2 } });
    agent.handleStun(good, pathTo(1), 2);
    expect(agent.snapshot().state).toBe('connected');
  });

  it('notices the loss of consent after the configured time', () => {
    const agent = client({ checkIntervalMs: 500, lostAfterMs: 1500 });
    agent.start(0);
    const [first] = sent(agent);
    if (first) agent.handleStun(answer(first.datagram), pathTo(1), 10);
    outputs(agent);
    expect(run(agent, 1509).map(([at]) => at)).toEqual([510, 1010]);
    expect(agent.nextTimeout()).toBe(1510);
    agent.handleTimeout(1510);
    expect(outputs(agent).map(({ type }) => type)).toEqual(['lost']);
    expect(agent.selected).toBeUndefined();
    expect(agent.nextTimeout()).toBeUndefined();
  });

  it('moves to another candidate that answers when the selected one fell silent', () => {
    const agent = client({ candidates: [pathTo(1), pathTo(2)], checkIntervalMs: 500, lostAfterMs: 5000 });
    agent.start(0);
    const [first] = sent(agent);
    if (first) agent.handleStun(answer(first.datagram), pathTo(1), 0);
    outputs(agent);
    agent.handleTimeout(500);
    expect(sent(agent).map(({ port }) => port)).toEqual([1]);
    agent.handleTimeout(1000);
    const checks = sent(agent);
    expect(checks.map(({ port }) => port)).toEqual([1, 2]);
    const second = checks[1];
    if (second) agent.handleStun(answer(second.datagram), pathTo(2), 1020);
    expect(outputs(agent)).toMatchObject([{ type: 'verified' }, { type: 'selected', path: { port: 2 } }]);
    expect(agent.nextTimeout()).toBeLessThanOrEqual(1500);
  });

  it('answers the checks of a full agent, and lets the larger tie-breaker control', () => {
    const agent = client();
    agent.start(0);
    outputs(agent);
    const request = (iceControlling: bigint) =>
      writeStun({ class: 'request', transactionId: Buffer.alloc(12, 7), username: 'cccc:ssss', iceControlling }, local.pwd);
    agent.handleStun(request(0n), pathTo(1), 1);
    expect(sent(agent).map(({ datagram }) => parseStun(datagram)?.errorCode)).toEqual([487]);
    agent.handleStun(request(2n ** 64n - 1n), pathTo(1), 2);
    const [reply] = sent(agent);
    expect(reply && parseStun(reply.datagram)?.class).toBe('success');
    agent.handleTimeout(20);
    const [next] = sent(agent);
    expect(next && parseStun(next.datagram)).toMatchObject({ useCandidate: false, iceControlling: undefined });
  });

  it('changes its role when told so under integrity', () => {
    const agent = client();
    agent.start(0);
    const [first] = sent(agent);
    if (!first) throw new Error('no check');
    const error = { code: 487, reason: 'Role Conflict' };
    agent.handleStun(writeStun({ class: 'error', transactionId: first.datagram.subarray(8, 20), error }, remote.pwd), pathTo(1), 5);
    const [next] = sent(agent);
    expect(next && parseStun(next.datagram)).toMatchObject({ useCandidate: false, iceControlling: undefined });
  });

  it('ignores requests that are not authenticated or come by a way it did not choose', () => {
    const agent = client();
    agent.start(0);
    outputs(agent);
    const draft = { class: 'request', transactionId: Buffer.alloc(12, 7), username: 'cccc:ssss', iceControlled: 1n } as const;
    agent.handleStun(writeStun(draft), pathTo(1), 1);
    agent.handleStun(writeStun(draft, local.pwd), pathTo(9), 1);
    expect(outputs(agent)).toEqual([]);
    expect(agent.snapshot().dropped).toMatchObject({ integrity: 1, unexpected: 1 });
  });

  it('keeps the memory for unanswered checks bounded', () => {
    const agent = client();
    agent.start(0);
    const early = sent(agent)[0];
    run(agent, 60_000);
    if (early) agent.handleStun(answer(early.datagram), pathTo(1), 60_001);
    expect(agent.snapshot()).toMatchObject({ state: 'checking', dropped: { unexpected: 1 } });
  });
});
