import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import { type ApiEvent, BrowserPeer, postTo } from '../support/browser-peer.ts';
import { type Ear, heard, hears, LOUD } from '../support/ear.ts';
import { type Endpoint, endpointText } from '../support/endpoint.ts';
import { startFrontApart } from '../support/front-apart.ts';
import { decodeG711 } from '../support/g711.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { gatewayUnderTest } from '../support/gateway-under-test.ts';
import { nextSound } from '../support/heard.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import type { SipPhone } from '../support/sip-phone.ts';
import { speech } from '../support/speech.ts';
import { Switchhook } from '../support/switchhook.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';
import { concat, findTone, rms, silence, tone, toneShare } from '../support/tones.ts';
import { callAs, register } from '../support/user-phone.ts';
import { EventLog, eventually } from '../support/wait.ts';
import { answerInBrowser, directed, openWebPhone } from '../support/web-phone.ts';

/* Calls to persons: whoever is called for a session, who hears whom, and what becomes of the caller. Everybody is known by a tone. */

const AGENT_HZ = 1004;
const CALLER_HZ = 700;
const PERSON_HZ = 440;
const RINGBACK_HZ = 425;

const folder = tempFolder('persons');

function configFor(trunk: SipPhone): string {
  const file = join(folder, `${trunk.local.port}.yaml`);
  writeFileSync(
    file,
    `
callers: anyone
trunks:
  - name: pbx
    peer: ${endpointText(trunk.local)}
    destinations: [bob, carol]
    caps: { concurrent: 20, per-second: 100 }
users:
  - { name: erin, password: erins-password }
  - { name: frank, password: franks-password, calls: [users] }
  - { name: grace, password: graces-password, calls: [agent, users] }
  - { name: heidi, password: heidis-password }
  - { name: ivan, password: ivans-password }
`,
  );
  return file;
}

/** Something that is none of the tones. */
function hearsMusic(ear: Ear, what: string): Promise<void> {
  const tones = [AGENT_HZ, CALLER_HZ, PERSON_HZ];
  return heard(ear, (newest) => rms(newest) > LOUD && tones.every((hz) => toneShare(newest, hz) < 0.3), what);
}

class Program {
  readonly events = new EventLog<ApiEvent>();
  readonly #socket: WebSocket;
  readonly #http: Endpoint;
  readonly id: string;

  private constructor(http: Endpoint, id: string, socket: WebSocket) {
    this.#http = http;
    this.id = id;
    this.#socket = socket;
    socket.on('message', (data: Buffer) => this.events.push(JSON.parse(data.toString('utf8')) as ApiEvent));
  }

  static async on(http: Endpoint, id: string): Promise<Program> {
    const socket = new WebSocket(`ws://${endpointText(http)}/v1/realtime?call_id=${id}`, ['realtime']);
    const program = new Program(http, id, socket);
    await program.event('session.created');
    return program;
  }

  event(type: string, from = 0): Promise<ApiEvent> {
    return this.events.find((each) => each.type === type, 10_000, `the event ${type}`, from);
  }

  send(event: object): void {
    this.#socket.send(JSON.stringify(event));
  }

  async post(path: string, body: object = {}): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> {
    const url = `http://${endpointText(this.#http)}/v1/realtime/calls/${this.id}/${path}`;
    const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
    const text = await response.text();
    return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) };
  }

  /** @returns the leg's name */
  async dial(destination: string, options: object = {}): Promise<string> {
    const { status, body } = await this.post('legs', { transport: { type: 'sip', trunk: 'pbx', destination }, ...options });
    expect({ status, body }).toMatchObject({ status: 201 });
    return String(body['id']);
  }

  close(): void {
    this.#socket.close();
  }
}

async function newestCall(http: Endpoint): Promise<string> {
  const response = await fetch(`http://${endpointText(http)}/v1/realtime/calls`);
  const { data } = (await response.json()) as { data: { id: string }[] };
  return data[0]?.id ?? '';
}

