import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A process of the benchmark that answers questions over its IPC channel, one at a time. */
export class Child {
  #process;
  #waiting;
  #output = '';
  #lines = new Set();

  /** @param file beside this one; `execArgv` are flags of Node */
  constructor(file, { args = [], execArgv = [], env = {} } = {}) {
    const options = { execArgv: ['--expose-gc', ...execArgv], env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'ignore', 'ipc'] };
    this.#process = fork(fileURLToPath(new URL(file, import.meta.url)), args, { ...options, serialization: 'advanced' });
    this.#process.on('message', (message) => this.#waiting?.(message));
    this.#process.stdout.on('data', (data) => {
      this.#output += data;
      for (const look of this.#lines) look();
    });
    this.ended = new Promise((resolve) => this.#process.once('exit', resolve));
  }

  get pid() {
    return this.#process.pid;
  }

  /** Waits for something in what it prints. */
  printed(pattern, ms = 30_000) {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`no ${pattern} in: ${this.#output}`)), ms);
      const look = () => {
        const match = pattern.exec(this.#output);
        if (!match) return;
        clearTimeout(late);
        this.#lines.delete(look);
        resolve(match);
      };
      this.#lines.add(look);
      look();
    });
  }

  ask(question) {
    return new Promise((resolve) => {
      this.#waiting = resolve;
      this.#process.send(question);
    });
  }

  async stop() {
    const timers = [0, 300, 4000].map((ms, n) => setTimeout(() => this.#process.kill(n === 2 ? 'SIGKILL' : 'SIGTERM'), ms));
    await this.ended;
    for (const timer of timers) clearTimeout(timer);
  }
}
