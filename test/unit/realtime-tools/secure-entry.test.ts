import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { createLog } from '../../../src/base/log.ts';
import { Metrics } from '../../../src/base/metrics.ts';
import { SecureMask } from '../../../src/realtime/secure-mask.ts';
import { createSessionMetrics } from '../../../src/realtime/session-metrics.ts';
import { CallCatalogue } from '../../../src/realtime/tools/call-catalogue.ts';
import type { DeliverEntry, DeliveredEntry } from '../../../src/realtime/tools/call-tools.ts';
import { BenchClient, type BenchOptions, SurfaceBench } from '../realtime/surface-bench.ts';

/** Nothing else in a call looks like it. */
const SECRET = '4929173850';

function call(options: BenchOptions = {}) {
  const heard: number[] = [];
  const metrics = new Metrics();
  const lines: string[] = [];
  const stream = new Writable({
    write: (line, _, done) => {
      lines.push(String(line));
      done();
    },
  });
  const bench = new SurfaceBench({
    tools: new CallCatalogue({ collectDigits: { secure: true, most: 16 }, hangUp: true }),
    leg: { sendDtmf: () => {} },
    log: createLog('trace', stream as never),
    metrics: createSessionMetrics(metrics),
    ...options,
  });
  bench.model.onAudio = (pcm) => heard.push(pcm.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0));
  bench.level = 3000;
  bench.run(40);
  const other = new BenchClient(bench.surface);
  heard.length = 0;
  return {
    ...{ bench, heard, metrics, lines, other, client: bench.client, model: bench.model, session: bench.session },
    press(digits: string): void {
      for (const digit of digits) {
        bench.session.handleLegEvent({ type: 'dtmf', digit, durationMs: 80 });
        bench.run(100);
      }
    },
    collected: (client: BenchClient) => client.events.filter(({ type }) => type === 'call.digits.collected'),
  };
}

describe('a secure entry that a program asks for', () => {
  test('gives the keys to its channel, and nobody else has them, nor hears the caller', () => {
    const { bench, client, other, press, heard, collected } = call();
    client.send({ type: 'call.digits.collect', secure: true, count: 10, entry_id: 'card' });
    press(SECRET);
    expect(collected(client)).toMatchObject([{ digits: SECRET, count: 10, ended_by: 'count', secure: true, entry_id: 'card' }]);
    expect(collected(other)).toEqual([]);
    expect(other.events.filter(({ type }) => String(type).startsWith('call.'))).toMatchObject([
      { type: 'call.digits.started', secure: true },
      { type: 'call.digits.ended', secure: true, count: 10, ended_by: 'count' },
    ]);
    expect(heard).toHaveLength(50);
    expect(Math.max(...heard)).toBe(0);
    // The last key still sounds for a while; then the caller is heard again.
    bench.run(280);
    expect(Math.max(...heard)).toBe(0);
    bench.run(40);
    expect(heard.at(-1)).toBe(3000);
  });

  test("keys that come on top are nobody's, and prolong the mask", () => {
    const { bench, client, press, heard, model } = call();
    client.send({ type: 'call.digits.collect', secure: true, count: 4 });
    press('123456#');
    expect(client.events.filter(({ type }) => type === 'input_audio_buffer.dtmf_event_received')).toEqual([]);
    expect(model.told.filter(([what]) => what === 'dtmf')).toEqual([]);
    bench.run(280);
    expect(Math.max(...heard)).toBe(0);
    bench.run(100);
    press('7');
    expect(client.last('input_audio_buffer.dtmf_event_received')['event']).toBe('7');
  });

  test.each([
    ['time', (bench: ReturnType<typeof call>) => bench.bench.run(5100), 'timeout'],
    ['a program', (bench: ReturnType<typeof call>) => bench.other.send({ type: 'call.digits.stop' }), 'stopped'],
    ['a terminator', (bench: ReturnType<typeof call>) => bench.press('#'), 'terminator'],
    ['the end of the call', (bench: ReturnType<typeof call>) => bench.session.end('remote_hangup'), 'ended'],
  ])('is ended by %s, with what there is', (_, end, endedBy) => {
    const entry = call();
    entry.client.send({ type: 'call.digits.collect', secure: true });
    entry.press('12');
    end(entry);
    expect(entry.collected(entry.client)).toMatchObject([{ digits: '12', ended_by: endedBy }]);
    entry.bench.run(500);
    if (endedBy !== 'ended') expect(entry.heard.at(-1)).toBe(3000);
  });

  test('ends with its channel, and the keys with it', () => {
    const { bench, client, other, press, heard, collected } = call();
    client.send({ type: 'call.digits.collect', secure: true });
    press('12');
    client.channel.close();
    expect([collected(client), collected(other)]).toEqual([[], []]);
    expect(other.last('call.digits.ended')).toMatchObject({ ended_by: 'gone', count: 2 });
    bench.run(500);
    expect(heard.at(-1)).toBe(3000);
  });

  test('is not for an ephemeral secret, one at a time, and for calls with keys', () => {
    const { bench, client, other } = call();
    const page = new BenchClient(bench.surface, true);
    for (const event of [{ type: 'call.digits.collect' }, { type: 'call.digits.stop' }, { type: 'call.digits.receive', receive: true }]) {
      page.send(event);
      expect(page.error()['code']).toBe('forbidden');
    }
    client.send({ type: 'call.digits.collect' });
    other.send({ type: 'call.digits.collect', secure: true });
    expect(other.error()['code']).toBe('invalid_state');
    const socket = new SurfaceBench({ media: 'websocket' });
    socket.client.send({ type: 'call.digits.collect' });
    expect(socket.client.error()['code']).toBe('unsupported');
  });
});

