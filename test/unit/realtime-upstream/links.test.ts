import { describe, expect, test } from 'vitest';
import { upstreamProfile } from '../../../src/realtime/upstream/profile.ts';
import { ConversationProbe } from './conversation-probe.ts';

const MINUTE = 60_000;

function turn(probe: ConversationProbe, startMs = 0): void {
  probe.hear(1000);
  probe.commit(startMs, startMs + 900, `turn_${startMs}`);
}

/** A turn, its words, and an answer that is over. */
function exchange(probe: ConversationProbe, link: number, n: number): void {
  turn(probe, n * 1000);
  probe.server(link, 'input_audio_buffer.committed', { item_id: `up_${n}` });
  probe.server(link, 'conversation.item.input_audio_transcription.completed', { item_id: `up_${n}`, transcript: `question ${n}` });
  probe.say(link, `r${n}`, `i${n}`, 1000);
  const place = { response_id: `r${n}`, item_id: `i${n}`, output_index: 0, content_index: 0 };
  probe.server(link, 'response.output_audio_transcript.delta', { ...place, delta: `answer ${n} with some words` });
  probe.server(link, 'response.output_item.done', { response_id: `r${n}`, item: { id: `i${n}`, type: 'message', status: 'completed' } });
  probe.finish(link, `r${n}`);
}

function wordsOf(sent: readonly Record<string, unknown>[]): string[] {
  return sent.flatMap(({ type, item }) => {
    if (type !== 'conversation.item.create') return [String(type)];
    const { role, content } = item as { role: string; content: { text: string }[] };
    return [`${role}: ${content[0]?.text}`];
  });
}

describe('connections that fail', () => {
  test('are tried again with pauses that grow, and given up after the third failure', () => {
    const probe = new ConversationProbe();
    probe.run((now) => probe.machine.start(now));
    for (const link of [1, 2, 3]) {
      probe.clock.advance(10);
      probe.fail(link, 'econnrefused');
      probe.clock.advance(500);
    }
    expect(probe.links()).toEqual([
      '0 connect 1',
      '10 disconnect 1',
      '10 connect 2',
      '520 disconnect 2',
      '670 connect 3',
      '1030 disconnect 3',
      '1030 gave_up econnrefused',
    ]);
    expect(probe.events()).toEqual([{ type: 'closed', reason: 'econnrefused' }]);
    probe.clock.advance(MINUTE);
    expect(probe.clock.timers).toBe(0);
  });

  test('are not tried again where that would fail the same way', () => {
    const probe = new ConversationProbe();
    probe.run((now) => probe.machine.start(now));
    probe.fail(1, 'http_401', true);
    expect(probe.events()).toEqual([{ type: 'closed', reason: 'http_401' }]);
    const refused = new ConversationProbe();
    refused.run((now) => refused.machine.start(now));
    refused.server(1, 'error', { error: { type: 'invalid_request_error', code: 'model_not_found', message: 'no such model' } });
    expect(refused.events()).toEqual([{ type: 'closed', reason: 'model_not_found' }]);
  });

  test('a server that never says a word is left after 3 s, and given up after 5 s', () => {
    const probe = new ConversationProbe();
    probe.run((now) => probe.machine.start(now));
    probe.clock.advance(10_000);
    expect(probe.links()).toEqual([
      '0 connect 1',
      '3000 disconnect 1',
      '3000 connect 2',
      '5000 gave_up connect_timeout',
      '5000 disconnect 2',
    ]);
  });

  test('a server that falls silent is pinged, and lost when it says nothing to that', () => {
    const probe = ConversationProbe.ready();
    probe.clock.advance(5000);
    expect(probe.links().at(-1)).toBe('5000 ping 1');
    probe.clock.advance(100);
    probe.run((now) => probe.machine.handleHeard(1, now));
    probe.clock.advance(20_000);
    expect(probe.links().slice(2)).toEqual([
      '5000 ping 1',
      '10500 ping 1',
      '15500 disconnect 1',
      '15500 lost silent',
      '15500 connect 2',
      '18500 disconnect 2',
      '18650 connect 3',
      '20500 gave_up connect_timeout',
      '20500 disconnect 3',
    ]);
  });

  test('a server that drops every connection soon after it was made is given up', () => {
    const probe = ConversationProbe.ready();
    for (const link of [1, 2, 3]) {
      probe.clock.advance(500);
      probe.fail(link);
      probe.clock.advance(400);
      probe.server(link + 1, 'session.created');
    }
    expect(probe.events()).toEqual([{ type: 'closed', reason: 'close_1006' }]);
  });
});

