import { describe, expect, it } from 'vitest';
import type { SessionConfig } from '../../../src/realtime/session-config.ts';
import type { SessionEvent } from '../../../src/realtime/session-event.ts';
import type { SessionOptions } from '../../../src/realtime/session-options.ts';
import { ConversationBench } from '../../support/conversation-bench.ts';

function eventsOf(bench: ConversationBench): SessionEvent[] {
  const events: SessionEvent[] = [];
  bench.session.observe((event) => events.push(event));
  return events;
}

const LEFT_TO_MODEL: SessionConfig = {
  model: { outputModality: 'audio', tools: [], toolChoice: 'auto', maxOutputTokens: 'inf', transcription: null },
  turns: { endOfTurn: { type: 'upstream' }, takesBack: false, respond: true, interrupt: true },
};

function leftToModel(options: SessionOptions = {}): ConversationBench {
  const bench = new ConversationBench({ takesTurns: true, ...options });
  bench.session.configure(LEFT_TO_MODEL);
  return bench.answered();
}

it('a conversation keeps its way of taking turns when another model is there for those to come', () => {
  const bench = new ConversationBench().answered();
  Object.defineProperty(bench.model, 'takesTurns', { value: true });
  bench.session.configure(LEFT_TO_MODEL);
  bench.voice(1000).silence(3000);
  expect(bench.model.told.map(([, what]) => what)).toContain('commitTurn');
});

it('time that is lost here is told to who listens for our echo, and once', () => {
  const bench = new ConversationBench().answered();
  bench.silence(200);
  bench.clock.advance(39);
  bench.silence(100);
  expect(bench.stumbles).toEqual([]);
  bench.clock.advance(40);
  bench.silence(100);
  expect(bench.stumbles).toEqual([399]);
});

describe('an answer that is prepared early', () => {
  it('is asked for after 250 ms of silence and released by the commit', () => {
    const bench = new ConversationBench({ prepares: true }).answered();
    bench.voice(1000).silence(600);
    expect(bench.model.told.slice(2)).toEqual([
      [1260, 'prepareTurn', 0, 1100],
      [1500, 'commitTurn', 0, 1100],
    ]);
    expect(bench.session.snapshot().preparations).toEqual({ asked: 1, dropped: 0 });
  });

  it('is dropped without a trace when the caller goes on, three times a turn at most', () => {
    const bench = new ConversationBench({ prepares: true }).answered();
    const events = eventsOf(bench);
    for (let n = 0; n < 5; n++) bench.voice(600).silence(320);
    const told = bench.model.told.map(([, what]) => what);
    expect(told.filter((what) => what === 'prepareTurn')).toHaveLength(3);
    expect(told.filter((what) => what === 'dropPreparation')).toHaveLength(3);
    expect(events.map(({ type }) => type)).toEqual(['speech_started']);
  });

  it('is not asked for in a long turn, nor of a model that cannot, nor when the words say that more comes', () => {
    const long = new ConversationBench({ prepares: true }).answered();
    long.voice(11_000).silence(400);
    const unable = new ConversationBench().answered();
    unable.voice(1000).silence(400);
    const open = new ConversationBench({ prepares: true }).answered();
    open.voice(1000);
    open.model.emit({ type: 'caller_words', words: 'I would like to' });
    open.silence(400);
    for (const bench of [long, unable, open]) expect(bench.model.told.flat()).not.toContain('prepareTurn');
  });

  it('is dropped when a key takes the place of the turn', () => {
    const bench = new ConversationBench({ prepares: true }).answered();
    bench.voice(1000).silence(320);
    bench.key('5');
    expect(bench.model.told.slice(2).map(([, what]) => what)).toEqual(['prepareTurn', 'dropPreparation', 'dtmf']);
  });
});

