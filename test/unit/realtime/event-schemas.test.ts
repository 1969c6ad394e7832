import { describe, expect, it } from 'vitest';
import { faultsOf } from './event-schemas.ts';

describe("the reference's typings and schemas, as the tests use them", () => {
  it('miss nothing that is missing, and know nothing that is unknown', () => {
    const event = { type: 'response.output_text.delta', event_id: 'e', response_id: 'r', item_id: 'i', output_index: 0, content_index: 0 };
    expect(faultsOf({ ...event, delta: 'x' })).toEqual([]);
    expect(faultsOf(event)[0]).toBe('response.output_text.delta: delta is missing');
    expect(faultsOf({ ...event, delta: 'x', colour: 'red' })).toEqual(['response.output_text.delta: colour is unknown']);
    expect(faultsOf({ ...event, delta: 5 })).toHaveLength(1);
    expect(faultsOf({ type: 'response.poem' })).toEqual(['response.poem: not in the typings of openai']);
  });

  it('hold for the events of the wire and of errors', () => {
    expect(faultsOf({ type: 'output_audio_buffer.started', event_id: 'e', response_id: 'r' })).toEqual([]);
    expect(faultsOf({ type: 'output_audio_buffer.started', event_id: 'e' })).toHaveLength(1);
    expect(faultsOf({ type: 'error', event_id: 'e' })).toEqual(['error: error is missing']);
    expect(faultsOf({ type: 'input_audio_buffer.dtmf_event_received', event: '1', received_at: 1 })).toEqual([]);
  });
});
