import { readFileSync } from 'node:fs';
import { OpenAIRealtimeSIP, OpenAIRealtimeWebRTC, OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession } from '@openai/agents-realtime';
import { OpenAIRealtimeWebRTC as PlainWebRTC } from 'openai/realtime/webrtc';
import { OpenAIRealtimeWebSocket as PlainWebSocket } from 'openai/realtime/websocket';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { Lateness } from '../support/lateness.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { speech } from '../support/speech.ts';
import { PROJECTS, SHOP_KEY, StockGateway, type ToldEvent, ToldEvents } from '../support/stock-gateway.ts';
import { concat, silence, tone, toneRuns } from '../support/tones.ts';
import { elapse, eventually, within } from '../support/wait.ts';
import { weatherTool } from '../support/weather-tool.ts';
import { type Stream, type Track, WrtcPage } from '../support/wrtc-page.ts';

/* Package `@openai/agents-realtime` as it is, by each of its three ways: WebSocket, the sideband of a phone call, and WebRTC by libwebrtc. */

let gateway: StockGateway;
let phone: SipPhone;
let late: Lateness;
const ends: (() => void)[] = [];

beforeAll(async () => {
  gateway = await StockGateway.start(
    `callers: anyone\n${PROJECTS}routes: [{number: "agent*", project: shop, answer: {instructions: "Help."}}]\ntools: {hold-music: true}\n`,
  );
  phone = await SipPhone.open();
  late = new Lateness(gateway.process);
});

afterEach(() => {
  for (const end of ends.splice(0).reverse()) end();
});

afterAll(async () => {
  late.stop();
  phone.close();
  await gateway.stop();
});

type Transport = OpenAIRealtimeWebSocket | OpenAIRealtimeSIP | OpenAIRealtimeWebRTC;

/** An application: an agent with a tool, its session, what the transport was told and what went wrong. */
function application(transport: Transport, config: object = {}) {
  const asked: unknown[] = [];
  const weather = weatherTool((input) => asked.push(input));
  const agent = new RealtimeAgent({ name: 'guide', instructions: 'Help whoever calls.', tools: [weather] });
  const session = new RealtimeSession(agent, { transport, model: 'gpt-realtime', config });
  const told = new ToldEvents();
  const errors: unknown[] = [];
  transport.on('*', (event) => told.push(event as ToldEvent));
  session.on('error', (error) => errors.push(error));
  ends.push(() => session.close());
  return { session, told, asked, errors };
}

type Application = ReturnType<typeof application>;

async function usesItsTool({ session, told, asked }: Application): Promise<void> {
  session.sendMessage('call weather {"city":"Ulm"}');
  await eventually(() => asked.length > 0, 15_000, 'the tool');
  expect(asked).toEqual([{ city: 'Ulm' }]);
  const isAnswer = (): boolean => JSON.stringify(session.history).includes('The tool says: sunny');
  await eventually(isAnswer, 15_000, 'the answer in the history').catch(() => {
    throw new Error(`no answer in ${JSON.stringify(session.history)} after ${told.all.map(({ type }) => type).join(', ')}`);
  });
  const types = session.history.map((item) => (item.type === 'message' ? item.role : item.type));
  expect(types.filter((type) => type !== 'assistant')).toEqual(['user', 'function_call']);
}

/** A tool that the gateway runs, beside the one of the application: nobody asks the application for it. */
async function usesTheGatewaysTool({ session, told, asked }: Application): Promise<void> {
  const done: string[] = [];
  session.on('mcp_tool_call_completed', (_context, _agent, call) => done.push(`${call.name}: ${call.output}`));
  const before = asked.length;
  session.sendMessage('call hold_music {"on":false}');
  const isAnswer = (): boolean => JSON.stringify(session.history).includes('The tool says: The music has stopped.');
  await eventually(isAnswer, 15_000, 'the answer in the history').catch(() => {
    throw new Error(`no answer in ${JSON.stringify(session.history)} after ${told.all.map(({ type }) => type).join(', ')}`);
  });
  expect([asked.length - before, done]).toEqual([0, ['hold_music: The music has stopped.']]);
  expect(session.history.map(({ type }) => type as string)).toContain('mcp_call');
}

