import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import OpenAI from 'openai';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { loudArrivals } from '../support/heard.ts';
import { Lateness } from '../support/lateness.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import { record } from '../support/recording.ts';
import { type ResponseAsk, ScriptedUpstream, type UpstreamSession } from '../support/scripted-upstream.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { speech } from '../support/speech.ts';
import { PROJECTS, StockGateway, type StockMode, type StockSocket } from '../support/stock-gateway.ts';
import { concat, dtmfTone, tone, toneRuns, toneShare } from '../support/tones.ts';
import { EventLog, eventually } from '../support/wait.ts';

/*
 * A phone call whose model is a server of the test and calls tools: what the caller hears meanwhile, where the keys go, and whom the caller is sent
 * to. In one process, in a worker, and with every role apart.
 */

/** Nothing else in a call looks like it. */
const SECRET = '4929173850';
const WEBHOOK_SECRET = 'whsec-of-the-application';
const DEADLINE_MS = 15_000;
const FILLER_AFTER_MS = 500;

const rate = { rateHz: 24_000 } as const;

type Step = (session: UpstreamSession, ask: ResponseAsk) => void;
const says =
  (freqHz: number, ms = 300, amplitude = 9000): Step =>
  (session, ask) =>
    session.say(ask, { pcm: tone(freqHz, ms, { ...rate, amplitude }), transcript: `${freqHz}` });
const uses =
  (name: string, args: object = {}): Step =>
  (session, ask) =>
    session.callFunction(ask, name, JSON.stringify(args));

