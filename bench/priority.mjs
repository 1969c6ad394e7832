import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { setPriority } from 'node:os';

/** Above what else runs on the machine, so that neighbours' turns do not show as delays of ours. */
const NICE = -15;

/**
 * Asks for the processor before others, where that is allowed (it takes root); threads that start later inherit it. Those that V8 has started already
 * are asked for one by one: the main thread waits for them when garbage is collected.
 */
export function goFirst() {
  try {
    if (process.env.BENCH_REALTIME === '1') return goBeforeAll();
    for (const thread of readdirSync('/proc/self/task')) setPriority(Number(thread), NICE);
    return true;
  } catch {
    return false;
  }
}

/**
 * Real-time scheduling (round robin, the least of its priorities): every thread runs the moment it can. Others on the machine get what is left, so it is
 * for a measurement that neighbours would spoil, by choice: `BENCH_REALTIME=1`.
 */
function goBeforeAll() {
  return spawnSync('chrt', ['--all-tasks', '--rr', '--pid', '1', String(process.pid)]).status === 0;
}
