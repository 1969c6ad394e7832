import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import type { ApiEvent } from '../support/browser-peer.ts';
import { endpointText } from '../support/endpoint.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { Lateness } from '../support/lateness.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import { Switchhook } from '../support/switchhook.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';
import { EventLog } from '../support/wait.ts';

/*
 * Calls that programs decide on: the webhook, one decision that wins, what happens without one, and what the phone sees of it. In one process
 * and with workers.
 */

interface Incoming {
  readonly callId: string;
  readonly headers: readonly { readonly name: string; readonly value: string }[];
}

const hook = new Switchhook();
const folder = tempFolder('api-calls');
const incoming = new EventLog<Incoming>();
let receiver: Server;
let config: string;

beforeAll(async () => {
  receiver = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString('utf8');
    });
    request.on('end', () => {
      const { data } = JSON.parse(body) as { data: { call_id: string; sip_headers: Incoming['headers'] } };
      incoming.push({ callId: data.call_id, headers: data.sip_headers });
      response.end();
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const address = receiver.address();
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/calls`;
  config = join(folder, 'ringdown.yaml');
  const webhook = (within: number, otherwise: string): string =>
    `{ url: "${url}", secrets: [a-secret-for-nobody-else], within: ${within}, otherwise: ${otherwise} }`;
  writeFileSync(
    config,
    `
routes:
  - number: ask
    webhook: ${webhook(30, '{ reject: 480 }')}
  - number: late
    webhook: ${webhook(1, '{ reject: 486 }')}
  - number: anyway
    webhook: ${webhook(1, '{ answer: { type: realtime, instructions: "Take a message." } }')}
agent:
  transfer-target: sip:desk@192.0.2.50
`,
  );
});

afterAll(async () => {
  await hook.close();
  receiver.close();
  removeFolder(folder);
});

describe.each<{ where: string; flags: readonly string[] }>([
  { where: 'in one process', flags: [] },
  { where: 'in workers', flags: ['--workers', '2'] },
])('a call that a program decides on, $where', ({ flags }) => {
  let gateway: GatewayProcess;
  let late: Lateness;

  beforeAll(async () => {
    gateway = await GatewayProcess.start({ flags: ['--config', config, '--sip-rate', '0', ...flags] });
    late = new Lateness(gateway);
  });
  afterAll(async () => {
    late.stop();
    await gateway.stop();
  });

  const command = async (id: string, name: string, body: object = {}): Promise<string> => {
    const response = await fetch(`http://${endpointText(gateway.http)}/v1/realtime/calls/${id}/${name}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (response.status === 200) return '200';
    const { error } = JSON.parse(text) as { error: { param: string | null } };
    return `${response.status} ${error.param}`;
  };

  /** Rings at this number; resolves when the webhook has been told. */
  async function dial(user: string): Promise<{ call: PhoneCall; id: string; asked: Incoming }> {
    const phone = await hook.phone();
    const headers = [['X-Account', 'seven']] as const;
    const [asked, call] = await Promise.all([
      incoming.next(
        ({ headers }) => headers.some(({ name, value }) => name === 'Call-ID' && value.startsWith(user)),
        15_000,
        'the webhook',
      ),
      phone.dial(gateway.sip, { user, headers, callId: `${user}-${Math.random().toString(36).slice(2)}@test` }),
    ]);
    return { call, id: asked.callId, asked };
  }

  test('rings, is taken once, looked into, sent on, and over', async () => {
    const { call, id, asked } = await dial('ask');
    expect(asked.headers).toEqual(expect.arrayContaining([{ name: 'X-Account', value: 'seven' }]));
    await call.response(180);
    expect(await command(id, 'accept', { type: 'realtime', audio: { output: { speed: 7 } } })).toBe('400 session.audio.output.speed');
    const decisions = await Promise.all([
      command(id, 'accept', { type: 'realtime', instructions: 'one' }),
      command(id, 'accept', { type: 'realtime', instructions: 'two' }),
    ]);
    expect([...decisions].sort()).toEqual(['200', '409 null']);
    expect(await command(id, 'reject', { status_code: 486 })).toBe('409 null');
    await call.answered();
    const socket = new WebSocket(`ws://${endpointText(gateway.http)}/v1/realtime?call_id=${id}`, ['realtime']);
    const events = new EventLog<ApiEvent>();
    socket.on('message', (data: Buffer) => events.push(JSON.parse(data.toString('utf8')) as ApiEvent));
    const closed = new Promise<number>((resolve) => socket.on('close', resolve));
    const event = (type: string) => events.find((each) => each.type === type, 15_000, `the event ${type}`);
    expect(await event('session.created')).toMatchObject({ session: { instructions: decisions[0] === '200' ? 'one' : 'two' } });

    const refer = call.requests.find((each) => each.method === 'REFER', 15_000, 'REFER');
    const referred = command(id, 'refer', { target_uri: 'sip:desk@192.0.2.50' });
    expect((await refer).header('refer-to')).toBe('<sip:desk@192.0.2.50>');
    expect(await referred).toBe('200');
    await event('call.transfer.accepted');
    const notified = await call.request('NOTIFY', {
      headers: [
        ['Event', 'refer'],
        ['Subscription-State', 'terminated;reason=noresource'],
      ],
      body: 'SIP/2.0 200 OK\r\n',
      contentType: 'message/sipfrag;version=2.0',
    });
    expect(notified.status).toBe(200);
    await call.hungUp(15_000);
    await event('call.transfer.succeeded');
    await event('call.ended');
    expect(await closed).toBe(1000);
    expect(await command(id, 'hangup')).toMatch(/^404/);
  });

  test('is refused with the status that the program says', async () => {
    const { call, id } = await dial('ask');
    expect(await command(id, 'reject', { status_code: 607 })).toBe('200');
    expect((await call.refused()).status).toBe(607);
    expect(await command(id, 'accept', { type: 'realtime' })).toMatch(/^404/);
    const { call: declined, id: other } = await dial('ask');
    expect(await command(other, 'reject')).toBe('200');
    expect((await declined.refused()).status).toBe(603);
  });

  test('is refused or taken as configured when nobody decides', async () => {
    const began = performance.now();
    const { call, id } = await dial('late');
    expect((await call.refused(10_000)).status).toBe(486);
    expect(performance.now() - began).toBeLessThan(1500 + (await late.soFar()));
    expect(await command(id, 'accept', { type: 'realtime' })).toMatch(/^404/);
    const { call: taken, id: other } = await dial('anyway');
    await taken.answered(10_000);
    expect(await command(other, 'accept', { type: 'realtime' })).toBe('409 null');
    expect(await command(other, 'hangup')).toBe('200');
    await taken.hungUp(10_000);
  });

  test('is nobody’s when the caller has given up', async () => {
    const { call, id } = await dial('ask');
    await call.response(180);
    await call.cancel();
    expect((await call.refused()).status).toBe(487);
    expect(await command(id, 'accept', { type: 'realtime' })).toMatch(/^404/);
  });
});