/** Takes what is entered secretly, signed. */
class Application {
  readonly events = new EventLog<{ readonly type: string; readonly data: unknown }>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    server.on('request', async (request: IncomingMessage, response: ServerResponse) => {
      const body = await text(request);
      const client = new OpenAI({ apiKey: 'unused' });
      this.events.push((await client.webhooks.unwrap(body, request.headers as Record<string, string>, WEBHOOK_SECRET)) as never);
      response.end();
    });
  }

  static async start(): Promise<Application> {
    const server = createServer();
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return new Application(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/digits`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/** One gateway with its model, and one call. */
class Scene {
  readonly gateway: StockGateway;
  readonly model: ScriptedUpstream;
  readonly application: Application;
  readonly late: Lateness;
  readonly #plan: Step[];
  call!: PhoneCall;
  callId = '';
  /** The program that runs the call, and one that only looks on. */
  program!: StockSocket;
  other!: StockSocket;
  upstream!: UpstreamSession;

  private constructor(gateway: StockGateway, { model, application }: Pick<Scene, 'model' | 'application'>, plan: Step[]) {
    this.gateway = gateway;
    this.model = model;
    this.application = application;
    this.#plan = plan;
    this.late = new Lateness(gateway.process);
  }

  static async open(mode: StockMode): Promise<Scene> {
    const plan: Step[] = [];
    const application = await Application.start();
    const model = await ScriptedUpstream.start({ respond: (session, ask) => (plan.shift() ?? says(440))(session, ask) });
    const yaml = [
      `callers: anyone\n${PROJECTS}routes: [{project: shop, answer: {}}]`,
      `model: {type: realtime, profile: generic, url: "${model.url}"}`,
      'tools:',
      '  transfer: {targets: {desk: {uri: "sip:desk@192.0.2.50"}}}',
      '  hang-up: true',
      '  hold-music: true',
      `  collect-digits: {webhook: {url: "${application.url}", secrets: [${WEBHOOK_SECRET}]}}`,
      `  filler: {sound: tone, after-ms: ${FILLER_AFTER_MS}}`,
    ];
    return new Scene(await StockGateway.start(`${yaml.join('\n')}\n`, mode), { model, application }, plan);
  }

  /** What the model does at its next responses. */
  plan(...steps: Step[]): void {
    this.#plan.push(...steps);
  }

  async dial(phone: SipPhone): Promise<void> {
    this.plan(says(440));
    this.call = await phone.dial(this.gateway.sip);
    await this.call.answered(DEADLINE_MS);
    await this.hears(440);
    const calls = await eventually(
      async () => {
        const list = (await this.gateway.client().get('/realtime/calls')) as { data: { id: string }[] };
        return list.data[0]?.id;
      },
      DEADLINE_MS,
      'the call in the list',
    );
    this.callId = calls ?? '';
    this.program = this.gateway.connect({ callID: this.callId });
    this.other = this.gateway.connect({ callID: this.callId });
    for (const { told } of [this.program, this.other]) await told.type('session.created', DEADLINE_MS);
    this.upstream = await this.model.session(1);
    // Whoever looks in while the greeting is played is not told that it began.
    await eventually(() => loudArrivals(this.call.media, performance.now() - 200).length === 0, DEADLINE_MS, 'the end of the greeting');
  }

  /** Waits until so much of this tone has come to the phone, from arrival number `from` on. */
  async hears(freqHz: number, from = 0, ms = 100): Promise<void> {
    const { arrivals } = this.call.media;
    let looked = 0;
    const heard = (): boolean => {
      // Each look costs a search: only when there is more to hear.
      if (arrivals.count < looked + 5) return false;
      looked = arrivals.count;
      return toneRuns(record(arrivals.all.slice(from)).samples, freqHz).some(({ fromMs, toMs }) => toMs - fromMs > ms);
    };
    await eventually(heard, DEADLINE_MS, `${freqHz} Hz on the phone`);
  }

  send(event: object): void {
    this.program.rt.send(event as never);
  }

  /** Asks the model for its next step, when it is through with the one before. */
  async next(): Promise<void> {
    await eventually(() => !this.#speaks, DEADLINE_MS, 'the end of what is said');
    this.send({ type: 'response.create', response: { instructions: 'Go on.' } });
  }

  get #speaks(): boolean {
    const types = this.program.told.all.map(({ type }) => type);
    // A key that is pressed stops the agent, too.
    const ended = types.findLastIndex((type) => type === 'output_audio_buffer.stopped' || type === 'output_audio_buffer.cleared');
    return types.lastIndexOf('output_audio_buffer.started') > ended;
  }

  /** The result of the newest tool, as the model has it. */
  async result(from: number): Promise<unknown> {
    const event = await this.upstream.received.find(
      ({ type, item }) => type === 'conversation.item.create' && (item as { type?: string }).type === 'function_call_output',
      DEADLINE_MS,
      'the result at the model',
      from,
    );
    const { output } = event['item'] as { output: string };
    return output.startsWith('{') ? JSON.parse(output) : output;
  }

  async close(): Promise<void> {
    this.late.stop();
    this.program?.rt.close();
    this.other?.rt.close();
    await this.gateway.stop();
    await this.model.stop();
    this.application.close();
  }
}

let phone: SipPhone;

beforeAll(async () => {
  phone = await SipPhone.open();
  return () => phone.close();
});

describe('a call whose model uses tools', () => {
  let scene: Scene | undefined;
  afterEach(async () => {
    await scene?.close();
    scene = undefined;
  });

  test('hears what it waits by, types, is sent on, and hung up on', async () => {
    scene = await Scene.open('one');
    await scene.dial(phone);
    await waitsForATool(scene);
    await hearsMusic(scene);
    await typesANumber(scene);
    await typesASecret(scene);
    await isTransferred(scene);
    await isHungUpOn(scene);
    await leavesNoTrace(scene);
  });

  test.each(['workers', 'apart'] as const)('types a secret and is hung up on, in mode %s', async (mode) => {
    scene = await Scene.open(mode);
    await scene.dial(phone);
    await typesASecret(scene, 'request');
    await typesForTheApplication(scene);
    await isHungUpOn(scene);
    await leavesNoTrace(scene, '');
  });
});

/** A tool of the program takes its time: the caller hears the filler, until the agent speaks. */
async function waitsForATool(scene: Scene): Promise<void> {
  const { program, call, upstream } = scene;
  const tool = { type: 'function', name: 'slow', parameters: { type: 'object' } } as const;
  scene.send({ type: 'session.update', session: { type: 'realtime', tools: [tool] } });
  await program.told.type('session.updated', DEADLINE_MS);
  const offered = (): string[] => ((upstream.session['tools'] ?? []) as { name: string }[]).map(({ name }) => name);
  await eventually(() => offered().length === 5, DEADLINE_MS, 'the tools at the model');
  expect(offered()).toEqual(['slow', 'transfer', 'hang_up', 'hold_music', 'collect_digits']);
  scene.plan(uses('slow'), says(330, 600));
  await scene.next();
  const done = await program.told.type('response.function_call_arguments.done', DEADLINE_MS);
  const since = performance.now();
  const from = call.media.arrivals.count;
  await scene.hears(660, from);
  const first = call.media.arrivals.all.slice(from).find((each) => loudArrivals(call.media, each.at, each.at).length > 0);
  const waited = (first?.at ?? 0) - since;
  // Both the tool's time and the packet's may have met a moment in which the machine stood still.
  const slack = 160 + 2 * (await scene.late.soFar());
  expect(waited).toBeGreaterThan(FILLER_AFTER_MS - slack);
  expect(waited).toBeLessThan(FILLER_AFTER_MS + slack);
  scene.send({ type: 'conversation.item.create', item: { type: 'function_call_output', call_id: done['call_id'], output: 'found' } });
  scene.send({ type: 'response.create' });
  await scene.hears(330, from);
  const heard = record(call.media.arrivals.all.slice(from)).samples;
  const answer = toneRuns(heard, 330).find(({ fromMs, toMs }) => toMs - fromMs > 100);
  expect(toneRuns(heard, 660, { fromMs: (answer?.fromMs ?? 0) + 40 })).toEqual([]);
}

/** Music until the agent speaks: 40 ms after its first sound there is nothing but its voice. */
async function hearsMusic(scene: Scene): Promise<void> {
  const { call, upstream } = scene;
  const told = upstream.received.count;
  scene.plan(uses('hold_music', { on: true }));
  await scene.next();
  expect(await scene.result(told)).toBe('The caller hears music.');
  const from = call.media.arrivals.count;
  await eventually(() => loudArrivals(call.media, performance.now() - 400).length >= 15, DEADLINE_MS, 'music on the phone');
  // A voice as soft as the music: if that went on, it would be found.
  scene.plan(says(550, 1200, 900));
  await scene.next();
  await scene.hears(550, from, 500);
  const heard = record(call.media.arrivals.all.slice(from)).samples;
  const voice = toneRuns(heard, 550).find(({ fromMs, toMs }) => toMs - fromMs > 500);
  const startMs = (voice?.fromMs ?? 0) + 40;
  // A packet that was lost breaks the tone in one piece, music in all of them.
  const pieces = [0, 1, 2, 3, 4, 5, 6, 7].map((n) => toneShare(heard, 550, { fromMs: startMs + 40 * n, toMs: startMs + 40 * (n + 1) }));
  expect(pieces.filter((share) => share > 0.95).length).toBeGreaterThanOrEqual(6);
  const off = upstream.received.count;
  const fromOff = call.media.arrivals.count;
  scene.plan(uses('hold_music', { on: false }), says(880));
  await scene.next();
  expect(await scene.result(off)).toBe('The music has stopped.');
  await scene.hears(880, fromOff);
}

async function typesANumber(scene: Scene): Promise<void> {
  const { call, upstream, program } = scene;
  const told = upstream.received.count;
  const from = program.told.count;
  const heardFrom = call.media.arrivals.count;
  scene.plan(uses('collect_digits', { count: 4 }), says(740));
  await scene.next();
  await program.told.type('call.digits.started', DEADLINE_MS, from);
  for (const key of '2468') await call.media.press(key);
  expect(await scene.result(told)).toEqual({ digits: '2468', count: 4, ended_by: 'count' });
  await scene.hears(740, heardFrom);
}

/** Only the program that asked has the keys, by its channel or as the answer to its request, whether they are pressed or heard. */
async function typesASecret(scene: Scene, by: 'channel' | 'request' = 'channel'): Promise<void> {
  const { call, program, other, upstream } = scene;
  const from = other.told.count;
  const rules = { secure: true, count: SECRET.length };
  const answer = by === 'request' ? scene.gateway.client().post(`/realtime/calls/${scene.callId}/digits`, { body: rules }) : undefined;
  if (!answer) scene.send({ type: 'call.digits.collect', ...rules, entry_id: 'card' });
  await other.told.type('call.digits.started', DEADLINE_MS, from);
  const heardFrom = upstream.received.count;
  for (const key of SECRET.slice(0, -1)) await call.media.press(key, 60, 40);
  // Some phones send keys as sound as well, and some callers say what they type.
  await call.media.say(concat(dtmfTone(SECRET.slice(-1), 200), speech(700)));
  await call.media.press(SECRET.slice(-1), 60, 40);
  const collected = await (answer ?? program.told.type('call.digits.collected', DEADLINE_MS));
  expect(collected).toMatchObject({ digits: SECRET, count: SECRET.length, ended_by: 'count', secure: true });
  const ended = await other.told.type('call.digits.ended', DEADLINE_MS, from);
  expect(ended).toMatchObject({ count: SECRET.length, secure: true });
  // What was under way when it began is the only sound the model has.
  const appended = upstream.received.all.slice(heardFrom + 5).filter(({ type }) => type === 'input_audio_buffer.append');
  expect(appended.filter(({ audio }) => Buffer.from(String(audio), 'base64').some((byte) => byte !== 0))).toEqual([]);
  expect(other.told.all.slice(from).filter(({ type }) => type === 'input_audio_buffer.speech_started')).toEqual([]);
}

/** The model asks, and no channel takes it: it goes to the application of the configuration. */
async function typesForTheApplication(scene: Scene): Promise<void> {
  const { call, application, upstream, other } = scene;
  const told = upstream.received.count;
  const from = other.told.count;
  const heardFrom = call.media.arrivals.count;
  scene.plan(uses('collect_digits', { count: SECRET.length, secure: true }), says(610));
  await scene.next();
  await other.told.type('call.digits.started', DEADLINE_MS, from);
  for (const key of SECRET) await call.media.press(key, 60, 40);
  expect(await scene.result(told)).toEqual({ digits: '*'.repeat(SECRET.length), count: SECRET.length, ended_by: 'count', secure: true });
  const data = { call_id: scene.callId, project: 'shop', digits: SECRET, count: SECRET.length, ended_by: 'count', secure: true };
  expect(application.events.all).toMatchObject([{ type: 'realtime.call.digits', data }]);
  await scene.hears(610, heardFrom);
}

async function isTransferred(scene: Scene): Promise<void> {
  const { call, upstream } = scene;
  const notify = (status: string): Promise<unknown> =>
    call.request('NOTIFY', {
      headers: [
        ['Event', 'refer'],
        ['Subscription-State', 'terminated;reason=noresource'],
      ],
      body: `SIP/2.0 ${status}\r\n`,
      contentType: 'message/sipfrag;version=2.0',
    });
  const told = upstream.received.count;
  const heardFrom = call.media.arrivals.count;
  scene.plan(uses('transfer', { target: 'desk' }), says(990));
  await scene.next();
  const refer = await call.requests.find(({ method }) => method === 'REFER', DEADLINE_MS, 'REFER');
  expect(refer.header('refer-to')).toBe('<sip:desk@192.0.2.50>');
  await notify('486 Busy Here');
  expect(await scene.result(told)).toMatchObject({ error: { code: 'not_transferred', message: 'desk could not be reached: busy.' } });
  await scene.hears(990, heardFrom);
}

async function isHungUpOn(scene: Scene): Promise<void> {
  scene.plan(uses('hang_up'));
  await scene.next();
  await scene.program.told.type('call.ended', DEADLINE_MS);
  await scene.call.hungUp(DEADLINE_MS);
}

/** Planted digits are nowhere but with those who asked; `known` are keys that were no secret. */
async function leavesNoTrace(scene: Scene, known = '2468'): Promise<void> {
  const { gateway, program, other, upstream } = scene;
  await eventually(() => gateway.records.length > 0, DEADLINE_MS, 'the call record');
  const events = [...other.told.all, ...program.told.all.filter(({ type }) => type !== 'call.digits.collected')];
  const wire = upstream.received.all.filter(({ type }) => type !== 'input_audio_buffer.append');
  const traces = [
    ...gateway.lines,
    ...gateway.records,
    ...events.map((each) => JSON.stringify(each)),
    ...wire.map((each) => JSON.stringify(each)),
  ];
  expect(traces.filter((trace) => trace.includes(SECRET) || trace.includes([...SECRET].join(',')))).toEqual([]);
  expect(other.told.all.filter(({ type }) => type === 'call.digits.collected')).toEqual([]);
  const keys = other.told.all.filter(({ type }) => type === 'input_audio_buffer.dtmf_event_received').map(({ event }) => event);
  expect(keys.join('')).toBe(known);
}
