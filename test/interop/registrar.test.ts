import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Baresip } from '../support/baresip.ts';
import { endpointText, freePort } from '../support/endpoint.ts';
import { type GatewayUnderTest, gatewayUnderTest } from '../support/gateway-under-test.ts';
import { nextSound } from '../support/heard.ts';
import { Kamailio } from '../support/kamailio.ts';
import { describePeer } from '../support/peers.ts';
import { Switchhook } from '../support/switchhook.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';
import { eventually } from '../support/wait.ts';

/* Registrations both ways: ours at a Kamailio, and those of phones here. */

const PASSWORD = 'wonderland-canary';

describePeer(['kamailio', 'baresip'], 'a gateway that registers and is registered with', () => {
  const hook = new Switchhook();
  const folder = tempFolder('registrar');
  let gateway: GatewayUnderTest;
  let kamailio: Kamailio;

  const api = async (path: string, body?: unknown): Promise<{ status: number; body: { data: Record<string, unknown>[] } }> => {
    const init = body === undefined ? {} : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const response = await fetch(`http://${endpointText(gateway.http)}${path}`, init);
    return { status: response.status, body: (await response.json()) as { data: Record<string, unknown>[] } };
  };

  beforeAll(async () => {
    const port = await freePort();
    const file = join(folder, 'ringdown.yaml');
    writeFileSync(
      file,
      `
sip: { digest: [MD5] } # baresip 1.0 gives up on SHA-256
trunks:
  - name: carrier
    peer: 127.0.0.99 # calls come from elsewhere, and are known by the Contact
    username: "1001"
    password: ${PASSWORD}
    register: { registrar: "127.0.0.1:${port}", domain: "127.0.0.1" }
    caps: { per-second: 100 }
users:
  - { name: alice, password: ${PASSWORD}, caller-id: "+15550100" }
  - { name: bob, password: ${PASSWORD}, calls: [users] }
`,
    );
    kamailio = await Kamailio.start({ port, targets: {}, password: PASSWORD });
    gateway = await gatewayUnderTest({ mode: 'process', flags: ['--config', file, '--sip-rate', '0'] });
  });

  afterAll(async () => {
    await hook.close();
    await gateway?.stop();
    await kamailio?.stop();
    removeFolder(folder);
  });

  test('a call that Kamailio sends to where we registered is the trunk’s, whoever placed it', async () => {
    const trunk = async () => (await api('/v1/trunks')).body.data[0]?.['registration'];
    await eventually(async () => ((await trunk()) as { registered?: boolean })?.registered === true, 5000, 'the registration');
    const phone = await hook.phone();
    const call = await hook.call(kamailio.local, { user: '1001' }, phone);
    await nextSound(call.media, 3000);
    expect((await call.bye()).status).toBe(200);
    const record = await eventually(() => gateway.cdrs().find((each) => each['sip_call_id'] === call.callId), 3000, 'the record');
    expect(record).toMatchObject({ cause: 'remote_hangup', trunk: 'carrier', called: '1001' });
    expect(record['rules']).toMatchObject([{ rule: 'trunks.carrier.register', matched: true }, {}, { rule: 'routes' }]);
  });

  test('baresip registers, calls the agent with its password, and is called by the API', async () => {
    const login = { username: 'alice', password: PASSWORD };
    const baresip = await Baresip.start({ user: 'alice', answer: 'auto', login, registrar: gateway.sip });
    try {
      const contacts = async () => ((await api('/v1/users')).body.data[0] as { contacts: unknown[] }).contacts.length;
      const established = () => baresip.events.all.filter(({ type }) => type === 'CALL_ESTABLISHED').length;
      await eventually(async () => (await contacts()) === 1, 5000, 'the registration of alice');
      await baresip.dial(`sip:agent@${endpointText(gateway.sip)}`);
      await baresip.events.find(({ type }) => type === 'CALL_ESTABLISHED', 5000, 'the call to be up');
      await baresip.hangup();
      const first = await eventually(() => gateway.cdrs().find((each) => each['user'] === 'alice'), 5000, 'its record');
      expect(first).toMatchObject({ sip_status: 200, caller: '+15550100', called: 'agent' });

      const before = established();
      const placed = await api('/v1/realtime/calls', {
        session: { type: 'realtime' },
        transport: { type: 'sip', destination: 'user:alice', headers: { 'X-Case': '4711' } },
      });
      expect(placed.status).toBe(201);
      await eventually(() => established() > before, 5000, 'the second call');
      await eventually(async () => (await gateway.metrics()).value('ringdown_calls') === 1, 5000, 'the call');
      await baresip.hangup();
      await eventually(async () => (await gateway.metrics()).value('ringdown_calls') === 0, 5000, 'the end');
      const nobody = await api('/v1/realtime/calls', {
        session: { type: 'realtime' },
        transport: { type: 'sip', destination: 'user:nobody' },
      });
      expect(nobody.status).toBe(404);
    } finally {
      await baresip.stop();
    }
  });

  test('a user calls another by name, and may not call what it may not', async () => {
    const as = (user: string) => ({ user, answer: 'auto' as const, login: { username: user, password: PASSWORD }, registrar: gateway.sip });
    const [alice, bob] = await Promise.all([Baresip.start(as('alice')), Baresip.start(as('bob'))]);
    try {
      const users = async () => (await api('/v1/users')).body.data as { contacts: unknown[] }[];
      await eventually(async () => (await users()).every(({ contacts }) => contacts.length > 0), 5000, 'both registrations');
      await alice.dial(`sip:bob@${endpointText(gateway.sip)}`);
      await bob.events.find(({ type }) => type === 'CALL_ESTABLISHED', 5000, 'the call of alice');
      await alice.hangup();
      await bob.events.find(({ type }) => type === 'CALL_CLOSED', 5000, 'its end');
      await bob.dial(`sip:agent@${endpointText(gateway.sip)}`);
      await bob.events.find(({ type, param }) => type === 'CALL_CLOSED' && /403/.test(`${param}`), 5000, 'the refusal');
      const refused = await eventually(() => gateway.cdrs().find((each) => each['sip_status'] === 403), 3000, 'its record');
      expect(refused['detail']).toBe('user bob may not call this');
      expect(refused['rules']).toContainEqual(expect.objectContaining({ rule: 'users.bob.calls', matched: false }));
    } finally {
      await Promise.all([alice.stop(), bob.stop()]);
    }
  });
});
