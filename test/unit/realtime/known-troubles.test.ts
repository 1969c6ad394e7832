import { describe, expect, it } from 'vitest';
import { ConversationBench } from '../../support/conversation-bench.ts';

/*
 * What users of other voice agents have filed, each as a story here. Which project and issue: docs/turns.md.
 */

function toldOf(bench: ConversationBench): unknown[] {
  return bench.model.told.map(([, what]) => what);
}

describe('troubles that others have had', () => {
  it('the agent goes on after an "uh-huh", to the end of what it has to say', () => {
    const bench = new ConversationBench().answered();
    bench.model.say('answer', 6000);
    bench.silence(2000).voice(300).silence(8000);
    expect(bench.model.told.at(-1)?.slice(1)).toEqual(['played', 'answer']);
    expect(bench.session.snapshot().items[0]).toMatchObject({ receivedMs: 6000, sentMs: 6000 });
  });

  it('noise before the reply does not keep it from being made', () => {
    const bench = new ConversationBench().answered();
    bench.voice(1000).silence(600).voice(80).silence(200).voice(40).silence(1500);
    const commits = bench.model.told.filter(([, what]) => what === 'commitTurn');
    expect(commits.length).toBeGreaterThanOrEqual(2);
    bench.model.say('answer', 500);
    bench.model.say('answer again', 500);
    bench.silence(100);
    expect(bench.sounded.at(-1)).toBe(true);
  });

  it('the answer after an interruption is heard', () => {
    const bench = new ConversationBench().answered();
    bench.model.say('first', 10_000);
    bench.silence(2000).voice(1200).silence(1000);
    bench.model.say('second', 1000);
    bench.silence(200);
    expect(bench.sounded.slice(-9).every(Boolean)).toBe(true);
    expect(bench.session.snapshot().state).toBe('agent');
  });

  it('a cough does not kill what is being generated', () => {
    const bench = new ConversationBench().answered();
    bench.model.say('answer', 2000, false);
    bench.silence(1000).voice(200);
    bench.model.emit({ type: 'audio', responseId: 'answer', itemId: 'answer_item', pcm: new Int16Array(24_000).fill(1000) });
    bench.silence(600);
    bench.model.emit({ type: 'response_done', responseId: 'answer', status: 'completed' });
    bench.silence(4000);
    expect(toldOf(bench)).toEqual(['start', 'played']);
  });

  it('a reply that is held at its first frame is neither lost nor cut', () => {
    const bench = new ConversationBench().answered();
    bench.silence(400).voice(40);
    bench.model.say('answer', 2000);
    bench.voice(120).silence(5000);
    expect(bench.model.told.at(-1)?.slice(1)).toEqual(['played', 'answer']);
    expect(bench.session.commands.item('answer_item')).toBeDefined();
  });

  it('a turn that is spoken while the agent is held is committed', () => {
    const bench = new ConversationBench().answered();
    bench.model.say('answer', 10_000);
    bench.silence(2000).voice(900).silence(1500);
    expect(bench.session.snapshot()).toMatchObject({ turns: 1, discardedTurns: 0 });
  });

  it('an "uh-huh" over the agent does not count as a long pause of the caller', () => {
    const endAfter = (murmurs: boolean): number => {
      const bench = new ConversationBench().answered();
      bench.voice(1000).silence(600);
      bench.model.say('answer', 4000);
      bench.silence(1500);
      if (murmurs) bench.voice(300);
      bench.silence(5000);
      const from = bench.clock.now();
      bench.voice(1000).silence(2000);
      return (bench.model.told.findLast(([, what]) => what === 'commitTurn')?.[0] as number) - from;
    };
    expect(endAfter(true)).toBe(endAfter(false));
  });

  it('words are heard in the second hold as in the first, whatever clock the transcriber has', () => {
    const bench = new ConversationBench().answered();
    bench.model.say('answer', 20_000);
    bench.silence(2000).voice(200);
    bench.model.emit({ type: 'caller_words', words: 'okay' });
    bench.silence(4000).voice(200);
    bench.model.emit({ type: 'caller_words', words: 'stop it' });
    bench.silence(100);
    expect(bench.session.snapshot()).toMatchObject({ bargeIns: 1, rejectedBargeIns: 1 });
  });

  it('dictated digits are not cut off between their groups', () => {
    const bench = new ConversationBench().answered();
    const groups = ['oh three oh', 'oh three oh five five five', 'oh three oh five five five one two three four'];
    for (const words of groups) {
      bench.voice(700);
      bench.model.emit({ type: 'caller_words', words });
      bench.silence(700);
    }
    bench.silence(2000);
    expect(toldOf(bench).filter((what) => what === 'commitTurn')).toHaveLength(1);
  });

  it('silence that trails behind an answer does not make the agent speak again', () => {
    const bench = new ConversationBench().answered();
    bench.model.say('answer', 1000);
    bench.silence(1500);
    bench.model.emit({ type: 'audio', responseId: 'answer', itemId: 'answer_item', pcm: new Int16Array(480) });
    bench.silence(100);
    expect(bench.session.snapshot().state).toBe('idle');
  });

  it('a caller whose pauses are long is waited for, once they are known', () => {
    const bench = new ConversationBench().answered();
    for (let n = 0; n < 8; n++) bench.voice(800).silence(1000);
    const before = toldOf(bench).filter((what) => what === 'commitTurn').length;
    for (let n = 0; n < 4; n++) bench.voice(800).silence(n < 3 ? 1000 : 2500);
    expect(toldOf(bench).filter((what) => what === 'commitTurn').length - before).toBeLessThanOrEqual(2);
  });

  it('an agent that is spoken over is silent within 120 ms, whatever is decided later', () => {
    const bench = new ConversationBench().answered();
    bench.model.say('answer', 10_000);
    bench.silence(2000);
    const from = bench.sounded.length;
    bench.voice(300);
    expect(bench.sounded.slice(from).lastIndexOf(true)).toBeLessThan(6);
  });

  it('the rest of an answer that comes late is heard without the caller saying anything', () => {
    const bench = new ConversationBench().answered();
    bench.model.say('answer', 1000, false);
    bench.silence(3000);
    bench.model.emit({ type: 'audio', responseId: 'answer', itemId: 'answer_item', pcm: new Int16Array(48_000).fill(1000) });
    bench.model.emit({ type: 'response_done', responseId: 'answer', status: 'completed' });
    bench.silence(2500);
    expect(bench.model.told.at(-1)?.slice(1)).toEqual(['played', 'answer']);
    expect(bench.sounded.filter(Boolean)).toHaveLength(150);
  });
});

