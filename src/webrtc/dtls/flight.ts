import { HANDSHAKE_HEADER_BYTES, type HandshakeMessage, writeFragment } from './handshake-message.ts';
import type { RecordLayer } from './record-layer.ts';
import { ContentType } from './record-protection.ts';

/** One piece of what a side says before it waits for the other (RFC 6347 §4.2.4). */
export type FlightPart =
  | { readonly type: 'handshake'; readonly epoch: number; readonly message: HandshakeMessage }
  | { readonly type: 'change-cipher-spec'; readonly epoch: number };

/** A shorter piece at the end of a datagram is not worth its headers. */
const MIN_FRAGMENT_BYTES = 64;
const CHANGE_CIPHER_SPEC = Buffer.of(1);

/** Writes a flight as datagrams of at most `mtu` bytes, with fresh record numbers: every sending is a new one for the peer's replay window. */
export function packFlight(flight: readonly FlightPart[], records: RecordLayer, mtu: number): Buffer[] {
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
  for (const part of flight) {
    if (part.type === 'change-cipher-spec') {
      put(part.epoch, ContentType.changeCipherSpec, CHANGE_CIPHER_SPEC);
      continue;
    }
    const { epoch, message } = part;
    const headers = records.overhead(epoch) + HANDSHAKE_HEADER_BYTES;
    let offset = 0;
    do {
      const left = message.body.length - offset;
      if (mtu - used - headers < Math.min(left, MIN_FRAGMENT_BYTES)) flush();
      const length = Math.min(left, mtu - used - headers);
      put(epoch, ContentType.handshake, writeFragment(message, offset, length));
      offset += length;
    } while (offset < message.body.length);
  }
  flush();
  return datagrams;
}
