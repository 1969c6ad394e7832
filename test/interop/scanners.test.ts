import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Child } from '../support/child.ts';
import { endpointText, freePort } from '../support/endpoint.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { longestGapMs, nextSound } from '../support/heard.ts';
import { Lateness } from '../support/lateness.ts';
import { describePeer, type PeerName, requiredPeer } from '../support/peers.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import { Switchhook } from '../support/switchhook.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';
import { eventually } from '../support/wait.ts';

/* Who looks for something to steal, with the tools that everybody has for it. They send from 127.0.0.1; the trunk is 127.0.0.2. */

const PASSWORD = '1050'; // among those that are tried

describePeer(['svwar', 'svcrack', 'sipsak'], 'a gateway that is scanned', () => {
  const hook = new Switchhook();
  const folder = tempFolder('scanners');
  let gateway: GatewayProcess;
  let late: Lateness;
  let talking: PhoneCall;
  let since: number;

  const api = async (path: string, method = 'GET'): Promise<{ status: number; body: Record<string, unknown> }> => {
    const response = await fetch(`http://${endpointText(gateway.http)}${path}`, { method });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };

  const run = (name: PeerName, args: readonly string[]): Child =>
    new Child(requiredPeer(name), args, { cwd: folder, env: { HOME: folder, PYTHONUNBUFFERED: '1' } });

  const scan = async (name: PeerName, args: readonly string[]): Promise<Child> =>
    run(name, ['-P', `${await freePort()}`, '-p', `${gateway.sip.port}`, '--maximumtime', '1', ...args, '127.0.0.1']);

  beforeAll(async () => {
    const file = join(folder, 'ringdown.yaml');
    writeFileSync(
      file,
      `
sip: { digest: [MD5] } # svcrack knows no other
trunks: [{ name: office, peer: 127.0.0.2 }]
users: [{ name: "104", password: "${PASSWORD}-canary" }]
`,
    );
    gateway = await GatewayProcess.start({ flags: ['--config', file] });
    late = new Lateness(gateway);
    talking = await hook.call(gateway.sip, {}, await hook.phone({ address: '127.0.0.2' }));
    await nextSound(talking.media, 3000);
    since = performance.now();
  });

  afterAll(async () => {
    late?.stop();
    await hook.close();
    await gateway?.stop();
    removeFolder(folder);
  });

  test('answers a ping, and shows svwar nobody, by REGISTER and by INVITE', async () => {
    const ping = await run('sipsak', ['-s', `sip:agent@${endpointText(gateway.sip)}`]).end(5000);
    expect(ping.code).toBe(0);
    const found = await Promise.all(
      (['REGISTER', 'INVITE'] as const).map(async (method) => {
        const svwar = await scan('svwar', ['--force', '-m', method, '-e', '100-108']);
        await svwar.end(12_000);
        return svwar.lastWords(50);
      }),
    );
    for (const text of found) {
      expect(text).toMatch(/found nothing/);
      expect(text).not.toMatch(/\b104\b/);
    }
  });

  test('does not hear svcrack any more before it has come to the right password, nor its next connection, until it is let in again', async () => {
    const svcrack = await scan('svcrack', ['-u', '104', '-r', '1000-1100']);
    const ban = await eventually(
      async () => ((await api('/v1/bans')).body['data'] as Record<string, unknown>[])[0],
      8000 + (await late.soFar()),
      'the ban',
    );
    await svcrack.kill();
    expect(svcrack.lastWords(50)).not.toMatch(/1050/);
    expect(ban).toMatchObject({ object: 'ban', address: '127.0.0.1', reason: 'guesses passwords', times: 1 });
    const metrics = await gateway.metrics();
    expect(metrics.value('ringdown_sip_banned_sources')).toBe(1);
    expect(metrics.sum('ringdown_alerts_total', { kind: 'source_banned' })).toBe(1);
    const stranger = await hook.phone();
    await expect(stranger.ask('OPTIONS', gateway.sip, { deadlineMs: 700 })).rejects.toThrow();

    expect(await api('/v1/bans/127.0.0.1', 'DELETE')).toEqual({
      status: 200,
      body: { object: 'ban.deleted', address: '127.0.0.1', deleted: true },
    });
    expect((await api('/v1/bans/127.0.0.1', 'DELETE')).status).toBe(404);
    expect((await api('/v1/bans/nobody', 'DELETE')).status).toBe(400);
    expect((await stranger.ask('OPTIONS', gateway.sip)).status).toBe(200);
  });

  test('takes the calls of its trunk meanwhile, and the one that was up has been clean', async () => {
    const another = await hook.call(gateway.sip, {}, await hook.phone({ address: '127.0.0.2' }));
    await nextSound(another.media, 3000);
    const gapMs = longestGapMs(talking.media, since, performance.now());
    console.log(`figures: longest gap of a call beside the scanners ${gapMs.toFixed(0)} ms`);
    expect(gapMs).toBeLessThan(60 + (await late.soFar()));
    for (const call of [another, talking]) expect((await call.bye()).status).toBe(200);
  });

  test('says nothing in its log of what was tried, and nothing of passwords and digests', () => {
    const text = gateway.stderr.join('\n');
    expect(text.length).toBeGreaterThan(500);
    expect(text).not.toMatch(new RegExp(`${PASSWORD}-canary|response=|nonce=|wonderland`, 'i'));
  });
});