test('a process that stood still asks the server before it takes it for gone', () => {
  const probe = ConversationProbe.ready();
  probe.clock.oversleep(30_000);
  expect(probe.links().at(-1)).toBe('30000 ping 1');
  probe.clock.advance(4000);
  probe.run((now) => probe.machine.handleHeard(1, now));
  expect(probe.links().at(-1)).toBe('30000 ping 1');
});

describe('a connection lost in the middle of a conversation', () => {
  test('is replaced by one that is told what was said', () => {
    const probe = ConversationProbe.ready();
    exchange(probe, 1, 0);
    const item = {
      type: 'message',
      id: 'note',
      role: 'system',
      status: 'completed',
      content: [{ type: 'input_text', text: 'be short' }],
    } as const;
    probe.run((now) => probe.machine.addItem(item, undefined, now));
    probe.clock.advance(1000);
    probe.fail(1);
    probe.clock.advance(200);
    const { mark } = probe;
    probe.server(2, 'session.created');
    expect(wordsOf(probe.sent(mark))).toEqual([
      'session.update',
      'user: question 0',
      'assistant: answer 0 with some words',
      'system: be short',
    ]);
    exchange(probe, 2, 1);
    expect(probe.events().filter(({ type }) => type === 'response_done')).toHaveLength(2);
    expect(probe.events().some(({ type }) => type === 'closed')).toBe(false);
  });

  test('with what was heard of an answer that was interrupted', () => {
    const probe = ConversationProbe.ready();
    exchange(probe, 1, 0);
    probe.run((now) => probe.machine.truncate('i0', 500, now));
    probe.fail(1);
    probe.clock.advance(200);
    const { mark } = probe;
    probe.server(2, 'session.created');
    expect(wordsOf(probe.sent(mark))[2]).toBe('assistant: answer 0 …');
    const after = probe.mark;
    probe.run((now) => probe.machine.truncate('i0', 300, now));
    expect(probe.types(after)).toEqual(['conversation.item.delete', 'conversation.item.create']);
  });

  test('with the audio of turns nobody has written down, and of the turn that is being spoken', () => {
    const probe = ConversationProbe.ready();
    turn(probe);
    probe.hear(200);
    probe.speak(1000);
    probe.fail(1);
    probe.hear(200);
    const { mark } = probe;
    probe.clock.advance(200);
    probe.server(2, 'session.created');
    expect(probe.sent(mark)).toMatchObject([
      { type: 'session.update' },
      { type: 'input_audio_buffer.append', ms: 900 },
      { type: 'input_audio_buffer.commit' },
      { type: 'input_audio_buffer.append', ms: 400 },
      { type: 'response.create' },
    ]);
    probe.commit(1000, 1400, 'turn_b');
    expect(probe.types(mark).slice(5)).toEqual(['input_audio_buffer.commit']);
    probe.server(2, 'input_audio_buffer.committed', { item_id: 'up_a' });
    probe.server(2, 'input_audio_buffer.committed', { item_id: 'up_b' });
    probe.server(2, 'conversation.item.input_audio_transcription.completed', { item_id: 'up_b', transcript: 'b' });
    expect(probe.events()).toEqual([{ type: 'input_transcript', itemId: 'turn_b', transcript: 'b' }]);
  });

  test('in the middle of a sentence: the response fails, and the next session goes on', () => {
    const probe = ConversationProbe.ready();
    turn(probe);
    probe.say(1, 'r1', 'i1', 1000);
    probe.server(1, 'response.output_audio_transcript.delta', {
      response_id: 'r1',
      item_id: 'i1',
      delta: 'Your balance is five hundred and twenty euros',
    });
    probe.fail(1);
    expect(probe.events().at(-1)).toMatchObject({
      type: 'response_done',
      responseId: 'r1',
      status: 'failed',
      error: { code: 'connection_lost' },
    });
    probe.clock.advance(200);
    const { mark } = probe;
    probe.server(2, 'session.created');
    expect(wordsOf(probe.sent(mark)).at(-2)).toBe('assistant: Your balance is …');
    expect(probe.sent(mark).at(-1)).toMatchObject({ response: { instructions: expect.stringMatching(/^Be kind\.\n\n.*Go on exactly/) } });
    probe.say(2, 'r1', 'i1', 100);
    expect(probe.events(mark)).toMatchObject([{ type: 'response_started' }, { type: 'item_started' }, { type: 'audio' }]);
    const names = probe.events(mark).map((event) => ('item' in event ? event.item.id : ''));
    expect(names[1]).not.toBe('i1');
  });

  test('before the caller has anything of the answer: it is asked for again under its name', () => {
    const probe = ConversationProbe.ready();
    turn(probe);
    probe.server(1, 'response.created', { response: { id: 'r1' } });
    probe.fail(1);
    probe.clock.advance(200);
    probe.server(2, 'session.created');
    probe.say(2, 'other', 'i1', 100);
    probe.finish(2, 'other');
    const events = probe.events().map((event) => `${event.type} ${'responseId' in event ? event.responseId : ''}`);
    expect(events).toEqual(['response_started r1', 'item_started r1', 'audio r1', 'item_done r1', 'response_done r1']);
  });

  test('after a function call is whole: it is not called again', () => {
    const probe = ConversationProbe.ready();
    turn(probe);
    probe.server(1, 'response.created', { response: { id: 'r1' } });
    const item = { id: 'f1', type: 'function_call', call_id: 'c1', name: 'pay' };
    probe.server(1, 'response.output_item.added', { response_id: 'r1', item });
    probe.server(1, 'response.output_item.done', { response_id: 'r1', item: { ...item, arguments: '{}', status: 'completed' } });
    probe.fail(1);
    probe.clock.advance(200);
    probe.server(2, 'session.created');
    expect(probe.events().at(-1)).toMatchObject({ type: 'response_done', status: 'completed' });
    expect(probe.types().filter((type) => type === 'response.create')).toHaveLength(1);
    expect(probe.sent().at(-1)).toMatchObject({ item: { type: 'function_call', call_id: 'c1', name: 'pay' } });
  });

  test('a caller who speaks meanwhile is not talked over', () => {
    const probe = ConversationProbe.ready();
    turn(probe);
    probe.say(1, 'r1', 'i1', 1000);
    probe.fail(1);
    probe.speak(1000);
    probe.clock.advance(200);
    const { mark } = probe;
    probe.server(2, 'session.created');
    expect(probe.types(mark)).not.toContain('response.create');
  });

  test('is not remembered without bound', () => {
    const probe = ConversationProbe.ready();
    for (let n = 0; n < 500; n++) {
      const content = [{ type: 'input_text', text: 'x'.repeat(n === 400 ? 1_990_000 : 200) }] as const;
      probe.run((now) =>
        probe.machine.addItem({ type: 'message', id: `m${n}`, role: 'user', status: 'completed', content }, undefined, now),
      );
    }
    probe.fail(1);
    probe.clock.advance(200);
    const { mark } = probe;
    probe.server(2, 'session.created');
    const items = probe.types(mark).filter((type) => type === 'conversation.item.create').length;
    expect(items).toBeGreaterThan(90);
    expect(items).toBeLessThan(160);
  });
});