describe('an agent of the SDK', () => {
  test('over a WebSocket uses its tool, is heard, and is interrupted', async () => {
    const app = application(new OpenAIRealtimeWebSocket({ useInsecureApiKey: true }));
    await app.session.connect({ apiKey: SHOP_KEY, url: gateway.socketURL('realtime?model=gpt-realtime') });
    await app.told.type('session.updated');
    await usesItsTool(app);
    let heard = 0;
    let interrupted = 0;
    app.session.on('audio', ({ data }) => {
      heard += data.byteLength;
    });
    app.session.on('audio_interrupted', () => {
      interrupted += 1;
    });
    app.session.sendMessage('Hello?');
    await eventually(() => heard > 0, 15_000, 'audio');
    app.session.interrupt();
    await eventually(() => interrupted > 0, 5000, 'the interruption');
    await app.told.find(({ type }) => type === 'conversation.item.truncated' || type === 'response.done', 10_000, 'the end of it');
    expect(app.told.all.filter(({ type }) => type === 'error')).toEqual([]);
    expect([app.errors, app.told.faults]).toEqual([[], []]);
  });

  test('over a WebSocket hears the user, who interrupts it', async () => {
    const app = application(new OpenAIRealtimeWebSocket({ useInsecureApiKey: true }));
    await app.session.connect({ apiKey: SHOP_KEY, url: gateway.socketURL('realtime?model=gpt-realtime') });
    await app.told.type('session.updated');
    const say = (samples: Int16Array): void => app.session.sendAudio(samples.buffer as ArrayBuffer);
    say(concat(speech(900, { rateHz: 24_000 }), silence(900, 24_000)));
    await app.told.type('input_audio_buffer.speech_stopped');
    await app.told.type('response.output_audio.delta');
    // The parrot says all of it back; this comes on top.
    const before = app.told.count;
    say(concat(speech(900, { rateHz: 24_000, seed: 2 }), silence(900, 24_000)));
    await app.told.type('input_audio_buffer.speech_started', 10_000, before);
    await app.told.type('response.done', 10_000, before);
    expect([app.errors, app.told.faults]).toEqual([[], []]);
  });

  test('beside a phone call uses its tool, silences the call, and hears of its end', async () => {
    const call = await phone.dial(gateway.sip, { user: 'agent' });
    await call.answered();
    const list = await fetch(`${gateway.baseURL}/realtime/calls`, { headers: { authorization: `Bearer ${SHOP_KEY}` } });
    const [view] = ((await list.json()) as { data: { id: string }[] }).data;
    const callId = view?.id ?? '';
    const app = application(new OpenAIRealtimeSIP({ useInsecureApiKey: true }));
    const isClosed = new Promise<void>((resolve) => {
      app.session.transport.on('connection_change', (status) => {
        if (status === 'disconnected') resolve();
      });
    });
    await app.session.connect({ apiKey: SHOP_KEY, callId, url: gateway.socketURL(`realtime?call_id=${callId}`) } as never);
    // The greeting of the call may be under way: nothing is asked before it is over.
    await app.told.type('session.updated');
    await elapse(200);
    app.session.interrupt();
    await usesItsTool(app);
    await usesTheGatewaysTool(app);
    const before = app.told.count;
    app.session.sendMessage('Hello?');
    await app.told.type('output_audio_buffer.started', 10_000, before);
    app.session.interrupt();
    await app.told.type('output_audio_buffer.cleared', 10_000, before);
    await app.told.type('conversation.item.truncated', 10_000, before);
    await call.bye();
    await isClosed;
    expect(app.told.last).toMatchObject({ type: 'call.ended', reason: 'remote_hangup' });
    expect([app.errors, app.told.faults]).toEqual([[], []]);
  });

  test('in a page, with a client secret, is greeted, uses its tool, hears and is heard, and hangs up', async () => {
    const page = new WrtcPage();
    ends.push(() => page.close());
    const secret = await gateway.client().realtime.clientSecrets.create({ session: { type: 'realtime', model: 'gpt-realtime' } });
    const transport = new OpenAIRealtimeWebRTC({ baseUrl: `${gateway.baseURL}/realtime/calls` });
    const app = application(transport);
    const connectedAt = performance.now();
    await app.session.connect({ apiKey: secret.value });
    console.log(`stock WebRTC client: connected after ${(performance.now() - connectedAt).toFixed(0)} ms`);
    expect(transport.callId).toMatch(/^rtc_/);
    await page.nextSound();
    app.session.interrupt();
    await app.told.type('output_audio_buffer.cleared');
    await usesItsTool(app);
    await usesTheGatewaysTool(app);
    // Until nobody speaks any more.
    await elapse(500);
    const saidFrom = performance.now();
    const words = concat(speech(600, { rateHz: 48_000 }), tone(1200, 300, { rateHz: 48_000 }), speech(400, { rateHz: 48_000, seed: 3 }));
    await page.say(words);
    const parrot = (): boolean =>
      toneRuns(page.recording(saidFrom), 1200, { rateHz: 48_000 }).some(({ fromMs, toMs }) => Math.abs(toMs - fromMs - 300) < 80);
    await eventually(parrot, 10_000 + (await late.soFar()), 'its own words');
    await app.told.type('input_audio_buffer.committed');
    await app.told.type('output_audio_buffer.started');
    // The program beside the page ends the call.
    const sideband = gateway.connect({ callID: transport.callId ?? '' });
    await sideband.told.type('session.created');
    const { dataChannel: channel } = transport.connectionState as { dataChannel?: { readyState: string } };
    await gateway.client().realtime.calls.hangup(transport.callId ?? '');
    expect(await sideband.closed).toBe(1000);
    for (const told of [app.told, sideband.told]) expect(told.last).toMatchObject({ type: 'call.ended', reason: 'agent_hangup' });
    await eventually(() => channel?.readyState === 'closed', 10_000, 'the end of the data channel');
    // The SDK itself looks at its media alone, which libwebrtc takes for lost some seconds later.
    expect([app.errors, app.told.faults, sideband.told.faults]).toEqual([[], [], []]);
  });

  test('in a page is told why a call was refused', async () => {
    const page = new WrtcPage();
    ends.push(() => page.close());
    const transport = new OpenAIRealtimeWebRTC({ baseUrl: `${gateway.baseURL}/realtime/calls` });
    const app = application(transport);
    await expect(app.session.connect({ apiKey: 'ek_0123456789abcdefghij' })).rejects.toThrow(/status 401: \S+/);
  });
});

