const OPEN = '<think>';
const CLOSE = '</think>';

/** Local models write what they think before what they say. Passes on the latter. */
export class ThinkFilter {
  #held = '';
  #state: 'start' | 'thinking' | 'saying' = 'start';

  push(text: string): string {
    if (this.#state === 'saying') return text;
    this.#held += text;
    if (this.#state === 'start') {
      const begun = this.#held.trimStart();
      if (begun.length < OPEN.length && OPEN.startsWith(begun)) return '';
      if (!begun.startsWith(OPEN)) return this.#say(this.#held);
      this.#state = 'thinking';
    }
    const end = this.#held.indexOf(CLOSE);
    if (end >= 0) return this.#say(this.#held.slice(end + CLOSE.length).trimStart());
    // Only what may be the beginning of its end is kept.
    this.#held = this.#held.slice(-CLOSE.length);
    return '';
  }

  /** Nothing more comes: what looked like the beginning of a thought was none. */
  flush(): string {
    return this.#state === 'start' ? this.#say(this.#held) : '';
  }

  #say(text: string): string {
    this.#state = 'saying';
    this.#held = '';
    return text;
  }
}
