import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Baresip } from '../support/baresip.ts';
import { endpointText } from '../support/endpoint.ts';
import { type GatewayUnderTest, gatewayUnderTest } from '../support/gateway-under-test.ts';
import { describePeer } from '../support/peers.ts';
import { runSipp } from '../support/sipp.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';
import { eventually } from '../support/wait.ts';

/* A trunk whose calls must show a password, played by real peers: by MD5, for these give up on a challenge of SHA-256. */

const CANARY = 'pa55-canary';
const folder = tempFolder('digest');
let gateway: GatewayUnderTest;

beforeAll(async () => {
  const file = join(folder, 'ringdown.yaml');
  writeFileSync(
    file,
    `
trunks:
  - name: pbx
    peer: 192.0.2.9
    addresses: [127.0.0.1]
    auth: { username: gw, password: ${CANARY}, algorithms: [MD5] }
    caps: { concurrent: 100, per-second: 100 }
`,
  );
  gateway = await gatewayUnderTest({ mode: 'process', flags: ['--config', file] });
});
afterAll(async () => {
  await gateway?.stop();
  removeFolder(folder);
});

const sippWith = (password: string, calls: number, args: readonly string[] = []) =>
  runSipp(gateway.sip, {
    scenario: 'uac-auth',
    calls,
    rate: 20,
    // What it signs has to be what it asks for; by itself it leaves the user out.
    args: ['-au', 'gw', '-ap', password, '-auth_uri', `agent@${endpointText(gateway.sip)}`, ...args],
    deadlineMs: 20_000,
  });

describePeer('sipp', 'sipp shows its password', () => {
  test.each([
    ['UDP', []],
    ['TCP', ['-t', 't1']],
  ])('and is let in, 20 calls over %s', async (_, args) => {
    const before = gateway.cdrs().length;
    expect(await sippWith(CANARY, 20, args)).toMatchObject({ exitCode: 0, successful: 20, failed: 0 });
    await eventually(() => gateway.cdrs().length >= before + 20, 5000, 'the call records');
    expect(
      gateway
        .cdrs()
        .slice(before)
        .every((each) => each['sip_status'] === 200),
    ).toBe(true);
  });
});

describePeer('baresip', 'baresip shows its password', () => {
  test('and is let in', async () => {
    const phone = await Baresip.start({ login: { username: 'gw', password: CANARY } });
    try {
      await phone.dial(gateway.sip);
      await phone.established();
      await phone.hangup();
    } finally {
      await phone.stop();
    }
  });

  test('or another one, and is not', async () => {
    const phone = await Baresip.start({ login: { username: 'gw', password: 'guess' } });
    try {
      await phone.dial(gateway.sip);
      expect((await phone.closed()).param).toMatch(/401|auth/i);
      await eventually(() => gateway.cdrs().some((each) => each['sip_status'] === 401), 3000, 'the record of a wrong password');
      expect(JSON.stringify(gateway.log.all)).not.toContain(CANARY);
    } finally {
      await phone.stop();
    }
  });
});
