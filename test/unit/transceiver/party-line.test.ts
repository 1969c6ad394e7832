import { describe, expect, test } from 'vitest';
import type { MediaSession } from '../../../src/transceiver/media.ts';
import { type CallerMask, PartyLine } from '../../../src/transceiver/party-line.ts';
import { PartyQueue } from '../../../src/transceiver/party-queue.ts';
import { SoundLoop } from '../../../src/transceiver/sound-loop.ts';

const HEARD = { concealed: false };
const level = (value: number): Int16Array => new Int16Array(480).fill(value);
const musicOf = (value: number): SoundLoop => new SoundLoop(level(value));

/** An agent that says 1 in every frame, and remembers the first sample of what it hears. */
class Agent implements MediaSession {
  readonly heard: number[] = [];
  readonly keys: string[] = [];
  pulls = 0;
  says = 1;

  handleUplink(pcm: Int16Array): void {
    this.heard.push(pcm[0] as number);
  }

  pullDownlink(out: Int16Array): boolean {
    this.pulls += 1;
    out.fill(this.says);
    return this.says !== 0;
  }

  handleLegEvent(event: Parameters<MediaSession['handleLegEvent']>[0]): void {
    if (event.type === 'dtmf') this.keys.push(event.digit);
  }
}

function room(mask?: CallerMask) {
  const agent = new Agent();
  const line = new PartyLine(agent, mask);
  const keys: string[] = [];
  const join = (id: string): MediaSession => line.join(id, musicOf(7), { onKey: (digit) => keys.push(`${id} ${digit}`) });
  /** 20 ms: everybody says their number, and everybody hears what is told. */
  const beat = (says: Readonly<Record<string, MediaSession>>, numbers: Readonly<Record<string, number>>): Record<string, number> => {
    const out = new Int16Array(480);
    for (const [id, media] of Object.entries(says)) media.handleUplink(level(numbers[id] ?? 0), HEARD, 0);
    return Object.fromEntries(
      Object.entries(says).map(([id, media]) => {
        media.pullDownlink(out, 0);
        return [id, out[0] as number];
      }),
    );
  };
  return { agent, line, join, beat, keys };
}

const NUMBERS = { caller: 10, bob: 100, carol: 1000 };

test('what the caller enters secretly no person hears, and its keys go to whoever collects them', () => {
  let on = true;
  const mask: CallerMask = {
    masked: (pcm) => (on ? new Int16Array(480) : pcm),
    get isCollecting() {
      return on;
    },
  };
  const { agent, line, join, beat } = room(mask);
  const all = { caller: line.caller, bob: join('bob') };
  line.place('bob', { type: 'line' });
  line.agentTakesPart = false;
  const persons: string[] = [];
  line.onCallerKey = (digit) => persons.push(digit);
  const press = (digit: string): void => line.caller.handleLegEvent({ type: 'dtmf', digit, durationMs: 80 });
  expect(beat(all, NUMBERS)).toEqual({ caller: 100, bob: 0 });
  press('4');
  expect([agent.keys, persons]).toEqual([['4'], []]);
  on = false;
  expect(beat(all, NUMBERS)).toEqual({ caller: 100, bob: 10 });
  press('5');
  expect([agent.keys, persons]).toEqual([['4'], ['5']]);
});

