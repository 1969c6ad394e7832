import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { atProcessEnd } from './process-end.ts';
import { EventLog, eventually, within } from './wait.ts';

export interface ChildOptions {
  readonly cwd?: string;
  /** Added to the environment of this process; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What it is called in messages; the program's name when left out. */
  readonly name?: string;
  /** It has children of its own, which are to end with it: signals go to all of them. */
  readonly family?: boolean;
  /** It is told what to do by lines on its standard input (see `type`). */
  readonly typed?: boolean;
}

export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Children that must not outlive the test process. Each is ended by its own id. */
const living = new Set<Child>();

atProcessEnd(() => {
  for (const child of living) child.signal('SIGKILL');
});

/** Between two signals that are to be two for the gateway: what comes within 200 ms of the first is the same one. */
export const SIGNALS_APART_MS = 300;

/** How long a program gets to end by itself before it is killed. */
const STOP_GRACE_MS = 3000;

/** A program started by a test: its lines as they come, its end, and no survivor. */
export class Child {
  readonly #process: ChildProcess;
  readonly #family: boolean;
  readonly name: string;
  readonly stdout = new EventLog<string>();
  readonly stderr = new EventLog<string>();
  /** Resolves when it has ended and all its output has been read. */
  readonly ended: Promise<ChildEnd>;
  #end: ChildEnd | undefined;

  constructor(program: string, args: readonly string[], options: ChildOptions = {}) {
    this.name = options.name ?? program.split('/').at(-1) ?? program;
    const env: NodeJS.ProcessEnv = { ...process.env, ...options.env };
    this.#family = options.family ?? false;
    this.#process = spawn(program, args, {
      cwd: options.cwd,
      env,
      stdio: [options.typed ? 'pipe' : 'ignore', 'pipe', 'pipe'],
      detached: this.#family,
    });
    living.add(this);
    const { stdin, stdout, stderr } = this.#process;
    stdin?.on('error', () => undefined); // it has ended, which its end tells
    if (stdout) createInterface({ input: stdout }).on('line', (line) => this.stdout.push(line));
    if (stderr) createInterface({ input: stderr }).on('line', (line) => this.stderr.push(line));
    this.ended = new Promise((resolve) => {
      this.#process.once('error', (error) => {
        this.stderr.push(error.message);
        this.#finish({ code: 127, signal: null }, resolve);
      });
      this.#process.once('close', (code, signal) => this.#finish({ code, signal }, resolve));
    });
  }

  get pid(): number {
    return this.#process.pid ?? -1;
  }

  get running(): boolean {
    return this.#end === undefined;
  }

  /** A line on its standard input. */
  type(line: string): void {
    this.#process.stdin?.write(`${line}\n`);
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.running) return;
    if (!this.#family || this.#process.pid === undefined) {
      this.#process.kill(signal);
      return;
    }
    try {
      process.kill(-this.#process.pid, signal);
    } catch {
      // All of them have ended, and the news is on its way.
    }
  }

  /** Waits for a line on either output. @throws Error with its last words when it ends first */
  async line(pattern: RegExp, deadlineMs: number): Promise<RegExpExecArray> {
    return eventually(
      () => {
        for (const line of [...this.stdout.all, ...this.stderr.all]) {
          const match = pattern.exec(line);
          if (match) return match;
        }
        if (!this.running) throw new Error(`${this.name} ended before it said ${pattern}:\n${this.lastWords()}`);
        return undefined;
      },
      deadlineMs,
      `${pattern} from ${this.name}`,
    ).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.lastWords()}`);
    });
  }

  /** The end of what it wrote, for error messages. */
  lastWords(lines = 15): string {
    return [...this.stdout.all.slice(-lines), ...this.stderr.all.slice(-lines)].join('\n');
  }

  /** Waits for it to end by itself. */
  end(deadlineMs: number): Promise<ChildEnd> {
    return within(this.ended, deadlineMs, `the end of ${this.name}`);
  }

  /** SIGTERM, and SIGKILL when that does not help. */
  async stop(graceMs = STOP_GRACE_MS): Promise<ChildEnd> {
    this.signal('SIGTERM');
    return within(this.ended, graceMs, 'the end').catch(() => this.kill());
  }

  kill(): Promise<ChildEnd> {
    this.signal('SIGKILL');
    return this.ended;
  }

  #finish(end: ChildEnd, resolve: (end: ChildEnd) => void): void {
    living.delete(this);
    this.#end ??= end;
    resolve(this.#end);
  }
}
