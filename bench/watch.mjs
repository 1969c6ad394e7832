import { Child } from './child.mjs';
import { quantile, short } from './figures.mjs';

/**
 * Lateness that is none of ours: how late a process that does nothing was woken while `run` ran, p50 / p99 / p99.9 ms. What is measured
 * beside it cannot be better than this.
 */
export async function withWatch(run) {
  const child = new Child('./watch-child.mjs');
  await child.ask({});
  const value = await run();
  const late = await child.ask({});
  await child.stop();
  return { value, floor: [0.5, 0.99, 0.999].map((q) => short(quantile(late, q))).join(' / ') };
}
