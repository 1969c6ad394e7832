import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConversationProbe } from './conversation-probe.ts';

describe('a server that means no good', () => {
  test.each([
    ['no JSON', 'hello', 'not_json'],
    ['a number', '5', 'no_type'],
    ['a list', '[]', 'no_type'],
    ['null', 'null', 'no_type'],
    ['a type that is none', '{"type":5}', 'no_type'],
    ['a type nobody knows', '{"type":"constructor"}', 'unknown_type'],
    ['deep JSON', `{"type":"response.done","response":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 'too_complex'],
    ['wide JSON', `{"type":"response.done","response":[${'1,'.repeat(200_000)}1]}`, 'too_complex'],
    ['5 MB of nothing', 'a'.repeat(5_000_000), 'not_json'],
    ['a response without a name', '{"type":"response.created","response":{"id":7}}', 'bad_shape'],
    ['audio of nothing', '{"type":"response.output_audio.delta","response_id":"r9","delta":"AAAA"}', 'unknown_response'],
    ['the end of nothing', '{"type":"response.done","response":{"id":"r9"}}', 'unknown_response'],
  ])('may send %s: it is counted', (_, message, what) => {
    const probe = ConversationProbe.ready();
    probe.raw(1, message);
    expect(probe.strange()).toEqual([what]);
    expect(probe.events()).toEqual([]);
  });

  test('pollutes nothing', () => {
    const probe = ConversationProbe.ready();
    probe.raw(
      1,
      '{"type":"response.created","response":{"id":"__proto__","metadata":{"__proto__":{"polluted":1}}},"__proto__":{"polluted":1}}',
    );
    const item = '{"id":"constructor","type":"function_call","name":"__proto__","call_id":"__proto__","__proto__":{"polluted":1}}';
    probe.raw(1, `{"type":"response.output_item.added","response_id":"__proto__","item":${item}}`);
    probe.raw(1, '{"type":"response.done","response":{"id":"__proto__","usage":{"input_token_details":{"__proto__":5,"text_tokens":1}}}}');
    expect(probe.events().map(({ type }) => type)).toEqual(['response_started', 'item_started', 'item_done', 'response_done']);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  test('says everything twice: it is heard once', () => {
    const probe = ConversationProbe.ready();
    for (let n = 0; n < 2; n++) probe.server(1, 'response.created', { response: { id: 'r1' } });
    for (let n = 0; n < 2; n++) probe.server(1, 'response.output_item.added', { response_id: 'r1', item: { id: 'i1', type: 'message' } });
    for (let n = 0; n < 2; n++) probe.server(1, 'response.output_item.done', { response_id: 'r1', item: { id: 'i1', type: 'message' } });
    probe.audio(1, 'r1', 'i1', 20);
    for (let n = 0; n < 2; n++) probe.finish(1, 'r1');
    expect(probe.events().map(({ type }) => type)).toEqual(['response_started', 'item_started', 'item_done', 'response_done']);
    expect(probe.strange()).toEqual(['duplicate', 'duplicate', 'duplicate', 'after_done', 'unknown_response']);
  });

  test('that sends only garbage is left', () => {
    const probe = ConversationProbe.ready();
    for (let n = 0; n < 60; n++) probe.raw(1, '{');
    expect(probe.links()).toContain('0 lost garbage');
    expect(probe.strange()).toHaveLength(51);
  });

  test('that sends errors without end tells the session ten of them, and is left', () => {
    const probe = ConversationProbe.ready();
    for (let n = 0; n < 200; n++) probe.server(1, 'error', { error: { code: 'c'.repeat(1000), message: 'm'.repeat(5000) } });
    const faults = probe.events();
    expect(faults).toHaveLength(10);
    expect(JSON.stringify(faults[0]).length).toBeLessThan(500);
    expect(probe.links()).toContain('0 lost error_storm');
  });

  test('that floods is left', () => {
    const probe = ConversationProbe.ready();
    for (let n = 0; n < 20_010; n++) probe.raw(1, '{"type":"session.updated"}');
    expect(probe.links()).toContain('0 lost flood');
  });

  test('opens responses and items without end: a few are taken', () => {
    const probe = ConversationProbe.ready();
    for (let n = 0; n < 1000; n++) probe.server(1, 'response.created', { response: { id: `r${n}` } });
    for (let n = 0; n < 1000; n++)
      probe.server(1, 'response.output_item.added', { response_id: 'r0', item: { id: `i${n}`, type: 'message' } });
    expect(probe.events().filter(({ type }) => type === 'response_started')).toHaveLength(8);
    expect(probe.events().filter(({ type }) => type === 'item_started')).toHaveLength(32);
  });

  test('arguments without end are cut, and the call is not complete', () => {
    const probe = ConversationProbe.ready();
    probe.server(1, 'response.created', { response: { id: 'r1' } });
    probe.server(1, 'response.output_item.added', {
      response_id: 'r1',
      item: { id: 'f1', type: 'function_call', call_id: 'c', name: 'f' },
    });
    for (let n = 0; n < 100; n++) {
      probe.server(1, 'response.function_call_arguments.delta', { response_id: 'r1', item_id: 'f1', delta: 'x'.repeat(10_000) });
    }
    probe.finish(1, 'r1');
    expect(probe.events().at(-2)).toMatchObject({ type: 'item_done', item: { status: 'incomplete' } });
    const { arguments: args } = (probe.events().at(-2) as { item: { arguments: string } }).item;
    expect(args).toHaveLength(262_144);
  });

  test('may say anything at all in any order: nothing throws, and what began ends', () => {
    const type = fc.constantFrom(
      ...['session.created', 'error', 'response.created', 'response.output_item.added', 'response.output_audio.delta', 'response.done'],
      ...[
        'response.output_audio_transcript.delta',
        'response.function_call_arguments.delta',
        'response.output_item.done',
        'rate_limits.updated',
      ],
      ...['conversation.item.added', 'input_audio_buffer.committed', 'conversation.item.input_audio_transcription.completed'],
    );
    const id = fc.constantFrom('a', 'b', '__proto__', '', 'x'.repeat(300));
    const value = fc.oneof(id, fc.anything({ maxDepth: 2 }), fc.base64String());
    const item = fc.record(
      { id: value, type: fc.constantFrom('message', 'function_call', 'mcp_call'), role: value, content: fc.array(fc.anything()) },
      { requiredKeys: [] },
    );
    const fields = {
      response_id: value,
      item_id: value,
      item,
      delta: value,
      transcript: value,
      content_index: fc.anything(),
      error: fc.anything(),
    };
    const response = fc.record(
      { id, status: value, output: fc.array(item, { maxLength: 3 }), usage: fc.anything(), status_details: fc.anything() },
      { requiredKeys: [] },
    );
    const message = fc.record(
      { type, ...fields, response, rate_limits: fc.anything(), session: fc.anything() },
      { requiredKeys: ['type'] },
    );
    const action = fc.oneof(
      { weight: 8, arbitrary: message.map((each) => ({ message: each })) },
      {
        weight: 1,
        arbitrary: fc.constantFrom('turn', 'speak', 'cancel', 'cancel named', 'truncate', 'fail', 'wait').map((act) => ({ act })),
      },
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const probe = ConversationProbe.ready();
        for (const each of actions) {
          const link = probe.outputs.filter((output) => output.type === 'connect').length;
          if ('message' in each) probe.raw(link, JSON.stringify(each.message) ?? '');
          else if (each.act === 'turn') {
            probe.hear(200);
            probe.commit(0, 100);
          } else if (each.act === 'speak') probe.speak(0);
          else if (each.act === 'cancel') probe.cancel();
          else if (each.act === 'cancel named') probe.cancel('a');
          else if (each.act === 'truncate') probe.run((now) => probe.machine.truncate('a', 5, now));
          else if (each.act === 'fail') probe.fail(link);
          else probe.clock.advance(700);
        }
        checkOrder(probe);
        probe.run(() => probe.machine.close());
        expect(probe.clock.timers).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});

/** Every event of a response lies between its start and its end, and nothing ends twice. */
function checkOrder(probe: ConversationProbe): void {
  const open = new Set<string>();
  for (const event of probe.events()) {
    if (!('responseId' in event)) continue;
    if (event.type === 'response_started') {
      expect(open.has(event.responseId)).toBe(false);
      open.add(event.responseId);
    } else expect(open.has(event.responseId)).toBe(true);
    if (event.type === 'response_done') open.delete(event.responseId);
  }
}
