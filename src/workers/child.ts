import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** A worker's process as its parent sees it. */
export interface Child {
  readonly pid: number | undefined;
  /** Milliseconds in which it could have run and the machine had no core for it, since its start; 0 where no one tells (Linux does). */
  readonly waitedMs: number;
  onMessage: ((message: unknown) => void) | undefined;
  /** Once; it is gone, or could not be started. */
  onExit: ((how: string) => void) | undefined;
  /** What cannot be sent is lost: the end of the process says the rest. */
  send(message: object): void;
  /** At once and without a word to it. */
  kill(): void;
  /** It ends by itself when the pipe does. */
  release(): void;
}

/**
 * Starts a worker. It writes its log where we write ours; it has no arguments, and what it must know comes over the pipe.
 * @param entry a module of this program
 */
export function forkChild(entry: URL): Child {
  return new ForkedChild(fork(entry, [], { serialization: 'advanced', stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }));
}

class ForkedChild implements Child {
  onMessage: ((message: unknown) => void) | undefined;
  onExit: ((how: string) => void) | undefined;
  readonly #process: ChildProcess;
  #exited = false;

  constructor(process: ChildProcess) {
    this.#process = process;
    process.on('message', (message) => this.onMessage?.(message));
    process.on('error', (error) => {
      // A failed send is followed by the exit; a failed start is not.
      if (process.pid === undefined) this.#exit(error.message);
    });
    process.on('exit', (code, signal) => this.#exit(signal ?? `code ${code}`));
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  get waitedMs(): number {
    try {
      // Of its main thread: time on a core, time in the queue for one (both in nanoseconds), turns.
      return Number(readFileSync(`/proc/${this.pid}/schedstat`, 'latin1').split(' ')[1]) / 1e6 || 0;
    } catch {
      return 0;
    }
  }

  send(message: object): void {
    if (this.#process.connected) this.#process.send(message, () => undefined);
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }

  release(): void {
    if (this.#process.connected) this.#process.disconnect();
  }

  #exit(how: string): void {
    if (this.#exited) return;
    this.#exited = true;
    this.onExit?.(how);
  }
}
