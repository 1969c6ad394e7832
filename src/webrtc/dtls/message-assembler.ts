import type { HandshakeFragment, HandshakeMessage } from './handshake-message.ts';

/** A message whose every byte has come in. */
export interface ReceivedMessage extends HandshakeMessage {
  /** Counts the messages of an assembler in the order in which they became whole. */
  readonly number: number;
  /** Number of the datagram that brought it last. */
  datagram: number;
}

interface PartialMessage {
  readonly type: number;
  readonly sequence: number;
  readonly body: Buffer;
  /** 1 for each byte that came in. */
  readonly present: Uint8Array;
  missing: number;
}

/** A certificate of an RSA-4096 key has 1.3 kB, a browser's ClientHello with a post-quantum share 1.5 kB. */
const MAX_MESSAGE_BYTES = 8192;
/** A flight has at most six messages, and a cookie shifts them by one. */
const SEQUENCES_AHEAD = 8;
/** Versions of one message that are kept until one of them proves genuine. */
const MAX_CANDIDATES = 4;
/** Unfinished messages: the six of a flight and two that somebody made up. */
const MAX_PARTIALS = 8;

/**
 * Puts the fragments of a plaintext flight together, in any order, overlapping, repeated. Anybody can send plaintext, so
 * what does not agree with what came before does not displace it: up to four versions of each message stand side by side
 * until the handshake finds the one whose signature is right. Bounded: 8 × (4 + 1) messages of 8 kB.
 */
export class MessageAssembler {
  readonly #first: number;
  #partials: PartialMessage[] = [];
  #complete: ReceivedMessage[] = [];
  #count = 0;

  /** @param first number of the first message to take; later ones are taken up to seven further */
  constructor(first: number) {
    this.#first = first;
  }

  /** Forgets one version of a message. */
  discard(message: ReceivedMessage): void {
    this.#complete = this.#complete.filter((each) => each !== message);
  }

  /** @returns the message that this fragment completed, when it is one that was not there before; 'refused' for a fragment out of bounds */
  add(fragment: HandshakeFragment, datagram: number): ReceivedMessage | 'refused' | undefined {
    const { type, sequence, length, offset, bytes } = fragment;
    if (sequence < this.#first || sequence >= this.#first + SEQUENCES_AHEAD || length > MAX_MESSAGE_BYTES) return 'refused';
    if (offset === 0 && bytes.length === length) return this.#finish(type, sequence, bytes, datagram);
    // A piece of what is whole already would only be put together again.
    for (const whole of this.#complete) {
      if (whole.type !== type || whole.sequence !== sequence || whole.body.length !== length) continue;
      if (whole.body.subarray(offset, offset + bytes.length).equals(bytes)) {
        whole.datagram = datagram;
        return undefined;
      }
    }
    // A piece goes into every unfinished version that it agrees with: the one that somebody made up must not swallow it.
    const partials = this.#partials.filter((each) => fits(each, fragment));
    if (partials.length === 0) partials.push(this.#begin(fragment));
    let finished: ReceivedMessage | undefined;
    for (const partial of partials) {
      merge(partial, fragment);
      if (partial.missing > 0) continue;
      this.#partials = this.#partials.filter((each) => each !== partial);
      finished = this.#finish(type, sequence, partial.body, datagram) ?? finished;
    }
    return finished;
  }

  /** The versions of one message, newest first. */
  candidates(sequence: number, type: number): ReceivedMessage[] {
    return this.#complete.filter((each) => each.sequence === sequence && each.type === type).reverse();
  }

  /** The newest version of a message, of whatever type. */
  latest(sequence: number): ReceivedMessage | undefined {
    return this.#complete.findLast((each) => each.sequence === sequence);
  }

  #begin({ type, sequence, length }: HandshakeFragment): PartialMessage {
    const partial = { type, sequence, body: Buffer.alloc(length), present: new Uint8Array(length), missing: length };
    this.#partials.push(partial);
    if (this.#partials.length > MAX_PARTIALS) this.#partials.shift();
    return partial;
  }

  #finish(type: number, sequence: number, body: Buffer, datagram: number): ReceivedMessage | undefined {
    const same = this.candidates(sequence, type);
    const known = same.find((each) => each.body.equals(body));
    if (known) {
      known.datagram = datagram;
      return undefined;
    }
    const oldest = same.at(-1);
    if (oldest && same.length >= MAX_CANDIDATES) this.discard(oldest);
    const message = { type, sequence, body, datagram, number: ++this.#count };
    this.#complete.push(message);
    return message;
  }
}

/** Does the fragment belong to this message, and say nothing else where both have bytes? */
function fits(partial: PartialMessage, { type, sequence, length, offset, bytes }: HandshakeFragment): boolean {
  if (partial.type !== type || partial.sequence !== sequence || partial.body.length !== length) return false;
  for (let i = 0; i < bytes.length; i++) {
    if (partial.present[offset + i] && partial.body[offset + i] !== bytes[i]) return false;
  }
  return true;
}

function merge(partial: PartialMessage, { offset, bytes }: HandshakeFragment): void {
  for (let i = 0; i < bytes.length; i++) {
    if (partial.present[offset + i]) continue;
    partial.present[offset + i] = 1;
    partial.missing -= 1;
  }
  partial.body.set(bytes, offset);
}
