import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Child } from '../support/child.ts';
import { endpointText } from '../support/endpoint.ts';
import { type GatewayUnderTest, gatewayUnderTest } from '../support/gateway-under-test.ts';
import { Linphone } from '../support/linphone.ts';
import { describePeer, requiredPeer } from '../support/peers.ts';
import { runSipp, type SippScenario } from '../support/sipp.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';
import { concat, silence, tone } from '../support/tones.ts';
import { eventually } from '../support/wait.ts';

/* What users may do, asked by programs that others wrote: by MD5, for sipp, sipsak and Linphone give up on a challenge of SHA-256 or do not know it. */

const PASSWORD = 'wonderland-canary';
const SUCCESS = { exitCode: 0, failed: 0, unexpected: 0, unanswered: 0, outOfCall: 0, errors: '' };
const folder = tempFolder('users');
let gateway: GatewayUnderTest;

beforeAll(async () => {
  const file = join(folder, 'ringdown.yaml');
  const users = ['alice', 'bob', 'carol'].map((name) => `  - { name: ${name}, password: ${PASSWORD}, max-contacts: 10 }`);
  writeFileSync(file, `sip: { digest: [MD5] }\nusers:\n${users.join('\n')}\n`);
  gateway = await gatewayUnderTest({ mode: 'process', flags: ['--config', file, '--sip-rate', '0'] });
});
afterAll(async () => {
  await gateway?.stop();
  removeFolder(folder);
});

/** sipp as alice. What it signs has to be what it asks for. */
const sippOfAlice = (scenario: SippScenario, { password = PASSWORD, calls = 10, args = [] as readonly string[] } = {}) => {
  const uri = `${scenario.startsWith('uac-auth') ? 'agent@' : ''}${endpointText(gateway.sip)}`;
  const login = ['-au', 'alice', '-ap', password, '-auth_uri', uri];
  return runSipp(gateway.sip, { scenario, calls, rate: 10, limit: 5, args: [...login, ...args], deadlineMs: 20_000 });
};

describePeer('sipp', 'a phone that sipp plays', () => {
  test.concurrent('registers with a password, is found, and takes its binding back', async () => {
    const [udp, tcp] = await Promise.all([sippOfAlice('uac-register'), sippOfAlice('uac-register', { args: ['-t', 't1'] })]);
    for (const result of [udp, tcp]) expect(result).toMatchObject({ ...SUCCESS, successful: 10 });
  });

  test.concurrent('hears 423 with Min-Expires when it registers for too short a time', async () => {
    expect(await sippOfAlice('uac-register-brief')).toMatchObject({ ...SUCCESS, successful: 10 });
  });

  test.concurrent('may not register another', async () => {
    expect(await sippOfAlice('uac-register-another')).toMatchObject({ ...SUCCESS, successful: 10 });
  });

  test.concurrent('calls with the password of a user, and not with another', async () => {
    const [right, wrong] = await Promise.all([sippOfAlice('uac-auth'), sippOfAlice('uac-auth-refused', { password: 'guessed', calls: 1 })]);
    expect(right).toMatchObject({ ...SUCCESS, successful: 10 });
    expect(wrong).toMatchObject({ ...SUCCESS, successful: 1 });
  });
});

describePeer('sipsak', 'sipsak', () => {
  test('gets an answer to OPTIONS', async () => {
    const child = new Child(requiredPeer('sipsak'), ['-vv', '-s', `sip:agent@${endpointText(gateway.sip)}`]);
    expect(await child.end(15_000)).toMatchObject({ code: 0 });
    const said = child.stdout.all.join('\n');
    expect(said).toContain('SIP/2.0 200 OK');
    expect(said).toMatch(/^Allow: INVITE, ACK, BYE/m);
  });
});

describePeer('linphonec', 'Linphone', () => {
  test('registers, calls the agent in Opus, speaks, and hears its greeting', async () => {
    const options = { user: 'carol', password: PASSWORD, registrar: gateway.sip, microphone: concat(silence(3000), tone(440, 5000)) };
    const phone = await Linphone.start(options);
    try {
      await gateway.log.find(
        ({ msg, ...line }) => msg === 'user registered' && line['user'] === 'carol',
        15_000,
        'the registration of carol',
      );
      await phone.dial(`sip:agent@${endpointText(gateway.sip)}`);
      // Two seconds at 48 kHz.
      await eventually(() => phone.heardBytes > 2 * 48_000 * 2, 15_000, 'two seconds of sound');
      await phone.hangup();
      const record = await eventually(() => gateway.cdrs().find((each) => each['user'] === 'carol'), 5000, 'its record');
      expect(record).toMatchObject({ sip_status: 200, cause: 'remote_hangup', codec: 'opus', packets_foreign: 0 });
      expect(record['packets_in']).toBeGreaterThan(25);
      expect((await phone.heard()).reduce((most, each) => Math.max(most, Math.abs(each)), 0)).toBeGreaterThan(2000);
    } finally {
      await phone.stop();
    }
  });
});
