import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { createLog } from '../../src/base/log.ts';
import type { Leg } from '../../src/leg/leg.ts';
import { Session } from '../../src/realtime/session.ts';
import { upstreamProfile } from '../../src/realtime/upstream/profile.ts';
import { UpstreamModel } from '../../src/realtime/upstream/upstream-model.ts';
import { ScriptedUpstream, type UpstreamServerOptions } from '../support/scripted-upstream.ts';
import { tone } from '../support/tones.ts';
import { eventually } from '../support/wait.ts';

/* A whole conversation over a model server: the session with its turns and its playout, the model's socket, and a leg that is a test. */

const open: { session: Session; server: ScriptedUpstream }[] = [];

afterEach(async () => {
  for (const { session, server } of open.splice(0)) {
    session.end('agent_hangup');
    await server.stop();
  }
});

/** A call whose frames a test moves: 20 ms of the caller up, 20 ms of the agent down. */
class Caller {
  readonly session: Session;
  readonly server: ScriptedUpstream;
  readonly hangups: string[] = [];
  #now = systemClock.now();

  private constructor(server: ScriptedUpstream, turns: 'gateway' | 'upstream') {
    const leg: Leg = { answer() {}, reject() {}, report() {}, hangup: (cause) => void this.hangups.push(cause) };
    const clock = { ...systemClock, now: () => this.#now };
    const model = new UpstreamModel(
      { clock: systemClock, log: createLog('silent') },
      { url: server.url, profile: upstreamProfile('openai'), greet: true, turns },
    );
    const createVoiceDetector = () => ({
      process: (pcm: Int16Array) => ({ voiced: pcm[7] !== 0, levelDb: pcm[7] === 0 ? -90 : -26 }),
      free() {},
    });
    this.server = server;
    this.session = new Session({ clock, log: createLog('silent'), model, createVoiceDetector });
    this.session.attach(leg);
    this.session.handleLegEvent({ type: 'answered' });
    open.push({ session: this.session, server });
  }

  static async call(options: UpstreamServerOptions, turns: 'gateway' | 'upstream' = 'gateway'): Promise<Caller> {
    return new Caller(await ScriptedUpstream.start(options), turns);
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

  /** Waits until so much of the model's audio is here. */
  async queued(ms: number): Promise<void> {
    await eventually(() => this.session.snapshot().playoutQueueMs >= ms, 5000, `${ms} ms of audio from the model`);
  }
}

const say = (ms: number): Int16Array => tone(440, ms, { rateHz: 24_000 });

describe('a conversation over a model server', () => {
  test('a burst of a minute is said in a minute, and a caller who interrupts cuts it off where it was', async () => {
    const caller = await Caller.call({ respond: (session, ask) => void session.say(ask, { pcm: say(60_000), chunkMs: 20 }) });
    await caller.queued(59_900);
    expect(caller.pass(3000)).toBe(3000);
    const soundedMs = caller.pass(1500, true);
    expect(soundedMs).toBeLessThan(1000);
    const session = await caller.server.session(1);
    const { audio_end_ms: endMs } = await session.expect('conversation.item.truncate');
    expect(Math.abs(Number(endMs) - 3000 - soundedMs)).toBeLessThanOrEqual(20);
    expect(caller.session.snapshot().playoutQueueMs).toBe(0);
    expect(session.all('error')).toEqual([]);
  });

  test('a turn is heard by the model as it was spoken, and answered', async () => {
    const caller = await Caller.call({ respond: (session, ask) => void session.say(ask, { pcm: say(400) }) });
    await caller.queued(400);
    expect(caller.pass(1500)).toBe(400);
    caller.pass(800, true);
    caller.pass(2000);
    const session = await caller.server.session(1);
    await session.expect('input_audio_buffer.commit');
    await session.received.find((event) => event.type === 'response.create', 5000, 'response.create', session.received.count - 1);
    const heard = new Int16Array(
      session.committed.buffer.slice(session.committed.byteOffset, session.committed.byteOffset + session.committed.length),
    );
    expect(heard.filter((sample) => sample === 3000).length / 24).toBe(800);
    await caller.queued(400);
    expect(caller.pass(1000)).toBe(400);
  });

  test('a server that takes the turns hears the caller all the time, and its word begins and ends them', async () => {
    const caller = await Caller.call({ respond: (session, ask) => void session.say(ask, { pcm: say(400) }) }, 'upstream');
    await caller.queued(400);
    expect(caller.pass(1000)).toBe(400);
    const session = await caller.server.session(1);
    expect(session.session).toMatchObject({ audio: { input: { turn_detection: { type: 'server_vad' } } } });
    const appended = await session.received.find(({ type }) => type === 'input_audio_buffer.append', 5000, 'the caller’s silence');
    expect(Buffer.from(String(appended['audio']), 'base64')).toHaveLength(40 * 48);
    caller.pass(600, true);
    session.send('input_audio_buffer.speech_started', { audio_start_ms: 1000, item_id: 'theirs' });
    await eventually(() => caller.session.snapshot().state === 'user', 5000, 'a turn that the server began');
    caller.pass(600);
    session.send('input_audio_buffer.speech_stopped', { audio_end_ms: 1600, item_id: 'theirs' });
    session.send('input_audio_buffer.committed', { item_id: 'theirs' });
    session.say({ eventId: undefined, response: {} }, { pcm: say(500) });
    await caller.queued(500);
    expect(caller.pass(1000)).toBe(500);
    expect(caller.session.snapshot()).toMatchObject({ turns: 1, discardedTurns: 0 });
    expect([session.all('response.create').length, session.all('input_audio_buffer.commit'), session.all('error')]).toEqual([1, [], []]);
  });

  test('a model that is lost in the middle of a sentence goes on, and nobody is hung up', async () => {
    const caller = await Caller.call({
      respond: (session, ask) => {
        if (caller.server.sessions.count > 1) {
          session.say(ask, { pcm: say(600) });
          return;
        }
        session.speak(session.beginSpeech(ask), say(1000));
        setImmediate(() => session.drop());
      },
    });
    await caller.queued(1600);
    expect(caller.pass(3000)).toBe(1600);
    expect(caller.hangups).toEqual([]);
  });

  test('a model that will not have us ends the call after what was said', async () => {
    const caller = await Caller.call({ refuse: () => 403 });
    await eventually(() => caller.session.snapshot().state === 'lost', 5000, 'the model to be given up');
    caller.pass(500);
    expect(caller.hangups).toEqual(['internal_error']);
  });
});
