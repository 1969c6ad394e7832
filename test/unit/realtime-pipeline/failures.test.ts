import { describe, expect, test } from 'vitest';
import { FirstByteEstimate } from '../../../src/realtime/pipeline/first-byte-estimate.ts';
import type { Stage } from '../../../src/realtime/pipeline/stage.ts';
import { PipelineProbe, type ProbedRequest, shared } from './pipeline-probe.ts';

/** Brings a turn as far as this stage; gives the request that is open there. */
function reach(probe: PipelineProbe, stage: Stage): ProbedRequest {
  probe.turn();
  if (stage === 'transcription') return probe.request(stage);
  probe.request('transcription').hear('Hi.');
  if (stage === 'chat') return probe.request(stage);
  probe.request('chat').write('It is three.');
  return probe.request(stage);
}

/** Lets a request of a stage succeed. */
function succeed(request: ProbedRequest): void {
  if (request.stage === 'transcription') request.hear('Hi.');
  else if (request.stage === 'chat') request.write('It is three.');
  else request.speak(400);
}

const STAGES = ['transcription', 'chat', 'speech'] as const;
const ASKED = { transcription: 'application/json', chat: 'text/event-stream', speech: 'audio/pcm' } as const;

describe.each(STAGES)('%s', (stage) => {
  test.each([
    ['a broken connection', (request: ProbedRequest) => request.fail()],
    ['500', (request: ProbedRequest) => request.refuse(500)],
    ['503 with a page', (request: ProbedRequest) => request.head('text/html', 503).data('<html>').end()],
    ['429', (request: ProbedRequest) => request.refuse(429)],
    ['an empty answer', (request: ProbedRequest) => request.head(ASKED[stage]).end()],
    ['an answer that breaks off', (request: ProbedRequest) => request.head(ASKED[stage]).fail('cut_off')],
  ])('is asked once more after %s', (_what, fail) => {
    const probe = new PipelineProbe();
    fail(reach(probe, stage));
    expect(probe.count(stage)).toBe(2);
    succeed(probe.request(stage));
    expect(probe.of('fault')).toEqual([]);
    if (stage === 'speech') expect(probe.of('response_done')).toMatchObject([{ status: 'completed' }]);
  });

  test.each([
    [401, 'unauthorized', 'refuses the key (401)'],
    [403, 'unauthorized', 'refuses the key (403)'],
    [404, 'not_found', 'has no such path or model (404)'],
    [302, 'redirected', 'redirects'],
    [413, 'refused', 'refuses the request (413)'],
  ])('that answers %i is not asked again: %s', (status, code, message) => {
    const probe = new PipelineProbe({ transcription: { url: 'http://t/v1', model: 'ears', stream: false } }, shared('sk-secret'));
    probe.machine.configure({ outputModality: 'audio', tools: [], toolChoice: 'auto', maxOutputTokens: 'inf', transcription: {} });
    if (stage === 'chat' && status === 413) return; // asked once more without what came later
    reach(probe, stage).refuse(status, '{"error":{"message":"bad key sk-secret\\nfor you"}}');
    expect(probe.count(stage)).toBe(1);
    const [fault] = probe.of('fault');
    expect(fault?.code).toBe(`${stage}_${code}`);
    expect(fault?.message).toContain(message);
    expect(fault?.message).toContain('bad key [key] for you');
    expect(probe.of('response_done')).toMatchObject([{ status: 'failed', error: { code: `${stage}_${code}` } }]);
    expect([probe.said, probe.soundMs, probe.spares]).toEqual(['Sorry.', 100, ['fallback']]);
  });

  test.each([
    ['a web page', 'text/html', '<!DOCTYPE html>', 'wrong_content'],
    ['no type', undefined, '<!DOCTYPE html>', 'wrong_content'],
    ['compressed', 'compressed with gzip', 'x', 'wrong_content'],
  ])('that answers with %s is set up wrongly', (_what, type, body, code) => {
    const probe = new PipelineProbe();
    reach(probe, stage).head(type).data(body).end();
    expect(probe.of('fault')).toMatchObject([{ code: `${stage}_${code}` }]);
    expect(probe.said).toBe('Sorry.');
  });

  test('that never answers is asked a second time beside the first, and given up in the end', () => {
    const probe = new PipelineProbe();
    const first = reach(probe, stage).connect();
    const { at } = first;
    probe.pass(900);
    const second = probe.request(stage, 2).connect();
    expect(second.at - at).toBe(stage === 'speech' ? 600 : 800);
    expect(first.state).toBe('open');
    probe.pass(10_000);
    expect([first.state, second.state]).toEqual(['aborted', 'aborted']);
    expect(probe.of('fault')).toMatchObject([{ code: `${stage}_timeout` }]);
    expect(probe.said).toBe('Sorry.');
    expect(probe.machine.nextTimeout()).toBeUndefined();
  });

  test('whose second request is answered first is listened to there', () => {
    const probe = new PipelineProbe();
    const first = reach(probe, stage);
    probe.pass(900);
    const second = probe.request(stage, 2);
    succeed(second);
    expect(first.state).toBe('aborted');
    expect(probe.of('fault')).toEqual([]);
  });

  test('that takes no connection is not waited for', () => {
    const probe = new PipelineProbe();
    reach(probe, stage);
    probe.pass(2500);
    expect(probe.of('fault')).toMatchObject([{ code: `${stage}_connect_timeout` }]);
  });

  test('with a body without end is stopped', () => {
    const probe = new PipelineProbe();
    const request = reach(probe, stage).head(ASKED[stage]);
    for (let n = 0; n < 100 && request.state === 'open'; n++) request.data(Buffer.alloc(100_000, stage === 'speech' ? 1 : 'data: {}\n\n'));
    expect(request.state).toBe('aborted');
    expect(probe.of('fault')).toMatchObject([{ code: `${stage}_too_large` }]);
  });
});