describe('a line', () => {
  test('with the caller alone passes frames both ways as they are', () => {
    const { agent, line, beat } = room();
    expect(beat({ caller: line.caller }, NUMBERS)).toEqual({ caller: 1 });
    expect(agent.heard).toEqual([10]);
  });

  test('leaves a person who has just come beside it, with music', () => {
    const { agent, line, join, beat } = room();
    const all = { caller: line.caller, bob: join('bob') };
    expect(beat(all, NUMBERS)).toEqual({ caller: 1, bob: 7 });
    expect(agent.heard).toEqual([10]);
  });

  test('of three: everybody hears everybody but himself, and the agent hears all as one', () => {
    const { agent, line, join, beat } = room();
    const all = { caller: line.caller, bob: join('bob'), carol: join('carol') };
    line.place('bob', { type: 'line' });
    line.place('carol', { type: 'line' });
    beat(all, NUMBERS);
    agent.heard.length = 0;
    expect(beat(all, NUMBERS)).toEqual({ caller: 1101, bob: 1011, carol: 111 });
    expect(agent.heard).toEqual([1110]);
  });

  test('without the agent asks it nothing, and tells it nothing', () => {
    const { agent, line, join, beat } = room();
    const all = { caller: line.caller, bob: join('bob') };
    line.place('bob', { type: 'line' });
    line.agentTakesPart = false;
    expect(beat(all, NUMBERS)).toEqual({ caller: 100, bob: 10 });
    expect([agent.pulls, agent.heard]).toEqual([0, []]);
    line.agentTakesPart = true;
    expect(beat(all, NUMBERS)).toEqual({ caller: 101, bob: 11 });
  });

  test('whispers: the person and the agent, and the caller hears music and is not heard', () => {
    const { agent, line, join, beat } = room();
    const all = { caller: line.caller, bob: join('bob') };
    line.place('caller', { type: 'beside', comfort: musicOf(5) });
    line.place('bob', { type: 'line' });
    beat(all, NUMBERS);
    agent.heard.length = 0;
    expect(beat(all, NUMBERS)).toEqual({ caller: 5, bob: 1 });
    expect(agent.heard).toEqual([100]);
  });

  test('lets the agent finish before soft music begins', () => {
    const { agent, line, join, beat } = room();
    const all = { caller: line.caller, bob: join('bob') };
    line.place('caller', { type: 'beside', comfort: musicOf(5), soft: true });
    expect(beat(all, NUMBERS)).toEqual({ caller: 1, bob: 7 });
    agent.says = 0;
    expect(beat(all, NUMBERS)).toEqual({ caller: 5, bob: 7 });
  });

  test('lets the caller hear what a phone says that has not been answered', () => {
    const { line, join, beat } = room();
    const all = { caller: line.caller, bob: join('bob') };
    line.place('caller', { type: 'beside', comfort: line.overhear('bob', 'caller') });
    expect(beat(all, NUMBERS)).toEqual({ caller: 100, bob: 7 });
  });

  test('is the caller’s alone again when the others have left, and what they said last is not heard later', () => {
    const { agent, line, join, beat } = room();
    const all = { caller: line.caller, bob: join('bob') };
    line.place('bob', { type: 'line' });
    beat(all, NUMBERS);
    line.leave('bob');
    expect(beat(all, NUMBERS)).toEqual({ caller: 1, bob: 0 });
    expect(agent.heard.at(-1)).toBe(10);
  });

  test('clips what is too loud instead of turning it round', () => {
    const { line, join, beat } = room();
    const all = { caller: line.caller, bob: join('bob'), carol: join('carol') };
    line.place('bob', { type: 'line' });
    line.place('carol', { type: 'line' });
    expect(beat(all, { caller: 0, bob: 30_000, carol: 30_000 })).toMatchObject({ caller: 32_767 });
  });

  test('gives keys to the agent, and to whoever listens for them while it is away', () => {
    const { agent, line, join, keys } = room();
    const bob = join('bob');
    const passed: string[] = [];
    line.onCallerKey = (digit) => passed.push(digit);
    line.caller.handleLegEvent({ type: 'dtmf', digit: '1', durationMs: 100 });
    line.agentTakesPart = false;
    line.caller.handleLegEvent({ type: 'dtmf', digit: '2', durationMs: 100 });
    bob.handleLegEvent({ type: 'dtmf', digit: '3', durationMs: 100 });
    expect([agent.keys, passed, keys]).toEqual([['1'], ['2'], ['bob 3']]);
  });
});

describe('a queue between two parties', () => {
  test('gives what it got, in order', () => {
    const queue = new PartyQueue();
    queue.push(level(1));
    queue.push(level(2));
    expect([queue.pull()?.[0], queue.pull()?.[0]]).toEqual([1, 2]);
  });

  test('bridges 60 ms with what was heard last, and then is still', () => {
    const queue = new PartyQueue();
    queue.push(level(1000));
    queue.pull();
    expect([queue.pull(), queue.pull(), queue.pull()].every((frame) => frame !== undefined)).toBe(true);
    expect(queue.pull()).toBeUndefined();
  });

  test('holds 120 ms at most: what comes in one piece is not heard late for ever', () => {
    const queue = new PartyQueue();
    for (let n = 0; n < 50; n++) queue.push(level(n));
    expect(queue.waitingMs).toBe(120);
  });

  test('takes back what two seconds have not needed', () => {
    const queue = new PartyQueue();
    for (let n = 0; n < 3; n++) queue.push(level(1));
    for (let n = 0; n < 250; n++) {
      queue.push(level(1));
      queue.pull();
    }
    expect(queue.waitingMs).toBeLessThanOrEqual(20);
  });

  test('keeps one frame in hand once one was late', () => {
    const queue = new PartyQueue();
    queue.push(level(1));
    queue.pull();
    queue.pull(); // nothing there: made up
    queue.push(level(1));
    queue.push(level(1));
    queue.pull();
    expect(queue.waitingMs).toBe(20);
  });
});