describe('bad input', () => {
  it('a transcript that comes after its turn changes nothing of the next one', () => {
    const bench = new ConversationBench().answered();
    bench.voice(1000).silence(1500);
    const [commit] = bench.model.told.filter(([, what]) => what === 'commitTurn');
    bench.model.emit({ type: 'caller_words', words: 'stop' });
    bench.model.say('answer', 2000);
    bench.silence(2500);
    expect(bench.session.snapshot()).toMatchObject({ turns: 1, bargeIns: 0, rejectedBargeIns: 0 });
    expect(bench.model.told.filter(([, what]) => what === 'commitTurn')).toEqual([commit]);
    expect(bench.model.told.at(-1)?.slice(1)).toEqual(['played', 'answer']);
  });

  it('a model that speaks while the caller speaks is not heard before the turn is over', () => {
    const bench = new ConversationBench().answered();
    bench.voice(500);
    bench.model.say('unasked', 2000);
    const from = bench.sounded.length;
    bench.voice(3000);
    expect(bench.sounded.slice(from).some(Boolean)).toBe(false);
  });

  it('a model that goes on with what was cancelled is not heard', () => {
    const bench = new ConversationBench().answered();
    bench.model.say('answer', 5000, false);
    bench.silence(1000).voice(1000).silence(100);
    const from = bench.sounded.length;
    for (let n = 0; n < 50; n++) {
      bench.model.emit({ type: 'audio', responseId: 'answer', itemId: 'answer_item', pcm: new Int16Array(480).fill(1000) });
      bench.silence(20);
    }
    expect(bench.sounded.slice(from).some(Boolean)).toBe(false);
    bench.model.say('next', 500);
    bench.silence(200);
    expect(bench.sounded.at(-1)).toBe(true);
  });

  it('a burst of a minute is played at its pace, and can be interrupted in the middle of it', () => {
    const bench = new ConversationBench().answered();
    bench.model.say('long', 60_000);
    bench.silence(30_000).voice(1000).silence(100);
    const [cut] = bench.model.told.filter(([, what]) => what === 'truncate');
    expect(cut?.[3]).toBe(30_050);
    expect(bench.session.snapshot()).toMatchObject({ playoutQueueMs: 0, playoutDroppedMs: 0, bargeIns: 1 });
  });
});
