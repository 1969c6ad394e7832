import { parseMessage } from '../embedded/message.ts';

/** A SIP message of 64 kB and the words before it; the server sends nothing larger. */
const MAX_FRAME_BYTES = 80_000;

/** Digits of the length in front of each frame. */
const MAX_LENGTH_DIGITS = 6;

/** What came out of some bytes of the server. */
export interface Fenced {
  /** Whole frames that the library can read, each with its length in front. */
  readonly sound: readonly Buffer[];
  /** Requests that it cannot read: what to answer, by which transaction. */
  readonly refused: readonly UnreadableRequest[];
  /** The framing is lost: nothing behind it can be trusted. */
  readonly broken: boolean;
}

export interface UnreadableRequest {
  readonly transactionId: string;
  /** A whole response. */
  readonly response: string;
}

/**
 * What stands between a drachtio server and drachtio-srf: the library keeps what is no frame without a bound, throws at a length that is no number,
 * and prints a SIP message that it cannot read, answering nobody. Behind this it sees whole frames only, and messages that it can read.
 */
export class FrameFence {
  readonly #readable: (message: string) => boolean;
  #pending: Buffer = Buffer.alloc(0);

  /** @param readable whether the library reads this SIP message */
  constructor(readable: (message: string) => boolean) {
    this.#readable = readable;
  }

  push(chunk: Buffer): Fenced {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const sound: Buffer[] = [];
    const refused: UnreadableRequest[] = [];
    for (;;) {
      const end = frameEnd(this.#pending);
      if (end === 'broken') return { sound, refused, broken: true };
      if (end === undefined) return { sound, refused, broken: false };
      const frame = this.#pending.subarray(0, end);
      this.#pending = this.#pending.subarray(end);
      const verdict = this.#judge(frame.toString('utf8', frame.indexOf('#') + 1));
      if (verdict === 'sound') sound.push(frame);
      else if (verdict) refused.push(verdict);
    }
  }

  #judge(frame: string): 'sound' | UnreadableRequest | undefined {
    const lineEnd = frame.indexOf('\r\n');
    const words = (lineEnd === -1 ? frame : frame.slice(0, lineEnd)).split('|');
    const message = lineEnd === -1 ? '' : frame.slice(lineEnd + 2);
    if (words[1] === 'response') return message === '' || this.#readable(message) ? 'sound' : undefined;
    if (words[1] !== 'sip' || words.length < 10) return undefined;
    if (this.#readable(message)) return 'sound';
    const transactionId = words[8] ?? '';
    const response = refusal(message);
    return response === undefined || transactionId === '' ? undefined : { transactionId, response };
  }
}

/** Where the first frame ends; undefined while it is not whole. */
function frameEnd(bytes: Buffer): number | 'broken' | undefined {
  const hash = bytes.subarray(0, MAX_LENGTH_DIGITS + 1).indexOf('#');
  if (hash === -1) return bytes.length > MAX_LENGTH_DIGITS ? 'broken' : undefined;
  const digits = bytes.toString('latin1', 0, hash);
  const length = Number(digits);
  if (!/^[1-9]\d*$/.test(digits) || length > MAX_FRAME_BYTES) return 'broken';
  return bytes.length < hash + 1 + length ? undefined : hash + 1 + length;
}

/** A 400 to a request that only we can read; undefined when we cannot either, and for an ACK. */
function refusal(text: string): string | undefined {
  const message = parseMessage(Buffer.from(text));
  if (message?.type !== 'request' || message.method === 'ACK') return undefined;
  const { headers } = message;
  const lines = (['from', 'to', 'call-id', 'cseq'] as const).flatMap((name) => {
    const value = headers.first(name);
    return value === undefined ? [] : [`${name}: ${value}`];
  });
  return ['SIP/2.0 400 Bad Request', ...lines, 'content-length: 0', '', ''].join('\r\n');
}
