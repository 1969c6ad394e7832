// The built gateway as `npm start` runs it, with a line to the benchmark that started it: figures of the process, and stage times when asked for.
import { builtPath } from './built.mjs';
import { goFirst } from './priority.mjs';

goFirst();
process.on('disconnect', () => process.exit(0)); // the benchmark is over, however it ended

const probe = process.env.BENCH_PROBE ? await (await import('./probe.mjs')).installProbe() : undefined;

process.on('message', ({ ask, gc }) => {
  if (gc) globalThis.gc?.();
  if (ask === 'figures') process.send({ cpu: process.cpuUsage(), memory: process.memoryUsage() });
  if (ask === 'probe') process.send(probe?.take() ?? {});
  if (ask === 'forget') {
    probe?.take();
    process.send({});
  }
});

await import(builtPath('main.js'));
