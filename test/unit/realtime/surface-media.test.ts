import { describe, expect, it } from 'vitest';
import { SurfaceBench } from './surface-bench.ts';

describe.each(['phone', 'browser'] as const)('the Realtime API of a %s call', (media) => {
  it('begins with session.created: the whole session with its defaults', () => {
    const { client } = new SurfaceBench({ media });
    expect(client.events[0]).toMatchObject({
      type: 'session.created',
      session: {
        type: 'realtime',
        object: 'realtime.session',
        id: 'sess_test',
        audio: {
          input: {
            turn_detection: {
              type: 'server_vad',
              threshold: 0.5,
              silence_duration_ms: 500,
              prefix_padding_ms: 300,
              interrupt_response: true,
            },
          },
          output: { format: { type: 'audio/pcm', rate: 24_000 }, voice: 'alloy', speed: 1 },
        },
      },
    });
    expect(client.types()).toEqual(['session.created', 'conversation.created']);
  });

  it('tells a turn and its answer in the order of the reference', () => {
    const bench = new SurfaceBench({ media });
    bench.model.onCommit = () => bench.model.say('resp_1', 400, { text: 'Yes.' });
    bench.client.take();
    bench.silence(200).voice(600).silence(2000);
    expect(bench.client.types()).toEqual([
      'input_audio_buffer.speech_started',
      'input_audio_buffer.speech_stopped',
      'input_audio_buffer.committed',
      'conversation.item.added',
      'conversation.item.done',
      'response.created',
      'response.output_item.added',
      'conversation.item.added',
      'response.content_part.added',
      'response.output_audio_transcript.delta',
      'response.output_audio.done',
      'response.output_audio_transcript.done',
      'response.content_part.done',
      'conversation.item.done',
      'response.output_item.done',
      'response.done',
      'turn.latency',
      'output_audio_buffer.started',
      'output_audio_buffer.stopped',
    ]);
  });

  it('names one item from the first sound to the answer, and the times of the audio', () => {
    const bench = new SurfaceBench({ media });
    bench.client.take();
    bench.silence(500).voice(600).silence(700);
    const [started, stopped, committed, added] = bench.client.take();
    expect(started).toMatchObject({ audio_start_ms: 200 });
    expect(stopped).toMatchObject({ audio_end_ms: 1200, item_id: started?.['item_id'] });
    expect(committed).toMatchObject({ item_id: started?.['item_id'], previous_item_id: null });
    expect(added).toMatchObject({ item: { id: started?.['item_id'], role: 'user', content: [{ type: 'input_audio', transcript: null }] } });
    expect(bench.model.told).toContainEqual(['commitTurn', 200, 1200, true]);
  });

  it('tells who spoke, then what that stopped: truncated to what left on the wire', () => {
    const bench = new SurfaceBench({ media });
    bench.model.say('resp_1', 10_000, { text: 'Once upon', done: false });
    bench.silence(2000);
    bench.client.take();
    bench.voice(1000);
    const events = bench.client.take();
    expect(events.map(({ type }) => type)).toEqual([
      'input_audio_buffer.speech_started',
      'response.output_audio.done',
      'response.output_audio_transcript.done',
      'response.content_part.done',
      'conversation.item.done',
      'response.output_item.done',
      'response.done',
      'output_audio_buffer.cleared',
      'conversation.item.truncated',
      'conversation.item.heard',
    ]);
    expect(events[6]).toMatchObject({
      response: {
        id: 'resp_1',
        status: 'cancelled',
        status_details: { type: 'cancelled', reason: 'turn_detected' },
        output: [{ id: 'resp_1_item', status: 'incomplete' }],
      },
    });
    expect(events[8]).toMatchObject({ item_id: 'resp_1_item', content_index: 0, audio_end_ms: 2050 });
    expect(bench.model.told).toContainEqual(['truncate', 'resp_1_item', 2050]);
    bench.client.send({ type: 'conversation.item.retrieve', item_id: 'resp_1_item' });
    expect(bench.client.last('conversation.item.retrieved')).toMatchObject({
      item: { content: [{ type: 'output_audio', transcript: null }] },
    });
  });

  it('truncates an answer that was made to its end and not heard to it', () => {
    const bench = new SurfaceBench({ media });
    bench.model.say('resp_1', 10_000);
    bench.silence(1000);
    bench.client.take();
    bench.voice(1000);
    expect(bench.client.types()).toEqual([
      'input_audio_buffer.speech_started',
      'output_audio_buffer.cleared',
      'conversation.item.truncated',
      'conversation.item.heard',
    ]);
  });

  it('says of an "uh-huh" that it was none', () => {
    const bench = new SurfaceBench({ media });
    bench.model.say('resp_1', 10_000);
    bench.silence(1000);
    bench.client.take();
    bench.voice(300).silence(1000);
    expect(bench.client.take()).toMatchObject([{ type: 'barge_in.rejected', reason: 'short' }]);
  });

  it('is not interrupted, and still tells turns, when interrupt_response is false', () => {
    const bench = new SurfaceBench({
      media,
      session: { audio: { input: { turn_detection: { type: 'server_vad', interrupt_response: false } } } },
    });
    bench.model.say('resp_1', 3000);
    bench.silence(500);
    bench.client.take();
    bench.voice(1000).silence(2500);
    expect(bench.client.types()).toEqual([
      'input_audio_buffer.speech_started',
      'input_audio_buffer.speech_stopped',
      'input_audio_buffer.committed',
      'conversation.item.added',
      'conversation.item.done',
      'output_audio_buffer.stopped',
    ]);
  });

  it('makes no response of its own when create_response is false', () => {
    const bench = new SurfaceBench({
      media,
      session: { audio: { input: { turn_detection: { type: 'server_vad', create_response: false } } } },
    });
    bench.voice(600).silence(1000);
    expect(bench.model.told.at(-1)).toEqual(['commitTurn', 0, 700, false]);
    expect(bench.session.snapshot().state).toBe('idle');
    bench.model.onRespond = ({ requestId }) => bench.model.say('resp_1', 100, { requestId });
    bench.client.send({ type: 'response.create' });
    expect(bench.client.last('response.done')).toMatchObject({ response: { status: 'completed' } });
  });

  it('waits as long as silence_duration_ms says, also after an update', () => {
    const bench = new SurfaceBench({ media });
    bench.client.send({
      type: 'session.update',
      session: {
        type: 'realtime',
        audio: { input: { turn_detection: { type: 'server_vad', silence_duration_ms: 1500, prefix_padding_ms: 100 } } },
      },
    });
    bench.silence(400).voice(600).silence(1300);
    expect(bench.client.types()).not.toContain('input_audio_buffer.committed');
    bench.silence(200);
    expect(bench.client.last('input_audio_buffer.committed')).toBeDefined();
    expect(bench.model.told).toContainEqual(['speechStarted', 300]);
  });

  it('hears no voice below what the threshold asks for', () => {
    const quiet = new SurfaceBench({ media, session: { audio: { input: { turn_detection: { type: 'server_vad', threshold: 1 } } } } });
    quiet.voice(1000);
    expect(quiet.client.types()).not.toContain('input_audio_buffer.speech_started');
  });

  it('commits nothing by itself when turn detection is off, and everything when told to', () => {
    const bench = new SurfaceBench({ media, session: { audio: { input: { turn_detection: null } } } });
    bench.client.take();
    bench.voice(1000).silence(1000);
    expect(bench.client.types()).toEqual([]);
    bench.client.send({ type: 'input_audio_buffer.commit' });
    expect(bench.client.types()).toEqual(['input_audio_buffer.committed', 'conversation.item.added', 'conversation.item.done']);
    expect(bench.model.told.slice(-2)).toEqual([
      ['speechStarted', 0],
      ['commitTurn', 0, 2000, false],
    ]);
    bench.client.send({ type: 'input_audio_buffer.commit', event_id: 'again' });
    expect(bench.client.error()).toMatchObject({ code: 'input_audio_buffer_commit_empty', event_id: 'again' });
    bench.silence(500);
    bench.client.send({ type: 'input_audio_buffer.clear' }).send({ type: 'input_audio_buffer.commit' });
    expect(bench.client.error()).toMatchObject({ code: 'input_audio_buffer_commit_empty' });
  });

  it.each([
    ['while somebody speaks', 0],
    ['in the pause of a turn', 300],
  ])('commits by hand %s, and takes that for the turn', (_, pauseMs) => {
    const bench = new SurfaceBench({ media });
    bench.silence(1000).voice(600).silence(pauseMs);
    const started = bench.client.last('input_audio_buffer.speech_started');
    bench.client.take();
    bench.client.send({ type: 'input_audio_buffer.commit' });
    bench.silence(2000);
    expect(bench.client.take()).toMatchObject([
      { type: 'input_audio_buffer.committed', item_id: started['item_id'] },
      { type: 'conversation.item.added' },
      { type: 'conversation.item.done' },
    ]);
    expect(bench.model.told.at(-1)).toEqual(['commitTurn', 700, 1600 + pauseMs, false]);
    expect(bench.session.snapshot()).toMatchObject({ state: 'idle', turns: 1 });
  });

  it('takes a turn back that was committed too early, where turns are taken by pauses', () => {
    const bench = new SurfaceBench({ media, session: { audio: { input: { turn_detection: { type: 'semantic_vad' } } } } });
    bench.voice(1000).silence(600);
    const first = bench.client.last('input_audio_buffer.committed');
    bench.client.take();
    bench.voice(300);
    const [started, deleted] = bench.client.take();
    expect(started).toMatchObject({ type: 'input_audio_buffer.speech_started', audio_start_ms: 0 });
    expect(deleted).toMatchObject({ type: 'conversation.item.deleted', item_id: first['item_id'] });
    expect(started?.['item_id']).not.toBe(first['item_id']);
  });

  it('asks the model to speak when nobody says anything for idle_timeout_ms, twice at most', () => {
    const bench = new SurfaceBench({
      media,
      session: { audio: { input: { turn_detection: { type: 'server_vad', idle_timeout_ms: 2000 } } } },
    });
    bench.model.onCommit = () => bench.model.say(`resp_${bench.clock.now()}`, 200);
    bench.silence(5000);
    expect(bench.client.types()).not.toContain('input_audio_buffer.timeout_triggered');
    bench.model.say('resp_1', 500);
    bench.silence(2400);
    expect(bench.client.types()).not.toContain('input_audio_buffer.timeout_triggered');
    bench.silence(200);
    const types = bench.client.types();
    expect(types.slice(0, 4)).toEqual([
      'input_audio_buffer.timeout_triggered',
      'input_audio_buffer.committed',
      'conversation.item.added',
      'conversation.item.done',
    ]);
    bench.silence(20_000);
    expect(bench.client.types().filter((type) => type === 'input_audio_buffer.timeout_triggered')).toHaveLength(1);
  });

  it('takes no audio from events, and sends none in events', () => {
    const bench = new SurfaceBench({ media });
    bench.client.send({ type: 'input_audio_buffer.append', audio: 'AAAA', event_id: 'e1' });
    expect(bench.client.error()).toMatchObject({ code: 'invalid_event_for_transport', event_id: 'e1' });
    bench.model.say('resp_1', 1000);
    bench.silence(2000);
    expect(bench.client.types()).not.toContain('response.output_audio.delta');
  });

  it('tells formats that were asked for, and lets them mean nothing', () => {
    const bench = new SurfaceBench({ media });
    bench.client.send({
      type: 'session.update',
      session: { type: 'realtime', audio: { input: { format: { type: 'audio/pcmu' } }, output: { format: { type: 'audio/pcma' } } } },
    });
    expect(bench.client.last('session.updated')).toMatchObject({
      session: { audio: { input: { format: { type: 'audio/pcmu' } }, output: { format: { type: 'audio/pcma' } } } },
    });
  });

  it('stops what is heard when the client asks, and keeps what is being made', () => {
    const bench = new SurfaceBench({ media });
    bench.model.say('resp_1', 5000);
    bench.silence(1000);
    bench.client.take();
    bench.client.send({ type: 'output_audio_buffer.clear' });
    expect(bench.client.types()).toEqual(['output_audio_buffer.cleared', 'conversation.item.truncated', 'conversation.item.heard']);
    expect(bench.model.told.at(-1)).toEqual(['truncate', 'resp_1_item', 1010]);
    bench.silence(100);
    expect(bench.session.snapshot().state).toBe('idle');
  });

  it('goes on playing what is queued of a response that the client cancels', () => {
    const bench = new SurfaceBench({ media });
    bench.model.say('resp_1', 1000, { done: false });
    bench.silence(500);
    bench.client.take();
    bench.client.send({ type: 'response.cancel' });
    bench.silence(600);
    expect(bench.client.types()).toEqual([
      'response.output_audio.done',
      'response.content_part.done',
      'conversation.item.done',
      'response.output_item.done',
      'response.done',
      'output_audio_buffer.stopped',
    ]);
  });

  it('tells keys, transfer, hold and the end', () => {
    const pressed: string[] = [];
    const bench = new SurfaceBench({ media, leg: { sendDtmf: (digits) => void pressed.push(digits) } });
    bench.client.take();
    bench.session.handleLegEvent({ type: 'dtmf', digit: '5', durationMs: 80 });
    bench.client.send({ type: 'call.dtmf.send', digits: '12#' });
    bench.session.handleLegEvent({ type: 'hold', held: true });
    bench.session.handleLegEvent({ type: 'transfer', state: 'accepted' });
    bench.session.handleLegEvent({ type: 'transfer', state: 'failed', status: 486 });
    bench.session.handleLegEvent({ type: 'ended', cause: 'remote_hangup' });
    expect(pressed).toEqual(['12#']);
    expect(bench.client.take()).toMatchObject([
      { type: 'input_audio_buffer.dtmf_event_received', event: '5', received_at: expect.any(Number) },
      { type: 'call.dtmf.sent', digits: '12#' },
      { type: 'call.hold', held: true },
      { type: 'call.transfer.accepted' },
      { type: 'call.transfer.failed', status_code: 486 },
      { type: 'call.ended', reason: 'remote_hangup' },
    ]);
    expect(bench.client.closed).toEqual([1000, 'remote_hangup']);
  });

  it('ends after its time, and says so', () => {
    const bench = new SurfaceBench({ media, maxDurationMs: 60_000 });
    bench.clock.advance(60_000);
    expect(bench.client.error()).toMatchObject({ code: 'session_expired', message: 'Your session hit the maximum duration of 1 minutes.' });
    expect(bench.client.closed).toEqual([1001, 'duration_cap']);
    expect(bench.commands).toContain('hangup duration_cap');
  });
});
