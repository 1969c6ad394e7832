import { type ChildProcess, spawn } from 'node:child_process';
import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/client';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { McpFault } from './mcp-fault.ts';
import type { McpModule } from './mcp-module.ts';
import { StderrLog } from './stderr-log.ts';
import { MOST_MESSAGE_BYTES, StreamBounds } from './stream-bounds.ts';

export interface StdioServer {
  readonly command: string;
  readonly args: readonly string[];
  /** Beside those that any program needs (PATH, HOME …): nothing else of ours goes along. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string | undefined;
}

/** A server that is asked to end by the end of its input may take so long, after a SIGTERM so long in all; then it is killed. */
const TERM_AFTER_MS = 300;
const KILL_AFTER_MS = 1200;

/** Messages that wait for a program that does not read: it is stuck, and gets no more. */
const MOST_QUEUED_BYTES = 1024 * 1024;

/** Process groups that are killed with us, however we end. */
const groups = new Set<number>();
let isWatched = false;

/** A server of tools that is a program of this machine: one JSON message a line. Its children end with it, and it with us. */
export class StdioTransport implements Transport {
  onclose?: (() => void) | undefined;
  onerror?: ((error: Error) => void) | undefined;
  onmessage?: ((message: JSONRPCMessage) => void) | undefined;
  readonly #deps: { readonly clock: Clock; readonly log: Logger; readonly mcp: McpModule };
  readonly #server: StdioServer;
  readonly #bounds = new StreamBounds('lines');
  #child: ChildProcess | undefined;
  #ended: Promise<void> | undefined;
  #isClosed = false;

  constructor(deps: { readonly clock: Clock; readonly log: Logger; readonly mcp: McpModule }, server: StdioServer) {
    this.#deps = deps;
    this.#server = server;
  }

  /** @throws McpFault */
  start(): Promise<void> {
    const { command, args, env, cwd } = this.#server;
    return new Promise((resolve, reject) => {
      // Of its own group, so that what it starts can be ended with it.
      const child = spawn(command, args, {
        env: { ...this.#deps.mcp.getDefaultEnvironment(), ...env },
        detached: true,
        stdio: ['pipe', 'pipe', 'pipe'],
        ...(cwd === undefined ? {} : { cwd }),
      });
      this.#child = child;
      this.#ended = new Promise((ended) => {
        child.once('error', (error: NodeJS.ErrnoException) => {
          reject(new McpFault('unreachable', `The program cannot be started (${error.code ?? 'no reason'}).`, { cause: error }));
          if (child.pid === undefined) ended();
        });
        child.once('exit', (code, signal) => {
          this.#deps.log.info({ code, signal }, 'tool server ended');
          this.#endGroup('SIGKILL');
          if (child.pid !== undefined) groups.delete(child.pid);
          ended();
          this.#close();
        });
      });
      child.once('spawn', () => {
        watch(child);
        resolve();
      });
      this.#read(child);
    });
  }

  send(message: JSONRPCMessage): Promise<void> {
    const input = this.#child?.stdin;
    if (!input?.writable || this.#isClosed) return Promise.reject(new McpFault('gone', 'The program has ended.'));
    if (input.writableLength > MOST_QUEUED_BYTES) return Promise.reject(new McpFault('stuck', 'The program does not read.'));
    input.write(this.#deps.mcp.serializeMessage(message));
    return Promise.resolve();
  }

  /** Bounded in time; everything it started is gone then. */
  async close(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const { clock } = this.#deps;
    child.stdin?.end();
    const timers = [
      clock.setTimer(TERM_AFTER_MS, () => this.#endGroup('SIGTERM')),
      clock.setTimer(KILL_AFTER_MS, () => this.#endGroup('SIGKILL')),
    ];
    await this.#ended;
    for (const timer of timers) timer.cancel();
  }

  #read(child: ChildProcess): void {
    const { clock, log, mcp } = this.#deps;
    const buffer = new mcp.ReadBuffer({ maxBufferSize: 2 * MOST_MESSAGE_BYTES });
    child.stdout?.on('data', (chunk: Buffer) => {
      if (this.#isClosed) return;
      const fault = this.#bounds.pass(chunk, clock.now());
      if (fault) {
        this.onerror?.(fault);
        this.#endGroup('SIGKILL');
        this.#close();
        return;
      }
      buffer.append(chunk);
      this.#deliver(buffer);
    });
    const lines = new StderrLog(Object.values(this.#server.env), (line, left) =>
      log.info({ line, ...(left === 0 ? {} : { linesLeftOut: left }) }, 'tool server says'),
    );
    child.stderr?.setEncoding('utf8').on('data', (text: string) => lines.write(text, clock.now()));
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.on('error', (error) => this.onerror?.(error));
  }

  /** What is no message is passed over: programs print to where they should not. */
  #deliver(buffer: InstanceType<McpModule['ReadBuffer']>): void {
    for (;;) {
      try {
        const message = buffer.readMessage();
        if (message === null || this.#isClosed) return;
        this.onmessage?.(message);
      } catch (thrown) {
        this.onerror?.(thrown instanceof Error ? thrown : new Error(String(thrown)));
      }
    }
  }

  #endGroup(signal: 'SIGTERM' | 'SIGKILL'): void {
    const pid = this.#child?.pid;
    if (pid !== undefined) killGroup(pid, signal);
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.onclose?.();
  }
}

function watch({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  groups.add(pid);
  if (isWatched) return;
  isWatched = true;
  process.once('exit', () => {
    for (const group of groups) killGroup(group, 'SIGKILL');
  });
}

function killGroup(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // Nobody of it is left.
  }
}
