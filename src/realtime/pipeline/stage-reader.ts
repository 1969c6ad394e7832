import type { StageFaultCode } from './stage.ts';

/** What was understood of a service's answer so far. */
export interface StageReading<T> {
  readonly events: readonly T[];
  /** The answer is of no use from here on. */
  readonly fault?: { readonly code: StageFaultCode; readonly detail: string } | undefined;
  /** The answer is whole, whatever else comes. */
  readonly ended?: boolean;
}

/** Reads the body of one answer, in pieces of any size. One for each attempt. */
export interface StageReader<T> {
  push(bytes: Uint8Array): StageReading<T>;
  /** The body is over: says what is missing, if anything. */
  end(): StageReading<T>;
}

/** The type without its parameters, in small letters. */
export function bareType(contentType: string | undefined): string {
  return (contentType ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

export function unreadable<T>(code: StageFaultCode, detail: string): StageReading<T> {
  return { events: [], fault: { code, detail } };
}

/** Collects a body that is read as a whole. */
export class WholeBody {
  readonly #pieces: Uint8Array[] = [];
  readonly #mostBytes: number;
  #bytes = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** @returns false: it is too large, and nothing is kept of it */
  push(bytes: Uint8Array): boolean {
    this.#bytes += bytes.length;
    if (this.#bytes <= this.#mostBytes) this.#pieces.push(bytes);
    else this.#pieces.length = 0;
    return this.#bytes <= this.#mostBytes;
  }

  /** undefined: bad UTF-8. */
  text(): string | undefined {
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(this.#pieces));
    } catch {
      return undefined;
    }
  }
}
