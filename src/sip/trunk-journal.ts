import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../base/log.ts';
import type { DayCount } from './trunk-meter.ts';

/** The calls of the day by trunk, each direction by itself. */
export type TrunkDays = ReadonlyMap<string, { readonly outbound: DayCount; readonly inbound: DayCount }>;

const FILE_NAME = 'trunk-days.json';
/** As the call records beside it: for the owner alone. */
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
const VERSION = 1;

/**
 * Keeps the calls of the day in a file, so that a restart gives no second day's worth of calls. The file is replaced whole; while one is written
 * what comes meanwhile waits for the next. A disk that refuses is a warning: the caps count on in memory.
 */
export class TrunkJournal {
  readonly days: TrunkDays;
  readonly #log: Logger;
  readonly #directory: string;
  #read: (() => TrunkDays) | undefined;
  #writing: Promise<void> | undefined;
  #failing = false;

  private constructor(log: Logger, directory: string, days: TrunkDays) {
    this.#log = log;
    this.#directory = directory;
    this.days = days;
  }

  /** Reads what the last process has counted. What cannot be read counts as nothing, and is said. */
  static async open(log: Logger, { dataDir }: { readonly dataDir: string }): Promise<TrunkJournal> {
    const file = join(dataDir, FILE_NAME);
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? undefined : ''));
    const days = text === undefined ? new Map() : readDays(text);
    if (!days) log.warn({ file }, 'the calls of the day cannot be read: counted from zero');
    return new TrunkJournal(log, dataDir, days ?? new Map());
  }

  /** The counts have changed. Never throws and never waits. @param read gives them when they are written */
  note(read: () => TrunkDays): void {
    this.#read = read;
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  /** What was noted is on the disk, or cannot be brought there. */
  async stop(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    for (let read = this.#take(); read; read = this.#take()) {
      const path = join(this.#directory, FILE_NAME);
      try {
        await mkdir(this.#directory, { recursive: true, mode: DIRECTORY_MODE });
        await writeFile(`${path}.new`, writeDays(read()), { mode: FILE_MODE, flush: true });
        await rename(`${path}.new`, path);
        this.#failing = false;
      } catch (error) {
        if (!this.#failing) this.#log.warn({ err: error, file: path }, 'the calls of the day cannot be kept');
        this.#failing = true;
      }
    }
  }

  #take(): (() => TrunkDays) | undefined {
    const read = this.#read;
    this.#read = undefined;
    return read;
  }
}

function writeDays(days: TrunkDays): string {
  return `${JSON.stringify({ version: VERSION, trunks: Object.fromEntries(days) })}\n`;
}

/** Undefined for anything that was not written by us. */
function readDays(text: string): TrunkDays | undefined {
  try {
    const { version, trunks } = JSON.parse(text) as { version?: unknown; trunks?: unknown };
    if (version !== VERSION || typeof trunks !== 'object' || trunks === null) return undefined;
    const days = new Map<string, { outbound: DayCount; inbound: DayCount }>();
    for (const [name, counts] of Object.entries(trunks as Record<string, { outbound?: unknown; inbound?: unknown } | null>)) {
      const outbound = readCount(counts?.outbound);
      const inbound = readCount(counts?.inbound);
      if (!outbound || !inbound) return undefined;
      days.set(name, { outbound, inbound });
    }
    return days;
  } catch {
    return undefined;
  }
}

function readCount(value: unknown): DayCount | undefined {
  const { day, calls } = (typeof value === 'object' && value !== null ? value : {}) as { day?: unknown; calls?: unknown };
  if (!Number.isSafeInteger(day) || !Number.isSafeInteger(calls)) return undefined;
  return { day: day as number, calls: Math.max(0, calls as number) };
}
