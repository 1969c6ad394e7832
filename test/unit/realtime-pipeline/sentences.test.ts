import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SentenceSplitter } from '../../../src/realtime/pipeline/sentence-splitter.ts';
import { speakable } from '../../../src/realtime/pipeline/speakable.ts';
import { ThinkFilter } from '../../../src/realtime/pipeline/think-filter.ts';

function split(text: string, step = text.length): string[] {
  const splitter = new SentenceSplitter();
  const pieces: string[] = [];
  for (let at = 0; at < text.length; at += step) pieces.push(...splitter.push(text.slice(at, at + step)));
  return [...pieces, ...splitter.flush()];
}

describe('sentences', () => {
  test.each([
    ['Sure. I can help you with that right away.', ['Sure.', 'I can help you with that right away.']],
    ['It costs 3.14 dollars at example.com today. Do you want it?', ['It costs 3.14 dollars at example.com today.', 'Do you want it?']],
    ['Dr. Smith and Mrs. Jones are here. Shall I connect you?', ['Dr. Smith and Mrs. Jones are here.', 'Shall I connect you?']],
    ['J. R. R. Tolkien wrote it. I have read it twice already.', ['J. R. R. Tolkien wrote it.', 'I have read it twice already.']],
    ['See https://example.com/a.b?c=d. That page has it all.', ['See https://example.com/a.b?c=d.', 'That page has it all.']],
    ['We open at 9 a.m. and close at 5 p.m. on weekdays.', ['We open at 9 a.m. and close at 5 p.m. on weekdays.']],
    ['Use fruit, e.g. Apples or pears. Then wait for an hour.', ['Use fruit, e.g. Apples or pears.', 'Then wait for an hour.']],
    ['He said "Stop!" Then he went away for good.', ['He said "Stop!"', 'Then he went away for good.']],
    ['Well... I am not sure. Let me look it up for you.', ['Well...', 'I am not sure. Let me look it up for you.']],
    ['Wir treffen uns am 3. Mai um zehn. Passt Ihnen das auch?', ['Wir treffen uns am 3. Mai um zehn.', 'Passt Ihnen das auch?']],
    ['The year was 1999. Nobody had a phone like that.', ['The year was 1999.', 'Nobody had a phone like that.']],
    ['1. Open the door of the box. 2. Take out the cable.', ['1. Open the door of the box.', '2. Take out the cable.']],
    ['First line here\nThe second line of the answer', ['First line here', 'The second line of the answer']],
    ['今日は晴れです。明日は雨が降るでしょうと言われています。', ['今日は晴れです。', '明日は雨が降るでしょうと言われています。']],
    ['「はい。」と彼は言いました。', ['「はい。」', 'と彼は言いました。']],
    ['Ok', ['Ok']],
    ['', []],
    ['...', ['...']],
  ])('%s', (text, pieces) => {
    expect(split(text)).toEqual(pieces);
    expect(split(text, 1), 'the same, letter by letter').toEqual(pieces);
    expect(split(text, 7), 'the same, in sevens').toEqual(pieces);
  });

  test('short ones that are not the first go with the next', () => {
    expect(split('All right then. Yes. No. And that is all I know about it.')).toEqual([
      'All right then.',
      'Yes. No. And that is all I know about it.',
    ]);
  });

  test('a long first sentence is begun at a clause', () => {
    const text = 'If you want to change your booking for next week, which is possible until Friday, I can do that for you right now.';
    expect(split(text, 5)[0]).toBe('If you want to change your booking for next week, which is possible until Friday,');
  });

  test('text without any end is cut, and not within a character', () => {
    const pieces = split('𝒳'.repeat(1000), 3);
    expect(pieces.length).toBeGreaterThan(5);
    for (const piece of pieces) {
      expect(piece.length).toBeLessThanOrEqual(300);
      expect(Buffer.from(piece).toString()).toBe(piece);
    }
  });

  test('nothing is lost, nothing is longer than a breath, whatever is written in whatever pieces', () => {
    const words = fc.array(fc.oneof(fc.string(), fc.constantFrom('. ', '! ', '? ', 'Dr. ', '3.14 ', '。', '\n', ', ', 'word ', 'Word ')));
    fc.assert(
      fc.property(words, (parts) => {
        const splitter = new SentenceSplitter();
        const pieces = [...parts.flatMap((part) => splitter.push(part)), ...splitter.flush()];
        expect(pieces.join('').replace(/\s/g, '')).toBe(parts.join('').replace(/\s/g, ''));
        for (const piece of pieces) expect(piece.length).toBeLessThanOrEqual(300);
      }),
    );
  });
});

describe('what a voice is given', () => {
  test.each([
    ['**Bold** and _plain_ and `code`', 'Bold and _plain_ and code'],
    ['# Title', 'Title'],
    ['- one thing', 'one thing'],
    ['See [the page](https://example.com/x) now', 'See the page now'],
    ['That is *very* good 😀 👍🏽', 'That is very good'],
    ['5 * 3 * 2', '5 * 3 * 2'],
    ['© 2026', '© 2026'],
    ['```', ''],
  ])('%s', (text, words) => expect(speakable(text)).toBe(words));
});

describe('what a model thinks before it speaks', () => {
  const filter = (parts: readonly string[]): string => {
    const think = new ThinkFilter();
    return parts.map((part) => think.push(part)).join('') + think.flush();
  };
  test.each([
    [['<think>', 'hm, ', 'well</th', 'ink>\n\nHel', 'lo'], 'Hello'],
    [['<thi', 'nk>x</think>Hello'], 'Hello'],
    [['Hello <think>'], 'Hello <think>'],
    [['<thin'], '<thin'],
    [['<b>Hello'], '<b>Hello'],
    [['<think>for ever'], ''],
  ])('%j', (parts, said) => expect(filter(parts)).toBe(said));
});