describe("the caller's words", () => {
  it('make us wait for the rest of a sentence, and answer a finished one sooner', () => {
    const commitAfter = (words: string): number => {
      const bench = new ConversationBench().answered();
      bench.voice(1000);
      bench.model.emit({ type: 'caller_words', words });
      bench.silence(2500);
      return (bench.model.told.find(([, what]) => what === 'commitTurn')?.[0] as number) - 1000;
    };
    expect(commitAfter('and then I would')).toBe(940);
    expect(commitAfter('thank you')).toBe(280);
    expect(commitAfter('')).toBe(500);
  });

  it('"stop" interrupts at once, and "yeah" twice does not', () => {
    const bench = new ConversationBench().answered();
    bench.model.say('answer', 10_000);
    bench.silence(2000).voice(200);
    bench.model.emit({ type: 'caller_words', words: 'stop' });
    expect(bench.model.told.slice(1).map(([at, what]) => [at, what])).toEqual([
      [2200, 'truncate'],
      [2200, 'speechStarted'],
    ]);
    const calm = new ConversationBench().answered();
    calm.model.say('answer', 10_000);
    calm.silence(2000);
    for (let n = 0; n < 2; n++) {
      calm.voice(300);
      calm.model.emit({ type: 'caller_words', words: 'yeah' });
      calm.silence(600);
    }
    expect(calm.session.snapshot()).toMatchObject({ bargeIns: 0, rejectedBargeIns: 2, state: 'agent' });
  });

  it('overrule a hold that ended before they came', () => {
    const bench = new ConversationBench().answered();
    bench.model.say('answer', 10_000);
    bench.silence(2000).voice(300).silence(600);
    expect(bench.session.snapshot().state).toBe('agent');
    bench.model.emit({ type: 'caller_words', words: 'wait' });
    bench.silence(600);
    expect(bench.session.snapshot()).toMatchObject({ bargeIns: 1, turns: 1, state: 'waiting' });
  });

  it('are not the caller’s when they repeat what we have just said', () => {
    const bench = new ConversationBench().answered();
    bench.model.emit({ type: 'response_started', responseId: 'r' });
    bench.model.emit({
      type: 'transcript',
      responseId: 'r',
      itemId: 'i',
      contentIndex: 0,
      delta: 'Please stop at the red light and wait.',
    });
    bench.model.emit({ type: 'audio', responseId: 'r', itemId: 'i', pcm: new Int16Array(240_000).fill(1000) });
    bench.silence(2000).voice(200);
    bench.model.emit({ type: 'caller_words', words: 'stop at the red light' });
    expect(bench.session.snapshot()).toMatchObject({ state: 'held', bargeIns: 0 });
  });

  it('"yes" over the end of a question is its answer', () => {
    const bench = new ConversationBench().answered();
    bench.model.emit({ type: 'response_started', responseId: 'r' });
    bench.model.emit({ type: 'transcript', responseId: 'r', itemId: 'i', contentIndex: 0, delta: 'Is that right?' });
    bench.model.emit({ type: 'audio', responseId: 'r', itemId: 'i', pcm: new Int16Array(24 * 5000).fill(1000) });
    bench.model.emit({ type: 'response_done', responseId: 'r', status: 'completed' });
    bench.silence(4200).voice(300);
    bench.model.emit({ type: 'caller_words', words: 'yes' });
    bench.silence(600);
    expect(bench.session.snapshot()).toMatchObject({ bargeIns: 1, turns: 1 });
  });
});

