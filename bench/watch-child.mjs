// Does nothing but sleep 2 ms at a time, and notes how late it was woken: what the machine does to everybody.
import { Worker } from 'node:worker_threads';
import { goFirst } from './priority.mjs';

goFirst();
process.on('disconnect', () => process.exit(0)); // the benchmark is over, however it ended

const SAMPLES = 300_000;
const shared = new Float64Array(new SharedArrayBuffer(8 * (SAMPLES + 1)));
const SLEEPER = `
const { workerData: shared } = require('node:worker_threads');
const cell = new Int32Array(new SharedArrayBuffer(4));
for (;;) {
  const before = performance.now();
  Atomics.wait(cell, 0, 0, 2);
  const n = shared[0] % ${SAMPLES};
  shared[n + 1] = performance.now() - before - 2;
  shared[0] = n + 1;
}
`;
new Worker(SLEEPER, { eval: true, workerData: shared });

process.on('message', () => {
  process.send(shared.slice(1, shared[0] + 1));
  shared[0] = 0;
});
process.on('SIGTERM', () => process.exit(0));
