import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { heard, hears, LOUD } from '../support/ear.ts';
import { type Endpoint, endpointText } from '../support/endpoint.ts';
import { startFrontApart } from '../support/front-apart.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import type { SipPhone } from '../support/sip-phone.ts';
import { Switchhook } from '../support/switchhook.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';
import { concat, rms, tone, toneShare } from '../support/tones.ts';
import { callAs, register } from '../support/user-phone.ts';
import { eventually } from '../support/wait.ts';
import { answerInBrowser, openWebPhone } from '../support/web-phone.ts';

/* Users with several devices, and their calls that are held or transferred by REFER: who talks with whom afterwards is known by a tone. Each case has users of its own, so that they run side by side. */

const AGENT_HZ = 1004;
const RINGBACK_HZ = 425;
const BOB_HZ = 700;
const CAROL_HZ = 440;
const DAVE_HZ = 560;

const folder = tempFolder('transfers');

/** One after the other, three for each case. */
const USERS = Array.from({ length: 40 }, (_, n) => `user${n}`);

function configFor(trunk: SipPhone): string {
  const file = join(folder, `${trunk.local.port}.yaml`);
  const user = (name: string): string =>
    `  - { name: ${name}, password: ${name}s-password, calls: [agent, users, { trunk: pbx, destinations: ["+1555*"] }] }\n`;
  writeFileSync(
    file,
    `trunks:\n  - { name: pbx, peer: "${endpointText(trunk.local)}", destinations: ["+1*"] }\nusers:\n${USERS.map(user).join('')}`,
  );
  return file;
}

interface Running {
  readonly sip: Endpoint;
  readonly http: Endpoint;
  cdrs(): readonly Readonly<Record<string, unknown>>[];
  stop(): Promise<unknown>;
}

const WHERE: Readonly<Record<string, (config: string) => Promise<Running>>> = {
  'in one process': (config) => GatewayProcess.start({ flags: ['--config', config, '--sip-rate', '0'] }),
  'in workers': (config) => GatewayProcess.start({ flags: ['--config', config, '--sip-rate', '0', '--workers', '2'] }),
  'with roles apart': (config) => startFrontApart(['--config', config, '--sip-rate', '0']),
};

/** Whom a phone's side is to call in its place. */
function referTo(at: Endpoint, name: string, replaced?: PhoneCall): readonly (readonly [string, string])[] {
  const replaces = replaced && `?Replaces=${encodeURIComponent(replacesOf(replaced))}`;
  return [['Refer-To', `<sip:${encodeURIComponent(name)}@${endpointText(at)}${replaces ?? ''}>`]];
}

/** A call as our side of it knows it (RFC 3891 §3). */
function replacesOf(call: PhoneCall): string {
  const answer = call.responses.all.find(({ status }) => status === 200);
  const tag = (name: string): string => /;tag=([^;]+)/.exec(answer?.header(name) ?? '')?.[1] ?? '';
  return `${call.callId};to-tag=${tag('to')};from-tag=${tag('from')}`;
}

/** What a transfer has come to so far, as the phone was told. */
function notes(call: PhoneCall): readonly number[] {
  return call.requests.all.filter(({ method }) => method === 'NOTIFY').map(({ body }) => Number(/^SIP\/2\.0 (\d{3})/.exec(body)?.[1]));
}

/** @param before how many NOTIFYs had come when it was asked for */
async function told(call: PhoneCall, status: number, before = 0): Promise<void> {
  await eventually(() => notes(call).slice(before).includes(status), 5000, `a NOTIFY of ${status}`);
}