describe('transcription', () => {
  test('that does not stream is asked without, and from then on', () => {
    const common = shared();
    const probe = new PipelineProbe({}, common);
    reach(probe, 'transcription').refuse(400, '{"error":{"message":"unknown field stream"}}');
    expect(probe.request('transcription', 2).body).not.toContain('"stream"');
    succeed(probe.request('transcription', 2));
    const next = new PipelineProbe({}, common);
    expect(reach(next, 'transcription').body).not.toContain('"stream"');
  });

  test('that fails is told, and the turn is kept as one whose words nobody knows', () => {
    const probe = new PipelineProbe();
    probe.turn(500, { itemId: 'a' });
    probe.request('transcription').refuse(401);
    expect(probe.of('input_transcript_failed')).toMatchObject([{ itemId: 'a', code: 'transcription_unauthorized' }]);
    probe.turn();
    probe.request('transcription').hear('Hello?');
    expect(probe.request('chat').json.messages[0].content).toContain('could not be made out');
  });
});

describe('chat', () => {
  test('that does not know what came later is asked in the old way, and from then on', () => {
    const common = shared();
    const probe = new PipelineProbe({}, common);
    reach(probe, 'chat').refuse(422, '{"detail":"extra fields not permitted"}');
    expect(probe.request('chat', 2).json.stream_options).toBeUndefined();
    expect(reach(new PipelineProbe({}, common), 'chat').json.stream_options).toBeUndefined();
  });

  test('that breaks off is said as far as its sentences go, and then what is said of failures', () => {
    const probe = new PipelineProbe();
    reach(probe, 'chat').head('text/event-stream').delta({ content: 'It is three. And the oth' }).fail('cut_off');
    expect(probe.count('chat')).toBe(1);
    probe.request('speech').speak(500);
    expect(probe.said).toBe('It is three. Sorry.');
    expect(probe.of('response_done')).toMatchObject([{ status: 'failed', error: { code: 'chat_cut_off' } }]);
    reach(probe, 'chat');
    expect(probe.request('chat').json.messages[1]).toEqual({ role: 'assistant', content: 'It is three.' });
  });

  test('with an event that is not JSON before anything was said is asked again', () => {
    const probe = new PipelineProbe();
    reach(probe, 'chat').head('text/event-stream').data('data: {"choices"\n\n');
    expect(probe.count('chat')).toBe(2);
  });

  test('that drips bytes but no words is given up', () => {
    const probe = new PipelineProbe();
    const request = reach(probe, 'chat').head('text/event-stream');
    for (let n = 0; n < 100; n++) {
      probe.pass(100);
      if (request.state === 'open') request.data(': ping\n');
    }
    expect(request.state).toBe('aborted');
    expect(probe.of('fault')).toMatchObject([{ code: 'chat_timeout' }]);
  });

  test('that stops in the middle is given up, too', () => {
    const probe = new PipelineProbe();
    reach(probe, 'chat').head('text/event-stream').delta({ content: 'It is three. And' });
    probe.request('speech').speak(500);
    probe.pass(5100);
    expect(probe.of('fault')).toMatchObject([{ code: 'chat_stalled' }]);
    expect(probe.said).toBe('It is three. Sorry.');
  });
});

