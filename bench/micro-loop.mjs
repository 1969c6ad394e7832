import { median } from './figures.mjs';

/**
 * Microseconds of CPU a call of `work` takes: the median of several rounds, each long enough (50 ms) that the clock's grain does not
 * show, after a warm-up of two.
 */
export function microseconds(work, { rounds = 7, roundMs = 50 } = {}) {
  let calls = 1;
  let spent = 0;
  for (; spent < roundMs * 1000; calls *= 2) spent = cpuOf(work, calls);
  calls = Math.max(1, Math.round((calls / 2) * ((roundMs * 1000) / spent)));
  cpuOf(work, calls);
  return median(Array.from({ length: rounds }, () => cpuOf(work, calls) / calls));
}

/** The last result of each round: what nobody looks at, the engine does not compute. */
const results = [];

function cpuOf(work, calls) {
  const before = process.cpuUsage();
  for (let n = 0; n < calls; n++) results[n & 255] = work(n);
  const { user, system } = process.cpuUsage(before);
  return user + system;
}
