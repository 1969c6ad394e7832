/** A line of a program that talks too much; a stack trace's lines are shorter. */
const MOST_LINE = 500;

/** What a program may say: so many lines at once, and so many a second for ever. */
const BURST_LINES = 50;
const LINES_A_SECOND = 5;

/** Of a value that is looked for. */
const MOST_SECRET = 4096;

/** Shorter values stand in too many words to be taken out of them. */
const LEAST_SECRET = 6;

/** What looks like a credential, whoever's it is. */
const CREDENTIAL =
  /(\b(?:token|api[-_]?key|secret|password|authorization)\b["']?\s*[:=]\s*["']?(?:(?:bearer|basic)\s+)?|\b(?:bearer|basic)\s+)[^\s"',;]+/gi;

/** What a program says on its standard error, as lines that a log may have: bounded, and without secrets. */
export class StderrLog {
  readonly #secrets: readonly string[];
  readonly #tell: (line: string, left: number) => void;
  #rest = '';
  #tokens = BURST_LINES;
  #filledAt: number | undefined;
  #left = 0;

  /** @param secrets values that the program was given; @param tell a line, and how many before it were left out */
  constructor(secrets: readonly string[], tell: (line: string, left: number) => void) {
    this.#secrets = secrets.filter((each) => each.length >= LEAST_SECRET).sort((a, b) => b.length - a.length);
    this.#tell = tell;
  }

  write(text: string, now: number): void {
    const lines = text.split('\n');
    const last = lines.pop() ?? '';
    for (const line of lines) this.#end(line, now);
    this.#append(last);
  }

  #append(text: string): void {
    // More than is told, so that a secret across the cut is found before the line is cut.
    this.#rest += text.slice(0, MOST_LINE + MOST_SECRET - this.#rest.length);
  }

  #end(text: string, now: number): void {
    this.#append(text);
    const line = this.#rest;
    this.#rest = '';
    const elapsed = now - (this.#filledAt ?? now);
    this.#filledAt = now;
    this.#tokens = Math.min(BURST_LINES, this.#tokens + (elapsed * LINES_A_SECOND) / 1000);
    if (line.trim() === '') return;
    if (this.#tokens < 1) {
      this.#left += 1;
      return;
    }
    this.#tokens -= 1;
    this.#tell(this.#clean(line).slice(0, MOST_LINE), this.#left);
    this.#left = 0;
  }

  #clean(line: string): string {
    let clean = line;
    for (const secret of this.#secrets) clean = clean.replaceAll(secret, '[redacted]');
    return clean.replace(CREDENTIAL, '$1[redacted]');
  }
}
