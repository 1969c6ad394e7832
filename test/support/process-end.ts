const tasks: (() => void)[] = [];

function runTasks(): void {
  for (const task of tasks.splice(0).reverse()) task();
}

/** Runs when this process ends, also when the test runner ends it by a signal: an `exit` event alone does not come then. */
export function atProcessEnd(task: () => void): void {
  tasks.push(task);
}

process.on('exit', runTasks);
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.once(signal, () => {
    runTasks();
    // The listener is gone by now: the signal does what it does by default.
    process.kill(process.pid, signal);
  });
}
