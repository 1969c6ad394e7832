import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BrowserPeer } from '../support/browser-peer.ts';
import { Child } from '../support/child.ts';
import { freePorts } from '../support/endpoint.ts';
import { nextSound } from '../support/heard.ts';
import { describePeer } from '../support/peers.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import { type ResponseAsk, ScriptedUpstream, type UpstreamSession } from '../support/scripted-upstream.ts';
import { type SeenMessage, SipPhone } from '../support/sip-phone.ts';
import { runSipp } from '../support/sipp.ts';
import { speech } from '../support/speech.ts';
import { PROJECTS, SHOP_KEY, StockGateway, type StockMode } from '../support/stock-gateway.ts';
import { tone, toneRuns } from '../support/tones.ts';
import { EventLog, elapse, eventually, within } from '../support/wait.ts';

/*
 * A program written with the stock client (examples/receptionist.ts, in a process of its own, over https) runs phone calls and a page's call, with
 * a model server of the test behind the gateway; and package `openai` decides on calls and places them, with its own repeats. In one process,
 * with workers, and with every role apart.
 */

const SECRET = 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=';
const PERSON = 'sip:desk@192.0.2.50';
const DEADLINE_MS = 20_000;

/** So long that a busy machine, which leaves holes, leaves enough of it. */
const SAID_MS = 1000;

/** What the model does in a call. */
interface Plan {
  /** A tool for each turn of the caller; for a caller who says nothing, one after the other. */
  readonly tools: readonly (readonly [name: string, args: string])[];
  readonly callerIsSilent?: boolean;
}

const HOURS = ['opening_hours', '{"day":"monday"}'] as const;
const TRANSFER = ['transfer_to_person', '{}'] as const;
const HANG_UP = ['end_call', '{}'] as const;

/** Greets with 440 Hz, follows the plan of the call, and tells what a tool said with 660 Hz. */
class PlannedModel {
  readonly #plans = new WeakMap<UpstreamSession, Plan>();
  #next: Plan = { tools: [] };
  server: ScriptedUpstream | undefined;

  async start(): Promise<ScriptedUpstream> {
    this.server = await ScriptedUpstream.start({ respond: (session, ask) => this.#respond(session, ask) });
    return this.server;
  }

  /** Of the next call that is answered. */
  plan(plan: Plan): void {
    this.#next = plan;
  }

  #respond(session: UpstreamSession, ask: ResponseAsk): void {
    const plan = this.#plans.get(session) ?? this.#next;
    this.#plans.set(session, plan);
    const items = session.items.map(({ item }) => item);
    const last = items.at(-1);
    const isTold = last?.['type'] === 'function_call_output';
    if (isTold && !plan.callerIsSilent) {
      session.say(ask, { pcm: tone(660, SAID_MS, { rateHz: 24_000 }), transcript: String(last['output']) });
      return;
    }
    const turn = plan.callerIsSilent
      ? items.filter(({ type }) => type === 'function_call_output').length
      : items.filter(({ role }) => role === 'user').length - 1;
    const tool = plan.tools[turn];
    if (tool) session.callFunction(ask, tool[0], tool[1]);
    else session.say(ask, { pcm: tone(440, SAID_MS, { rateHz: 24_000 }) });
  }
}

/** A gateway, the program that answers its phone, and the model behind it. */
class Shop {
  readonly model = new PlannedModel();
  readonly gateway: StockGateway;
  readonly program: Child;
  readonly programURL: string;

  private constructor(parts: { gateway: StockGateway; program: Child; programURL: string; model: PlannedModel }) {
    this.gateway = parts.gateway;
    this.program = parts.program;
    this.programURL = parts.programURL;
    this.model = parts.model;
  }

