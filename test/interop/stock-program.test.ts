import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BrowserPeer } from '../support/browser-peer.ts';
import { Child } from '../support/child.ts';
import { freePorts } from '../support/endpoint.ts';
import { Lateness } from '../support/lateness.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import { type ResponseAsk, ScriptedUpstream, type UpstreamSession } from '../support/scripted-upstream.ts';
import { SipPhone } from '../support/sip-phone.ts';
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
const DEADLINE_MS = 15_000;

/** What the model does in the turns of its callers, by the number of the session. */
const PLANS = [
  [
    ['opening_hours', '{"day":"monday"}'],
    ['transfer_to_person', '{}'],
  ],
  [['end_call', '{}']],
  [
    ['opening_hours', '{"day":"sunday"}'],
    ['end_call', '{}'],
  ],
] as const;

/** Greets with 440 Hz, follows the plan turn by turn, and tells what a tool said with 660 Hz. */
function respond(model: ScriptedUpstream, session: UpstreamSession, ask: ResponseAsk): void {
  const last = session.items.at(-1)?.item;
  if (last?.['type'] === 'function_call_output') {
    session.say(ask, { pcm: tone(660, 400, { rateHz: 24_000 }), transcript: String(last['output']) });
    return;
  }
  const turns = session.items.filter(({ item }) => item['role'] === 'user').length;
  const plan = PLANS[model.sessions.all.indexOf(session)]?.[turns - 1];
  if (plan) session.callFunction(ask, plan[0], plan[1]);
  else session.say(ask);
}

describe.each<StockMode>(['one', 'workers', 'apart'])('a program that answers the phone: %s', (mode) => {
  let model: ScriptedUpstream;
  let program: Child;
  let programURL: string;
  let gateway: StockGateway;
  let phone: SipPhone;
  let late: Lateness;

  beforeAll(async () => {
    model = await ScriptedUpstream.start({ respond: (session, ask) => respond(model, session, ask) });
    const [port] = await freePorts(1);
    programURL = `http://127.0.0.1:${port}`;
    gateway = await StockGateway.start(
      `callers: anyone
${PROJECTS}agent: {transfer-target: "${PERSON}"}
model: {type: realtime, profile: generic, url: "${model.url}", model: scripted}
routes:
  - {number: agent, project: shop, webhook: {url: "${programURL}/calls", secrets: [${SECRET}], within: 20}}
`,
      mode,
    );
    const env = {
      ...{ OPENAI_BASE_URL: gateway.baseURL.replace('http:', 'https:'), OPENAI_API_KEY: SHOP_KEY, OPENAI_WEBHOOK_SECRET: SECRET },
      ...{ NODE_EXTRA_CA_CERTS: gateway.caFile, PERSON, PORT: `${port}` },
    };
    program = new Child(process.execPath, ['--import', import.meta.resolve('tsx'), resolve('examples/receptionist.ts')], { env });
    await program.line(/^listening /, 30_000);
    phone = await SipPhone.open();
    late = new Lateness(gateway.phones);
  });

  afterAll(async () => {
    late.stop();
    phone.close();
    await Promise.all([gateway.stop(), program.stop(), model.stop()]);
  });

  const says = (pattern: RegExp): Promise<RegExpExecArray> => program.line(pattern, DEADLINE_MS);
  const nth = (calls: number): Promise<string> =>
    eventually(
      () => program.stdout.all.filter((line) => line.endsWith(' attended'))[calls - 1]?.split(' ')[0],
      DEADLINE_MS,
      'the sideband',
    );

  async function hears(call: PhoneCall, freqHz: number, from: number): Promise<void> {
    const found = (): boolean => toneRuns(call.media.recording(from).samples, freqHz).some(({ fromMs, toMs }) => toMs - fromMs > 200);
    await eventually(found, DEADLINE_MS, `${freqHz} Hz`);
  }

  test('accepts, greets, uses a tool while the caller waits, and sends the caller on to a person', async () => {
    const call = await phone.dial(gateway.sip);
    await call.answered(DEADLINE_MS);
    await hears(call, 440, 0);
    const id = await nth(1);
    const sideband = gateway.connect({ callID: id });
    await sideband.told.type('session.created');
    const from = call.media.arrivals.count;
    await call.media.say(speech(900));
    await says(/opening_hours \{"day":"monday","hours":"9 to 17"\}$/);
    await hears(call, 660, from);
    const refer = call.requests.find((each) => each.method === 'REFER', DEADLINE_MS, 'REFER');
    await sideband.told.type('output_audio_buffer.stopped', DEADLINE_MS);
    await call.media.say(speech(900, { seed: 2 }));
    expect((await refer).header('refer-to')).toBe(`<${PERSON}>`);
    await says(/transfer_to_person "done"$/);
    const headers = [
      ['Event', 'refer'],
      ['Subscription-State', 'terminated;reason=noresource'],
    ] as const;
    await call.request('NOTIFY', { headers, body: 'SIP/2.0 200 OK\r\n', contentType: 'message/sipfrag;version=2.0' });
    await call.hungUp(DEADLINE_MS);
    await says(new RegExp(`^${id} over 1000$`));
    await within(sideband.closed, DEADLINE_MS, 'the end of the other sideband');
    const types = sideband.told.all.map(({ type }) => type);
    expect(types.filter((type) => type.startsWith('call.'))).toEqual(['call.transfer.accepted', 'call.transfer.succeeded', 'call.ended']);
    expect(sideband.told.faults).toEqual([]);
  });

  test('hangs up when the model says so', async () => {
    const call = await phone.dial(gateway.sip);
    await call.answered(DEADLINE_MS);
    await hears(call, 440, 0);
    await call.media.say(speech(900));
    await call.hungUp(DEADLINE_MS);
    await says(/end_call "done"$/);
  });

  test('runs a call from a page by the id in its Location', async () => {
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
    await page.say(speech(900));
    await heard(660);
    await says(/opening_hours \{"day":"sunday","hours":"9 to 17"\}$/);
    await page.say(speech(900, { seed: 2 }));
    expect(await page.event('call.ended')).toMatchObject({ reason: 'agent_hangup' });
    page.close();
  });

  test('turns a nuisance away', async () => {
    const call = await phone.dial(gateway.sip, { from: 'sip:nuisance@192.0.2.9' });
    expect((await call.refused(DEADLINE_MS)).status).toBe(603);
  });

  test('that has no errors to tell', () => {
    expect(program.stdout.all.filter((line) => /error|failed/.test(line))).toEqual([]);
    expect(program.stderr.all).toEqual([]);
  });
});
