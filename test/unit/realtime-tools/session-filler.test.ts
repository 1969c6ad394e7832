import { describe, expect, test } from 'vitest';
import type { CallSounds } from '../../../src/realtime/tools/filler.ts';
import type { ToolDefinition } from '../../../src/realtime/tools/tool-source.ts';
import { ScriptedTools } from '../../support/scripted-tools.ts';
import { type BenchOptions, SurfaceBench } from '../realtime/surface-bench.ts';

/** Each sound has a level of its own; the model speaks at 1000. */
const SOUNDS: CallSounds = {
  music: new Int16Array(24_000).fill(300),
  tone: new Int16Array(24_000).fill(400),
  typing: new Int16Array(24_000).fill(500),
  phrase: new Int16Array(12_000).fill(600),
};

function call(tool: Partial<ToolDefinition> = {}, options: BenchOptions = {}) {
  const tools = new ScriptedTools({ name: 'look', ...tool });
  const playing: (number | undefined)[] = [];
  let voice = { voiced: false, levelDb: -70 };
  const bench = new SurfaceBench({
    tools: tools.catalogue,
    sounds: SOUNDS,
    filler: { sound: 'typing', afterMs: 500 },
    session: { tools: [{ type: 'function', name: 'theirs', parameters: { type: 'object' } }] },
    createVoiceDetector: () => ({ process: () => voice, playing: (pcm) => void playing.push(pcm?.[479]), free: () => {} }),
    ...options,
  });
  bench.run(100);
  bench.heard.length = 0;
  let count = 0;
  return {
    ...{ bench, tools, playing, client: bench.client, model: bench.model, session: bench.session },
    speaks: (speaks: boolean) => {
      voice = speaks ? { voiced: true, levelDb: -22 } : { voiced: false, levelDb: -70 };
    },
    uses(name = 'look'): void {
      const responseId = `r${++count}`;
      const item = {
        type: 'function_call',
        id: `${responseId}_f`,
        status: 'in_progress',
        call_id: `${responseId}_c`,
        name,
        arguments: '',
      } as const;
      bench.model.emit({ type: 'response_started', responseId });
      bench.model.emit({ type: 'item_started', responseId, item });
      bench.model.emit({ type: 'item_done', responseId, item: { ...item, status: 'completed', arguments: '{}' } });
      bench.model.emit({ type: 'response_done', responseId, status: 'completed' });
    },
    /** When in milliseconds something of this level was heard first and last. */
    span(level: number): [number, number] | undefined {
      const at = bench.heard.flatMap((each, n) => (each === level ? [n * 20] : []));
      return at.length === 0 ? undefined : [at[0] ?? 0, at.at(-1) ?? 0];
    },
  };
}

describe('while a tool runs', () => {
  test('the caller hears what is configured, until it has its result', () => {
    const { bench, uses, tools, span } = call();
    uses();
    bench.run(1500);
    tools.answer('ok');
    bench.run(500);
    const [from = 0, to = 0] = span(500) ?? [];
    expect(from).toBeGreaterThanOrEqual(480);
    expect(from).toBeLessThanOrEqual(520);
    expect(to).toBe(1480); // and one frame of fading
    expect(bench.heard.at(-1)).toBe(0);
  });

  test('of a program it is heard as well, and for half a minute when that never answers', () => {
    const { bench, uses, span, client } = call();
    uses('theirs');
    bench.run(1000);
    expect(span(500)).toBeDefined();
    client.send({ type: 'conversation.item.create', item: { type: 'function_call_output', call_id: 'r1_c', output: 'ok' } });
    bench.heard.length = 0;
    bench.run(1000);
    expect(span(500)).toBeUndefined();
    uses('theirs');
    bench.run(32_000);
    expect(bench.heard.slice(-50)).toEqual(new Array(50).fill(0));
  });

  test('the tool may say what is heard: its own choice, a phrase, or nothing', () => {
    const tone = call({ filler: { sound: 'tone', afterMs: 0 } });
    tone.uses();
    tone.bench.run(200);
    expect(tone.span(400)).toBeDefined();
    const phrase = call({ filler: { sound: 'phrase', afterMs: 100, text: 'Wait.' } });
    phrase.uses();
    phrase.bench.run(2000);
    expect(phrase.span(600)?.[1]).toBeLessThan(700);
    const none = call({ filler: { sound: 'none' } });
    none.uses();
    none.bench.run(2000);
    expect(Math.max(...none.bench.heard)).toBe(0);
  });

  test('a phrase is said in the voice of a model that has one', () => {
    const { bench, uses, span, model } = call({ filler: { sound: 'phrase', afterMs: 100, text: 'Wait.' } });
    Object.assign(model, { phrase: (text: string) => (text === 'Wait.' ? new Int16Array(12_000).fill(700) : undefined) });
    uses();
    bench.run(500);
    expect(span(700)).toBeDefined();
  });

  test('it is silent within a frame of the agent, and of the caller', () => {
    const { bench, uses, model, speaks, span } = call();
    uses();
    bench.run(1000);
    model.say('r9', 400);
    bench.run(40);
    expect(bench.heard.slice(-1)).toEqual([1000]);
    bench.run(1200);
    expect(bench.heard.at(-1)).toBe(500);
    speaks(true);
    bench.heard.length = 0;
    bench.run(200);
    // 60 ms of evidence, then one frame of fading.
    expect(span(500)?.[1]).toBeLessThanOrEqual(80);
    expect(bench.heard.at(-1)).toBe(0);
  });

  test('it is known to the echo guard, and to nobody as speech', () => {
    const { bench, uses, tools, playing, session, client, model } = call();
    uses();
    bench.run(1000);
    expect(playing.at(-1)).toBe(500);
    tools.answer('ok');
    bench.run(100);
    expect(session.snapshot().items).toEqual([]);
    expect(client.events.filter(({ type }) => String(type).startsWith('output_audio_buffer'))).toEqual([]);
    expect(model.told.filter(([what]) => what === 'truncate')).toEqual([]);
  });

  test('nobody is asked why he says nothing', () => {
    const idle = { audio: { input: { turn_detection: { type: 'server_vad', idle_timeout_ms: 2000 } } }, tools: [] };
    const { bench, uses, tools, client, model } = call({ timeoutMs: 60_000 }, { session: idle });
    model.say('greeting', 100);
    bench.run(300);
    uses();
    bench.run(6000);
    expect(client.events.filter(({ type }) => type === 'input_audio_buffer.timeout_triggered')).toEqual([]);
    tools.calls.at(-1)?.tell({ type: 'done', output: 'ok', silent: true });
    bench.run(1800);
    expect(client.events.filter(({ type }) => type === 'input_audio_buffer.timeout_triggered')).toEqual([]);
    bench.run(400);
    expect(client.events.filter(({ type }) => type === 'input_audio_buffer.timeout_triggered')).toHaveLength(1);
  });

  test('a WebSocket is told what to play, and gets no sound', () => {
    const { bench, uses, tools, client } = call({}, { media: 'websocket' });
    uses();
    bench.run(1000);
    tools.answer('ok');
    bench.run(100);
    expect(client.events.filter(({ type }) => type === 'call.filler')).toMatchObject([
      { sound: 'typing', after_ms: 500 },
      { sound: 'none' },
    ]);
    expect(Math.max(...bench.heard)).toBe(0);
  });
});
