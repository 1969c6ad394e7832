import { afterAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { createLog } from '../../src/base/log.ts';
import { Metrics } from '../../src/base/metrics.ts';
import type { ModelConnection, ModelEvent } from '../../src/realtime/model.ts';
import { createPipelineMetrics } from '../../src/realtime/pipeline/pipeline-metrics.ts';
import { PipelineModel } from '../../src/realtime/pipeline/pipeline-model.ts';
import type { PipelineOptions } from '../../src/realtime/pipeline/pipeline-options.ts';
import { Lateness } from '../support/lateness.ts';
import {
  type AskedService,
  answersWithPage,
  type Behaviour,
  breaksOff,
  hears,
  hearsSlowly,
  inTurn,
  neverAnswers,
  refuses,
  ScriptedServices,
  type ServicesScript,
  speaks,
  writes,
} from '../support/scripted-services.ts';
import { tone, toneShare } from '../support/tones.ts';
import { EventLog, eventually } from '../support/wait.ts';

/* The model of services in a row over real sockets: what callers hear, when, and what services see. */

const lateness = new Lateness();
const stops: (() => Promise<void>)[] = [];

afterAll(async () => {
  lateness.stop();
  for (const stop of stops) await stop();
});

const PROMPTS = {
  fallback: { text: 'Sorry.', pcm: tone(700, 500, { rateHz: 24_000 }) },
  patience: { text: 'One moment.', pcm: tone(900, 300, { rateHz: 24_000 }) },
};

interface Told {
  readonly at: number;
  readonly event: ModelEvent;
}

/** One conversation, its turns said by a test. */
class Talk {
  readonly told = new EventLog<Told>();
  readonly connection: ModelConnection;
  #heardMs = 0;

  constructor(model: PipelineModel) {
    this.connection = model.connect((event) => this.told.push({ at: performance.now(), event }));
  }

  /** Says something; gives when the turn was over. */
  turn(ms = 500): number {
    const startMs = this.#heardMs;
    this.connection.speechStarted(startMs);
    for (let n = 0; n < ms / 20; n++) this.connection.appendAudio(new Int16Array(480).fill(800));
    this.#heardMs += ms;
    const at = performance.now();
    this.connection.commitTurn({ startMs, endMs: this.#heardMs });
    return at;
  }

  get(type: ModelEvent['type'], from = 0): Promise<Told> {
    return this.told.find(({ event }) => event.type === type, 15_000, type, from);
  }

  /** Says something, and waits for the whole answer. */
  async ask(): Promise<{ readonly from: number; readonly told: readonly Told[] }> {
    const first = this.told.count;
    const from = this.turn();
    await this.get('response_done', first);
    return { from, told: this.told.all.slice(first) };
  }
}

async function start(script: ServicesScript, options: Partial<PipelineOptions> = {}) {
  const services = await ScriptedServices.start(script);
  const logged: string[] = [];
  const log = createLog('debug', { write: (line: string) => void logged.push(line) });
  const metrics = new Metrics();
  const service = { url: services.url, model: 'test' };
  const model = new PipelineModel(
    { clock: systemClock, log, prompts: PROMPTS, metrics: createPipelineMetrics(metrics) },
    { transcription: service, chat: service, speech: { ...service, voice: 'v' }, ...options },
  );
  stops.push(async () => {
    model.close();
    await services.stop();
  });
  return { services, model, logged, metrics, talk: () => new Talk(model) };
}

/** The longest time without sound from `from` on to the last sound, if it is played as it comes. */
function deadAirMs(from: number, told: readonly Told[]): number {
  let playedBy = from;
  let worst = 0;
  for (const { at, event } of told) {
    if (event.type !== 'audio') continue;
    worst = Math.max(worst, at - playedBy);
    playedBy = Math.max(playedBy, at) + event.pcm.length / 24;
  }
  return worst;
}

const soundMs = (told: readonly Told[]): number =>
  told.reduce((sum, { event }) => sum + (event.type === 'audio' ? event.pcm.length / 24 : 0), 0);

describe.concurrent('services in a row', () => {
  test('sound is passed on within 60 ms of its first piece, while the rest of it and of the words is to come', async () => {
    const text = 'This is the first sentence. This one is written a good while after that.';
    const { talk, services } = await start(
      { chat: writes(text, { wordMs: 60 }), speech: speaks({ everyMs: 40 }) },
      // On a machine that stands still for long, the prompt of patience would sound, too.
      { patienceMs: 0 },
    );
    const { told } = await talk().ask();
    const first = told.find(({ event }) => event.type === 'audio')?.at ?? Number.POSITIVE_INFINITY;
    const [speech] = services.of('speech');
    const [chat] = services.of('chat');
    expect(first - (speech?.wroteAt[0] ?? 0)).toBeLessThan(60 + (await lateness.soFar()));
    expect(first).toBeLessThan(chat?.wroteAt.at(-1) ?? 0);
    const heard = Int16Array.from(told.flatMap(({ event }) => (event.type === 'audio' ? [...event.pcm] : [])));
    expect(toneShare(heard, 440, { rateHz: 24_000 })).toBeGreaterThan(0.9);
  });

  test('a cancelled answer is over at every service within 50 ms', async () => {
    const stuck: Behaviour = async (asked) => {
      asked.head('audio/pcm');
      asked.write(new Uint8Array(4800));
      await asked.whenGone();
    };
    const stalls: Behaviour = async (asked) => {
      asked.head('text/event-stream');
      asked.delta({ content: 'This is the first sentence. This is the second of them. And' });
      await asked.whenGone();
    };
    const { talk, services } = await start({ chat: stalls, speech: stuck });
    const caller = talk();
    caller.turn();
    await caller.get('audio');
    await services.request('speech', 2);
    const { event } = await caller.get('response_started');
    const at = performance.now();
    caller.connection.cancelResponse('responseId' in event ? event.responseId : undefined);
    await eventually(
      () => services.of('speech').every(({ isGone }) => isGone) && services.of('chat')[0]?.isGone,
      5000,
      'services to be left',
    );
    for (const asked of [...services.of('chat'), ...services.of('speech')]) {
      expect((asked.abortedAt ?? Number.POSITIVE_INFINITY) - at).toBeLessThan(50 + (await lateness.soFar()));
    }
    caller.connection.close();
  });

  test('a turn that goes on leaves the transcription of its beginning within 50 ms', async () => {
    const { talk, services } = await start({ transcription: inTurn(neverAnswers(), hears('All of it.')) });
    const caller = talk();
    caller.turn();
    const first = await services.request('transcription');
    const at = performance.now();
    caller.connection.speechStarted(0);
    await first.whenGone();
    expect((first.abortedAt ?? Number.POSITIVE_INFINITY) - at).toBeLessThan(50 + (await lateness.soFar()));
    caller.connection.appendAudio(new Int16Array(480));
    caller.connection.commitTurn({ startMs: 0, endMs: 520 });
    const whole = await services.request('transcription', 2);
    expect(whole.pcm.length / 24).toBe(520);
    await caller.get('audio');
  });

  test('of 2 in 100 requests that fail, in many ways, nobody hears more than 2 s of nothing', async () => {
    const breaking = (stage: 'transcription' | 'chat' | 'speech', well: Behaviour): Behaviour => {
      const ways: Behaviour[] = [neverAnswers(), refuses(500), breaksOff(), (asked) => asked.head('text/event-stream'), breaksOff(well)];
      if (stage === 'speech') ways[3] = (asked) => void asked.head('audio/pcm');
      let count = 0;
      return (asked: AskedService) => {
        count += 1;
        return count % 50 === 20 ? ways[Math.floor(count / 50) % ways.length]?.(asked) : well(asked);
      };
    };
    const { talk, services, metrics } = await start({
      transcription: breaking('transcription', hears('Tell me more.', { afterMs: 60 })),
      chat: breaking('chat', writes('This is the first sentence of it. And here is the second, a longer one.', { afterMs: 80, wordMs: 5 })),
      speech: breaking('speech', speaks({ afterMs: 60, everyMs: 10 })),
    });
    const worst: number[] = [];
    await Promise.all(
      Array.from({ length: 25 }, async () => {
        const caller = talk();
        for (let n = 0; n < 8; n++) {
          const { from, told } = await caller.ask();
          expect(soundMs(told)).toBeGreaterThan(400);
          worst.push(deadAirMs(from, told));
        }
        caller.connection.close();
      }),
    );
    expect(worst.length).toBe(200);
    expect(services.asked.count).toBeGreaterThan(800);
    expect(await metrics.text()).toMatch(/pipeline_requests_total\{stage="speech",event="retried"\} \d/);
    expect(Math.max(...worst)).toBeLessThan(2000 + (await lateness.soFar()));
  }, 60_000);

  test('what services do wrong is told in words, and what was sent to them in none', async () => {
    const ways: readonly [Partial<ServicesScript>, string][] = [
      [{ chat: refuses(401) }, 'chat_unauthorized'],
      [{ chat: refuses(404) }, 'chat_not_found'],
      [{ speech: refuses(307) }, 'speech_redirected'],
      [{ transcription: answersWithPage() }, 'transcription_wrong_content'],
      [{ speech: answersWithPage() }, 'speech_wrong_content'],
      [{ chat: (asked) => void asked.response.socket?.end('HTTP/1.1 banana\r\n\r\n') }, 'chat_unreachable'],
    ];
    await Promise.all(
      ways.map(async ([script, code]) => {
        const { services, talk, logged } = await start(script);
        const secret = { url: services.url, model: 'test', apiKey: 'sk-canary' };
        const own = new PipelineModel(
          { clock: systemClock, log: createLog('trace', { write: (line: string) => void logged.push(line) }), prompts: PROMPTS },
          { transcription: secret, chat: secret, speech: { ...secret, voice: 'v' } },
        );
        const caller = new Talk(own);
        const { told } = await caller.ask();
        expect(told.find(({ event }) => event.type === 'fault')?.event).toMatchObject({ code });
        expect(soundMs(told)).toBeGreaterThanOrEqual(500);
        expect(services.asked.all.every(({ headers }) => headers.authorization === 'Bearer sk-canary')).toBe(true);
        expect(services.asked.all.every(({ path }) => path.startsWith('/v1/'))).toBe(true);
        expect(logged.join('')).toMatch(new RegExp(code.slice(code.indexOf('_') + 1)));
        expect(logged.join('') + JSON.stringify(told)).not.toContain('canary');
        own.close();
        talk().connection.close();
      }),
    );
  });

  test('connections are used again, and one that the service has closed meanwhile costs nobody anything', async () => {
    const { talk, services } = await start({});
    const caller = talk();
    for (let n = 0; n < 4; n++) await caller.ask();
    expect(services.asked.count).toBe(12);
    expect(services.connections).toBeLessThanOrEqual(3);
    services.dropIdle();
    const { told } = await caller.ask();
    expect(told.at(-1)?.event).toMatchObject({ type: 'response_done', status: 'completed' });
  });

  test('words that are heard as a stream are told as one', async () => {
    const { talk } = await start({ transcription: hearsSlowly(['I ', 'hear ', 'you.']) });
    const { told } = await talk().ask();
    expect(told.flatMap(({ event }) => (event.type === 'input_transcript_delta' ? [event.delta] : []))).toEqual(['I ', 'hear ', 'you.']);
  });

  test('nobody is contacted before a call, and an address that is none is refused', async () => {
    const { services, talk } = await start({}, { greeting: 'Hello.' });
    const caller = talk();
    expect(services.connections).toBe(0);
    caller.connection.start();
    await caller.get('audio');
    const service = { url: 'ftp://x/v1', model: 'm' };
    const parts = { clock: systemClock, log: createLog('silent'), prompts: PROMPTS };
    const build = (url: string) => () =>
      new PipelineModel(parts, { transcription: { ...service, url }, chat: { ...service, url }, speech: { ...service, url, voice: 'v' } });
    for (const url of ['ftp://x/v1', 'nonsense', 'http://user:password@127.0.0.1/v1']) expect(build(url)).toThrow(/address of the/);
  });
});