describe('a secure entry that the model asks for', () => {
  function modelAsks(entry: ReturnType<typeof call>): unknown[] {
    const { model } = entry;
    const item = { type: 'function_call', id: 'fc', status: 'in_progress', call_id: 'c1', name: 'collect_digits', arguments: '' } as const;
    model.emit({ type: 'response_started', responseId: 'r1' });
    model.emit({ type: 'item_started', responseId: 'r1', item });
    model.emit({ type: 'item_done', responseId: 'r1', item: { ...item, status: 'completed', arguments: '{"count":10,"secure":false}' } });
    model.emit({ type: 'response_done', responseId: 'r1', status: 'completed' });
    return model.told;
  }

  const output = (told: readonly unknown[][]): unknown => {
    const [, item] = told.findLast(([what]) => what === 'addItem') as [string, { output: string }];
    return JSON.parse(item.output);
  };

  test('goes to the channel that takes it, and the model has stars', () => {
    const entry = call();
    const { client, other, press, collected, model } = entry;
    other.send({ type: 'call.digits.receive', receive: true });
    modelAsks(entry);
    press(SECRET);
    expect(collected(other)).toMatchObject([{ digits: SECRET, secure: true }]);
    expect(collected(client)).toEqual([]);
    expect(output(model.told)).toEqual({ digits: '**********', count: 10, ended_by: 'count', secure: true });
  });

  test('is none without such a channel, or when it leaves', () => {
    const entry = call();
    modelAsks(entry);
    expect(output(entry.model.told)).toMatchObject({ error: { code: 'no_receiver' } });
    entry.press('1');
    expect(entry.client.last('input_audio_buffer.dtmf_event_received')['event']).toBe('1');
    const leaving = call();
    leaving.other.send({ type: 'call.digits.receive', receive: true });
    modelAsks(leaving);
    leaving.press('12');
    leaving.other.channel.close();
    expect(output(leaving.model.told)).toEqual({ digits: '**', count: 2, ended_by: 'gone', secure: true });
  });

  describe('where the operator has it delivered', () => {
    function delivering(arrives: boolean | Promise<boolean> = true) {
      const delivered: DeliveredEntry[] = [];
      const deliver: DeliverEntry = async (entry) => {
        delivered.push(entry);
        return arrives;
      };
      const entry = call({ tools: new CallCatalogue({ collectDigits: { secure: true, most: 16, deliver } }) });
      return { ...entry, delivered, settled: () => new Promise((resolve) => setImmediate(resolve)) };
    }

    test('goes there when no channel takes it; the model has stars when it has arrived', async () => {
      const entry = delivering();
      const { press, delivered, model, bench } = entry;
      modelAsks(entry);
      press(SECRET);
      expect(delivered).toEqual([{ digits: SECRET, endedBy: 'count', sessionId: 'sess_test', project: 'shop' }]);
      expect(model.told.filter(([what]) => what === 'addItem')).toEqual([]);
      await entry.settled();
      bench.run(40);
      expect(output(model.told)).toEqual({ digits: '**********', count: 10, ended_by: 'count', secure: true });
    });

    test('and does not arrive, the model is told so, and masked all the same', async () => {
      const entry = delivering(false);
      modelAsks(entry);
      entry.press(SECRET);
      await entry.settled();
      entry.bench.run(40);
      expect(output(entry.model.told)).toMatchObject({ error: { code: 'not_delivered' } });
      expect(Math.max(...entry.heard)).toBe(0);
    });

    test('goes to the channel that takes it all the same, and to nobody else', () => {
      const entry = delivering();
      entry.other.send({ type: 'call.digits.receive', receive: true });
      modelAsks(entry);
      entry.press('12');
      entry.other.channel.close();
      expect(entry.delivered).toEqual([]);
      const second = delivering();
      second.other.send({ type: 'call.digits.receive', receive: true });
      modelAsks(second);
      second.press(SECRET);
      expect([second.delivered, second.collected(second.other)]).toMatchObject([[], [{ digits: SECRET }]]);
    });

    test("is nobody's when the call ends before", async () => {
      const entry = delivering();
      modelAsks(entry);
      entry.press('12');
      entry.session.end('remote_hangup');
      await entry.settled();
      expect(entry.delivered).toEqual([]);
    });
  });

  test('is taken by one channel at a time', () => {
    const { client, other } = call();
    client.send({ type: 'call.digits.receive', receive: true });
    other.send({ type: 'call.digits.receive', receive: true });
    expect(other.error()['code']).toBe('invalid_state');
    client.send({ type: 'call.digits.receive', receive: false });
    other.send({ type: 'call.digits.receive', receive: true });
    expect(other.events.filter(({ type }) => type === 'error')).toHaveLength(1);
  });

  test('leaves no trace of the keys: log, events of all others, metrics, snapshot, what the model was told', async () => {
    const entry = call();
    const { other, press, client, model, session, metrics, lines, collected } = entry;
    client.send({ type: 'call.digits.receive', receive: true });
    modelAsks(entry);
    press(SECRET);
    session.end('remote_hangup');
    expect(collected(client)).toHaveLength(1);
    const traces = [
      ...lines,
      ...other.events.map((event) => JSON.stringify(event)),
      ...client.events.filter(({ type }) => type !== 'call.digits.collected').map((event) => JSON.stringify(event)),
      JSON.stringify(model.told),
      JSON.stringify(session.snapshot()),
      await metrics.text(),
    ];
    // Not a piece of it either: three keys in a row.
    for (let at = 0; at + 3 <= SECRET.length; at++) {
      const piece = SECRET.slice(at, at + 3);
      expect(traces.filter((trace) => withoutTimes(trace).includes(piece))).toEqual([]);
    }
    expect(lines.length).toBeGreaterThan(0);
    expect(model.told.filter(([what]) => what === 'dtmf')).toEqual([]);
  });
});

/** Ids and times have digits of their own. */
function withoutTimes(text: string): string {
  return text.replace(/"(?:time|pid|event_id|id|expires_at|startMs|endMs|[a-z_]*_id)":(?:"[^"]*"|\d+)/gi, '');
}

test('the mask tells observers what may be known, and nothing else', () => {
  const mask = new SecureMask();
  const seen: unknown[] = [];
  const stop = mask.observe({ audio: (pcm, now) => seen.push([now, pcm[0]]), key: (digit) => seen.push(digit) });
  const frame = new Int16Array(480).fill(7);
  mask.audio(frame, 0);
  mask.key('1', 0);
  mask.begin();
  mask.audio(frame, 20);
  mask.key('2', 20);
  mask.end(40);
  mask.audio(frame, 439);
  mask.audio(frame, 440);
  mask.key('3', 440);
  stop();
  mask.audio(frame, 460);
  expect(seen).toEqual([[0, 7], '1', [20, 0], [439, 0], [440, 7], '3']);
});
