import { readFileSync } from 'node:fs';
import { built } from '../built.mjs';
import { seedsOf } from '../corpus/generate.mjs';
import { Random } from '../corpus/random.mjs';
import { speak } from '../corpus/render.mjs';
import { ANSWERS, VOICES } from '../corpus/scripts.mjs';
import { clip } from './end-of-turn.mjs';

const { Playout } = await built('realtime/playout.js');

const FRAME = 480;
const SAMPLES_A_MS = 24;
/** The edge of a word is not known better than this. */
const GRACE = 30 * SAMPLES_A_MS;
/** Quieter than this (of the loudest tenth) is no word any more. */
const SILENCE = 0.02;
/** As a voice on a telephone: loudest tenth of its frames at -20 dBov. */
const GAIN = 3277;

const STARTS = JSON.parse(readFileSync(new URL('../corpus/word-times.json', import.meta.url), 'utf8'));

/** Sentences that are held somewhere and go on: which words are said again, lost, or begun in their middle. */
export function resumeAll(half, { holds }) {
  return ANSWERS.flatMap((text, sentence) =>
    VOICES.flatMap((voice, speaker) => {
      const audio = Int16Array.from(speak(text, voice, 1000 * SAMPLES_A_MS), (x) => clip(x * GAIN));
      const words = wordsOf(audio, STARTS[sentence][speaker]);
      return seedsOf(half, holds).map((seed) => resume(audio, words, new Random(seed * 101 + sentence * 8 + speaker)));
    }),
  );
}

function wordsOf(audio, startsMs) {
  return startsMs.map((startMs, n) => {
    const from = startMs * SAMPLES_A_MS;
    let to = n + 1 < startsMs.length ? startsMs[n + 1] * SAMPLES_A_MS : audio.length;
    while (to > from + 240 && loudness(audio, to - 240) < SILENCE * GAIN) to -= 240;
    return { from, to };
  });
}

function loudness(audio, from) {
  let energy = 0;
  for (let n = from; n < from + 240; n++) energy += (audio[n] ?? 0) ** 2;
  return Math.sqrt(energy / 240);
}

function resume(audio, words, random) {
  const playout = new Playout();
  playout.open('r', false);
  playout.push('r', 'i', audio);
  playout.seal('r');
  const out = new Int16Array(FRAME);
  const frames = Math.floor(random.between(0.12, 0.85) * (audio.length / FRAME));
  for (let n = 0; n < frames; n++) playout.pull(out, n * 20);
  playout.hold();
  playout.pull(out, frames * 20);
  const cut = frames * FRAME + FRAME / 2;
  playout.resume(false);
  const from = audio.length - playout.queuedMs * SAMPLES_A_MS;
  const whole = (word) => word.to <= cut + GRACE;
  const again = (word) => word.from >= from - GRACE && word.to > from;
  return {
    backMs: (cut - from) / SAMPLES_A_MS,
    repeated: words.filter((word) => whole(word) && again(word)).length,
    // Nothing of it between what was heard and what is said again.
    lost: words.filter((word) => word.from >= cut && word.to <= from).length,
    torn: words.some((word) => !whole(word) && !again(word) && word.from < cut),
  };
}
