import { beforeAll, describe, expect, test } from 'vitest';
import { loadVad } from '../../../src/audio/vad.ts';
import type { Answered } from '../../../src/leg/answered-by.ts';
import { AnsweringMachine } from '../../../src/realtime/answering-machine.ts';
import { speech } from '../../support/speech.ts';
import { concat, silence, tone } from '../../support/tones.ts';

beforeAll(loadVad);

/** What is found out of this sound (8 kHz). */
function answeredBy(...parts: readonly Int16Array[]): Answered[] {
  const machine = new AnsweringMachine();
  const sound = concat(...parts);
  const found: Answered[] = [];
  for (let at = 0; at + 160 <= sound.length; at += 160) {
    const answered = machine.hear(sound.subarray(at, at + 160));
    if (answered) found.push(answered);
  }
  machine.free();
  return found;
}

const say = (ms: number, seed = 1): Int16Array => speech(ms, { seed, peak: 8000 });

describe('who has answered', () => {
  test('is a person who says hello and waits', () => {
    const [answered, ...more] = answeredBy(silence(600), say(500), silence(4000));
    expect(more).toEqual([]);
    expect(answered).toMatchObject({ by: 'human' });
    expect(Math.abs((answered?.silenceMs ?? 0) - 600)).toBeLessThanOrEqual(300);
    expect(answered?.atMs).toBeLessThan(2200);
  });

  test('is a person who says hello twice, and one who says a name and a greeting', () => {
    expect(answeredBy(silence(400), say(400), silence(500), say(400, 2), silence(3000))).toMatchObject([{ by: 'human' }]);
    expect(answeredBy(silence(300), say(1600, 5), silence(3000))).toMatchObject([{ by: 'human' }]);
  });

  test('is a machine that talks, and its beep is told when it is over', () => {
    const greeting = concat(say(2200), silence(300), say(2600, 3), silence(400), say(1500, 4));
    const found = answeredBy(silence(500), greeting, silence(600), tone(1000, 500), silence(2000));
    expect(found).toMatchObject([{ by: 'machine_greeting' }, { by: 'machine_beep', beep: { hz: expect.closeTo(1000, -1) } }]);
    expect((found[1]?.atMs ?? 0) - (500 + greeting.length / 8 + 600 + 500)).toBeLessThanOrEqual(180);
  });

  test('is a machine when it beeps after a word, without another verdict before', () => {
    expect(answeredBy(silence(300), say(700), silence(300), tone(1400, 400), silence(1000))).toMatchObject([{ by: 'machine_beep' }]);
  });

  test('is a machine whose greeting ends without a beep', () => {
    const found = answeredBy(silence(300), say(4000), silence(4000));
    expect(found).toMatchObject([{ by: 'machine_greeting' }, { by: 'machine_greeting', greetingOver: true }]);
  });

  test('is nobody, a fax or the network', () => {
    expect(answeredBy(silence(6000))).toMatchObject([{ by: 'silence', atMs: 4000 }]);
    expect(answeredBy(silence(500), tone(2100, 3000))).toMatchObject([{ by: 'fax' }]);
    const tones = [950, 1400, 1800].map((hz) => tone(hz, 330));
    expect(answeredBy(silence(200), ...tones, say(3000), silence(4000))).toMatchObject([{ by: 'network' }]);
  });

  test('is not said twice, and nothing is found out after the end', () => {
    const machine = new AnsweringMachine();
    for (let n = 0; n < 200; n++) machine.hear(new Int16Array(160));
    expect(machine.isDone).toBe(true);
    expect(machine.hear(new Int16Array(160))).toBeUndefined();
    machine.free();
    machine.free();
  });

  test('is told within a minute and three seconds by whoever never stops talking', () => {
    const found = answeredBy(silence(300), ...Array.from({ length: 16 }, (_, n) => say(4000, n + 1)));
    expect(found).toMatchObject([{ by: 'machine_greeting' }, { greetingOver: true, atMs: 60_000 }]);
  });
});
