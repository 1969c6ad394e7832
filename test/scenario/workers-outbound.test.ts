import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { endpointText } from '../support/endpoint.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { nextSound } from '../support/heard.ts';
import { Lateness } from '../support/lateness.ts';
import { findSound, promptSound } from '../support/prompt-sound.ts';
import type { SipPhone } from '../support/sip-phone.ts';
import { Switchhook } from '../support/switchhook.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';
import { findTone, tone } from '../support/tones.ts';
import { elapse, eventually } from '../support/wait.ts';

/* Calls that a gateway with two workers places: the session that wants them is in a worker, the trunk at the front. */

describe('a gateway with a trunk and two workers', () => {
  const hook = new Switchhook();
  const folder = tempFolder('workers-outbound');
  let trunk: SipPhone;
  let gateway: GatewayProcess;
  let late: Lateness;

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
    destinations: [alice, bob]
    caps: { concurrent: 10, per-second: 100 }
    refer: allow
agent:
  callback-trunk: pbx
  transfer-target: sip:desk@192.0.2.50
`,
    );
    gateway = await GatewayProcess.start({ flags: ['--workers', '2', '--config', file] });
    late = new Lateness(gateway);
  });

  afterAll(async () => {
    late.stop();
    await hook.close();
    await gateway.stop();
    removeFolder(folder);
  });

  test('calls two callers back who have pressed 9, greets them, and each hears itself', async () => {
    const calls = [await hook.call(gateway.sip, {}, trunk), await hook.call(gateway.sip, {}, trunk)];
    await Promise.all(calls.map(({ media }) => nextSound(media, 3000)));
    await Promise.all(calls.map(({ media }) => media.press('9')));
    await Promise.all(calls.map((call) => call.hungUp(8000)));
    await trunk.incoming.reach(2, 15_000, 'calls back');
    const backs = [...trunk.incoming.all];
    for (const back of backs) {
      back.ring();
      back.answer();
    }
    await Promise.all(backs.map((back) => back.acknowledged()));
    await Promise.all(backs.map(({ media }) => nextSound(media, 3000)));
    await elapse(1500);
    // A stall cuts a piece out of what is heard.
    const share = (await late.soFar()) < 50 ? 0.8 : 0.3;
    for (const { media } of backs) {
      expect(findSound(media.recording().samples, promptSound('hello').subarray(0, 8000)).share).toBeGreaterThan(share);
    }
    await Promise.all(backs.map(({ media }) => media.press('2')));
    await elapse(2100);
    for (const { media } of backs) media.background(tone(440, 1000));
    for (const { media } of backs) {
      const from = media.arrivals.count;
      await eventually(() => findTone(media.recording(from).samples, 440).present, 3000, 'the echo');
    }
    const owners = gateway.log.all
      .filter(({ msg }) => msg === 'call answered')
      .map(({ session }) => /^rtc_(\d+)_/.exec(String(session))?.[1]);
    expect(owners.slice(-2).toSorted(), 'one in each worker').toEqual(['1', '2']);
    for (const back of backs) expect((await back.bye()).status).toBe(200);
    await eventually(() => gateway.cdrs().length === 4, 5000, 'all records');
    expect(gateway.cdrs().slice(2)).toEqual(Array(2).fill(expect.objectContaining({ cause: 'remote_hangup', sip_status: 200 })));
  });

  test('asks the phone to call the desk when 5 is pressed, and is told by it how that went', async () => {
    const call = await hook.call(gateway.sip, {}, trunk);
    await nextSound(call.media, 3000);
    const refer = call.requests.find((each) => each.method === 'REFER', 8000, 'REFER');
    await call.media.press('5');
    expect((await refer).header('refer-to')).toBe('<sip:desk@192.0.2.50>');
    const headers = [['Event', 'refer'] as const, ['Subscription-State', 'terminated;reason=noresource'] as const];
    const notify = { headers, body: 'SIP/2.0 200 OK\r\n', contentType: 'message/sipfrag;version=2.0' };
    expect((await call.request('NOTIFY', notify)).status).toBe(200);
    await call.hungUp(5000);
  });

  test('is transferred by its trunk, and the session goes on with the other phone', async () => {
    const call = await hook.call(gateway.sip, {}, trunk);
    await nextSound(call.media, 3000);
    const incoming = trunk.nextCall(5000);
    expect((await call.request('REFER', { headers: [['Refer-To', `<sip:bob@${endpointText(trunk.local)}>`]] })).status).toBe(202);
    const bob = await incoming;
    bob.answer();
    await bob.acknowledged();
    await call.hungUp(5000);
    await bob.media.press('3');
    await nextSound(bob.media, 3000);
    expect((await bob.bye()).status).toBe(200);
  });
});

test('a gateway with two workers on ::1 talks to phones there, and calls back over IPv6', async () => {
  const hook = new Switchhook();
  const folder = tempFolder('workers-ipv6');
  const file = join(folder, 'ringdown.yaml');
  const phone = await hook.phone({ address: '::1', user: 'alice' });
  writeFileSync(
    file,
    `
trunks:
  - { name: six, peer: "${endpointText(phone.local)}", addresses: ["::1"], destinations: [alice], caps: { concurrent: 10, per-second: 100 } }
agent: { callback-trunk: six }
`,
  );
  const gateway = await GatewayProcess.start({ flags: ['--bind', '::1', '--workers', '2', '--config', file] });
  try {
    const call = await hook.call(gateway.sip, {}, phone);
    expect((await call.answered()).body).toMatch(/^c=IN IP6 ::1\r$/m);
    await nextSound(call.media, 3000);
    await call.media.press('3');
    await elapse(500);
    const from = call.media.arrivals.count;
    await eventually(() => findTone(call.media.recording(from).samples, 1004).present, 3000, 'the test tone');
    const incoming = phone.nextCall(15_000);
    await call.media.press('9');
    await call.hungUp(8000);
    const back = await incoming;
    back.answer();
    await back.acknowledged();
    await nextSound(back.media, 3000);
    expect((await back.bye()).status).toBe(200);
  } finally {
    await hook.close();
    await gateway.stop();
    removeFolder(folder);
  }
});
