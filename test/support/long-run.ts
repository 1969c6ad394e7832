import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

/** Share of the full length that the long runs take; RINGDOWN_LONG_SCALE, above 0 and at most 1. */
const longScale = Math.min(1, Number(process.env['RINGDOWN_LONG_SCALE'] ?? 1)) || 1;

/** So much of a full-length run, but at least `least`. */
export function scaled(full: number, least: number): number {
  return Math.max(least, Math.round(full * longScale));
}

interface Row {
  readonly what: string;
  readonly measured: string;
  readonly bar: string;
  readonly met: boolean;
}

/** The dated report of a long run: docs/long-runs/<date>-<name>.md. Figures are written down whether they are met or not. */
export class LongReport {
  readonly #name: string;
  readonly #title: string;
  readonly #how: string;
  readonly #rows: Row[] = [];
  readonly #notes: string[] = [];
  readonly #startedAt = performance.now();

  constructor(name: string, title: string, how: string) {
    this.#name = name;
    this.#title = title;
    this.#how = how;
  }

  /** A figure and its bar. */
  row(what: string, measured: string, bar: string, met: boolean): void {
    this.#rows.push({ what, measured, bar, met });
    console.log(`${what}: ${measured} (bar: ${bar})${met ? '' : ' MISSED'}`);
  }

  /** A figure without a bar. */
  note(text: string): void {
    this.#notes.push(text);
    console.log(text);
  }

  /** The figures that are not met. */
  get missed(): string[] {
    return this.#rows.filter(({ met }) => !met).map(({ what, measured, bar }) => `${what}: ${measured} (bar: ${bar})`);
  }

  write(): void {
    const date = new Date().toISOString().slice(0, 10);
    const minutes = ((performance.now() - this.#startedAt) / 60_000).toFixed(1);
    const length = longScale === 1 ? 'the full run' : `${longScale} of the full length (RINGDOWN_LONG_SCALE)`;
    const lines = [
      `# ${this.#title}, ${date}`,
      '',
      this.#how,
      '',
      `${minutes} minutes, ${length}; Node ${process.version}, ${cpus().length} cores shared with other work; sources at ${commit()}.`,
      '',
      '| figure | measured | bar | met |',
      '|---|---|---|---|',
      ...this.#rows.map(({ what, measured, bar, met }) => `| ${what} | ${measured} | ${bar} | ${met ? 'yes' : '**no**'} |`),
      ...(this.#notes.length > 0 ? ['', ...this.#notes.map((note) => `* ${note}`)] : []),
      '',
    ];
    const folder = join(ROOT, 'docs/long-runs');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `${date}-${this.#name}.md`), lines.join('\n'));
  }
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).trim();
  } catch {
    return 'an unknown commit';
  }
}
