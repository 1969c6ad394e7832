import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { createLog } from '../../src/base/log.ts';
import { PipelineModel } from '../../src/realtime/pipeline/pipeline-model.ts';
import type { PipelineOptions } from '../../src/realtime/pipeline/pipeline-options.ts';
import { Session } from '../../src/realtime/session.ts';
import type { SessionEvent } from '../../src/realtime/session-event.ts';
import { hears, inTurn, neverAnswers, refuses, ScriptedServices, type ServicesScript, writes } from '../support/scripted-services.ts';
import { tone } from '../support/tones.ts';
import { eventually } from '../support/wait.ts';

/* A whole conversation over three services: the session with its turns and its playout, the model's requests, and a leg that is a test. */

const open: { session: Session; services: ScriptedServices; model: PipelineModel }[] = [];

afterEach(async () => {
  for (const { session, services, model } of open.splice(0)) {
    session.end('agent_hangup');
    model.close();
    await services.stop();
  }
});

const PROMPTS = {
  fallback: { text: 'Sorry.', pcm: tone(700, 500, { rateHz: 24_000 }) },
  patience: { text: 'One moment.', pcm: tone(900, 300, { rateHz: 24_000 }) },
};

/** A call whose frames a test moves: 20 ms of the caller up, 20 ms of the agent down. */
class Caller {
  readonly session: Session;
  readonly services: ScriptedServices;
  readonly events: SessionEvent[] = [];
  readonly hangups: string[] = [];
  #now = systemClock.now();

  private constructor(services: ScriptedServices, options: Partial<PipelineOptions>) {
    const clock = { ...systemClock, now: () => this.#now };
    const service = { url: services.url, model: 'test' };
    const model = new PipelineModel(
      { clock: systemClock, log: createLog('silent'), prompts: PROMPTS },
      { transcription: service, chat: service, speech: { ...service, voice: 'v' }, patienceMs: 0, ...options },
    );
    const createVoiceDetector = () => ({
      process: (pcm: Int16Array) => ({ voiced: pcm[7] !== 0, levelDb: pcm[7] === 0 ? -90 : -26 }),
      free() {},
    });
    this.services = services;
    this.session = new Session({ clock, log: createLog('silent'), model, createVoiceDetector });
    this.session.observe((event) => this.events.push(event));
    this.session.attach({ answer() {}, reject() {}, report() {}, hangup: (cause) => void this.hangups.push(cause) });
    this.session.handleLegEvent({ type: 'answered' });
    open.push({ session: this.session, services, model });
  }

  static async call(script: ServicesScript, options: Partial<PipelineOptions> = {}): Promise<Caller> {
    return new Caller(await ScriptedServices.start(script), options);
  }

  /** Moves the call on; returns how much of it sounded. */
  pass(ms: number, speaks = false): number {
    const up = new Int16Array(480).fill(speaks ? 3000 : 0);
    const down = new Int16Array(480);
    let soundedMs = 0;
    for (let n = 0; n < ms / 20; n++) {
      this.#now += 20;
      this.session.handleUplink(up, { concealed: false }, this.#now);
      if (this.session.pullDownlink(down, this.#now)) soundedMs += 20;
    }
    return soundedMs;
  }

  /** Says something, and waits until the turn is taken for over. */
  say(ms = 800): void {
    this.pass(ms, true);
    this.pass(1600);
  }

  /** Waits until so much of the model's audio is here. */
  async queued(ms: number): Promise<void> {
    await eventually(() => this.session.snapshot().playoutQueueMs >= ms, 8000, `${ms} ms of audio from the model`);
  }

  async done(count: number): Promise<void> {
    await eventually(() => this.events.filter(({ type }) => type === 'response_done').length >= count, 8000, `${count} responses`);
  }
}

const GREETING = 'Hello, how can I help?';

describe('a conversation over services in a row', () => {
  test('a caller is greeted, heard, and answered sentence by sentence', async () => {
    const caller = await Caller.call(
      { transcription: hears('What time is it?'), chat: writes('It is three. Anything else that I can do for you?') },
      { greeting: GREETING, instructions: 'Be brief.' },
    );
    await caller.queued(GREETING.length * 20);
    expect(caller.pass(1500)).toBe(GREETING.length * 20);
    caller.say();
    await caller.done(2);
    const [heard] = caller.services.of('transcription');
    expect((heard?.pcm.filter((sample) => sample === 3000).length ?? 0) / 24).toBe(800);
    const [asked] = caller.services.of('chat');
    expect(asked?.json.messages).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'assistant', content: GREETING },
      { role: 'user', content: 'What time is it?' },
    ]);
    expect(caller.services.of('speech').map(({ json }) => json.input)).toEqual([
      GREETING,
      'It is three.',
      'Anything else that I can do for you?',
    ]);
  });

  test('a caller who interrupts is remembered to have heard what was said, and no more', async () => {
    const long =
      'This is the first sentence of all. This is the second one, which is longer than that. And here is the third and last one of them.';
    const caller = await Caller.call({
      transcription: inTurn(hears('Tell me.'), hears('Stop.')),
      chat: inTurn(writes(long), writes('All right.')),
    });
    caller.say();
    await caller.done(1);
    caller.pass(1000);
    caller.pass(1200, true);
    caller.pass(1600);
    await caller.services.request('chat', 2);
    const messages = caller.services.of('chat')[1]?.json.messages;
    expect(messages.map(({ role }: { role: string }) => role)).toEqual(['user', 'assistant', 'user']);
    expect(messages[1].content).toMatch(/^This is the first sentence of all\. This is .*…$/);
    expect(messages[1].content).not.toMatch(/third/);
  });

  test('a service that refuses our key is answered for in words, and the second time the call ends', async () => {
    const caller = await Caller.call({ transcription: hears('Hi.'), chat: refuses(401) });
    caller.say();
    await caller.queued(500);
    expect(caller.events).toContainEqual(
      expect.objectContaining({ type: 'fault', code: 'chat_unauthorized', message: 'The chat service refuses the key (401): no' }),
    );
    expect(caller.pass(2000)).toBe(500);
    expect(caller.hangups).toEqual([]);
    caller.say();
    await caller.queued(500);
    caller.pass(4000);
    expect(caller.hangups).toEqual(['internal_error']);
  });

  test('a request that is lost is made again before the caller wonders', async () => {
    const caller = await Caller.call({ transcription: inTurn(neverAnswers(), hears('Hi.')), chat: writes('Yes?') });
    caller.say();
    const from = performance.now();
    await caller.queued(100);
    expect(performance.now() - from).toBeLessThan(2000);
    expect(caller.events.filter(({ type }) => type === 'fault')).toEqual([]);
  });
});
