/** More in one event is no stream of words: 1 MB. */
const MOST_EVENT_CHARS = 1_048_576;

export type SseResult = { readonly events: readonly string[] } | { readonly fault: 'bad_utf8' | 'too_large' };

/** Server-sent events, of which only the data matters: bytes in any pieces, data of whole events out. Bad UTF-8 is a fault. */
export class SseParser {
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  /** The line that is not ended yet. */
  #line = '';
  #data: string[] = [];
  #dataChars = 0;
  /** The last character was CR: an LF after it belongs to it. */
  #afterCr = false;

  push(bytes: Uint8Array): SseResult {
    const text = this.#decode(bytes, true);
    return text === undefined ? { fault: 'bad_utf8' } : this.#take(text);
  }

  /** The stream is over: the event that no blank line ended counts, too. */
  end(): SseResult {
    const text = this.#decode(new Uint8Array(0), false);
    return text === undefined ? { fault: 'bad_utf8' } : this.#take(`${text}\n\n`);
  }

  #decode(bytes: Uint8Array, stream: boolean): string | undefined {
    try {
      return this.#decoder.decode(bytes, { stream });
    } catch {
      return undefined;
    }
  }

  #take(text: string): SseResult {
    const events: string[] = [];
    let from = 0;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code !== 10 && code !== 13) {
        this.#afterCr = false;
        continue;
      }
      if (code === 10 && this.#afterCr && at === from) {
        this.#afterCr = false;
        from = at + 1;
        continue;
      }
      this.#afterCr = code === 13;
      this.#endLine(this.#line + text.slice(from, at), events);
      this.#line = '';
      from = at + 1;
    }
    this.#line += text.slice(from);
    return this.#line.length + this.#dataChars > MOST_EVENT_CHARS ? { fault: 'too_large' } : { events };
  }

  #endLine(line: string, events: string[]): void {
    if (line === '') {
      if (this.#data.length > 0) events.push(this.#data.join('\n'));
      this.#data = [];
      this.#dataChars = 0;
    } else if (line.startsWith('data:')) {
      const data = line.slice(line.charCodeAt(5) === 0x20 ? 6 : 5);
      this.#data.push(data);
      this.#dataChars += data.length + 1;
    }
  }
}
