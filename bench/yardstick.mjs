import { createCipheriv, createHash } from 'node:crypto';
import { Child } from './child.mjs';

/*
 * A fixed calculation, timed before and after everything that is measured. Machines differ and so do the neighbours on one: a cost as a
 * multiple of this can be compared where microseconds cannot. It does what the gateway does: AES and SHA in native code, floating
 * point and table work in JavaScript.
 */

const BUFFER = Buffer.alloc(64 * 1024, 0x5a);
const SAMPLES = 4800;

function calculate() {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16, 2));
  const hash = createHash('sha1');
  for (let n = 0; n < 160; n++) hash.update(cipher.update(BUFFER));
  const line = new Float64Array(SAMPLES);
  const table = Int16Array.from({ length: 65_536 }, (_, n) => (n * 40_503) & 0x7fff);
  let sum = hash.digest()[0];
  for (let round = 0; round < 160; round++) {
    for (let i = 0; i < SAMPLES; i++) {
      line[i] = 0.5 * line[i] + Math.sin(i + round) * table[(i * 31 + round) & 0xffff];
      sum += line[i];
    }
  }
  return sum;
}

let sink = calculate();

/** CPU milliseconds that the fixed calculation takes now: the least of a few tries, as a neighbour only ever makes it longer. */
export function yardstickMs(tries = 5) {
  let least = Number.POSITIVE_INFINITY;
  for (let n = 0; n < tries; n++) {
    const before = process.cpuUsage();
    sink += calculate();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / 1000);
  }
  return Number.isNaN(sink) ? 0 : least;
}

let child;

/** The fixed calculation before and after something, in another process: the mean of both. */
export async function withYardstick(run) {
  child ??= new Child('./yardstick-child.mjs');
  const before = await child.ask({});
  const value = await run();
  return { value, yardMs: (before + (await child.ask({}))) / 2 };
}
