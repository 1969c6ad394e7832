import { describe, expect, it } from 'vitest';
import { FirstSpeech } from '../../../src/realtime/first-speech.ts';

/** 20 ms at -20 dBov. */
const OURS = new Int16Array(480).fill(3277);

describe('the first moments of the first speech', () => {
  it('believe a voice that is louder than any line would bring us back', () => {
    const first = new FirstSpeech();
    expect(first.isPerson(-10)).toBe(false); // nothing of ours is out yet: nobody asks
    first.played(OURS);
    first.played(new Int16Array(480).fill(100));
    expect(first.isPerson(-29)).toBe(true);
    expect(first.isPerson(-31)).toBe(false);
  });

  it('are over after a second and a half of our sound', () => {
    const first = new FirstSpeech();
    for (let n = 0; n < 74; n++) first.played(OURS);
    expect(first.isOver).toBe(false);
    first.played(OURS);
    expect(first.isOver).toBe(true);
    expect(first.isPerson(-10)).toBe(false);
  });
});