describe('a session that is going to end', () => {
  test('is followed by a fresh one at a quiet moment, which knows everything', () => {
    const probe = ConversationProbe.ready();
    exchange(probe, 1, 0);
    alive(probe, 1, 55 * MINUTE);
    expect(probe.links().at(-1)).toBe(`${55 * MINUTE} connect 2`);
    probe.hear(1000);
    probe.speak(1000);
    probe.server(2, 'session.created');
    expect(probe.links().at(-1)).toBe(`${55 * MINUTE} connect 2`);
    probe.commit(1000, 1900, 'turn_b');
    probe.server(1, 'input_audio_buffer.committed', { item_id: 'up_b' });
    probe.server(1, 'conversation.item.input_audio_transcription.completed', { item_id: 'up_b', transcript: 'question b' });
    probe.say(1, 'rb', 'ib', 200);
    const { mark } = probe;
    probe.finish(1, 'rb');
    expect(probe.links().slice(-2)).toEqual([`${55 * MINUTE} refreshed`, `${55 * MINUTE} disconnect 1`]);
    expect(wordsOf(probe.sent(mark)).slice(0, 4)).toEqual([
      'session.update',
      'user: question 0',
      'assistant: answer 0 with some words',
      'user: question b',
    ]);
    turn(probe, 3000);
    probe.say(2, 'rc', 'ic', 20);
    expect(probe.events().at(-1)).toMatchObject({ type: 'audio', responseId: 'rc' });
  });

  test('is left just before its end where no moment was quiet', () => {
    const probe = ConversationProbe.ready();
    alive(probe, 1, 55 * MINUTE);
    probe.server(2, 'session.created');
    // Quiet at once, nothing was said.
    expect(probe.links().at(-2)).toBe(`${55 * MINUTE} refreshed`);
    probe.speak(0);
    const start = probe.clock.now();
    alive(probe, 2, 55 * MINUTE);
    probe.server(3, 'session.created');
    alive(probe, 2, 5 * MINUTE - 15_000, 3);
    expect(probe.links().slice(-3)).toEqual([
      `${start + 60 * MINUTE - 15_000} disconnect 2`,
      `${start + 60 * MINUTE - 15_000} lost session_cap`,
      `${start + 60 * MINUTE - 15_000} refreshed`,
    ]);
  });

  test('says itself when, and is believed as far as that can be', () => {
    const probe = new ConversationProbe({ profile: upstreamProfile('generic') });
    probe.run((now) => probe.machine.start(now));
    probe.server(1, 'session.created', { session: { expires_at: probe.clock.wallclock() / 1000 + 600 } });
    alive(probe, 1, 10 * MINUTE - 20_000);
    expect(probe.links()).toContain('450000 connect 2');
    const past = new ConversationProbe({ profile: upstreamProfile('generic') });
    past.run((now) => past.machine.start(now));
    past.server(1, 'session.created', { session: { expires_at: 5 } });
    alive(past, 1, 30 * MINUTE);
    expect(past.links().filter((line) => line.includes('connect'))).toEqual(['0 connect 1']);
  });

  test('a fresh session that fails is tried again, and the old one goes on', () => {
    const probe = ConversationProbe.ready();
    alive(probe, 1, 55 * MINUTE);
    probe.fail(2);
    alive(probe, 1, 20_000);
    expect(probe.links().slice(-2)).toEqual([`${55 * MINUTE} disconnect 2`, `${55 * MINUTE + 20_000} connect 3`]);
    expect(probe.events()).toEqual([]);
  });
});

