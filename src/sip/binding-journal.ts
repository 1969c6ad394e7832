import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Timer } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Binding } from './bindings.ts';

/** What is kept of a binding: everything but its connection, which does not outlive the process. `expiresAt` is Unix milliseconds. */
type KeptBinding = Omit<Binding, 'flow'>;

/** Whose phones are where. @property mark of the password that they have shown */
interface Kept {
  readonly mark: string;
  readonly bindings: readonly KeptBinding[];
}

/** What stands, and what makes the clock's milliseconds Unix ones. */
export interface Standing {
  readonly bindings: ReadonlyMap<string, readonly Binding[]>;
  readonly markOf: (user: string) => string;
  readonly offsetMs: number;
}

const FILE_NAME = 'registrations.json';
/** As the call records beside it: for the owner alone. */
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
const VERSION = 2;
/** A thousand users with twenty phones each, 500 bytes a phone. */
const MAX_BYTES = 16 * 1024 * 1024;
/** A file that is written at each refresh of each phone would be written all the time. */
const LEAST_PAUSE_MS = 1000;

/** Keeps who is registered in a file, so that phones are reached right after a restart. It holds no passwords. A disk that refuses is a warning. */
export class BindingJournal {
  readonly restored: ReadonlyMap<string, Kept>;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #directory: string;
  #read: (() => Standing) | undefined;
  #writing: Promise<void> | undefined;
  #pause: Timer | undefined;
  #stopping = false;
  #failing = false;

  private constructor(clock: Clock, log: Logger, directory: string, restored: ReadonlyMap<string, Kept>) {
    this.#clock = clock;
    this.#log = log;
    this.#directory = directory;
    this.restored = restored;
  }

  /** Reads what the last process has kept. What cannot be read is nothing, and is said. */
  static async open(clock: Clock, log: Logger, { dataDir }: { readonly dataDir: string }): Promise<BindingJournal> {
    const file = join(dataDir, FILE_NAME);
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? undefined : ''));
    const restored = text === undefined ? new Map<string, Kept>() : readBindings(text);
    if (!restored) log.warn({ file }, 'registrations cannot be read: phones are reached when they register again');
    return new BindingJournal(clock, log, dataDir, restored ?? new Map());
  }

  /** Something has changed. Never throws and never waits. @param read gives it when it is written */
  note(read: () => Standing): void {
    this.#read = read;
    if (!this.#writing && !this.#pause) this.#write();
  }

  /** What was noted is on the disk, or cannot be brought there. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#pause?.cancel();
    await this.#writing;
    await this.#save();
  }

  #write(): void {
    this.#writing = this.#save().finally(() => {
      this.#writing = undefined;
      if (this.#stopping) return;
      this.#pause = this.#clock.setTimer(LEAST_PAUSE_MS, () => {
        this.#pause = undefined;
        if (this.#read) this.#write();
      });
    });
  }

  async #save(): Promise<void> {
    const read = this.#read;
    this.#read = undefined;
    if (!read) return;
    const standing = read();
    const path = join(this.#directory, FILE_NAME);
    try {
      await mkdir(this.#directory, { recursive: true, mode: DIRECTORY_MODE });
      await writeFile(`${path}.new`, writeBindings(standing), { mode: FILE_MODE, flush: true });
      await rename(`${path}.new`, path);
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#log.warn({ err: error, file: path }, 'registrations cannot be kept');
      this.#failing = true;
    }
  }
}

function writeBindings({ bindings: all, markOf, offsetMs }: Standing): string {
  const users = Object.fromEntries(
    Array.from(all, ([user, bindings]): [string, Kept] => [
      user,
      {
        mark: markOf(user),
        bindings: bindings.map(({ flow: _flow, expiresAt, ...rest }) => ({ ...rest, expiresAt: Math.round(expiresAt + offsetMs) })),
      },
    ]),
  );
  return `${JSON.stringify({ version: VERSION, users })}\n`;
}

/** Undefined for anything that was not written by us. */
function readBindings(text: string): Map<string, Kept> | undefined {
  if (text.length > MAX_BYTES) return undefined;
  try {
    const { version, users } = JSON.parse(text) as { version?: unknown; users?: unknown };
    if (version !== VERSION || typeof users !== 'object' || users === null) return undefined;
    const found = new Map<string, Kept>();
    for (const [user, { mark, bindings }] of Object.entries(users as Record<string, Record<string, unknown>>)) {
      if (typeof mark !== 'string' || !Array.isArray(bindings) || !bindings.every(isKeptBinding)) return undefined;
      found.set(user, { mark, bindings });
    }
    return found;
  } catch {
    return undefined;
  }
}

function isKeptBinding(value: unknown): value is KeptBinding {
  if (typeof value !== 'object' || value === null) return false;
  const { uri, q, callId, cseq, source, path, expiresAt, instance, regId } = value as Record<string, unknown>;
  const { address, port, transport } = (typeof source === 'object' && source !== null ? source : {}) as Record<string, unknown>;
  const texts = [uri, callId, address, transport, instance ?? ''];
  const figures = [q, cseq, port, expiresAt, regId ?? 0];
  return (
    texts.every((each) => typeof each === 'string') &&
    figures.every((each) => Number.isFinite(each)) &&
    Array.isArray(path) &&
    path.every((each) => typeof each === 'string')
  );
}
