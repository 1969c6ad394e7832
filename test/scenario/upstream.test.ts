import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { createLog } from '../../src/base/log.ts';
import type { ModelConnection, ModelEvent } from '../../src/realtime/model.ts';
import { upstreamProfile } from '../../src/realtime/upstream/profile.ts';
import { UpstreamModel, type UpstreamOptions } from '../../src/realtime/upstream/upstream-model.ts';
import { Lateness } from '../support/lateness.ts';
import { ScriptedUpstream, type UpstreamServerOptions, type UpstreamSession } from '../support/scripted-upstream.ts';
import { findTone, tone } from '../support/tones.ts';
import { EventLog } from '../support/wait.ts';

/* A model behind a WebSocket, over real sockets on loopback: what the session asks arrives, what the server says comes back. */

const KEY = 'sk-never-in-a-log';

let late: Lateness;
const servers: ScriptedUpstream[] = [];
const calls: Call[] = [];
let logged = '';

beforeAll(() => {
  late = new Lateness();
  return () => late.stop();
});

afterEach(async () => {
  for (const call of calls.splice(0)) call.connection.close();
  await Promise.all(servers.splice(0).map((server) => server.stop()));
  expect(logged).not.toContain(KEY);
});

async function serve(options: UpstreamServerOptions = {}): Promise<ScriptedUpstream> {
  const server = await ScriptedUpstream.start(options);
  servers.push(server);
  return server;
}

/** One conversation, as a session has it. */
class Call {
  readonly events = new EventLog<ModelEvent>();
  readonly connection: ModelConnection;

  constructor(server: ScriptedUpstream, options: Partial<UpstreamOptions> = {}) {
    const log = createLog('debug', {
      write: (line: string) => {
        logged += line;
      },
    });
    const model = new UpstreamModel(
      { clock: systemClock, log },
      { url: server.url, profile: upstreamProfile('openai'), model: 'scripted', apiKey: KEY, ...options },
    );
    this.connection = model.connect((event) => this.events.push(event));
    calls.push(this);
  }

  /** The caller speaks for so long; the whole of it is a turn. */
  say(ms: number, startMs = 0, itemId = `turn_${startMs}`): void {
    const pcm = tone(300, ms, { rateHz: 24_000 });
    this.connection.speechStarted(startMs);
    for (let at = 0; at < pcm.length; at += 480) this.connection.appendAudio(pcm.subarray(at, at + 480));
    this.connection.commitTurn({ startMs, endMs: startMs + ms, itemId });
  }

  expect<T extends ModelEvent['type']>(type: T, deadlineMs = 5000, from = 0): Promise<Extract<ModelEvent, { type: T }>> {
    return this.events.find((event) => event.type === type, deadlineMs, type, from) as Promise<Extract<ModelEvent, { type: T }>>;
  }

  all<T extends ModelEvent['type']>(type: T): Extract<ModelEvent, { type: T }>[] {
    return this.events.all.filter((event) => event.type === type) as Extract<ModelEvent, { type: T }>[];
  }

  /** What was heard, at 8 kHz. */
  get heard(): Int16Array {
    return Int16Array.from(this.all('audio').flatMap(({ pcm }) => [...pcm.filter((_, n) => n % 3 === 0)]));
  }
}