describe('what was heard of an answer', () => {
  it('is told after the truncation as an estimate: the words before the voice, less the way to the ear', () => {
    const bench = new ConversationBench({ rttMs: () => 100 }).answered();
    const events = eventsOf(bench);
    bench.model.emit({ type: 'response_started', responseId: 'r' });
    bench.model.emit({ type: 'transcript', responseId: 'r', itemId: 'i', contentIndex: 0, delta: 'one two three four five six seven ten' });
    bench.model.emit({ type: 'audio', responseId: 'r', itemId: 'i', pcm: new Int16Array(24 * 9000).fill(1000) });
    bench.model.emit({ type: 'response_done', responseId: 'r', status: 'completed' });
    bench.silence(2000).voice(1000);
    const at = events.findIndex(({ type }) => type === 'item_truncated');
    expect(events.slice(at, at + 2)).toMatchObject([
      { type: 'item_truncated', itemId: 'i', audioEndMs: 2050 },
      // The voice began at 2000: what left by 1890.
      { type: 'item_heard', itemId: 'i', audioEndMs: 2050, heardMs: 1880, transcript: 'one', toleranceMs: 400 },
    ]);
  });

  it('is nothing of what has not begun, and has no words where none were told', () => {
    const bench = new ConversationBench().answered();
    const events = eventsOf(bench);
    bench.model.say('hello', 5000);
    bench.key('5');
    expect(events.find(({ type }) => type === 'item_heard')).toMatchObject({ heardMs: 0, transcript: undefined });
  });
});

describe("a turn's latency", () => {
  it('is told stage by stage', async () => {
    const bench = new ConversationBench({ rttMs: () => 80 }).answered();
    const events = eventsOf(bench);
    bench.model.onCommit = () => bench.clock.setTimer(190, () => bench.model.say('answer', 500));
    bench.silence(1000).voice(1000).silence(2000);
    const committed = events.find(({ type }) => type === 'turn_committed') as { itemId: string };
    expect(events.filter(({ type }) => type === 'turn_latency')).toEqual([
      {
        type: 'turn_latency',
        itemId: committed.itemId,
        responseId: 'answer',
        decidedMs: 500,
        requestedMs: 500,
        firstDeltaMs: 690,
        firstPacketMs: 700,
        earMs: 800,
      },
    ]);
    expect(bench.session.snapshot().turnLatencies).toHaveLength(1);
    expect(await bench.metrics.text()).toContain('ringdown_turn_latency_ms_count{stage="ear",leg="phone"} 1');
  });

  it('goes into the ledger of the call: how many turns of which kind, and the spread of each stage', async () => {
    let rttMs: number | undefined;
    const bench = new ConversationBench({ rttMs: () => rttMs }).answered();
    expect(bench.session.snapshot().ledger).toEqual({
      ...{ answered: 0, continuations: 0, discarded: 0, falseHolds: 0, truncations: 0 },
      stages: {},
    });
    let turns = 0;
    bench.model.onCommit = () => {
      turns += 1;
      const id = `answer ${turns}`;
      bench.clock.setTimer(turns * 100, () => bench.model.say(id, 500));
    };
    for (let n = 0; n < 4; n++) {
      bench.silence(1000).voice(1000).silence(2000);
      rttMs = 40;
    }
    const { ledger } = bench.session.snapshot();
    expect(ledger).toMatchObject({ answered: 4, continuations: 0, discarded: 0, falseHolds: 0, truncations: 0 });
    expect(ledger.stages.decided).toEqual({ p50: 500, p95: 500, max: 500 });
    expect(ledger.stages.first_delta).toEqual({ p50: 700, p95: 900, max: 900 });
    expect(ledger.stages.first_packet).toEqual({ p50: 700, p95: 900, max: 900 });
    // The first turn was answered before the far end had told how far it is.
    expect(ledger.stages.ear).toEqual({ p50: 880, p95: 980, max: 980 });

    bench.model.say('long', 10_000);
    bench.silence(2000).voice(200).silence(4000).voice(1200).silence(3000).voice(500).key('1');
    expect(bench.session.snapshot().ledger).toMatchObject({ falseHolds: 1, truncations: 1, discarded: 1 });
    expect(await bench.metrics.text()).toContain('ringdown_truncations_total{leg="phone"} 1');
  });

  it('is not told of an answer that was taken back', () => {
    const bench = new ConversationBench().answered();
    const events = eventsOf(bench);
    bench.voice(1000).silence(600).voice(200);
    bench.model.say('too early', 1000);
    expect(events.filter(({ type }) => type === 'turn_latency')).toEqual([]);
  });
});

