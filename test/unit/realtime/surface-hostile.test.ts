import { describe, expect, it } from 'vitest';
import { parseJson } from '../../../src/realtime/safe-json.ts';
import { BenchClient, SurfaceBench } from './surface-bench.ts';

describe('what a client must not send', () => {
  it.each([
    ['garbage', 'garbage', 'invalid_json'],
    ['nothing', '', 'invalid_json'],
    ['a number', '42', 'invalid_json'],
    ['a list', '[]', 'invalid_json'],
    ['half an object', '{"type":"response.create"', 'invalid_json'],
    ['a string without end', '{"type":"resp', 'invalid_json'],
    ['an object without a type', '{}', 'missing_required_parameter'],
    ['a type that is a number', '{"type":5}', 'invalid_value'],
    ['an event of the server', '{"type":"response.done"}', 'invalid_value'],
    ['a type from the prototype', '{"type":"constructor"}', 'invalid_value'],
    ['a field that is unknown', '{"type":"response.cancel","colour":"red"}', 'unknown_parameter'],
    ['an id of a megabyte', `{"type":"conversation.item.retrieve","item_id":"${'x'.repeat(1_000_000)}"}`, 'string_above_max_length'],
    ['a name of the wrong type', '{"type":"response.cancel","event_id":5}', 'invalid_type'],
    [
      'minus one millisecond',
      '{"type":"conversation.item.truncate","item_id":"a","content_index":0,"audio_end_ms":-1}',
      'integer_below_min_value',
    ],
    ['half a millisecond', '{"type":"conversation.item.truncate","item_id":"a","content_index":0,"audio_end_ms":0.5}', 'invalid_type'],
    ['a frame of 20 MB', `{"type":"input_audio_buffer.append","audio":"${'A'.repeat(20_000_000)}"}`, 'event_too_large'],
    ['depth', `{"type":"session.update","session":${'['.repeat(500_000)}`, 'invalid_json'],
    ['depth that closes', `{"type":"session.update","session":${'['.repeat(100)}${']'.repeat(100)}}`, 'invalid_json'],
    ['a million parts', `{"type":"session.update","session":[${'{},'.repeat(1_000_000)}{}]}`, 'invalid_json'],
  ])('%s', (_, text, code) => {
    const bench = new SurfaceBench();
    const other = new BenchClient(bench.surface);
    other.take();
    bench.client.channel.receive(text);
    expect(bench.client.error()).toMatchObject({ type: 'invalid_request_error', code, message: expect.any(String) });
    expect(JSON.stringify(bench.client.error()).length).toBeLessThan(1000);
    expect(other.types()).toEqual([]);
    expect(bench.client.closed).toBeUndefined();
  });

  it('touches no prototype', () => {
    for (const key of ['__proto__', '\\u005f_proto__']) {
      const value = parseJson(`{"a":{"${key}":{"polluted":true}},"b":1}`) as { a: Record<string, unknown> };
      expect(value.a['polluted']).toBeUndefined();
      expect(Object.keys(value.a)).toEqual([]);
    }
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    const bench = new SurfaceBench();
    bench.client.channel.receive('{"type":"session.update","session":{"type":"realtime","__proto__":{"instructions":"x"}}}');
    expect(bench.client.last('session.updated')).toMatchObject({ session: { instructions: '' } });
  });

  it('keeps what JSON may hold: escapes, and strings full of brackets', () => {
    expect(parseJson('{"a":"\\\\\\"[[[","b":"}{","c":["\\u0041"]}')).toEqual({ a: '\\"[[[', b: '}{', c: ['A'] });
  });

  it('echoes the name of an event that is at fault, and none that is not one', () => {
    const bench = new SurfaceBench();
    bench.client.send({ type: 'no.such', event_id: 'agents_js_response_create_1' });
    expect(bench.client.error()).toMatchObject({ event_id: 'agents_js_response_create_1' });
    bench.client.send({ type: 'no.such', event_id: { a: 1 } });
    expect(bench.client.error()).toMatchObject({ event_id: null });
  });

  it('drops a flood, says so once a second, and sends away who does not stop', () => {
    const bench = new SurfaceBench();
    const other = new BenchClient(bench.surface);
    bench.client.take();
    for (let n = 0; n < 1500; n++) bench.client.send({ type: 'conversation.item.retrieve', item_id: 'x' });
    const errors = bench.client.take();
    expect(errors).toHaveLength(1001);
    expect(errors.at(-1)).toMatchObject({ error: { code: 'rate_limit_exceeded' } });
    bench.clock.advance(1000);
    bench.client.send({ type: 'conversation.item.retrieve', item_id: 'x' });
    expect(bench.client.error()).toMatchObject({ code: 'item_not_found' });
    for (let n = 0; n < 7000; n++) bench.client.send({ type: 'conversation.item.retrieve', item_id: 'x' });
    expect(bench.client.closed).toEqual([1008, 'too many events']);
    expect(other.closed).toBeUndefined();
    expect(bench.surface.channels).toBe(1);
  });

  it('does not outgrow its memory by items: the oldest lose their pictures', () => {
    const bench = new SurfaceBench();
    const image = `data:image/png;base64,${'A'.repeat(8 * 1024 * 1024)}`;
    for (let n = 0; n < 6; n++) {
      const content = [{ type: 'input_image', image_url: image }];
      bench.client.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', id: `i${n}`, content } });
    }
    bench.client.send({ type: 'conversation.item.retrieve', item_id: 'i0' });
    expect(bench.client.last('conversation.item.retrieved')).toMatchObject({ item: { content: [] } });
    bench.client.send({ type: 'conversation.item.retrieve', item_id: 'i5' });
    expect(bench.client.last('conversation.item.retrieved')).toMatchObject({ item: { content: [{ image_url: image }] } });
  });

  it('finds nobody after the end', () => {
    const bench = new SurfaceBench();
    bench.session.end('shutdown');
    expect(bench.client.closed).toEqual([1001, 'shutdown']);
    bench.client.take();
    bench.client.send({ type: 'response.create' }).send({ type: 'session.update', session: { type: 'realtime' } });
    expect(bench.client.types()).toEqual([]);
    expect(bench.surface.open({ send: () => true, close: () => {} }, { ephemeral: false })).toBeUndefined();
    bench.surface.end('shutdown');
  });
});