describe('a user', () => {
  const hook = new Switchhook();
  const gateways = new Map<string, Running>();
  const trunks = new Map<string, SipPhone>();
  const free = new Map<string, string[]>();
  const softphones: SipPhone[] = [];
  let addresses = 0;

  beforeAll(async () => {
    const start = async ([where, run]: readonly [string, (typeof WHERE)[string]]): Promise<void> => {
      const trunk = await hook.phone();
      trunks.set(where, trunk);
      free.set(where, [...USERS]);
      gateways.set(where, await run(configFor(trunk)));
    };
    await Promise.all(Object.entries(WHERE).map(start));
  }, 120_000);

  afterAll(async () => {
    await hook.close();
    for (const each of softphones) each.close();
    await Promise.all([...gateways.values()].map((each) => each.stop()));
    removeFolder(folder);
  });

  interface User {
    readonly name: string;
    readonly phone: SipPhone;
    readonly at: Endpoint;
  }

  async function user(where: string): Promise<User> {
    const name = free.get(where)?.shift() ?? '';
    const { sip: at } = gateways.get(where) as Running;
    addresses += 1;
    const phone = await hook.phone({ user: name, address: `127.0.1.${addresses}` });
    await register(phone, at, name, `${name}s-password`);
    return { name, phone, at };
  }

  /** The same in a browser. */
  async function webUser(where: string, name = free.get(where)?.shift() ?? ''): Promise<User> {
    const { sip: at, http } = gateways.get(where) as Running;
    const phone = await openWebPhone(http, name);
    await register(phone, at, name, `${name}s-password`);
    softphones.push(phone);
    return { name, phone, at };
  }

  /** @returns both ends of a call that is answered */
  async function talk(from: User, to: User): Promise<{ readonly a: PhoneCall; readonly b: PhoneCall }> {
    const incoming = to.phone.nextCall(8000);
    const a = await callAs(hook, from.phone, from.at, to.name, from.name);
    const b = await incoming;
    b.ring();
    b.answer();
    await b.acknowledged();
    return { a, b };
  }

  async function three(where = 'in one process'): Promise<{ readonly alice: User; readonly bob: User; readonly carol: User }> {
    const [alice, bob, carol] = await Promise.all([user(where), user(where), user(where)]);
    return { alice, bob, carol };
  }

  /** Bob and whoever came in the end. */
  async function bothHear(b: PhoneCall, c: PhoneCall): Promise<void> {
    b.media.background(tone(BOB_HZ, 1000));
    c.media.background(tone(CAROL_HZ, 1000));
    await Promise.all([hears(b.media, CAROL_HZ, 'the other one, by bob'), hears(c.media, BOB_HZ, 'bob, by the other one')]);
  }

  test.concurrent('who is put on hold by another one hears what that phone plays, else music, and talks on afterwards', async () => {
    const { alice, bob } = await three();
    const { a, b } = await talk(alice, bob);
    b.media.background(tone(BOB_HZ, 1000));
    await hears(a.media, BOB_HZ, 'bob, at alice');
    expect((await b.reinvite(b.sdp({ direction: 'sendonly' }))).status).toBe(200);
    await hears(a.media, BOB_HZ, 'what bob’s phone plays, at alice');
    b.media.background(new Int16Array(8000));
    await heard(a.media, (newest) => rms(newest) > LOUD && toneShare(newest, BOB_HZ) < 0.3, 'music, at alice');
    expect((await b.reinvite()).status).toBe(200);
    b.media.background(tone(BOB_HZ, 1000));
    await hears(a.media, BOB_HZ, 'bob again, at alice');
    await a.bye();
    await b.hungUp();
  });

  test.concurrent.each(Object.keys(WHERE))(
    'with a telephone and a browser is rung at both, and talks with the one that answers; %s',
    async (where) => {
      const { alice, bob } = await three(where);
      const browserOfBob = await webUser(where, bob.name);
      const [ringing, incoming] = [bob.phone.nextCall(8000), browserOfBob.phone.nextCall(8000)];
      const a = await callAs(hook, alice.phone, alice.at, bob.name, alice.name);
      const telephone = await ringing;
      telephone.ring();
      // The numbers of the formats are those of phones; this one is the same everywhere.
      const { browser } = await answerInBrowser(await incoming, 'PCMU');
      await telephone.requests.find(({ method }) => method === 'CANCEL', 5000, 'the end of the ringing');
      void browser.say(tone(DAVE_HZ, 8000));
      a.media.background(tone(BOB_HZ, 1000));
      const recording = (from = 0) => ({ samples: concat(...browser.arrivals.all.slice(from).map(({ pcm }) => pcm)) });
      const ear = { arrivals: browser.arrivals, recording };
      await Promise.all([hears(a.media, DAVE_HZ, 'the browser, by alice'), hears(ear, BOB_HZ, 'alice, by the browser')]);
      await a.bye();
      await (await incoming).hungUp(5000);
      browser.close();
    },
  );

  test.concurrent.each(Object.keys(WHERE))(
    'transfers to another user: the two talk, and it is free; the end of one is the end of both; %s',
    async (where) => {
      const { alice, bob, carol } = await three(where);
      const { a, b } = await talk(alice, bob);
      const incoming = carol.phone.nextCall(8000);
      expect((await a.request('REFER', { headers: referTo(alice.at, carol.name) })).status).toBe(202);
      const c = await incoming;
      c.ring();
      await Promise.all([told(a, 180), hears(b.media, RINGBACK_HZ, 'ringing, by bob')]);
      expect(c.invited?.header('from')).toContain(`sip:${alice.name}@`);
      c.answer();
      await Promise.all([a.hungUp(5000), c.acknowledged()]);
      expect(notes(a)).toEqual([100, 180, 200]);
      await bothHear(b, c);
      await b.bye();
      await c.hungUp(5000);
      const gateway = gateways.get(where) as Running;
      const records = (): readonly unknown[] =>
        gateway.cdrs().filter(({ sip_call_id: id }) => [a, b, c].some(({ callId }) => callId === id));
      await eventually(() => records().length === 3, 5000, 'a record of each call');
    },
  );

  test.concurrent.each(Object.keys(WHERE))('transfers to a browser, and the browser on to somebody else; %s', async (where) => {
    const { alice, bob, carol } = await three(where);
    const dave = await webUser(where);
    const { a, b } = await talk(alice, bob);
    const toBrowser = dave.phone.nextCall(8000);
    await a.request('REFER', { headers: referTo(alice.at, dave.name) });
    const d = await toBrowser;
    const { browser } = await answerInBrowser(d);
    await a.hungUp(5000);
    void browser.say(tone(DAVE_HZ, 8000));
    await hears(b.media, DAVE_HZ, 'the browser, by bob');
    const incoming = carol.phone.nextCall(8000);
    expect((await d.request('REFER', { headers: referTo(alice.at, carol.name) })).status).toBe(202);
    const c = await incoming;
    c.answer();
    await Promise.all([d.hungUp(5000), c.acknowledged()]);
    expect(notes(d)).toEqual([100, 200]);
    browser.close();
    await bothHear(b, c);
    await c.bye();
    await b.hungUp(5000);
  });

  test.concurrent('who was called transfers to a number of a trunk: who called talks on with that one', async () => {
    const { alice, bob } = await three();
    const { a, b } = await talk(alice, bob);
    const trunk = trunks.get('in one process') as SipPhone;
    const incoming = trunk.nextCall(8000);
    expect((await b.request('REFER', { headers: referTo(bob.at, '+15550001') })).status).toBe(202);
    const c = await incoming;
    c.answer();
    await b.hungUp(5000);
    await bothHear(a, c);
    // And on: whoever took the place of somebody is a party like any other.
    await c.bye();
    await a.hungUp(5000);
  });

  test.concurrent('transfers nowhere it may not call, and not where nobody answers: it has the call back, and is told why', async () => {
    const { alice, bob, carol } = await three();
    const { a, b } = await talk(alice, bob);
    for (const [name, status] of [
      ['+19990001', 403],
      ['nobody', 403],
      [alice.name, 403],
    ] as const) {
      const before = notes(a).length;
      expect((await a.request('REFER', { headers: referTo(alice.at, name) })).status).toBe(202);
      await told(a, status, before);
    }
    const incoming = carol.phone.nextCall(8000);
    await a.request('REFER', { headers: referTo(alice.at, carol.name) });
    (await incoming).refuse(486, 'Busy Here');
    await told(a, 486);
    await bothHear(b, a);
    await a.bye();
    await b.hungUp(5000);
  });

  test.concurrent('transfers and hangs up at once: the other one hears ringing until somebody answers, and is hung up when nobody does', async () => {
    const { alice, bob, carol } = await three();
    for (const answers of [true, false]) {
      const { a, b } = await talk(alice, bob);
      const incoming = carol.phone.nextCall(8000);
      await a.request('REFER', { headers: referTo(alice.at, carol.name) });
      expect((await a.bye()).status).toBe(200);
      const c = await incoming;
      await hears(b.media, RINGBACK_HZ, 'ringing, by bob');
      if (answers) {
        c.answer();
        await bothHear(b, c);
        await c.bye();
      } else c.refuse(603, 'Decline');
      await b.hungUp(5000);
    }
  });

  test.concurrent('transfers its talk with the agent to somebody else, who has the agent then', async () => {
    const { alice, carol } = await three();
    const a = await callAs(hook, alice.phone, alice.at, 'agent', alice.name);
    const incoming = carol.phone.nextCall(8000);
    await a.request('REFER', { headers: referTo(alice.at, carol.name) });
    const c = await incoming;
    c.answer();
    await Promise.all([a.hungUp(5000), c.acknowledged()]);
    await c.media.press('3');
    await hears(c.media, AGENT_HZ, 'the agent, by carol');
    await c.bye();
  });

  test.concurrent('transfers to the agent, which talks to whoever stays', async () => {
    const { alice, bob } = await three();
    for (const called of [true, false]) {
      const { a, b } = await talk(alice, bob);
      const [leaves, stays] = called ? [a, b] : [b, a];
      await leaves.request('REFER', { headers: referTo(alice.at, 'agent') });
      await leaves.hungUp(5000);
      await told(leaves, 200);
      await stays.media.press('3');
      await hears(stays.media, AGENT_HZ, 'the agent, by whoever stays');
      await stays.bye();
    }
  });

  test.concurrent.each(Object.keys(WHERE))(
    'transfers to whom it has asked in a second call: the two talk, and are hung up together; %s',
    async (where) => {
      const { alice, bob, carol } = await three(where);
      const first = await talk(alice, bob);
      const second = await talk(alice, carol);
      const stranger = await talk(bob, alice);
      const refer = (call: PhoneCall, replaced: PhoneCall) => call.request('REFER', { headers: referTo(alice.at, carol.name, replaced) });
      expect((await refer(first.a, stranger.a)).status).toBe(202);
      await told(first.a, 481);
      await stranger.a.bye();
      expect((await refer(first.a, second.a)).status).toBe(202);
      await Promise.all([first.a.hungUp(5000), second.a.hungUp(5000)]);
      await bothHear(first.b, second.b);
      await second.b.bye();
      await first.b.hungUp(5000);
    },
  );
});
