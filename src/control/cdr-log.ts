import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Timer } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Counter, Metrics } from '../base/metrics.ts';
import { type CallRecord, formatRecord } from './cdr.ts';

export interface CdrLogDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export interface CdrLogOptions {
  /** Made when missing. The records are appended to cdr.jsonl in it. */
  readonly dataDir: string;
}

const FILE_NAME = 'cdr.jsonl';
/** Records hold phone numbers: for the owner alone. */
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
/** What waits in memory while the disk is full: at a call a second more than two hours, at some 500 B each 5 MB. */
const MAX_BACKLOG = 10_000;
/** Between two tries to write to a disk that refuses. */
const RETRY_MS = 5000;
/** Records reach the disk at the latest so long after they were written: what a power cut may cost. A killed process loses none. */
const SYNC_MS = 1000;
/** How long `stop` waits for a disk that does not answer. */
const STOP_MS = 1000;

/** Lines on their way to the file. What a write left over must follow before anything else, or a line would be broken. */
interface Unfinished {
  readonly bytes: Buffer;
  readonly records: number;
  /** How much of it is in the file. */
  written: number;
}

/**
 * Appends call records to a file, one line each, without ever making a call wait: `write` queues, one writer writes. While
 * the disk refuses, records wait in memory (bounded) and are written when it takes them again. A file that was renamed or
 * removed (log rotation) is made anew.
 */
export class CdrLog {
  readonly #deps: CdrLogDeps;
  readonly #path: string;
  readonly #directory: string;
  readonly #writeErrors: Counter;
  readonly #lost: Counter;
  #queue: string[] = [];
  #unfinished: Unfinished | undefined;
  #file: FileHandle | undefined;
  #fileId: string | undefined;
  #writing: Promise<void> | undefined;
  #retry: Timer | undefined;
  #sync: Timer | undefined;
  #failing = false;
  #stopped = false;

  constructor(deps: CdrLogDeps, { dataDir }: CdrLogOptions) {
    this.#deps = deps;
    this.#directory = dataDir;
    this.#path = join(dataDir, FILE_NAME);
    this.#writeErrors = deps.metrics.counter('cdr_write_errors_total', 'Times that call records could not be written');
    this.#lost = deps.metrics.counter('cdr_lost_total', 'Call records dropped because too many waited for the disk');
    deps.metrics.observe('cdr_backlog', 'Call records that wait for the disk', () => this.backlog);
  }

  /** Records that are not in the file yet. */
  get backlog(): number {
    return this.#queue.length + (this.#unfinished?.records ?? 0);
  }

  /** Opens the file. One that cannot be written is a warning, not an error: calls matter more. */
  async start(): Promise<void> {
    await this.#run();
  }

  /** Queues a record. Never throws and never waits. */
  write(record: CallRecord): void {
    if (this.#stopped || this.backlog >= MAX_BACKLOG) {
      this.#lost.inc();
      return;
    }
    this.#queue.push(formatRecord(record));
    // While failing, the retry timer decides when to try again.
    if (!this.#failing) void this.#run();
  }

  /** Writes what waits, as far as the disk takes it within a second, and closes the file. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    const { clock, log } = this.#deps;
    let bound: Timer | undefined;
    const late = new Promise<void>((resolve) => {
      bound = clock.setTimer(STOP_MS, resolve);
    });
    await Promise.race([this.#finish(), late]);
    bound?.cancel();
    this.#retry?.cancel();
    this.#sync?.cancel();
    if (this.backlog === 0) return;
    this.#lost.inc(this.backlog);
    log.error({ records: this.backlog, file: this.#path }, 'call records lost');
  }

  async #finish(): Promise<void> {
    await this.#run();
    await this.#closeFile();
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.datasync().catch(() => undefined);
    await file?.close().catch(() => undefined);
  }

  /** Starts the writer unless it is at work; settles when nothing waits any more or the disk refused. */
  #run(): Promise<void> {
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = undefined;
      if (this.#queue.length > 0 && !this.#failing) void this.#run();
    });
    return this.#writing;
  }

  async #drain(): Promise<void> {
    this.#retry?.cancel();
    this.#retry = undefined;
    try {
      do {
        const file = await this.#openFile();
        await this.#writeQueued(file);
      } while (this.#queue.length > 0);
      this.#succeeded();
    } catch (error) {
      this.#failed(error);
    }
  }

  async #writeQueued(file: FileHandle): Promise<void> {
    for (let next = this.#nextLines(); next; next = this.#nextLines()) {
      const { bytesWritten } = await file.write(next.bytes, next.written);
      next.written += bytesWritten;
      if (next.written === next.bytes.length) this.#unfinished = undefined;
    }
    this.#sync ??= this.#deps.clock.setTimer(SYNC_MS, () => {
      this.#sync = undefined;
      this.#file?.datasync().catch((error: unknown) => this.#failed(error));
    });
  }

  #nextLines(): Unfinished | undefined {
    if (!this.#unfinished && this.#queue.length > 0) {
      this.#unfinished = { bytes: Buffer.from(this.#queue.join('')), records: this.#queue.length, written: 0 };
      this.#queue = [];
    }
    return this.#unfinished;
  }

  /** The open file, as long as it is the one that has the name. */
  async #openFile(): Promise<FileHandle> {
    const there = await stat(this.#path).catch(() => undefined);
    if (this.#file && there && this.#fileId === `${there.dev}:${there.ino}`) return this.#file;
    await this.#closeFile();
    await mkdir(this.#directory, { recursive: true, mode: DIRECTORY_MODE });
    const file = await open(this.#path, constants.O_APPEND | constants.O_CREAT | constants.O_RDWR, FILE_MODE);
    const { dev, ino, size } = await file.stat();
    this.#file = file;
    this.#fileId = `${dev}:${ino}`;
    if (size > 0) await this.#endBrokenLine(file, size);
    // The line that was half written to the old file begins again in this one.
    const unfinished = this.#unfinished;
    if (unfinished && unfinished.written > 0) unfinished.written = unfinished.bytes.lastIndexOf(NEWLINE, unfinished.written - 1) + 1;
    return file;
  }

  /** A process that died in the middle of a line left half of one: the next record begins on its own. */
  async #endBrokenLine(file: FileHandle, size: number): Promise<void> {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
    if (bytesRead === 1 && buffer[0] !== NEWLINE) await file.write('\n');
  }

  #failed(err: unknown): void {
    this.#writeErrors.inc();
    if (!this.#failing) this.#deps.log.warn({ err, file: this.#path }, 'call records cannot be written');
    this.#failing = true;
    if (this.#stopped) return;
    this.#retry ??= this.#deps.clock.setTimer(RETRY_MS, () => void this.#run());
  }

  #succeeded(): void {
    if (this.#failing) this.#deps.log.info({ file: this.#path }, 'call records can be written again');
    this.#failing = false;
  }
}

const NEWLINE = 0x0a;