describe('a model behind a WebSocket', () => {
  test('greets, is heard and hears; words and audio of both are there', async () => {
    const server = await serve({ transcribe: () => 'good morning' });
    const call = new Call(server, { greet: true, config: { instructions: 'Be kind.', transcription: { model: 'w' } } });
    call.connection.start();
    const greeting = await call.expect('response_done');
    expect(greeting.status).toBe('completed');
    expect(findTone(call.heard, 440).present).toBe(true);
    const from = call.events.count;
    call.say(600);
    expect(await call.expect('input_transcript')).toMatchObject({ itemId: 'turn_0', transcript: 'good morning' });
    await call.expect('response_done', 5000, from);
    const session = await server.session(1);
    expect(session.committed.length).toBe(600 * 48);
    expect(session.request.headers).toMatchObject({ authorization: `Bearer ${KEY}`, 'sec-websocket-protocol': 'realtime' });
    expect(session.request.url).toBe('/v1/realtime?model=scripted');
    expect(session.session).toMatchObject({ instructions: 'Be kind.', audio: { input: { turn_detection: null } } });
    expect(call.all('fault')).toEqual([]);
  });

  test('calls a function, is given its output and asked to go on', async () => {
    const server = await serve({
      respond: (session, ask) =>
        session.all('response.create').length === 1 ? session.callFunction(ask, 'weather', '{"city":"Oslo"}') : session.say(ask),
    });
    const call = new Call(server);
    call.connection.start();
    call.say(400);
    const { item } = (await call.events.find((event) => event.type === 'item_done', 5000, 'the call')) as { item: { call_id: string } };
    expect(item).toMatchObject({ type: 'function_call', name: 'weather', arguments: '{"city":"Oslo"}', status: 'completed' });
    await call.expect('response_done');
    const from = call.events.count;
    call.connection.addItem?.({ type: 'function_call_output', id: 'out_1', status: 'completed', call_id: item.call_id, output: 'rain' });
    call.connection.respond?.({ requestId: 'q1', conversation: 'auto' });
    expect(await call.expect('response_started', 5000, from)).toMatchObject({ requestId: 'q1' });
    await call.expect('response_done', 5000, from);
    expect((await server.session(1)).items.map(({ id }) => id)).toContain('out_1');
  });

  test.each(['generic-beta', 'generic'] as const)('speaks to a server of the kind %s', async (name) => {
    const server = await serve({ dialect: name === 'generic' ? 'ga' : 'beta', keepsItemIds: false, rateHz: 16_000 });
    const call = new Call(server, { profile: upstreamProfile(name, { output: { encoding: 'pcm', rateHz: 16_000 } }) });
    call.connection.start();
    call.say(400);
    await call.expect('response_done');
    expect(findTone(call.heard, 440).present).toBe(true);
    expect(call.all('fault')).toEqual([]);
  });

  test('is told what the caller heard of an answer, and takes it', async () => {
    const server = await serve({ respond: (session, ask) => session.speak(session.beginSpeech(ask), tone(440, 2000, { rateHz: 24_000 })) });
    const call = new Call(server);
    call.connection.start();
    call.say(400);
    await call.events.reach(10, 5000, 'events');
    const { responseId, itemId } = await call.expect('audio');
    call.connection.cancelResponse(responseId);
    call.connection.truncate(itemId, 340.4);
    const session = await server.session(1);
    expect(await session.expect('conversation.item.truncate')).toMatchObject({ item_id: itemId, audio_end_ms: 340 });
    expect(await call.expect('response_done')).toMatchObject({ status: 'cancelled' });
    expect(session.items.find(({ id }) => id === itemId)?.audioMs).toBe(340);
  });

  test('ends with the call, in no time', async () => {
    const server = await serve();
    const call = new Call(server);
    const session = await server.session(1);
    await session.expect('session.update');
    call.connection.close();
    expect(await session.ended).toBe(1000);
    call.say(100);
    expect(call.events.count).toBe(0);
  });
});

test('a recording that a program hands over at once arrives whole', async () => {
  const server = await serve();
  const call = new Call(server);
  const session = await server.session(1);
  await session.expect('session.update');
  call.say(200_000);
  await session.expect('response.create', 20_000);
  expect(session.committed.length).toBe(200_000 * 48);
  expect(server.sessions.count).toBe(1);
});

describe('a model server that goes away', () => {
  test('in the middle of a sentence is back within two seconds, knows what was said and goes on', async () => {
    const server = await serve({
      transcribe: () => 'what is my balance',
      respond: (session, ask) => {
        if (server.sessions.count > 1) {
          session.say(ask, { pcm: tone(880, 400, { rateHz: 24_000 }), transcript: 'euros.' });
          return;
        }
        const begun = session.beginSpeech(ask);
        session.write(begun, 'Your balance is ');
        session.speak(begun, tone(440, 1000, { rateHz: 24_000 }));
        setImmediate(() => session.drop());
      },
    });
    const call = new Call(server, { config: { transcription: {} } });
    call.connection.start();
    call.say(400);
    expect(await call.expect('response_done')).toMatchObject({ status: 'failed', error: { code: 'connection_lost' } });
    const lostAt = performance.now();
    const from = call.events.count;
    await call.expect('response_done', 5000, from);
    expect(performance.now() - lostAt).toBeLessThan(2000 + (await late.soFar()));
    const second = await server.session(2);
    const told = second.items.slice(0, 2).map(({ item }) => [item['role'], (item['content'] as { text: string }[])[0]?.text]);
    expect(told).toEqual([
      ['user', 'what is my balance'],
      ['assistant', 'Your balance is '],
    ]);
    expect(findTone(call.heard.subarray(-3000), 880).present).toBe(true);
  });

  test.each([
    ['refuses the key for good', 401],
    ['is a web page', 200],
  ])('and %s: the call is told at once', async (_, status) => {
    const server = await serve({ refuse: () => status });
    const call = new Call(server);
    expect(await call.expect('closed')).toEqual({ type: 'closed', reason: `http_${status}` });
    expect(server.upgrades).toHaveLength(1);
  });

  test('and is too busy at first: it is tried again', async () => {
    const server = await serve({ refuse: (_, count) => (count < 3 ? 503 : undefined) });
    const call = new Call(server);
    call.connection.start();
    call.say(400);
    await call.expect('response_done');
    expect(server.upgrades).toHaveLength(3);
  });

  test('and nobody is there: the call is told after the last try', async () => {
    const server = await serve();
    await server.stop();
    const call = new Call(server);
    expect(await call.expect('closed', 10_000)).toMatchObject({ reason: 'econnrefused' });
  });

  test('without a word, and reads no more: it is found out', async () => {
    const server = await serve();
    const call = new Call(server, { links: { pingMs: 1000 } });
    const session = await server.session(1);
    await session.expect('session.update');
    session.stopReading();
    const second = await server.session(2, 10_000);
    await second.expect('session.update');
    expect(call.all('closed')).toEqual([]);
  });

  test('after its cap is replaced before it, at a quiet moment', async () => {
    const server = await serve();
    const call = new Call(server, { links: { capMs: 4000 } });
    call.connection.start();
    call.say(400);
    await call.expect('response_done');
    // After three quarters of it.
    const second = await server.session(2, 10_000);
    await (await server.session(1)).ended;
    expect(call.all('closed')).toEqual([]);
    expect(logged).not.toContain('session_cap');
    const from = call.events.count;
    call.say(400, 5000);
    await call.expect('response_done', 5000, from);
    expect(second.all('response.create')).toHaveLength(1);
  });
});