/** Time passes with a word of the servers every four seconds. */
function alive(probe: ConversationProbe, link: number, ms: number, other = link): void {
  for (let left = ms; left > 0; left -= 4000) {
    probe.clock.advance(Math.min(4000, left));
    for (const each of [link, other]) probe.run((now) => probe.machine.handleHeard(each, now));
  }
}

describe('a conversation that waits while the caller talks to a person', () => {
  test('has no connection and no timer, keeps what is told to it, and goes on at another session with all of it', () => {
    const probe = ConversationProbe.ready();
    exchange(probe, 1, 0);
    probe.run((now) => probe.machine.pause(now));
    probe.run((now) => probe.machine.pause(now));
    expect(probe.links().at(-1)).toBe('0 disconnect 1');
    expect(probe.clock.timers).toBe(0);
    probe.clock.advance(30 * MINUTE);
    expect(probe.events().some(({ type }) => type === 'closed')).toBe(false);
    const content = [{ type: 'input_text' as const, text: 'The person has hung up.' }];
    probe.run((now) =>
      probe.machine.addItem({ type: 'message', id: 'note', role: 'system', status: 'completed', content }, undefined, now),
    );
    const mark = probe.outputs.length;
    probe.run((now) => probe.machine.resume(now));
    probe.server(2, 'session.created');
    expect(probe.links().slice(-2)).toEqual([`${30 * MINUTE} connect 2`, `${30 * MINUTE} ready`]);
    expect(wordsOf(probe.sent(mark)).slice(0, 4)).toEqual([
      'session.update',
      'user: question 0',
      'assistant: answer 0 with some words',
      'system: The person has hung up.',
    ]);
    turn(probe, 3000);
    probe.say(2, 'rb', 'ib', 20);
    expect(probe.events().at(-1)).toMatchObject({ type: 'audio', responseId: 'rb' });
  });

  test('is closed for good by close, and by a server that cannot be reached any more', () => {
    const closed = ConversationProbe.ready();
    closed.run((now) => closed.machine.pause(now));
    closed.run(() => closed.machine.close());
    closed.run((now) => closed.machine.resume(now));
    expect(closed.links().at(-1)).toBe('0 disconnect 1');
    const away = ConversationProbe.ready();
    away.run((now) => away.machine.pause(now));
    away.run((now) => away.machine.resume(now));
    away.clock.advance(10_000);
    expect(away.events().at(-1)).toMatchObject({ type: 'closed' });
  });
});
