import { bad, type Fault, MAX_MESSAGE_BYTES } from './message.ts';

/** What a stream holds next. */
export type Framed =
  | { readonly type: 'message'; readonly bytes: Buffer }
  /** CRLF CRLF between messages: to be answered with CRLF (RFC 5626 §4.4.1). */
  | { readonly type: 'ping' }
  /** Where the message ends is not known, so nothing after it can be read. `head` is what can still be refused politely. */
  | { readonly type: 'fault'; readonly head: Buffer; readonly fault: Fault };

const CR = 0x0d;
const LF = 0x0a;

/** As long as nearly all messages, so that a buffer seldom grows. */
const FIRST_BUFFER_BYTES = 4096;

/** Both names of Content-Length, with blanks and folds where they may be. Linear: the repeats cannot match the same characters. */
const CONTENT_LENGTH = /\r\n(?:content-length|l)[ \t]*:((?:\r\n[ \t]|[^\r\n])*)/gi;

/** Cuts a byte stream into SIP messages by Content-Length (RFC 3261 §18.3). Holds at most one message and one chunk. */
export class StreamFramer {
  #buffer: Buffer = Buffer.alloc(0);
  #start = 0;
  #end = 0;
  /** Up to where no empty line was found, so that a slow head is not searched again and again. */
  #searched = 0;
  /** Length of the message at #start, once its head is in. */
  #length: number | undefined;
  #broken = false;
  /** Whether the buffer is ours to write into, and not the socket's. */
  #owned = false;

  /** Whether a message has begun that is not whole yet. */
  get partial(): boolean {
    if (this.#broken) return false;
    // A CR LF or two that may become a ping is no message.
    for (let at = this.#start; at < this.#end; at += 1) if (this.#buffer[at] !== CR && this.#buffer[at] !== LF) return true;
    return false;
  }

  push(chunk: Buffer): void {
    if (this.#broken) return;
    const held = this.#end - this.#start;
    if (held === 0) {
      this.#take(chunk, 0, chunk.length, false);
      return;
    }
    if (!this.#owned || this.#end + chunk.length > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(FIRST_BUFFER_BYTES, 2 * (held + chunk.length)));
      this.#buffer.copy(larger, 0, this.#start, this.#end);
      this.#searched -= this.#start;
      this.#buffer = larger;
      this.#start = 0;
      this.#end = held;
      this.#owned = true;
    }
    chunk.copy(this.#buffer, this.#end);
    this.#end += chunk.length;
  }

  /** The next thing that is whole; undefined when more bytes are needed. The bytes are valid until the next push. */
  next(): Framed | undefined {
    if (this.#broken) return undefined;
    if (this.#length === undefined) {
      const separator = this.#skipSeparators();
      if (separator) return separator;
      const fault = this.#readHead();
      if (fault) return fault;
    }
    if (this.#length === undefined || this.#end - this.#start < this.#length) return undefined;
    const bytes = this.#buffer.subarray(this.#start, this.#start + this.#length);
    this.#consume(this.#length);
    return { type: 'message', bytes };
  }

  /** CRLFs before a message are ignored (RFC 3261 §7.5); two of them are a ping. */
  #skipSeparators(): Framed | undefined {
    while (this.#end - this.#start >= 2 && this.#buffer[this.#start] === CR && this.#buffer[this.#start + 1] === LF) {
      const left = this.#end - this.#start;
      if (left >= 4 && this.#buffer[this.#start + 2] === CR && this.#buffer[this.#start + 3] === LF) {
        this.#consume(4);
        return { type: 'ping' };
      }
      if (left < 4 && (left === 2 || this.#buffer[this.#start + 2] === CR)) return undefined;
      this.#consume(2);
    }
    return undefined;
  }

  /** Finds the end of the head and with it the length of the message. */
  #readHead(): Framed | undefined {
    const first = this.#buffer[this.#start];
    if (this.#start === this.#end || first === undefined) return undefined;
    if (first === CR && (this.#start + 1 === this.#end || this.#buffer[this.#start + 1] === LF)) return undefined;
    // A request begins with a token, a response with SIP: a TLS handshake or other binary stuff is seen at its first byte.
    if (first <= 0x20 || first >= 0x7f) return this.#fail(this.#start, bad('message'));
    const searchFrom = Math.max(this.#start, this.#searched - 3);
    const at = this.#buffer.subarray(0, this.#end).indexOf('\r\n\r\n', searchFrom);
    if (at === -1) {
      this.#searched = this.#end;
      return this.#end - this.#start > MAX_MESSAGE_BYTES ? this.#fail(this.#start, TOO_LARGE) : undefined;
    }
    const headEnd = at + 4;
    const body = contentLength(this.#buffer.toString('latin1', this.#start, headEnd));
    if (body === undefined) return this.#fail(headEnd, bad('Content-Length'));
    const length = headEnd - this.#start + body;
    if (length > MAX_MESSAGE_BYTES) return this.#fail(headEnd, TOO_LARGE);
    this.#length = length;
    return undefined;
  }

  #fail(headEnd: number, fault: Fault): Framed {
    const head = this.#buffer.subarray(this.#start, Math.min(headEnd, this.#start + MAX_MESSAGE_BYTES));
    this.#broken = true;
    this.#buffer = Buffer.alloc(0);
    return { type: 'fault', head, fault };
  }

  #consume(bytes: number): void {
    this.#start += bytes;
    this.#searched = this.#start;
    this.#length = undefined;
    if (this.#start === this.#end) this.#take(Buffer.alloc(0), 0, 0, false);
  }

  #take(buffer: Buffer, start: number, end: number, owned: boolean): void {
    this.#buffer = buffer;
    this.#start = start;
    this.#end = end;
    this.#searched = start;
    this.#length = undefined;
    this.#owned = owned;
  }
}

const TOO_LARGE: Fault = { status: 513, reason: 'Message Too Large' };

/** Undefined when it is missing, doubled or no number: then the stream has no message boundary. */
function contentLength(head: string): number | undefined {
  const [only, second] = head.matchAll(CONTENT_LENGTH);
  const digits = only?.[1]?.replaceAll(/[ \t\r\n]/g, '');
  if (second || digits === undefined || !/^\d{1,10}$/.test(digits)) return undefined;
  return Number(digits);
}