describe('a model server that means no good', () => {
  const NASTY: readonly (readonly [string, (session: UpstreamSession) => void])[] = [
    ['garbage', (session) => session.sendRaw('{"type":')],
    ['binary frames', (session) => session.sendRaw(Buffer.alloc(1000))],
    ['5 MB', (session) => session.sendRaw('x'.repeat(5_000_000))],
    ['5 MB of JSON', (session) => session.sendRaw(`{"type":"session.updated","session":"${'x'.repeat(5_000_000)}"}`)],
    ['deep JSON', (session) => session.sendRaw('['.repeat(2_000_000) + ']'.repeat(2_000_000))],
    [
      '__proto__',
      (session) => session.sendRaw('{"type":"error","error":{"__proto__":{"polluted":1},"code":"x"},"__proto__":{"polluted":1}}'),
    ],
    ['audio of nothing', (session) => session.send('response.output_audio.delta', { response_id: 'none', delta: 'AAAA' })],
    ['an error', (session) => session.error('whatever')],
  ];

  test.each(NASTY)('and sends %s: this call goes on, and so does the next', async (_, act) => {
    const server = await serve();
    const call = new Call(server);
    const other = new Call(await serve());
    call.connection.start();
    act(await server.session(1));
    call.say(400);
    other.say(400);
    await Promise.all([call.expect('response_done'), other.expect('response_done')]);
    expect(findTone(call.heard, 440).present).toBe(true);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  test('and sends more in one message than anybody may: another session is tried', async () => {
    const server = await serve();
    const call = new Call(server);
    (await server.session(1)).sendRaw('x'.repeat(9_000_000));
    await server.session(2);
    call.say(400);
    await call.expect('response_done');
  });

  test('and bursts a minute of audio, in one message or in thousands: all of it comes, once', async () => {
    const pcm = tone(440, 60_000, { rateHz: 24_000 });
    const server = await serve({
      respond: (session, ask) => void session.say(ask, { pcm, chunkMs: session.all('response.create').length === 1 ? 60_000 : 20 }),
    });
    const call = new Call(server);
    call.say(400);
    await call.expect('response_done', 10_000);
    const from = call.events.count;
    call.say(400, 5000);
    await call.expect('response_done', 10_000, from);
    const samples = call.all('audio').map((event) => event.pcm.length);
    expect(samples.reduce((sum, count) => sum + count, 0)).toBe(2 * pcm.length);
    expect(samples).toHaveLength(3001);
  });

  test('and drips: what is there is given at once', async () => {
    const server = await serve({
      respond: (session, ask) => {
        const begun = session.beginSpeech(ask);
        session.speak(begun, tone(440, 20, { rateHz: 24_000 }));
      },
    });
    const call = new Call(server);
    call.say(400);
    const { responseId } = await call.expect('audio');
    call.connection.cancelResponse(responseId);
    expect(await call.expect('response_done')).toMatchObject({ status: 'cancelled' });
  });

  test('and says nothing to a turn: the next one is answered all the same', async () => {
    const server = await serve({
      respond: (session, ask) => {
        if (session.all('response.create').length > 1) session.say(ask);
      },
    });
    const call = new Call(server);
    call.say(400);
    await (await server.session(1)).expect('response.create');
    call.connection.cancelResponse(undefined);
    call.say(400, 5000);
    await call.expect('response_done');
  });
});