interface Running {
  readonly sip: Endpoint;
  readonly http: Endpoint;
  cdrs(): readonly Readonly<Record<string, unknown>>[];
  stop(): Promise<unknown>;
  /** Another process with phones, of the same gateway. */
  readonly second?: Endpoint;
}

const WHERE: Readonly<Record<string, (config: string) => Promise<Running>>> = {
  'in one process': (config) => gatewayUnderTest({ mode: 'here', flags: ['--config', config, '--sip-rate', '0'] }),
  'in workers': (config) => GatewayProcess.start({ flags: ['--config', config, '--sip-rate', '0', '--workers', '2'] }),
  'with roles apart': async (config) => {
    const flags = ['--config', config, '--sip-rate', '0'];
    const apart = await startFrontApart(flags);
    // Connects after the first, by which persons are called therefore.
    const second = await apart.another(9);
    return { ...apart, second: second.sip };
  },
};

describe('a caller and a person', () => {
  const hook = new Switchhook();
  const gateways = new Map<string, Running>();
  const trunks = new Map<string, SipPhone>();
  let gateway: Running;
  let trunk: SipPhone;

  beforeAll(async () => {
    const start = async ([where, run]: readonly [string, (typeof WHERE)[string]]): Promise<void> => {
      const phone = await hook.phone({ user: 'bob' });
      trunks.set(where, phone);
      gateways.set(where, await run(configFor(phone)));
    };
    await Promise.all(Object.entries(WHERE).map(start));
    gateway = gateways.get('in one process') as Running;
    trunk = trunks.get('in one process') as SipPhone;
  }, 120_000);

  afterAll(async () => {
    await hook.close();
    await Promise.all([...gateways.values()].map((each) => each.stop()));
    removeFolder(folder);
  });

  async function caller(to: Pick<Running, 'sip' | 'http'> = gateway): Promise<{ readonly a: PhoneCall; readonly program: Program }> {
    const a = await hook.call(to.sip, {}, await hook.phone({ address: '127.0.0.2' }));
    await nextSound(a.media, 5000);
    const program = await Program.on(to.http, await newestCall(to.http));
    await a.media.press('3');
    await hears(a.media, AGENT_HZ, 'the agent, by the caller');
    return { a, program };
  }

  /** Who was called for this program last. */
  async function called(
    program: Program,
    destination: string,
    options: object,
    at = trunk,
  ): Promise<{ readonly leg: string; readonly b: PhoneCall }> {
    const before = at.incoming.count;
    const leg = await program.dial(destination, options);
    const b = await at.incoming.find(() => true, 8000, 'the call to the person', before);
    return { leg, b };
  }

  test.concurrent.each(Object.keys(WHERE))('a phone is handed over: whisper, music, connect, and back to the agent; %s', async (where) => {
    const gateway = gateways.get(where) as Running;
    const trunk = trunks.get(where) as SipPhone;
    const { a, program } = await caller(gateway);
    const incoming = trunk.nextCall(8000);
    const leg = await program.dial('bob', { on_answer: 'whisper' });
    const b = await incoming;
    b.ring();
    await program.event('call.leg.ringing');
    b.answer();
    await b.acknowledged();
    await program.event('call.leg.whispering');
    await Promise.all([hears(b.media, AGENT_HZ, 'the agent, by the person'), hearsMusic(a.media, 'music, by the caller')]);
    a.media.background(tone(CALLER_HZ, 1000));
    b.media.background(tone(PERSON_HZ, 1000));
    expect((await program.post(`legs/${leg}/connect`, { agent: 'leave' })).status).toBe(200);
    await Promise.all([hears(a.media, PERSON_HZ, 'the person, by the caller'), hears(b.media, CALLER_HZ, 'the caller, by the person')]);
    expect(await program.event('call.leg.connected')).toMatchObject({ leg_id: leg, agent: 'leave' });
    await b.bye();
    await program.event('call.leg.ended');
    a.media.background(undefined);
    await a.media.press('3');
    await hears(a.media, AGENT_HZ, 'the agent again');
    await a.bye();
    await program.event('call.ended');
    await eventually(() => gateway.cdrs().length >= 2, 5000, 'a record for each leg');
  });

  /** Called for a caller, and by a program. */
  async function softphoneTakes(gateway: Running): Promise<void> {
    const softphone = await openWebPhone(gateway.http, 'heidi');
    await register(softphone, gateway.sip, 'heidi', 'heidis-password');
    const { a, program } = await caller(gateway);
    const transport = { type: 'sip', destination: 'user:heidi' };
    const call = async (leg: string): Promise<PhoneCall> => {
      const incoming = softphone.nextCall(8000);
      expect((await program.post('legs', { transport, leg_id: leg })).status).toBe(201);
      return incoming;
    };

    const mistaken = await call('mistaken');
    mistaken.answer('v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\nc=IN IP4 127.0.0.1\r\n');
    mistaken.media.stop();
    await mistaken.hungUp(5000);
    expect(await program.event('call.leg.failed')).toMatchObject({ leg_id: 'mistaken' });

    const b = await call('tab');
    b.ring();
    await program.event('call.leg.ringing');
    const { browser, sdp } = await answerInBrowser(b);
    await program.event('call.leg.connected');
    const ear = { arrivals: browser.arrivals, recording: (from = 0) => cut(browser, from) };
    const bothHear = async (): Promise<void> => {
      void browser.say(tone(PERSON_HZ, 3000));
      await Promise.all([hears(ear, CALLER_HZ, 'the caller, by the browser'), hears(a.media, PERSON_HZ, 'the browser, by the caller')]);
    };
    a.media.background(tone(CALLER_HZ, 1000));
    await bothHear();
    const held = await b.reinvite(directed(sdp, 'sendonly'));
    expect([held.status, /^a=recvonly\r$/m.test(held.body)]).toEqual([200, true]);
    const other = await b.reinvite(sdp.replace(/(?<=^a=fingerprint:sha-256 )../m, (first) => (first === '00' ? '01' : '00')));
    expect([other.status, other.header('warning')]).toEqual([488, expect.stringContaining('the fingerprint is another one')]);
    const resumed = await b.reinvite(directed(sdp, 'sendrecv'));
    expect([resumed.status, /^a=sendrecv\r$/m.test(resumed.body)]).toEqual([200, true]);
    await bothHear();
    expect((await b.bye()).status).toBe(200);
    expect(await program.event('call.leg.ended')).toMatchObject({ leg_id: 'tab', reason: 'remote_hangup' });
    browser.close();
    await a.bye();

    const incoming = softphone.nextCall(8000);
    const placed = await fetch(`http://${endpointText(gateway.http)}/v1/realtime/calls`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ session: { type: 'realtime' }, transport }),
    });
    expect(placed.status).toBe(201);
    const own = await answerInBrowser(await incoming);
    await own.browser.nextSound(8000);
    expect((await (await incoming).bye()).status).toBe(200);
    own.browser.close();
    softphone.close();
  }

  test('a softphone in a browser is called as a person, holds, and hangs up: in one process, in workers, with roles apart', async () => {
    await Promise.all([...gateways.values()].map((each) => softphoneTakes(each)));
  });

  test('a worker that dies takes all legs of its session with it, and nothing of them stays', async () => {
    const workers = gateways.get('in workers') as GatewayProcess;
    const { a, program } = await caller(workers);
    const { b } = await called(program, 'bob', {}, trunks.get('in workers') as SipPhone);
    b.answer();
    await b.acknowledged();
    await program.event('call.leg.connected');
    const softphone = await openWebPhone(workers.http, 'ivan');
    await register(softphone, workers.sip, 'ivan', 'ivans-password');
    const incoming = softphone.nextCall(8000);
    await program.post('legs', { transport: { type: 'sip', destination: 'user:ivan' } });
    const ringing = await incoming;
    ringing.ring();
    const ready = workers.log.all.findLast(
      ({ msg, worker }) => msg === 'worker ready' && worker === Number(/^rtc_(\d+)_/.exec(program.id)?.[1]),
    );
    process.kill(Number(ready?.['pid']), 'SIGKILL');
    const cancelled = ringing.requests.find((each) => each.method === 'CANCEL', 10_000, 'the end of the call that rings');
    await Promise.all([a.hungUp(10_000), b.hungUp(10_000), cancelled]);
    const records = (): readonly unknown[] => workers.cdrs().filter(({ cause }) => cause === 'owner_lost');
    await eventually(() => records().length === 3, 5000, 'the records of all legs');
    softphone.close();
  });

  test('a browser is handed over to a phone, and is back with the agent', async () => {
    const browser = await BrowserPeer.call({ post: postTo(gateway.http) });
    await browser.connected();
    await browser.nextSound(5000);
    const program = await Program.on(gateway.http, browser.sessionId);
    program.send({ type: 'response.cancel' });
    program.send({ type: 'output_audio_buffer.clear' });
    const { b } = await called(program, 'bob', { while_ringing: 'ringback' });
    b.ring();
    const ear = { arrivals: browser.arrivals, recording: (from = 0) => cut(browser, from) };
    await hears(ear, 425, 'ringback, by the browser');
    b.answer();
    await b.acknowledged();
    b.media.background(tone(PERSON_HZ, 1000));
    await program.event('call.leg.connected');
    void browser.say(tone(CALLER_HZ, 4000));
    await Promise.all([hears(ear, PERSON_HZ, 'the person, by the browser'), hears(b.media, CALLER_HZ, 'the browser, by the person')]);
    await b.bye();
    expect(await program.event('call.leg.ended')).toMatchObject({ reason: 'remote_hangup' });
    program.send({ type: 'response.create' });
    await browser.nextSound(5000);
    browser.close();
  });

  test('a browser comes to a caller as a person, and goes again', async () => {
    const { a, program } = await caller();
    const path = `http://${endpointText(gateway.http)}/v1/realtime/calls/${program.id}/legs?leg_id=tab&on_hangup=end`;
    const post = async (offer: string): Promise<{ readonly answer: string; readonly location: string }> => {
      const response = await fetch(path, { method: 'POST', body: offer, headers: { 'content-type': 'application/sdp' } });
      expect(response.status).toBe(201);
      return { answer: await response.text(), location: response.headers.get('location') ?? '' };
    };
    const browser = await BrowserPeer.call({ post, label: null });
    expect(browser.sessionId).toBe('tab');
    await browser.connected();
    await program.event('call.leg.connected');
    a.media.background(tone(CALLER_HZ, 1000));
    void browser.say(tone(PERSON_HZ, 3000));
    const ear = { arrivals: browser.arrivals, recording: (from = 0) => cut(browser, from) };
    await Promise.all([hears(ear, CALLER_HZ, 'the caller, by the browser'), hears(a.media, PERSON_HZ, 'the browser, by the caller')]);
    browser.close();
    expect(await program.event('call.leg.ended')).toMatchObject({ leg_id: 'tab', reason: 'remote_hangup' });
    await a.hungUp(5000);
  });

  test('a phone that has registered is called by its name, and the agent stays on the line', async () => {
    const softphone = await hook.phone({ user: 'erin', address: '127.0.0.3' });
    await register(softphone, gateway.sip, 'erin', 'erins-password');
    const { a, program } = await caller();
    const incoming = softphone.nextCall(8000);
    const transport = { type: 'sip', destination: 'user:erin' };
    expect((await program.post('legs', { transport, agent: 'stay', leg_id: 'desk' })).status).toBe(201);
    const b = await incoming;
    b.answer();
    await b.acknowledged();
    expect(await program.event('call.leg.connected')).toMatchObject({ leg_id: 'desk', agent: 'stay' });
    await hears(b.media, AGENT_HZ, 'the agent, by the person');
    expect((await program.post('legs/desk/hold')).status).toBe(200);
    await hearsMusic(b.media, 'music, by the person');
    expect((await program.post('legs/caller/hold')).status).toBe(200);
    await hearsMusic(a.media, 'music, by the caller');
    await a.bye();
    await b.hungUp(5000);
  });

  test('a user who calls another one hears ringing and no agent; who may not have the agent is hung up where nobody answers', async () => {
    const phoneOf = async (user: string, address: string): Promise<SipPhone> => {
      const phone = await hook.phone({ user, address });
      await register(phone, gateway.sip, user, `${user}s-password`);
      return phone;
    };
    const frank = await phoneOf('frank', '127.0.0.4');
    const grace = await phoneOf('grace', '127.0.0.5');
    const callFrom = async (caller: SipPhone, name: string, user: string, callee: SipPhone) => {
      const incoming = callee.nextCall(8000);
      const a = await callAs(hook, caller, gateway.sip, user, name);
      // The agent would give its tone for it.
      await a.media.press('3');
      const b = await incoming;
      b.ring();
      await hears(a.media, RINGBACK_HZ, 'ringing');
      return { a, b };
    };
    const refused = await callFrom(frank, 'frank', 'grace', grace);
    const kept = await callFrom(grace, 'grace', 'frank', frank);
    refused.b.refuse(486, 'Busy Here');
    kept.b.refuse(486, 'Busy Here');
    const bye = await refused.a.hungUp(5000);
    expect(bye.all('reason')).toEqual(expect.arrayContaining([expect.stringMatching(/^Q\.850;cause=21/), 'SIP;cause=486']));
    const { samples } = refused.a.media.recording();
    expect(findTone(samples, AGENT_HZ).present).toBe(false);
    const record = () => gateway.cdrs().find((each) => each['sip_call_id'] === refused.a.callId);
    expect(await eventually(record, 3000, 'its record')).toMatchObject({ cause: 'rejected', user: 'frank' });
    // This one may have the agent.
    const before = kept.a.media.recording().samples;
    expect(findTone(before, AGENT_HZ).present).toBe(false);
    await kept.a.media.press('3');
    await hears(kept.a.media, AGENT_HZ, 'the agent, when nobody has answered');
    await kept.a.bye();
  });

  test.each(Object.keys(WHERE))('two phones are sent to each other, and the gateway leaves; %s', async (where) => {
    const gateway = gateways.get(where) as Running;
    // With roles apart their calls are in two processes.
    const { second = gateway.sip } = gateway;
    const { a, program } = await caller({ sip: second, http: gateway.http });
    const { leg, b } = await called(program, 'bob', {}, trunks.get(where) as SipPhone);
    expect(b.invited?.header('contact')).toContain(`:${gateway.sip.port}`);
    b.answer();
    await b.acknowledged();
    await program.event('call.leg.connected');
    const refer = a.requests.find((each) => each.method === 'REFER', 5000, 'REFER');
    expect((await program.post(`legs/${leg}/transfer`, { mode: 'refer' })).status).toBe(200);
    const target = (await refer).header('refer-to') ?? '';
    expect(decodeURIComponent(target)).toMatch(
      new RegExp(`^<sip:bob@.*\\?Replaces=${b.callId.replace(/[^\w-]/g, '.')};to-tag=.*;from-tag=`),
    );
    const notify = { contentType: 'message/sipfrag;version=2.0', body: 'SIP/2.0 200 OK\r\n' };
    const headers = [['Event', 'refer'] as const, ['Subscription-State', 'terminated;reason=noresource'] as const];
    expect((await a.request('NOTIFY', { headers, ...notify })).status).toBe(200);
    await Promise.all([a.hungUp(5000), b.hungUp(5000)]);
    await program.event('call.transfer.succeeded');
  });

  test('a refused transfer, a busy phone and a number that is not in the list leave the caller where it was', async () => {
    const { a, program } = await caller();
    const { b: busy } = await called(program, 'bob', { while_ringing: 'music' });
    busy.refuse(486, 'Busy Here');
    expect(await program.event('call.leg.failed')).toMatchObject({ reason: 'busy', status_code: 486 });
    expect(await program.post('legs', { transport: { type: 'sip', trunk: 'pbx', destination: '+999' } })).toMatchObject({ status: 403 });
    const { leg, b } = await called(program, 'bob', { on_answer: 'wait' });
    b.answer();
    await b.acknowledged();
    await program.event('call.leg.waiting');
    const refer = a.requests.find((each) => each.method === 'REFER', 5000, 'REFER');
    await program.post(`legs/${leg}/transfer`, { mode: 'refer' });
    await refer;
    const headers = [['Event', 'refer'] as const, ['Subscription-State', 'terminated;reason=noresource'] as const];
    const notify = { headers, body: 'SIP/2.0 603 Decline\r\n', contentType: 'message/sipfrag;version=2.0' };
    expect((await a.request('NOTIFY', notify)).status).toBe(200);
    expect(await program.event('call.transfer.failed')).toMatchObject({ status_code: 603 });
    await a.media.press('3');
    await hears(a.media, AGENT_HZ, 'the agent again');
    // The caller goes while the person rings: both ends are given up.
    const { b: ringing } = await called(program, 'carol', {});
    ringing.ring();
    await program.event('call.leg.ringing');
    const cancelled = ringing.requests.find(
      (each) => each.method === 'CANCEL' || each.method === 'BYE',
      5000,
      'the end of the call that rings',
    );
    await a.bye();
    await cancelled;
    await b.hungUp(5000);
  });

  test('what a phone plays before it is answered is heard by the caller', async () => {
    const { a, program } = await caller();
    await a.media.press('1');
    program.send({ type: 'output_audio_buffer.clear' });
    const { b } = await called(program, 'bob', { while_ringing: 'early_media' });
    b.media.background(tone(PERSON_HZ, 1000));
    b.progress();
    await hears(a.media, PERSON_HZ, 'early media, by the caller');
    b.answer();
    await b.acknowledged();
    await hears(a.media, PERSON_HZ, 'the person, by the caller');
    await a.bye();
    await b.hungUp(5000);
  });

  test('a machine that answers is told by its beep, and the agent speaks after it', async () => {
    const incoming = trunk.nextCall(8000);
    const transport = { type: 'sip', trunk: 'pbx', destination: 'carol' };
    const placed = await fetch(`http://${endpointText(gateway.http)}/v1/realtime/calls`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ session: { type: 'realtime' }, transport, amd: { on_machine: 'leave_message' } }),
    });
    expect(placed.status).toBe(201);
    const program = await Program.on(gateway.http, placed.headers.get('location')?.split('/').pop() ?? '');
    const machine = await incoming;
    machine.answer();
    await machine.acknowledged();
    const said = machine.media.say(concat(silence(300), speech(900, { peak: 8000 }), silence(300), tone(1400, 400)));
    const answered = await program.event('call.answered_by');
    expect(answered).toMatchObject({ leg_id: 'caller', by: 'machine_beep' });
    expect(Math.abs(((answered['beep'] as { frequency_hz: number } | null)?.frequency_hz ?? 0) - 1400)).toBeLessThan(10);
    const { endedAt } = await said;
    const first = await machine.media.arrivals.find((each) => each.at > endedAt && isLoud(each), 8000, 'the agent after the beep');
    expect(machine.media.arrivals.all.some((each) => each.at < endedAt - 100 && isLoud(each))).toBe(false);
    expect(first.at).toBeGreaterThan(endedAt);
    await machine.bye();
  });
});

/** Registers this phone with a password. */
function isLoud({ payload }: { readonly payload: Uint8Array }): boolean {
  return rms(decodeG711('PCMU', payload)) > LOUD;
}

/** What a browser heard from packet `from` on. */
function cut(browser: BrowserPeer, from: number): { readonly samples: Int16Array } {
  return { samples: concat(...browser.arrivals.all.slice(from).map(({ pcm }) => pcm)) };
}
