import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BrowserPeer } from '../support/browser-peer.ts';
import { Child } from '../support/child.ts';
import { freePorts } from '../support/endpoint.ts';
import { describePeer } from '../support/peers.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import { type ResponseAsk, ScriptedUpstream, type UpstreamSession } from '../support/scripted-upstream.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { runSipp } from '../support/sipp.ts';
import { speech } from '../support/speech.ts';
import { PROJECTS, SHOP_KEY, StockGateway, type StockMode } from '../support/stock-gateway.ts';
import { findTone, tone, toneRuns } from '../support/tones.ts';
import { eventually, within } from '../support/wait.ts';

/*
 * A program written with the stock client (examples/receptionist.ts, in a process of its own, over https) runs phone calls and a page's call,
 * with a model server of the test behind the gateway: in one process, with workers, and with every role apart.
 */

const SECRET = 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=';
const PERSON = 'sip:desk@192.0.2.50';
const DEADLINE_MS = 20_000;

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
      session.say(ask, { pcm: tone(660, 400, { rateHz: 24_000 }), transcript: String(last['output']) });
      return;
    }
    const turn = plan.callerIsSilent
      ? items.filter(({ type }) => type === 'function_call_output').length
      : items.filter(({ role }) => role === 'user').length - 1;
    const tool = plan.tools[turn];
    if (tool) session.callFunction(ask, tool[0], tool[1]);
    else session.say(ask);
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

  static async open(mode: StockMode): Promise<Shop> {
    const model = new PlannedModel();
    const [{ url }, [port]] = await Promise.all([model.start(), freePorts(1)]);
    const programURL = `http://127.0.0.1:${port}`;
    const gateway = await StockGateway.start(
      `callers: anyone
${PROJECTS}agent: {transfer-target: "${PERSON}"}
model: {type: realtime, profile: generic, url: "${url}", model: scripted}
routes:
  - {number: agent, project: shop, webhook: {url: "${programURL}/calls", secrets: [${SECRET}], within: 20}}
`,
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

const MODES: readonly StockMode[] = ['one', 'workers', 'apart'];
const shops = new Map<StockMode, Shop>();
let phone: SipPhone;

beforeAll(async () => {
  phone = await SipPhone.open();
  await Promise.all(MODES.map(async (mode) => shops.set(mode, await Shop.open(mode))));
});

afterAll(async () => {
  phone?.close();
  await Promise.all([...shops.values()].map((shop) => shop.close()));
});

function shopOf(mode: StockMode): Shop {
  const shop = shops.get(mode);
  if (!shop) throw new Error(`no shop ${mode}`);
  return shop;
}

async function hears({ media }: PhoneCall, freqHz: number, from: number): Promise<void> {
  const found = (): boolean => toneRuns(media.recording(from).samples, freqHz).some(({ fromMs, toMs }) => toMs - fromMs > 200);
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
    eventually(() => findTone(page.recording().samples.subarray(-2400), freqHz).present, DEADLINE_MS, `${freqHz} Hz`);
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