  /** @param routes more of them @param trunks in YAML */
  static async open(mode: StockMode, trunks: string, routes: string): Promise<Shop> {
    const model = new PlannedModel();
    const [{ url }, [port]] = await Promise.all([model.start(), freePorts(1)]);
    const programURL = `http://127.0.0.1:${port}`;
    const gateway = await StockGateway.start(
      `callers: anyone
${PROJECTS}${trunks}agent: {transfer-target: "${PERSON}"}
model: {type: realtime, profile: generic, url: "${url}", model: scripted}
routes:
  - {number: agent, project: shop, webhook: {url: "${programURL}/calls", secrets: [${SECRET}], within: 20}}
${routes}`,
      mode,
    );
    const env = {
      ...{ OPENAI_BASE_URL: gateway.baseURL.replace('http:', 'https:'), OPENAI_API_KEY: SHOP_KEY, OPENAI_WEBHOOK_SECRET: SECRET },
      ...{ NODE_EXTRA_CA_CERTS: gateway.caFile, PERSON, PORT: `${port}` },
    };
    const program = new Child(process.execPath, ['--import', import.meta.resolve('tsx'), resolve('examples/receptionist.ts')], { env });
    await program.line(/^listening /, 30_000);
    return new Shop({ gateway, program, programURL, model });
  }

