// Preloaded into the gateway and its workers: how long after its beat each leg's frame had gone to its peer. On SIGUSR2 the figures of this process are
// written to the folder of BENCH_LATENESS and begin anew.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { built } from './built.mjs';

const MOST = 500_000;

if (isMainThread) {
  const { WorkerTicker } = await built('base/ticker.js');
  const { systemClock } = await built('base/clock.js');
  const late = new Float32Array(MOST);
  let count = 0;
  const { add } = WorkerTicker.prototype;
  WorkerTicker.prototype.add = function (tick) {
    return add.call(this, (dueAt) => {
      tick(dueAt);
      if (count < MOST) late[count++] = systemClock.now() - dueAt;
    });
  };
  process.on('SIGUSR2', () => {
    writeFileSync(join(process.env.BENCH_LATENESS, `${process.pid}`), Buffer.from(late.buffer, 0, 4 * count));
    count = 0;
  });
}
