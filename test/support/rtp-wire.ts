/** RTP as the test phone reads and writes it (RFC 3550 §5.1), apart from src/rtp on purpose. */
export interface RtpPacket {
  payloadType: number;
  marker: boolean;
  sequence: number;
  timestamp: number;
  ssrc: number;
  payload: Uint8Array;
}

export function writeRtp({ payloadType, marker, sequence, timestamp, ssrc, payload }: RtpPacket): Buffer {
  const datagram = Buffer.alloc(12 + payload.length);
  datagram[0] = 0x80;
  datagram[1] = (marker ? 0x80 : 0) | (payloadType & 0x7f);
  datagram.writeUInt16BE(sequence & 0xffff, 2);
  datagram.writeUInt32BE(timestamp >>> 0, 4);
  datagram.writeUInt32BE(ssrc >>> 0, 8);
  datagram.set(payload, 12);
  return datagram;
}

/** Undefined for what is no RTP. */
export function readRtp(datagram: Buffer): RtpPacket | undefined {
  if (datagram.length < 12 || (datagram[0] as number) >> 6 !== 2) return undefined;
  const first = datagram[0] as number;
  const second = datagram[1] as number;
  let start = 12 + 4 * (first & 0x0f);
  if (first & 0x10) {
    if (datagram.length < start + 4) return undefined;
    start += 4 + 4 * datagram.readUInt16BE(start + 2);
  }
  const end = first & 0x20 ? datagram.length - (datagram.at(-1) as number) : datagram.length;
  if (start > end) return undefined;
  return {
    payloadType: second & 0x7f,
    marker: second >= 0x80,
    sequence: datagram.readUInt16BE(2),
    timestamp: datagram.readUInt32BE(4),
    ssrc: datagram.readUInt32BE(8),
    payload: datagram.subarray(start, end),
  };
}

/** A key press on the wire (RFC 4733 §2.3). */
export interface TelephoneEvent {
  readonly digit: string;
  readonly end: boolean;
  /** In timestamp units. */
  readonly duration: number;
}

const EVENTS = '0123456789*#ABCD';

/** -10 dBm0, what most phones send. */
const EVENT_VOLUME = 10;

/** @throws Error for what is not a key */
export function writeTelephoneEvent({ digit, end, duration }: TelephoneEvent): Uint8Array {
  const event = EVENTS.indexOf(digit);
  if (event < 0 || digit.length !== 1) throw new Error(`no such key: ${digit}`);
  return Uint8Array.of(event, (end ? 0x80 : 0) | EVENT_VOLUME, duration >> 8, duration & 0xff);
}

export function readTelephoneEvent(payload: Uint8Array): TelephoneEvent | undefined {
  const [event, flags, high, low] = payload;
  if (event === undefined || flags === undefined || high === undefined || low === undefined) return undefined;
  return { digit: EVENTS[event] ?? '?', end: (flags & 0x80) !== 0, duration: (high << 8) | low };
}