  async close(): Promise<void> {
    await Promise.all([this.gateway.stop(), this.program.stop(), this.model.server?.stop()]);
  }
}

/** What a webhook of the test was told. */
interface Told {
  readonly webhookId: string;
  readonly callId: string;
  readonly to: string;
}

/** Of the numbers that begin with `ask` and `down`; the latter are refused. */
const incoming = new EventLog<Told>();
const MODES: readonly StockMode[] = ['one', 'workers', 'apart'];
const shops = new Map<StockMode, Shop>();
let receiver: Server;
let phone: SipPhone;
let callee: SipPhone;

beforeAll(async () => {
  const verifier = new OpenAI({ apiKey: 'none', webhookSecret: SECRET });
  receiver = createServer((request, response) => {
    void text(request).then(async (body) => {
      const event = await verifier.webhooks.unwrap(body, request.headers as Record<string, string>);
      if (event.type !== 'realtime.call.incoming') throw new Error(event.type);
      const { call_id: callId, sip_headers: headers } = event.data;
      const to = headers.find(({ name }) => name === 'To')?.value ?? '';
      incoming.push({ webhookId: String(request.headers['webhook-id']), callId, to: /sip:([^@]*)@/.exec(to)?.[1] ?? to });
      response.writeHead(request.url === '/down' ? 503 : 200).end();
    });
  });
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
  const hook = (path: string, within: number): string => `webhook: {url: "${url}${path}", secrets: [${SECRET}], within: ${within}`;
  callee = await SipPhone.open({ address: '127.0.0.3' });
  phone = await SipPhone.open({ address: '127.0.0.2' });
  const trunks = `trunks: [{name: carrier, peer: "127.0.0.3:${callee.local.port}", destinations: ["+1555*"], caps: {per-second: 100}}]\n`;
  const routes = `  - {number: "ask*", project: shop, ${hook('/calls', 20)}}}
  - {number: "down-answer*", project: shop, ${hook('/down', 3)}, otherwise: {answer: {}}}}
  - {number: "down-reject*", project: shop, ${hook('/down', 3)}, otherwise: {reject: 486}}}
  - {number: "down-long*", project: shop, ${hook('/down', 20)}}}
`;
  // One after the other: eleven programs that start at once need longer for it than each is given.
  for (const mode of MODES) shops.set(mode, await Shop.open(mode, trunks, routes));
}, 120_000);

afterAll(async () => {
  phone?.close();
  callee?.close();
  await Promise.all([...shops.values()].map((shop) => shop.close()));
  receiver?.closeAllConnections();
  receiver?.close();
});

function shopOf(mode: StockMode): Shop {
  const shop = shops.get(mode);
  if (!shop) throw new Error(`no shop ${mode}`);
  return shop;
}

function of(mode: StockMode): StockGateway {
  return shopOf(mode).gateway;
}

/** A busy machine leaves holes. */
function isIn(samples: Int16Array, freqHz: number): boolean {
  return toneRuns(samples, freqHz).some(({ fromMs, toMs }) => toMs - fromMs > 100);
}

async function hears({ media }: PhoneCall, freqHz: number, from: number): Promise<void> {
  const found = (): boolean => isIn(media.recording(from).samples, freqHz);
  await eventually(found, DEADLINE_MS, `${freqHz} Hz`);
}

/** Accepts, greets, uses a tool while the caller waits, and sends the caller on to a person. */
async function transfers({ gateway, model, program }: Shop): Promise<void> {
  model.plan({ tools: [HOURS, TRANSFER] });
  const call = await phone.dial(gateway.sip);
  await call.answered(DEADLINE_MS);
  await hears(call, 440, 0);
  const [, id = ''] = await program.line(/^(rtc_\S+) attended$/, DEADLINE_MS);
  const sideband = gateway.connect({ callID: id });
  await sideband.told.type('session.created', DEADLINE_MS);
  const from = call.media.arrivals.count;
  await call.media.say(speech(900));
  await program.line(/opening_hours \{"day":"monday","hours":"9 to 17"\}$/, DEADLINE_MS);
  await hears(call, 660, from);
  const refer = call.requests.find((each) => each.method === 'REFER', DEADLINE_MS, 'REFER');
  await sideband.told.type('output_audio_buffer.stopped', DEADLINE_MS);
  await call.media.say(speech(900, { seed: 2 }));
  expect((await refer).header('refer-to')).toBe(`<${PERSON}>`);
  await program.line(/transfer_to_person "done"$/, DEADLINE_MS);
  const headers = [
    ['Event', 'refer'],
    ['Subscription-State', 'terminated;reason=noresource'],
  ] as const;
  await call.request('NOTIFY', { headers, body: 'SIP/2.0 200 OK\r\n', contentType: 'message/sipfrag;version=2.0' });
  await call.hungUp(DEADLINE_MS);
  await program.line(new RegExp(`^${id} over 1000$`), DEADLINE_MS);
  await within(sideband.closed, DEADLINE_MS, 'the end of the other sideband');
  const types = sideband.told.all.map(({ type }) => type);
  expect(types.filter((type) => type.startsWith('call.'))).toEqual(['call.transfer.accepted', 'call.transfer.succeeded', 'call.ended']);
  expect(sideband.told.faults).toEqual([]);
}

/** Hangs up when the model says so. */
async function hangsUp({ gateway, model, program }: Shop): Promise<void> {
  model.plan({ tools: [HANG_UP] });
  const call = await phone.dial(gateway.sip);
  await call.answered(DEADLINE_MS);
  await hears(call, 440, 0);
  await call.media.say(speech(900));
  await call.hungUp(DEADLINE_MS);
  await program.line(/end_call "done"$/, DEADLINE_MS);
}

/** Runs a page's call by the id in its Location. */
async function servesPage({ model, programURL }: Shop): Promise<void> {
  model.plan({ tools: [HOURS, HANG_UP] });
  const page = await BrowserPeer.call({
    post: async (offer) => {
      const response = await fetch(`${programURL}/offer`, { method: 'POST', body: offer });
      return { answer: await response.text(), location: '' };
    },
  });
  const heard = (freqHz: number): Promise<unknown> =>
    eventually(() => isIn(page.recording().samples, freqHz), DEADLINE_MS, `${freqHz} Hz on the page`);
  await heard(440);
  await page.event('output_audio_buffer.stopped');
  const from = page.events.count;
  await page.say(speech(900));
  await heard(660);
  await page.event('output_audio_buffer.stopped', DEADLINE_MS, from);
  await page.say(speech(900, { seed: 2 }));
  expect(await page.event('call.ended')).toMatchObject({ reason: 'agent_hangup' });
  page.close();
}

describe('a program that answers the phone', () => {
  test.concurrent.each(MODES)('greets, uses tools, transfers, hangs up, serves a page, and turns a nuisance away: %s', async (mode) => {
    const shop = shopOf(mode);
    await transfers(shop);
    await hangsUp(shop);
    await servesPage(shop);
    const nuisance = await phone.dial(shop.gateway.sip, { from: 'sip:nuisance@192.0.2.9' });
    expect((await nuisance.refused(DEADLINE_MS)).status).toBe(603);
    expect(shop.program.stdout.all.filter((line) => /error|failed/.test(line))).toEqual([]);
    expect(shop.program.stderr.all).toEqual([]);
  });
});

describePeer('sipp', 'a program that answers sipp', () => {
  test('uses a tool, and sends the caller on', async () => {
    const shop = shopOf('one');
    shop.model.plan({ tools: [HOURS, TRANSFER], callerIsSilent: true });
    const calls = 5;
    const before = shop.program.stdout.all.length;
    const result = await runSipp(shop.gateway.sip, { scenario: 'uac-refer', calls, rate: 5 });
    expect(result).toMatchObject({ exitCode: 0, successful: calls, failed: 0, unexpected: 0, errors: '' });
    const lines = (): readonly string[] => shop.program.stdout.all.slice(before);
    await eventually(() => lines().filter((line) => line.endsWith(' over 1000')).length === calls, DEADLINE_MS, 'the ends of the calls');
    expect(lines().filter((line) => line.includes('opening_hours {"day":"monday"'))).toHaveLength(calls);
    expect(lines().filter((line) => line.endsWith('transfer_to_person "done"'))).toHaveLength(calls);
  });
});

describe.concurrent.each(MODES)('the stock client and a phone: %s', (mode) => {
  // The model only speaks.
  beforeAll(() => shopOf(mode).model.plan({ tools: [] }));

  /** Dials; resolves when the webhook was told, at its first try. */
  async function dial(number: string) {
    const user = `${number}-${mode}`;
    const call = await phone.dial(of(mode).sip, { user });
    const told = await incoming.find(({ to }) => to === user, DEADLINE_MS, `the webhook about ${user}`);
    return { call, id: told.callId, webhookId: told.webhookId };
  }

  test('accepts twice at once: exactly one wins, and the other is told so without repeats', async () => {
    const { call, id } = await dial('ask-twice');
    const { calls } = of(mode).client().realtime;
    const accept = (instructions: string) => calls.accept(id, { type: 'realtime', instructions }).then(() => instructions);
    const outcomes = await Promise.allSettled([accept('one'), accept('two')]);
    const lost = outcomes.find((each) => each.status === 'rejected')?.reason;
    const won = outcomes.find((each) => each.status === 'fulfilled')?.value;
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(lost).toBeInstanceOf(OpenAI.ConflictError);
    expect(lost).toMatchObject({ status: 409, type: 'invalid_request_error', code: 'invalid_state' });
    await call.answered(DEADLINE_MS);
    await expect(calls.accept(id, { type: 'realtime' })).rejects.toMatchObject({ status: 409 });
    const { rt, told, closed } = of(mode).connect({ callID: id });
    expect(await told.type('session.created', DEADLINE_MS)).toMatchObject({ session: { instructions: won } });
    rt.send({ type: 'response.create' });
    await nextSound(call.media, DEADLINE_MS);
    await call.bye();
    expect(await within(closed, DEADLINE_MS, 'the end of the sideband')).toBe(1000);
    expect(told.last).toMatchObject({ type: 'call.ended', reason: 'remote_hangup' });
    expect(told.faults).toEqual([]);
  });

  test.each([
    ['busy', { status_code: 486 }, 486],
    ['decline', {}, 603],
  ])('rejects: %s', async (number, body, status) => {
    const { call, id } = await dial(`ask-${number}`);
    await of(mode).client().realtime.calls.reject(id, body);
    expect((await call.refused(DEADLINE_MS)).status).toBe(status);
    await expect(of(mode).client().realtime.calls.accept(id, { type: 'realtime' })).rejects.toMatchObject({ status: 404 });
  });

  test('takes VAD settings on a phone, refuses what is wrong with a name for it, and the call still rings', async () => {
    const { call, id } = await dial('ask-vad');
    const { calls } = of(mode).client().realtime;
    const turns = { type: 'server_vad', threshold: 0.7, prefix_padding_ms: 200, silence_duration_ms: 700 } as const;
    await expect(calls.accept(id, { audio: { input: { turn_detection: turns } } } as never)).rejects.toMatchObject({
      status: 400,
      param: 'session.type',
    });
    await expect(
      calls.accept(id, { type: 'realtime', audio: { input: { turn_detection: { ...turns, threshold: 7 } } } }),
    ).rejects.toMatchObject({ status: 400, param: 'session.audio.input.turn_detection.threshold' });
    await calls.accept(id, { type: 'realtime', audio: { input: { turn_detection: turns, format: { type: 'audio/pcm', rate: 24_000 } } } });
    await call.answered(DEADLINE_MS);
    const { told } = of(mode).connect({ callID: id });
    expect(await told.type('session.created', DEADLINE_MS)).toMatchObject({ session: { audio: { input: { turn_detection: turns } } } });
    await of(mode).client().realtime.calls.hangup(id);
    await call.hungUp(DEADLINE_MS);
  });

  test('cannot accept a caller who has gone, and is not asked again', async () => {
    const { call, id, webhookId } = await dial('down-long');
    await call.response(180, DEADLINE_MS);
    await call.cancel();
    // Where the owner is another process it hears of it a moment later.
    const isGone = (): Promise<boolean> =>
      of(mode)
        .client()
        .realtime.calls.accept(id, { type: 'realtime' })
        .then(
          () => false,
          (thrown: unknown) => thrown instanceof OpenAI.NotFoundError,
        );
    await eventually(isGone, DEADLINE_MS, 'the end of the call');
    const tries = (): number => incoming.all.filter((told) => told.webhookId === webhookId).length;
    const had = tries();
    // The next try would be due after 0.4 s at the latest, the one after it after 0.8 s.
    await elapse(1500);
    expect(tries()).toBeLessThanOrEqual(had + 1);
  });

  test('that is down leaves the call to the route', async () => {
    const answered = await dial('down-answer');
    const refused = await dial('down-reject');
    await answered.call.answered(DEADLINE_MS);
    await nextSound(answered.call.media, DEADLINE_MS);
    await answered.call.bye();
    expect((await refused.call.refused(DEADLINE_MS)).status).toBe(486);
    const ids = incoming.all.filter(({ callId }) => callId === answered.id).map(({ webhookId }) => webhookId);
    expect(ids.length).toBeGreaterThan(1);
    expect(new Set(ids).size).toBe(1);
  });
});

// A process without phones places no calls yet: roles `sip` and `control` go together for that.
describe.concurrent.each(['one', 'workers'] as const)('a call that a program places: %s', (mode) => {
  const place = (destination: string, key?: string) => {
    const body = { session: { type: 'realtime', instructions: 'Sell.' }, transport: { type: 'sip', destination, trunk: 'carrier' } };
    return of(mode).client(key).post<{ session: { id: string } }>('/realtime/calls', { body });
  };
  async function rung(number: string): Promise<PhoneCall> {
    const isIt = ({ direction, message }: SeenMessage): boolean =>
      direction === 'in' && message.method === 'INVITE' && message.startLine.includes(number);
    const { message } = await callee.messages.find(isIt, DEADLINE_MS, `the call to ${number}`);
    return callee.incoming.find(({ callId }) => callId === message.callId, DEADLINE_MS, `the call to ${number}`);
  }

  test('rings, is told of step by step, heard, and hung up', async () => {
    const number = `+1555${MODES.indexOf(mode)}1`;
    const [placed, call] = await Promise.all([place(number), rung(number)]);
    const { told, closed, rt } = of(mode).connect({ callID: placed.session.id });
    await told.type('session.created', DEADLINE_MS);
    call.ring();
    await told.type('call.ringing', DEADLINE_MS);
    call.answer();
    await told.type('call.answered', DEADLINE_MS);
    rt.send({ type: 'response.cancel' });
    await nextSound(call.media, DEADLINE_MS);
    const later = of(mode).connect({ callID: placed.session.id });
    await later.told.type('call.answered', DEADLINE_MS);
    await of(mode).client().realtime.calls.hangup(placed.session.id);
    await call.hungUp(DEADLINE_MS);
    await within(closed, DEADLINE_MS, 'the end of the sideband');
    expect(told.last).toMatchObject({ type: 'call.ended', reason: 'agent_hangup' });
    expect(later.told.faults).toEqual([]);
  });

  test('is told of the refusal, with its status', async () => {
    const number = `+1555${MODES.indexOf(mode)}2`;
    const [placed, call] = await Promise.all([place(number), rung(number)]);
    const { told } = of(mode).connect({ callID: placed.session.id });
    await told.type('session.created', DEADLINE_MS);
    call.refuse(486, 'Busy Here');
    expect(await told.type('call.ended', DEADLINE_MS)).toMatchObject({ status_code: 486 });
  });

  test('goes nowhere but to the destinations of its trunk, and is nothing for client secrets', async () => {
    await expect(place('+4930123')).rejects.toMatchObject({ status: 403, code: 'forbidden', type: expect.any(String) });
    const secret = await of(mode).client().realtime.clientSecrets.create({});
    await expect(place('+15550', secret.value)).rejects.toMatchObject({ status: 403 });
    const body = { session: { type: 'realtime' }, transport: { type: 'sip', destination: '+1555', trunk: 'none' } };
    await expect(of(mode).client(SHOP_KEY).post('/realtime/calls', { body })).rejects.toMatchObject({ status: 404 });
  });
});
