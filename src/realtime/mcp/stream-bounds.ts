import { McpFault } from './mcp-fault.ts';

/** A list of tools with schemas is some hundred kB; what is longer is no message for a conversation. */
export const MOST_MESSAGE_BYTES = 4 * 1024 * 1024;

/** Deeper than any schema of a tool. */
export const MOST_MESSAGE_DEPTH = 64;

/** An endless stream may go on as long as it is slow: so much at once, and so much a second for ever. */
const STREAM_BURST_BYTES = 2 * MOST_MESSAGE_BYTES;
const STREAM_BYTES_A_SECOND = 65_536;

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Watches bytes of JSON messages go by: how long a message is, how deeply nested, and how fast they come, before anything parses or keeps them.
 * A message ends with a line (`lines`: one to a line), an empty line (`events`: text/event-stream) or never (`whole`: the body is one).
 */
export class StreamBounds {
  readonly #framing: 'lines' | 'events' | 'whole';
  #messageBytes = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #lineIsEmpty = true;
  #afterReturn = false;
  #budget = STREAM_BURST_BYTES;
  #filledAt: number | undefined;

  constructor(framing: 'lines' | 'events' | 'whole') {
    this.#framing = framing;
  }

  /** @returns what is wrong with the stream; it must be closed then */
  pass(chunk: Uint8Array, now: number): McpFault | undefined {
    if (this.#framing === 'whole' ? false : !this.#spend(chunk.length, now))
      return new McpFault('flood', 'The server sends more than anybody reads.');
    for (const byte of chunk) {
      // CR LF is one end of a line, and where messages are lines CR alone is none: whoever reads them would not end one there.
      if (byte === CARRIAGE_RETURN ? this.#framing === 'events' : byte === LINE_FEED && !this.#afterReturn) this.#endLine();
      else if (byte !== LINE_FEED) this.#take(byte);
      this.#afterReturn = byte === CARRIAGE_RETURN && this.#framing === 'events';
      if (this.#depth > MOST_MESSAGE_DEPTH)
        return new McpFault('nonsense', `The server nests its answer more than ${MOST_MESSAGE_DEPTH} deep.`);
    }
    if (this.#messageBytes > MOST_MESSAGE_BYTES)
      return new McpFault('too_large', `The server sends an answer of more than ${MOST_MESSAGE_BYTES} bytes.`);
    return undefined;
  }

  #take(byte: number): void {
    this.#messageBytes += 1;
    this.#lineIsEmpty = false;
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (byte === BACKSLASH) this.#escaped = true;
      else if (byte === QUOTE) this.#inString = false;
    } else if (byte === QUOTE) this.#inString = true;
    else if (byte === 0x5b || byte === 0x7b) this.#depth += 1;
    else if ((byte === 0x5d || byte === 0x7d) && this.#depth > 0) this.#depth -= 1;
  }

  #endLine(): void {
    const ended = this.#framing === 'lines' || (this.#framing === 'events' && this.#lineIsEmpty);
    this.#lineIsEmpty = true;
    // JSON has no raw line breaks in strings: whatever was open there was none.
    this.#inString = false;
    this.#escaped = false;
    if (!ended) {
      this.#messageBytes += 1;
      return;
    }
    this.#messageBytes = 0;
    this.#depth = 0;
  }

  #spend(bytes: number, now: number): boolean {
    const elapsed = now - (this.#filledAt ?? now);
    this.#filledAt = now;
    this.#budget = Math.min(STREAM_BURST_BYTES, this.#budget + (elapsed * STREAM_BYTES_A_SECOND) / 1000) - bytes;
    return this.#budget >= 0;
  }
}
