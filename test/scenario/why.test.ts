import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { dialCommand } from '../../src/command-dial.ts';
import { endpointText } from '../support/endpoint.ts';
import { type GatewayUnderTest, gatewayUnderTest } from '../support/gateway-under-test.ts';
import type { SipPhone } from '../support/sip-phone.ts';
import { Switchhook } from '../support/switchhook.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';
import { eventually } from '../support/wait.ts';

/* Why a call became what it became, asked of a running gateway; and `ringdown dial`, which places a call to see what comes of it. */

describe('a gateway that is asked why', () => {
  const hook = new Switchhook();
  const folder = tempFolder('why');
  const file = join(folder, 'ringdown.yaml');
  let gateway: GatewayUnderTest;
  let desk: SipPhone;
  let stranger: SipPhone;

  beforeAll(async () => {
    desk = await hook.phone({ user: 'desk' });
    stranger = await hook.phone({ address: '127.0.0.2' });
    writeFileSync(
      file,
      `
trunks:
  - name: pbx
    peer: ${endpointText(desk.local)}
    caps: { concurrent: 1, per-second: 100 }
    destinations: [desk]
routes:
  - number: nobody
    answer: {}
`,
    );
    gateway = await gatewayUnderTest({ mode: 'process', flags: ['--config', file, '--sip-rate', '0'] });
  });

  afterAll(async () => {
    await hook.close();
    await gateway.stop();
    removeFolder(folder);
  });

  async function why(id: string): Promise<{ status: number; body: Record<string, unknown> }> {
    const response = await fetch(`http://${endpointText(gateway.http)}/v1/calls/${encodeURIComponent(id)}/why`);
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }

  test('a stranger is told nothing, its owner everything', async () => {
    const call = await stranger.dial(gateway.sip);
    const refusal = await call.refused();
    expect(refusal.status).toBe(403);
    expect(refusal.header('warning')).toBeUndefined();
    const { status, body } = await eventually(
      async () => {
        const answer = await why(call.callId);
        return answer.status === 200 && answer;
      },
      5000,
      'the record',
    );
    expect(status).toBe(200);
    expect(body).toMatchObject({
      object: 'call.why',
      sip_call_id: call.callId,
      outcome: { cause: 'rejected', sip_status: 403, detail: 'only trunks may call while calls can be placed' },
      first_mismatch: { rule: 'trunks.pbx.peer', at: `${file}:4`, matched: false },
    });
  });

  test('a call that goes on has its rules, by its session too; the next one over the cap is told so', async () => {
    const call = await hook.call(gateway.sip, {}, desk);
    const running = await why(call.callId);
    expect(running.body).toMatchObject({ outcome: null, first_mismatch: null, id: expect.stringMatching(/^rtc_/) });
    const rules = running.body['rules'] as { rule: string; matched: boolean }[];
    expect(rules.map(({ rule, matched }) => `${rule} ${matched}`)).toEqual([
      'trunks.pbx.peer true',
      'trunks.pbx.caps true',
      'routes[0] false',
      'routes true',
    ]);
    expect((await why(String(running.body['id']))).body).toMatchObject({ sip_call_id: call.callId });
    const second = await desk.dial(gateway.sip);
    const refusal = await second.refused();
    expect(refusal.status).toBe(503);
    expect(refusal.header('warning')).toContain('1 calls at once');
    expect((await why(second.callId)).body).toMatchObject({ first_mismatch: { rule: 'trunks.pbx.caps.concurrent', at: `${file}:5` } });
    await call.bye();
  });

  test('what nobody knows is not found', async () => {
    expect((await why('call_nobody')).status).toBe(404);
  });

  test('a test call shows its ladder, and what was heard', async () => {
    const ladder: string[] = [];
    const incoming = desk.nextCall();
    const done = dialCommand(['desk', '--trunk', 'pbx', '--seconds', '1', '--config', file, '--bind', '127.0.0.1'], systemClock, (line) => {
      ladder.push(line);
    });
    const call = await incoming;
    call.ring();
    call.answer();
    const { text, code } = await done;
    expect(code).toBe(0);
    expect(text).toMatch(/^answered after \d+ ms; \d+ packets of audio came, the first after \d+ ms; we hung up$/);
    const shown = ladder.map((line) => line.replace(/^ *\d+ ms {2}(-->|<--) {2}\S+ +/, '$1 ')).filter((line) => line !== '');
    expect(shown.map((line) => line.replace(/ sip:.*| SIP\/2\.0$/, ''))).toEqual([
      '--> INVITE',
      '<-- SIP/2.0 180 Ringing',
      '<-- SIP/2.0 200 OK',
      '--> ACK',
      '--> BYE',
      '<-- SIP/2.0 200 OK',
    ]);
  });

  test('a test call that is refused says how', async () => {
    const incoming = desk.nextCall();
    const done = dialCommand(['desk', '--trunk', 'pbx', '--config', file, '--bind', '127.0.0.1'], systemClock, () => undefined);
    (await incoming).refuse(486, 'Busy Here');
    expect(await done).toEqual({ text: 'not answered: busy (486 Busy Here)', code: 1 });
    await expect(dialCommand(['other', '--trunk', 'pbx', '--config', file], systemClock, () => undefined)).rejects.toThrow(/destinations/);
  });
});