describe('a judge of ends from outside', () => {
  const asked: string[] = [];
  const judge = (probability: number | (() => Promise<number>), timeoutMs = 300) => ({
    timeoutMs,
    predict: async (question: { words: string }) => {
      asked.push(question.words);
      return typeof probability === 'number' ? probability : probability();
    },
  });

  it('shortens or stretches the wait of the gap it was asked about', async () => {
    for (const [probability, at] of [
      [1, 1260],
      [0.2, 2440],
    ] as const) {
      const bench = new ConversationBench({ predictor: judge(probability) }).answered();
      bench.voice(1000).silence(180);
      await Promise.resolve();
      await Promise.resolve();
      bench.silence(2000);
      expect(bench.model.told.at(-1)?.slice(0, 2)).toEqual([at, 'commitTurn']);
    }
  });

  it('is not waited for: late, failing or silent it changes nothing', async () => {
    const never = () => new Promise<number>(() => {});
    const gone = () => Promise.reject(new Error('gone'));
    for (const predictor of [judge(never), judge(gone), judge(0, -1)]) {
      const bench = new ConversationBench({ predictor }).answered();
      bench.voice(1000).silence(180);
      await new Promise((resolve) => setImmediate(resolve));
      bench.silence(2000);
      expect(bench.model.told.at(-1)?.slice(0, 2)).toEqual([1500, 'commitTurn']);
    }
  });
});

describe('a voice over the agent whose words can be found out', () => {
  const over = (words: string | undefined, afterMs = 100): ConversationBench => {
    const bench = new ConversationBench({ findsWords: true }).answered();
    bench.model.say('hello', 6000);
    bench.silence(1000).voice(400).silence(160);
    expect(bench.model.told.at(-1)).toEqual([1560, 'findWords', 700, 1500]);
    bench.silence(afterMs);
    if (words !== undefined) bench.model.emit({ type: 'caller_words', words });
    return bench.silence(400);
  };

  it('is an interruption when it said so, before or after we went on', () => {
    expect(over('Stop.').session.snapshot()).toMatchObject({ bargeIns: 1 });
    expect(over('Stop.', 600).session.snapshot()).toMatchObject({ bargeIns: 1 });
  });

  it('is none when it agreed, came too late, or was never made out', () => {
    expect(over('Uh-huh.').session.snapshot()).toMatchObject({ bargeIns: 0, state: 'agent' });
    expect(over('Stop.', 1400).session.snapshot()).toMatchObject({ bargeIns: 0, state: 'agent' });
    expect(over(undefined).session.snapshot()).toMatchObject({ bargeIns: 0, state: 'agent' });
  });

  it('that agreed is none the second time either, though its words come after we went on', () => {
    const bench = over('Uh-huh.', 500);
    bench.voice(300).silence(700);
    expect(bench.session.snapshot()).toMatchObject({ bargeIns: 0, state: 'agent' });
    const silent = over(undefined, 500);
    silent.voice(300).silence(700);
    expect(silent.session.snapshot()).toMatchObject({ bargeIns: 1 });
  });
});

