import { describe, expect, it } from 'vitest';
import { ConversationBench } from '../../support/conversation-bench.ts';

describe('a session', () => {
  it('takes the call at once, or leaves that to somebody else', () => {
    expect(new ConversationBench().commands).toEqual(['answer']);
    expect(new ConversationBench({ answer: 'manual' }).commands).toEqual([]);
  });

  it('lets the model begin when the leg is answered, and plays with the first pull', () => {
    const bench = new ConversationBench();
    bench.silence(100);
    expect(bench.model.told).toEqual([]);
    expect(bench.model.appendedSamples).toBe(0);
    bench.answered().answered();
    bench.model.say('hello', 1000);
    expect(bench.pull()).toBe(true);
    expect(bench.model.told).toEqual([[100, 'start']]);
  });

  it("gives the caller's turn to the model, plays its answer, and measures how long that took at the wire", () => {
    const bench = new ConversationBench().answered();
    bench.silence(1000).voice(1000);
    bench.model.onCommit = () => bench.clock.setTimer(200, () => bench.model.say('answer', 500));
    bench.silence(2000);
    expect(bench.model.told).toEqual([
      [0, 'start'],
      [1060, 'speechStarted', 700],
      [2500, 'commitTurn', 700, 2100],
      [3180, 'played', 'answer'],
    ]);
    expect(bench.sounded.indexOf(true)).toBe(2700 / 20 - 1);
    expect(bench.session.snapshot()).toMatchObject({
      state: 'idle',
      turns: 1,
      heardMs: 4000,
      responseLatencyMs: { median: 700, all: [700] },
      items: [{ itemId: 'answer_item', receivedMs: 500, sentMs: 500 }],
    });
  });

  it('tells the model exactly what left on the wire when the caller interrupts', () => {
    const bench = new ConversationBench().answered();
    bench.model.say('answer', 10_000, false);
    bench.silence(2000).voice(1000);
    // 2060: hold. The frame of 2060 is the faded one, of which half counts: 102 whole frames and 10 ms.
    expect(bench.model.told).toEqual([
      [0, 'start'],
      [2800, 'cancelResponse', 'answer'],
      [2800, 'truncate', 'answer_item', 2050],
      [2800, 'speechStarted', 1700],
    ]);
    expect(bench.sounded.lastIndexOf(true)).toBe(2060 / 20 - 1);
    expect(bench.session.snapshot()).toMatchObject({ bargeIns: 1, rejectedBargeIns: 0, state: 'user' });
  });

  it('drops what comes of a response after it was cancelled', () => {
    const bench = new ConversationBench().answered();
    bench.model.say('answer', 5000, false);
    bench.silence(1000).voice(1000).silence(1000);
    bench.model.emit({ type: 'audio', responseId: 'answer', itemId: 'answer_item', pcm: new Int16Array(4800) });
    bench.model.emit({ type: 'audio', responseId: 'never heard of', itemId: 'x', pcm: new Int16Array(4800) });
    expect(bench.session.snapshot().playoutQueueMs).toBe(0);
    bench.model.emit({ type: 'response_done', responseId: 'answer', status: 'cancelled' });
    expect(bench.session.snapshot().state).toBe('waiting');
  });

  it('does not tell the model of a hold that ends in nothing', () => {
    const bench = new ConversationBench().answered();
    bench.model.say('answer', 10_000);
    bench.silence(2000).voice(300).silence(3000);
    expect(bench.model.told).toEqual([[0, 'start']]);
    expect(bench.session.snapshot()).toMatchObject({ bargeIns: 0, rejectedBargeIns: 1, state: 'agent' });
    expect(bench.sounded.at(-1)).toBe(true);
  });

  it('cancels an answer that has no name yet when the caller goes on, and refuses it when it comes', () => {
    const bench = new ConversationBench().answered();
    bench.voice(1000).silence(600).voice(200);
    expect(bench.model.told.slice(2)).toEqual([
      [1500, 'commitTurn', 0, 1100],
      [1660, 'cancelResponse', undefined],
      [1660, 'speechStarted', 0],
    ]);
    bench.model.say('too early', 1000);
    expect(bench.model.told.at(-1)).toEqual([1800, 'cancelResponse', 'too early']);
    bench.silence(700);
    bench.model.say('right', 1000);
    expect(bench.pull()).toBe(true);
    expect(bench.session.snapshot()).toMatchObject({ turns: 1, continuations: 1, state: 'agent' });
  });

  it('stops at a key, and tells the key', () => {
    const bench = new ConversationBench().answered();
    bench.model.say('menu', 5000);
    bench.silence(1000);
    bench.key('5');
    expect(bench.model.told.slice(1)).toEqual([
      [1000, 'truncate', 'menu_item', 1010],
      [1000, 'dtmf', '5'],
    ]);
    bench.silence(100);
    expect(bench.sounded.slice(50)).toEqual([true, false, false, false, false]);
  });

  it('stops at a key before the first packet, too', () => {
    const bench = new ConversationBench().answered();
    bench.model.say('hello', 5000);
    bench.key('5');
    bench.model.say('key', 200);
    bench.silence(400);
    expect(bench.sounded.filter(Boolean)).toHaveLength(10);
    expect(bench.model.told[1]).toEqual([0, 'truncate', 'hello_item', 0]);
  });

  it('does not stop at a key when keys do not interrupt', () => {
    const bench = new ConversationBench({ keysInterrupt: false }).answered();
    bench.model.say('menu', 5000);
    bench.silence(1000);
    bench.key('5');
    bench.silence(100);
    expect(bench.sounded.at(-1)).toBe(true);
  });

  it('never speaks while the caller speaks: what comes then waits for the end of the turn', () => {
    const bench = new ConversationBench().answered();
    bench.silence(100).voice(500);
    bench.model.say('unasked', 400);
    bench.voice(500).silence(480);
    expect(bench.sounded.some(Boolean)).toBe(false);
    bench.silence(1000);
    expect(bench.sounded.filter(Boolean)).toHaveLength(20);
  });

  it('hears the caller when a model stops in the middle of an answer and says nothing more', () => {
    const bench = new ConversationBench().answered();
    bench.model.say('answer', 500, false);
    bench.silence(2000);
    expect(bench.session.snapshot().state).toBe('waiting');
    bench.voice(500).silence(1000);
    expect(bench.model.told.slice(1)).toEqual([
      [2060, 'cancelResponse', 'answer'],
      [2060, 'speechStarted', 1700],
      [3000, 'commitTurn', 1700, 2600],
    ]);
  });

  it('is idle again when the answer is empty', () => {
    const bench = new ConversationBench().answered();
    bench.model.onCommit = () => bench.model.say('nothing', 0);
    bench.voice(1000).silence(1000);
    expect(bench.session.snapshot().state).toBe('idle');
  });

  it('ends the turn of a caller whose audio stops coming', () => {
    const bench = new ConversationBench().answered();
    bench.voice(1000).run(1500, false);
    // 300 ms until the uplink counts as lost, 495 ms of expected pause.
    expect(bench.model.told.at(-1)).toEqual([1780, 'commitTurn', 0, 1100]);
    expect(bench.session.snapshot().state).toBe('waiting');
  });

  it('takes a hole that is known to be silence as silence', () => {
    const bench = new ConversationBench().answered();
    bench.voice(1000);
    bench.silence(20);
    bench.session.handleUplinkSilence(30, bench.clock.now());
    expect(bench.model.told.at(-1)?.slice(1)).toEqual(['commitTurn', 0, 1100]);
    bench.session.handleUplinkSilence(1e9, bench.clock.now());
    expect(bench.model.appendedSamples).toBe((1020 + 600 + 5000) * 24);
  });

  it('hangs up after goodbye is played, and lets nobody interrupt it', () => {
    const bench = new ConversationBench().answered();
    bench.model.say('bye', 600);
    bench.model.emit({ type: 'hangup' });
    bench.key('1');
    bench.voice(780);
    expect(bench.sounded.filter(Boolean)).toHaveLength(30);
    expect(bench.commands).toEqual(['answer']);
    bench.voice(20);
    expect(bench.commands).toEqual(['answer', 'hangup agent_hangup']);
    expect(bench.ends).toEqual(['agent_hangup']);
    expect(bench.model.told.slice(1)).toEqual([
      [600, 'played', 'bye'],
      [800, 'close'],
    ]);
  });

  it('hangs up even when nobody pulls any more', () => {
    const bench = new ConversationBench().answered();
    bench.model.say('bye', 600);
    bench.model.emit({ type: 'hangup' });
    bench.clock.advance(2799);
    expect(bench.ends).toEqual([]);
    bench.clock.advance(1);
    expect(bench.ends).toEqual(['agent_hangup']);
  });

  it('plays what it has when the model is lost, then ends', () => {
    const bench = new ConversationBench().answered();
    bench.model.say('half', 1000, false);
    bench.silence(500);
    bench.model.emit({ type: 'closed', reason: 'test' });
    bench.voice(1000);
    expect(bench.sounded.filter(Boolean)).toHaveLength(50);
    expect(bench.ends).toEqual(['internal_error']);
  });

  it('passes audio without turns when the model asks for that', () => {
    const bench = new ConversationBench().answered();
    bench.model.emit({ type: 'turn_detection', enabled: false });
    bench.model.say('tone', 3000);
    bench.voice(2000);
    expect(bench.sounded.every(Boolean)).toBe(true);
    bench.model.emit({ type: 'turn_detection', enabled: true });
    bench.voice(60);
    expect(bench.session.snapshot().state).toBe('agent');
    bench.voice(200);
    expect(bench.session.snapshot().state).toBe('held');
  });

  it('ends once: model closed, detector freed, leg hung up, owner told', () => {
    const bench = new ConversationBench().answered();
    bench.session.end('shutdown');
    bench.session.end('internal_error');
    bench.session.handleLegEvent({ type: 'ended', cause: 'remote_hangup' });
    bench.model.say('late', 1000);
    bench.voice(500);
    bench.key('1');
    expect(bench.commands).toEqual(['answer', 'hangup shutdown']);
    expect(bench.ends).toEqual(['shutdown']);
    expect(bench.model.told).toEqual([
      [0, 'start'],
      [0, 'close'],
    ]);
    expect(bench.detectorsFreed).toBe(1);
    expect(bench.sounded.some(Boolean)).toBe(false);
  });

  it('refuses more responses at once than any model has', () => {
    const bench = new ConversationBench().answered();
    for (let n = 0; n < 9; n++) bench.model.say(`r${n}`, 20, false);
    expect(bench.model.told.at(-1)).toEqual([0, 'cancelResponse', 'r8']);
  });

  it('counts in the metrics of the process', async () => {
    const bench = new ConversationBench().answered();
    bench.model.onCommit = () => bench.model.say('answer', 5000);
    bench.voice(1000).silence(2500).voice(300).silence(1000).voice(1000);
    const text = await bench.metrics.text();
    expect(text).toContain('ringdown_turns_total 1');
    expect(text).toContain('ringdown_barge_ins_total{verdict="rejected"} 1');
    expect(text).toContain('ringdown_barge_ins_total{verdict="interrupted"} 1');
    expect(text).toContain('ringdown_response_latency_ms_count 1');
  });
});
