import { HANDSHAKE_HEADER_BYTES, type HandshakeMessage, writeFragment } from './handshake-message.ts';
import type { RecordLayer } from './record-layer.ts';
import { ContentType, type RecordNumber } from './record-protection.ts';

/** One piece of what a side says before it waits for the other (RFC 6347 §4.2.4). */
export type FlightPart =
  | { readonly type: 'handshake'; readonly epoch: number; readonly message: HandshakeMessage }
  | { readonly type: 'change-cipher-spec'; readonly epoch: number };

/** A shorter piece at the end of a datagram is not worth its headers. */
const MIN_FRAGMENT_BYTES = 64;
const CHANGE_CIPHER_SPEC = Buffer.of(1);
/** Records whose acknowledgement is still understood: some twenty sendings of a flight. */
const MAX_REMEMBERED = 128;

/** Bytes of a message, the end not included. */
interface Range {
  readonly from: number;
  readonly to: number;
}

interface Pending {
  readonly part: FlightPart;
  /** What the peer has not acknowledged, ascending. An empty message is one range of nothing. */
  missing: readonly Range[];
}

/** A flight on its way: written as often as it must be, and less of it with every acknowledgement (DTLS 1.3). */
export class Flight {
  readonly #pending: readonly Pending[];
  readonly #records = new Map<string, Range & { readonly pending: Pending }>();

  constructor(parts: readonly FlightPart[]) {
    this.#pending = parts.map((part) => ({ part, missing: [{ from: 0, to: part.type === 'handshake' ? part.message.body.length : 0 }] }));
  }

  /** Nothing is left to send. */
  get isAcknowledged(): boolean {
    return this.#pending.every(({ missing }) => missing.length === 0);
  }

  /** The peer has these records. @returns whether it was news */
  acknowledge(numbers: readonly RecordNumber[]): boolean {
    let isNews = false;
    for (const number of numbers) {
      const name = nameOf(number);
      const record = this.#records.get(name);
      if (!record) continue;
      this.#records.delete(name);
      record.pending.missing = without(record.pending.missing, record);
      isNews = true;
    }
    return isNews;
  }

  /** Writes what is missing as datagrams of at most `mtu` bytes, with fresh record numbers: every sending is a new one for the peer's replay window. */
  pack(records: RecordLayer, mtu: number): Buffer[] {
    const datagrams: Buffer[] = [];
    let current: Buffer[] = [];
    let used = 0;
    const flush = () => {
      if (current.length > 0) datagrams.push(Buffer.concat(current));
      current = [];
      used = 0;
    };
    const put = (epoch: number, contentType: number, plain: Buffer) => {
      const record = records.write(epoch, contentType, plain);
      if (!record) return;
      if (used + record.length > mtu) flush();
      current.push(record);
      used += record.length;
    };
    for (const pending of this.#pending) {
      const { part, missing } = pending;
      if (part.type === 'change-cipher-spec') {
        put(part.epoch, ContentType.changeCipherSpec, CHANGE_CIPHER_SPEC);
        continue;
      }
      const { epoch, message } = part;
      const headers = records.overhead(epoch) + HANDSHAKE_HEADER_BYTES;
      for (const { from, to } of missing) {
        let offset = from;
        do {
          const left = to - offset;
          if (mtu - used - headers < Math.min(left, MIN_FRAGMENT_BYTES)) flush();
          const length = Math.min(left, mtu - used - headers);
          this.#remember({ epoch, sequence: records.nextSequence(epoch) }, pending, offset, offset + length);
          put(epoch, ContentType.handshake, writeFragment(message, offset, length));
          offset += length;
        } while (offset < to);
      }
    }
    flush();
    return datagrams;
  }

  #remember(number: RecordNumber, pending: Pending, from: number, to: number): void {
    this.#records.set(nameOf(number), { pending, from, to });
    const [oldest] = this.#records.size > MAX_REMEMBERED ? this.#records.keys() : [];
    if (oldest !== undefined) this.#records.delete(oldest);
  }
}

function nameOf({ epoch, sequence }: RecordNumber): string {
  return `${epoch}/${sequence}`;
}

function without(ranges: readonly Range[], { from, to }: Range): Range[] {
  return ranges.flatMap((range) => {
    if (to < range.from || from > range.to || (from === to && range.from !== range.to)) return [range];
    return [
      { from: range.from, to: from },
      { from: to, to: range.to },
    ].filter((left) => left.to > left.from);
  });
}