describe('turns that are left to the model', () => {
  it('begin and end when its server says so; what we say is stopped and truncated', () => {
    const bench = new ConversationBench({ takesTurns: true });
    bench.session.configure(LEFT_TO_MODEL);
    bench.answered();
    const events = eventsOf(bench);
    bench.model.say('hello', 5000);
    bench.silence(1000).voice(400);
    expect(bench.session.snapshot().state).toBe('held');
    bench.model.emit({ type: 'caller_started', startMs: 1000 });
    bench.voice(600).silence(200);
    expect(bench.session.snapshot().state).toBe('gap');
    bench.model.emit({ type: 'caller_ended', endMs: 2000 });
    expect(bench.model.told.slice(1).filter(([, what]) => what !== 'listen')).toEqual([
      [1400, 'truncate', 'hello_item', 1050],
      [1400, 'speechStarted', 1000],
      [2200, 'turnTaken', 1000, 2100],
    ]);
    bench.model.say('answer', 1000);
    bench.silence(200);
    expect(bench.session.snapshot()).toMatchObject({ turns: 1, bargeIns: 1, state: 'agent' });
    expect(events.map(({ type }) => type)).toContain('turn_latency');
  });

  it("are not begun here: a voice between them is the server's to hear", () => {
    const bench = leftToModel();
    bench.voice(2000).silence(3000);
    expect([bench.session.snapshot().state, bench.model.told.map(([, what]) => what)]).toEqual(['idle', ['start']]);
  });

  it('hold the agent before the server knows, and let it go on where that was nothing', () => {
    const bench = leftToModel();
    bench.model.say('hello', 5000);
    bench.silence(1000).voice(200).silence(600);
    expect(bench.session.snapshot()).toMatchObject({ state: 'agent', bargeIns: 0 });
    // The server thinks otherwise, late.
    bench.model.emit({ type: 'caller_started', startMs: 1000 });
    expect(bench.session.snapshot()).toMatchObject({ state: 'user', bargeIns: 1 });
  });

  it('end by our rule where an interruption was not heard by the server, and after nine seconds where it falls silent', () => {
    const unheard = leftToModel();
    unheard.model.say('hello', 9000);
    unheard.silence(1000).voice(1500).silence(1500);
    expect(unheard.model.told.map(([, what]) => what).filter((what) => what !== 'listen')).toEqual([
      'start',
      'truncate',
      'speechStarted',
      'commitTurn',
    ]);
    const deaf = leftToModel();
    deaf.voice(200);
    deaf.model.emit({ type: 'caller_started', startMs: 0 });
    deaf.voice(800).silence(8900);
    expect(deaf.session.snapshot().state).toBe('gap');
    deaf.silence(200);
    expect(deaf.model.told.at(-1)?.slice(1)).toEqual(['commitTurn', 0, 1100]);
  });

  it('are taken where only the server hears the caller', () => {
    const bench = leftToModel().silence(3000);
    bench.model.emit({ type: 'caller_started', startMs: 2500 });
    bench.silence(2000);
    bench.model.emit({ type: 'caller_ended', endMs: 4500 });
    expect(bench.model.told.slice(1)).toEqual([
      [3000, 'speechStarted', 2500],
      [5000, 'turnTaken', 2500, 4600],
    ]);
  });

  it.each([
    ['gated', -20, 'gated'],
    ['duck', undefined, 'duck'],
    ['auto', -20, 'gated'],
  ] as const)(
    'hear nothing of us while we speak (%s, an echo of %s dB), and a caller from before the hold',
    (uplinkWhileSpeaking, couplingDb, how) => {
      const bench = leftToModel({ uplinkWhileSpeaking });
      bench.couplingDb = couplingDb;
      bench.model.say('hello', 6000);
      bench.silence(2500).voice(120).silence(6000);
      expect(bench.model.told.filter(([, what]) => what === 'listen')).toEqual([
        [40, 'listen', how, false],
        [2560, 'listen', 'through', true],
        [2980, 'listen', how, false],
        [7180, 'listen', 'through', false],
      ]);
    },
  );

  it('hear all of us on a line without echo, once that is known, and where that is wished', () => {
    const bench = leftToModel();
    bench.model.say('hello', 4000);
    bench.silence(4000);
    expect(bench.model.told.filter(([, what]) => what === 'listen')).toEqual([
      [40, 'listen', 'gated', false],
      [2020, 'listen', 'through', false],
    ]);
    const through = leftToModel({ uplinkWhileSpeaking: 'through' });
    through.model.say('hello', 4000);
    expect(through.silence(4000).model.told.map(([, what]) => what)).not.toContain('listen');
  });

  it('are ours where the model cannot', () => {
    const bench = new ConversationBench();
    bench.session.configure(LEFT_TO_MODEL);
    bench.answered().voice(1000).silence(600);
    bench.model.emit({ type: 'caller_started', startMs: 0 });
    expect(bench.model.told.at(-1)).toEqual([1500, 'commitTurn', 0, 1100]);
  });
});