describe('speech', () => {
  test('that breaks off in a sentence goes on where it was', () => {
    const probe = new PipelineProbe();
    reach(probe, 'speech').head('audio/pcm').sound(300, 1).fail('cut_off');
    probe.request('speech', 2).head('audio/pcm').sound(200, 2).sound(300, 3).end();
    expect(probe.soundMs).toBe(500);
    const heard = probe.of('audio').flatMap(({ pcm }) => [...pcm]);
    expect(heard.slice(7190, 7210)).toEqual([...Array(10).fill(1), ...Array(10).fill(3)]);
    expect(probe.of('response_done')).toMatchObject([{ status: 'completed' }]);
  });

  test('that is slower than it is spoken is given up', () => {
    const probe = new PipelineProbe();
    const request = reach(probe, 'speech').head('audio/pcm');
    for (let n = 0; n < 60 && request.state === 'open'; n++) {
      request.sound(10);
      probe.pass(100);
    }
    expect(request.state).toBe('aborted');
    expect(probe.notes).toContainEqual(['speech', expect.objectContaining({ fault: expect.objectContaining({ code: 'too_slow' }) })]);
  });

  test('of a sentence further on does not cut off those before it', () => {
    const probe = new PipelineProbe();
    probe.turn();
    probe.request('transcription').hear('Hi.');
    probe.request('chat').write('This is the first of them. This is the second of them.');
    probe.request('speech', 2).refuse(401);
    expect(probe.said).toBe('');
    probe.request('speech', 1).speak(700);
    expect(probe.said).toBe('This is the first of them. Sorry.');
  });

  test('that has not the voice somebody asked for has ours', () => {
    const common = shared();
    const probe = new PipelineProbe({}, common);
    const config = {
      outputModality: 'audio',
      voice: 'marin',
      tools: [],
      toolChoice: 'auto',
      maxOutputTokens: 'inf',
      transcription: null,
    } as const;
    probe.machine.configure(config);
    const first = reach(probe, 'speech');
    expect(first.json.voice).toBe('marin');
    first.refuse(400, '{"error":{"message":"no such voice"}}');
    expect(probe.request('speech', 2).json.voice).toBe('alto');
    const next = new PipelineProbe({}, common);
    next.machine.configure(config);
    expect(reach(next, 'speech').json.voice).toBe('alto');
  });
});

describe('what is said of failures', () => {
  test('is said in our voice when that is at hand', () => {
    const common = shared();
    const probe = new PipelineProbe({ fallback: 'That went wrong.' }, common);
    probe.run((machine, now) => machine.answer(now));
    probe.request('speech').speak(600); // fetched ahead
    reach(probe, 'chat').refuse(401);
    expect([probe.said, probe.soundMs]).toEqual(['That went wrong.', 600]);
    const next = new PipelineProbe({ fallback: 'That went wrong.' }, common);
    next.run((machine, now) => machine.answer(now));
    expect(next.requests).toEqual([]);
  });

  test('is fetched where it is not, and is ours where that fails', () => {
    for (const works of [true, false]) {
      const probe = new PipelineProbe({ fallback: 'That went wrong.' });
      reach(probe, 'chat').refuse(401);
      const rescue = probe.request('speech');
      expect(rescue.json.input).toBe('That went wrong.');
      if (works) rescue.speak(300);
      else probe.pass(2000);
      expect([probe.said, probe.soundMs]).toEqual(works ? ['That went wrong.', 300] : ['Sorry.', 100]);
      expect(probe.of('response_done')).toMatchObject([{ status: 'failed' }]);
    }
  });

  test('is not said in writing, nor out of band', () => {
    const probe = new PipelineProbe();
    const config = { outputModality: 'text' } as const;
    probe.run((machine, now) => machine.respond({ requestId: 'a', conversation: 'auto', config }, now));
    probe.request('chat').refuse(401);
    probe.run((machine, now) => machine.respond({ requestId: 'b', conversation: 'none' }, now));
    probe.request('chat').refuse(401);
    expect(probe.of('response_done').map(({ status }) => status)).toEqual(['failed', 'failed']);
    expect([probe.soundMs, probe.spares]).toEqual([0, []]);
  });

  test('comes to an end: two refusals for good, or four failures, and the call is over', () => {
    const wrong = new PipelineProbe();
    reach(wrong, 'chat').refuse(401);
    expect(wrong.of('closed')).toEqual([]);
    reach(wrong, 'chat').refuse(401);
    expect(wrong.events.slice(-3).map(({ type }) => type)).toEqual(['response_done', 'fault', 'closed']);
    expect(wrong.of('closed')).toEqual([{ type: 'closed', reason: 'chat_unauthorized' }]);
    const down = new PipelineProbe();
    for (let n = 0; n < 4; n++) {
      expect(down.of('closed')).toEqual([]);
      reach(down, 'chat').fail();
      down.request('chat').fail();
    }
    expect(down.of('closed')).toEqual([{ type: 'closed', reason: 'chat_unreachable' }]);
  });
});

