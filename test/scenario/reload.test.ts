import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { endpointText } from '../support/endpoint.ts';
import { type GatewayUnderTest, gatewayUnderTest } from '../support/gateway-under-test.ts';
import { nextSound } from '../support/heard.ts';
import type { SipPhone } from '../support/sip-phone.ts';
import { Switchhook } from '../support/switchhook.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';

/* A configuration that is read again while calls go on. */

const hook = new Switchhook();
const folder = tempFolder('reload');
const file = join(folder, 'ringdown.yaml');
let carrier: SipPhone;
let gateway: GatewayUnderTest;

const trunk = (caps: string): string => `
trunks:
  - name: carrier
    peer: ${endpointText(carrier.local)}
    addresses: [127.0.0.1]
    caps: { concurrent: ${caps}, per-second: 100 }
`;

const api = async (path: string, method = 'GET'): Promise<{ status: number; body: Record<string, unknown> }> => {
  const response = await fetch(`http://${endpointText(gateway.http)}${path}`, { method });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
};

const reload = () => api('/v1/config/reload', 'POST');

beforeAll(async () => {
  carrier = await hook.phone({ user: 'carrier' });
  writeFileSync(file, trunk('2'));
  gateway = await gatewayUnderTest({ mode: 'process', flags: ['--config', file, '--sip-rate', '0', '--workers', '1'] });
});

afterAll(async () => {
  await hook.close();
  await gateway.stop();
  removeFolder(folder);
});

test('a call goes on through good and bad files, and counts against the new cap', async () => {
  const call = await hook.call(gateway.sip, {}, carrier);
  await nextSound(call.media, 3000);

  writeFileSync(file, `${trunk('1')}max-calls: 77\nlog-level: debug\nmodel: { type: embedded }\n`);
  expect(await reload()).toEqual({
    status: 200,
    body: { object: 'config.reload', applied: expect.arrayContaining(['trunks', 'log-level']), needs_restart: ['max-calls'] },
  });
  expect((await api('/v1/trunks')).body).toMatchObject({ data: [{ name: 'carrier', inbound: { calls: 1, today: 1 } }] });
  expect((await (await carrier.dial(gateway.sip)).refused()).status).toBe(503);

  writeFileSync(file, `${trunk('0')}users: [{ name: alice }]\nnonsense: 1\n`);
  const refused = await reload();
  expect(refused.status).toBe(400);
  expect(refused.body).toMatchObject({
    error: {
      code: 'invalid_config',
      faults: expect.arrayContaining([
        expect.objectContaining({ source: `${file}:6`, key: 'trunks[0].caps.concurrent' }),
        expect.objectContaining({ key: 'users[0]', message: 'has either password or ha1' }),
        expect.objectContaining({ key: 'nonsense' }),
      ]),
    },
  });
  await gateway.logged('configuration refused: the old one stays');
  expect((await api('/v1/trunks')).body).toMatchObject({ data: [{ name: 'carrier' }] });

  writeFileSync(
    file,
    `${trunk('2')}users: [{ name: alice, password: wonderland }]\nprojects: [{ name: default, keys: [0123456789abcdef-x] }]\n`,
  );
  gateway.processes?.sip.signal('SIGHUP');
  await gateway.log.find(
    (line) => line.msg === 'configuration reloaded' && JSON.stringify(line).includes('users'),
    5000,
    'the second reload',
  );
  expect((await api('/v1/trunks')).status).toBe(401);
  expect((await call.bye()).status).toBe(200);
});