describe('a page of the plain client', () => {
  test('is connected by an exchange of its own, hears the greeting, and knows at once that the far end has hung up', async () => {
    const page = new WrtcPage();
    ends.push(() => page.close());
    const rt = new PlainWebRTC();
    ends.push(() => rt.close());
    const told = new ToldEvents();
    rt.onEvent((event) => told.push(event as unknown as ToldEvent));
    const closed = new Promise<string>((resolve) => {
      rt.onConnectionEvent((event) => event.type === 'closed' && resolve(event.reason));
    });
    const peer = rt.peerConnection as unknown as {
      addTrack(track: Track): void;
      ontrack: (event: { streams: Stream[]; track: Track }) => void;
    };
    for (const track of page.microphone.getAudioTracks()) peer.addTrack(track);
    peer.ontrack = ({ track }) => page.listen({ getAudioTracks: () => [track] });
    let callId = '';
    // As a program beside the page would do it.
    const exchangeSdp = async (sdp: string): Promise<string> => {
      const created = await gateway.client().realtime.calls.create({ sdp, session: { type: 'realtime', instructions: 'Hi.' } });
      callId = created.headers.get('location')?.split('/').pop() ?? '';
      return created.text();
    };
    const sound = page.nextSound();
    await rt.connect({ exchangeSdp });
    expect(await told.type('session.created')).toMatchObject({ session: { instructions: 'Hi.' } });
    await sound;
    rt.send({ type: 'response.cancel' });
    await told.type('response.done');
    await gateway.client().realtime.calls.hangup(callId);
    expect(await within(closed, 5000, 'the end of the connection')).toBe('remote');
    expect(told.last).toMatchObject({ type: 'call.ended', reason: 'agent_hangup' });
    expect(told.faults).toEqual([]);
  });

  test('opens a WebSocket with its key among the subprotocols', async () => {
    const ca = readFileSync(gateway.caFile);
    vi.stubGlobal(
      'WebSocket',
      class extends WebSocket {
        constructor(url: string, protocols: string[]) {
          super(url, protocols, { ca });
        }
      },
    );
    ends.push(() => vi.unstubAllGlobals());
    const secret = await gateway.client().realtime.clientSecrets.create({ session: { type: 'realtime', model: 'gpt-realtime' } });
    const rt = new PlainWebSocket({ model: 'gpt-realtime', dangerouslyAllowBrowser: true }, gateway.client(secret.value));
    const told = new ToldEvents();
    rt.on('event', (event) => told.push(event as unknown as ToldEvent));
    rt.on('error', (error) => told.faults.push(error.message));
    await told.type('session.created');
    rt.send({ type: 'response.create' });
    await told.type('response.output_audio.delta');
    rt.close();
    expect(told.faults).toEqual([]);
  });
});
