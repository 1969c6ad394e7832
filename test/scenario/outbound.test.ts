import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DigestServer } from '../../src/sip/digest/digest-server.ts';
import { calledBack } from '../support/called-back.ts';
import { endpointText } from '../support/endpoint.ts';
import { type GatewayMode, type GatewayUnderTest, gatewayUnderTest } from '../support/gateway-under-test.ts';
import { nextSound } from '../support/heard.ts';
import { findSound, promptSound } from '../support/prompt-sound.ts';
import type { SipPhone } from '../support/sip-phone.ts';
import { Switchhook } from '../support/switchhook.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';
import { elapse, eventually } from '../support/wait.ts';

/* Calls that the gateway places, transfers both ways, and who may have it do so. */

const CANARY = 'pa55-canary';

describe.each<GatewayMode>(['process', 'apart'])('a gateway with a trunk, %s', (mode) => {
  const hook = new Switchhook();
  const folder = tempFolder('outbound');
  let trunk: SipPhone;
  let gateway: GatewayUnderTest;

  beforeAll(async () => {
    trunk = await hook.phone({ user: 'alice' });
    const file = join(folder, 'ringdown.yaml');
    writeFileSync(
      file,
      `
trunks:
  - name: pbx
    peer: ${endpointText(trunk.local)}
    addresses: [127.0.0.1]
    username: gw
    password: ${CANARY}
    caps: { concurrent: 3, per-second: 100 }
    destinations: [alice, bob]
    refer: allow
agent:
  callback-trunk: pbx
  transfer-target: sip:desk@192.0.2.50
`,
    );
    gateway = await gatewayUnderTest({ mode, flags: ['--config', file, '--sip-rate', '0'] });
  });

  afterAll(async () => {
    await hook.close();
    await gateway.stop();
    removeFolder(folder);
  });

  test('calls back whoever presses 9, and greets', async () => {
    const back = await calledBack(hook, trunk, gateway.sip);
    // Any half second of it: a busy machine leaves holes.
    const pieces = [0, 4000, 8000].map((from) => promptSound('hello').subarray(from, from + 4000));
    const greeted = (): boolean => pieces.some((piece) => findSound(back.media.recording().samples, piece).share > 0.7);
    await eventually(greeted, 5000, 'the greeting');
    expect((await back.bye()).status).toBe(200);
    await eventually(() => gateway.cdrs().length >= 2, 5000, 'both records');
    expect(gateway.cdrs().at(-1)).toMatchObject({ cause: 'remote_hangup', sip_status: 200 });
  });

  test('leaves a busy caller alone, and its record says busy', async () => {
    const call = await hook.call(gateway.sip, {}, trunk);
    await nextSound(call.media, 3000);
    await call.media.press('9');
    const incoming = trunk.nextCall(12_000);
    await call.hungUp(8000);
    const before = gateway.cdrs().length;
    (await incoming).refuse(486, 'Busy Here');
    await eventually(() => gateway.cdrs().length > before, 5000, 'the record');
    await eventually(() => gateway.cdrs().some((record) => record['sip_status'] === 486), 5000, 'the record of the refusal');
  });

  test('calls nobody back that is not among the destinations', async () => {
    const call = await hook.call(gateway.sip, { from: 'sip:+88212345@192.0.2.9' }, trunk);
    await nextSound(call.media, 3000);
    const pressed = await call.media.press('9');
    await elapse(2500);
    expect(call.over).toBe(false);
    const from = call.media.arrivals.all.findIndex((each) => each.at > pressed.startedAt);
    expect(findSound(call.media.recording(from).samples, promptSound('unavailable', 8000)).share).toBeGreaterThan(0);
    await call.bye();
  });

  test('asks the phone to call the desk when 5 is pressed, and hangs up when that has answered', async () => {
    const call = await hook.call(gateway.sip, {}, trunk);
    await nextSound(call.media, 3000);
    const refer = call.requests.find((each) => each.method === 'REFER', 8000, 'REFER');
    await call.media.press('5');
    expect((await refer).header('refer-to')).toBe('<sip:desk@192.0.2.50>');
    const notify = (line: string, state: string) =>
      call.request('NOTIFY', {
        headers: [
          ['Event', 'refer'],
          ['Subscription-State', state],
        ],
        body: line,
        contentType: 'message/sipfrag;version=2.0',
      });
    expect((await notify('SIP/2.0 180 Ringing\r\n', 'active;expires=60')).status).toBe(200);
    expect((await notify('SIP/2.0 200 OK\r\n', 'terminated;reason=noresource')).status).toBe(200);
    await call.hungUp(3000);
  });

  test('is transferred by its trunk to one of the destinations, and talks to that phone', async () => {
    const call = await hook.call(gateway.sip, {}, trunk);
    await nextSound(call.media, 3000);
    const incoming = trunk.nextCall(5000);
    const refused = await call.request('REFER', { headers: [['Refer-To', '<sip:+88212345@192.0.2.9>']] });
    expect(refused.status).toBe(603);
    expect((await call.request('REFER', { headers: [['Refer-To', `<sip:bob@${endpointText(trunk.local)}>`]] })).status).toBe(202);
    const bob = await incoming;
    bob.answer();
    await bob.acknowledged();
    await call.requests.find((each) => each.method === 'NOTIFY' && each.body.includes('200'), 5000, 'NOTIFY of the success');
    await call.hungUp(5000);
    await bob.media.press('3');
    await nextSound(bob.media, 3000);
    expect((await bob.bye()).status).toBe(200);
  });

  test.each(['SHA-256', 'MD5'])('gives its trunk the password by %s, and only when asked', async (algorithm) => {
    const server = new DigestServer({ realm: 'pbx', passwordOf: (name) => (name === 'gw' ? CANARY : undefined) });
    const verdicts: string[] = [];
    trunk.onRequest = (request, reply) => {
      if (request.method !== 'INVITE' || request.toTag !== undefined) return false;
      const uri = request.startLine.split(' ')[1] ?? '';
      const verdict = server.verify(Date.now(), 'gw', request.all('authorization'), { method: 'INVITE', uri });
      verdicts.push(verdict.type);
      if (verdict.type === 'ok') return false;
      const asked = server.challenges(Date.now(), 'gw', verdict.stale).filter((value) => value.includes(`algorithm=${algorithm}`));
      reply(
        401,
        'Unauthorized',
        asked.map((value) => ['WWW-Authenticate', value] as const),
      );
      return true;
    };
    try {
      const call = await hook.call(gateway.sip, {}, trunk);
      await nextSound(call.media, 3000);
      const incoming = trunk.nextCall(5000);
      expect((await call.request('REFER', { headers: [['Refer-To', `<sip:bob@${endpointText(trunk.local)}>`]] })).status).toBe(202);
      const bob = await incoming;
      bob.answer();
      await call.hungUp(5000);
      expect(verdicts).toEqual(['challenge', 'ok']);
      expect((await bob.bye()).status).toBe(200);
    } finally {
      trunk.onRequest = undefined;
    }
  });

  test('goes on with the phone that takes the place of another', async () => {
    const call = await hook.call(gateway.sip, {}, trunk);
    await nextSound(call.media, 3000);
    const answer = await call.answered();
    const ours = answer.toTag ?? '';
    const theirs = /;tag=([^;>\s]+)/.exec(answer.header('from') ?? '')?.[1] ?? '';
    const wrong = await trunk.dial(gateway.sip, { headers: [['Replaces', `${call.callId};to-tag=guess;from-tag=${theirs}`]], talk: false });
    expect((await wrong.refused()).status).toBe(481);
    const other = await hook.call(gateway.sip, { headers: [['Replaces', `${call.callId};to-tag=${ours};from-tag=${theirs}`]] }, trunk);
    await call.hungUp(3000);
    await other.media.press('3');
    await nextSound(other.media, 3000);
    const records = gateway.cdrs().length;
    await other.bye();
    await eventually(() => gateway.cdrs().length === records + 1, 5000, 'one record of it all');
  });

  test('refuses the fourth call at a cap of three by 503, and writes its record', async () => {
    const calls = [];
    for (let n = 0; n < 3; n++) calls.push(await hook.call(gateway.sip, {}, trunk));
    const fourth = await trunk.dial(gateway.sip);
    expect((await fourth.refused()).status).toBe(503);
    for (const call of calls) await call.bye();
    await eventually(() => gateway.cdrs().some((record) => String(record['detail']).includes('reached its cap')), 5000, 'the record');
  });

  test('says its password to nobody', () => {
    expect(JSON.stringify(gateway.log.all)).not.toContain(CANARY);
    expect(JSON.stringify(gateway.cdrs())).not.toContain(CANARY);
  });
});

test('a stranger cannot call a gateway that can dial', async () => {
  const hook = new Switchhook();
  const folder = tempFolder('outbound');
  const file = join(folder, 'ringdown.yaml');
  writeFileSync(file, 'trunks:\n  - {name: far, peer: "192.0.2.9:5060", destinations: ["+1*"]}\n');
  const gateway = await gatewayUnderTest({ mode: 'here', flags: ['--config', file] });
  try {
    const call = await (await hook.phone()).dial(gateway.sip);
    expect((await call.refused()).status).toBe(403);
    await eventually(() => gateway.cdrs().length === 1, 3000, 'the record');
  } finally {
    await hook.close();
    await gateway.stop();
    removeFolder(folder);
  }
});
