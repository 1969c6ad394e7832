import { describe, expect, it } from 'vitest';
import { HeardTranscript, unitsOf } from '../../../src/realtime/heard-transcript.ts';

describe('the words that were heard', () => {
  it('are those whose last syllable had been said', () => {
    const transcript = new HeardTranscript();
    transcript.add('One two three four five six seven eight.', 24_000);
    // Nine syllables and a pause of 0.8.
    expect(transcript.upTo(12_000, 24_000, true)).toBe('One two three four');
    expect(transcript.upTo(24_000, 24_000, true)).toBe('One two three four five six seven eight.');
    expect(transcript.upTo(0, 24_000, true)).toBe('');
  });

  it('follow the pairs of text and audio while more may come', () => {
    const transcript = new HeardTranscript();
    transcript.add('One two three four. ', 48_000);
    transcript.add('Five six seven eight.', 52_000);
    // The second sentence came in a burst: by proportion over all, this would be more.
    expect(transcript.upTo(24_000, 52_000, false)).toBe('One two');
  });

  it('are none without text or audio, and bounded', () => {
    expect(new HeardTranscript().upTo(100, 200, true)).toBe('');
    const long = new HeardTranscript();
    for (let n = 0; n < 1000; n++) long.add('word '.repeat(100), n);
    expect(long.text.length).toBe(16_384);
  });

  it('count syllables, digits and pauses', () => {
    expect(unitsOf('Hello, world.')).toBeCloseTo(3 + 0.5 + 0.8);
    expect(unitsOf('4711')).toBe(4);
    expect(unitsOf('nine')).toBe(1);
  });
});