describe('patience', () => {
  test('is asked for whenever nothing was heard for its time', () => {
    const probe = new PipelineProbe({ patienceMs: 1500 });
    reach(probe, 'chat').connect();
    probe.pass(1499);
    expect(probe.soundMs).toBe(0);
    probe.pass(1);
    expect([probe.said, probe.soundMs, probe.spares]).toEqual(['One moment.', 200, ['patience']]);
    probe.pass(1699);
    expect(probe.soundMs).toBe(200);
    probe.pass(1);
    expect(probe.soundMs).toBe(400);
    probe.request('chat', 1).write('It is three.');
    probe.request('speech').speak(500);
    expect(probe.said).toBe('One moment. One moment. It is three.');
    reach(probe, 'chat');
    expect(probe.request('chat').json.messages[1].content).toBe('It is three.'); // no part of the conversation
  });

  test('is asked for within a sentence, too, that breaks off and is long in coming again', () => {
    const probe = new PipelineProbe({ patienceMs: 1500 });
    reach(probe, 'speech').head('audio/pcm').sound(500);
    probe.pass(1250);
    const again = probe.request('speech').connect();
    expect(again.attempt).toBe(4);
    probe.pass(700);
    expect(probe.count('speech')).toBe(3); // beside it
    probe.pass(100);
    expect(probe.said).toBe('It is three. One moment.');
    again.head('audio/pcm').sound(800).end();
    expect(probe.soundMs).toBe(1000);
    const { itemId } = probe.of('audio')[0] ?? { itemId: '' };
    probe.machine.truncate(itemId, 650);
    reach(probe, 'chat');
    expect(probe.request('chat').json.messages[1].content).toBe('It is three.');
  });

  test('is asked for between sentences, counted from where the sound ends', () => {
    const probe = new PipelineProbe({ patienceMs: 1500 });
    reach(probe, 'chat').head('text/event-stream').delta({ content: 'It is three. And' });
    probe.request('speech').speak(2000);
    probe.pass(3400);
    expect(probe.said).toBe('It is three.');
    probe.pass(200);
    expect(probe.said).toBe('It is three. One moment.');
  });
});

describe('when a request is made twice', () => {
  test('is later where that was done too often', () => {
    const common = shared();
    for (let n = 0; n < 4; n++) common.stages.chat.estimate.takeHedge();
    const probe = new PipelineProbe({}, common);
    const { at } = reach(probe, 'chat').connect();
    probe.pass(1700);
    expect(probe.request('chat', 2).at - at).toBe(1600);
  });

  test('goes by what the service takes for its first word', () => {
    const estimate = new FirstByteEstimate();
    expect(estimate.hedgeAfterMs(800)).toBe(800);
    for (let n = 0; n < 20; n++) estimate.add(90 + (n % 3) * 10);
    expect(estimate.hedgeAfterMs(800)).toBe(250);
    for (let n = 0; n < 20; n++) estimate.add(300);
    expect(estimate.hedgeAfterMs(800)).toBeLessThan(450);
    for (let n = 0; n < 40; n++) estimate.add(2000);
    expect(estimate.hedgeAfterMs(800)).toBeGreaterThan(1900); // a slow one is not asked twice for being slow
  });

  test('is a tenth of all, and a few at once', () => {
    const estimate = new FirstByteEstimate();
    let hedges = 0;
    for (let n = 0; n < 1000; n++) {
      estimate.countRequest();
      if (estimate.takeHedge()) hedges += 1;
    }
    expect(hedges).toBeGreaterThan(90);
    expect(hedges).toBeLessThan(110);
  });
});
