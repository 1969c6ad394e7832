import { Random } from './random.mjs';
import { TURNS, VOICES } from './scripts.mjs';

/** Rows below this seed are for tuning, the others for reporting: nothing is chosen by what these say. */
const FIRST_REPORTING = 1_000_000;

/** How many of the pauses at this place are long ones. */
const LONG_SHARE = { '/': 0.26, '|': 0.12, '#': 0.1 };

/** n seeds of the tuning or the reporting half. */
export function seedsOf(half, n) {
  const first = half === 'report' ? FIRST_REPORTING : 1;
  return Array.from({ length: n }, (_, k) => first + k);
}

/**
 * A caller and what is said: text, pauses and nothing else. Pauses as measured in talk: 59 % of them are longer than 300 ms, 25 % than
 * 600, 10.5 % than 1000, 3 % than 1600.
 */
export function callerOf(seed, turns) {
  const random = new Random(seed * 7919);
  const voice = random.of(VOICES);
  const slowness = random.around(1, 0.3);
  return {
    seed,
    voice,
    slowness,
    levelDb: random.between(-32, -20),
    turns: Array.from({ length: turns }, () => turnOf(random, slowness)),
  };
}

function turnOf(random, slowness) {
  const { ask, say } = random.of(TURNS);
  const parts = say.split(/ ([/|#]) /);
  const segments = parts.filter((_, n) => n % 2 === 0);
  const places = parts.filter((_, n) => n % 2 === 1);
  return { ask, segments, pausesMs: places.map((place) => pauseOf(random, place, slowness)) };
}

function pauseOf(random, place, slowness) {
  const long = random.next() < LONG_SHARE[place];
  const ms = (long ? random.around(1050, 0.57) : random.around(300, 0.52)) * slowness;
  return Math.round(Math.min(4000, Math.max(100, ms)));
}
