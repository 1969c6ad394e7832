import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { GatewayProcess } from '../support/gateway-process.ts';
import { nextSound } from '../support/heard.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';

/* A gateway behind a gateway: the model of the first is the API of the second, by its own certificate and a key. */

const KEY = 'sk-behind-0123456789';
let folder: string;
let behind: GatewayProcess;
const fronts: GatewayProcess[] = [];
let phone: SipPhone;

beforeAll(async () => {
  folder = tempFolder('upstream');
  behind = await GatewayProcess.start({ env: { RINGDOWN_API_KEY: KEY } });
  const config = join(folder, 'ringdown.yaml');
  const ca = join(behind.dataDir, 'certificates', 'ca.pem');
  const url = `https://127.0.0.1:${behind.http.port}/v1`;
  writeFileSync(config, `callers: anyone\nmodel: {type: realtime, url: "${url}", model: agent, key: {env: BEHIND_KEY}, ca: "${ca}"}\n`);
  const start = (flags: readonly string[]) => GatewayProcess.start({ flags: ['--config', config, ...flags], env: { BEHIND_KEY: KEY } });
  // One after the other: each has the processor to itself while it starts.
  fronts.push(await start([]));
  fronts.push(await start(['--workers', '1']));
  phone = await SipPhone.open();
});

afterAll(async () => {
  phone.close();
  await Promise.all([...fronts, behind].map((gateway) => gateway.stop()));
  removeFolder(folder);
});

test.each([
  ['one process', 0],
  ['workers', 1],
])('a caller of a gateway with %s is greeted by the model behind it', async (_, at) => {
  const front = fronts[at] ?? expect.unreachable();
  const call = await phone.dial(front.sip);
  await call.answered();
  await nextSound(call.media, 15_000);
  expect((await behind.metrics()).sum('ringdown_web_sockets')).toBe(1);
  await call.bye();
  await expect.poll(async () => (await behind.metrics()).sum('ringdown_web_sockets'), { timeout: 5000 }).toBe(0);
});

test('strangers may not call what costs money, unless somebody says so', async () => {
  const config = join(folder, 'closed.yaml');
  writeFileSync(config, `model: {type: realtime, profile: generic, url: "http://127.0.0.1:${behind.http.port}/v1"}\n`);
  const closed = await GatewayProcess.start({ flags: ['--config', config] });
  const call = await phone.dial(closed.sip);
  expect((await call.refused()).status).toBe(403);
  await closed.stop();
});
