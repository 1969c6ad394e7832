/** Data Channel Establishment Protocol (RFC 8832) and the payload identifiers of RFC 8831 §8. */

export const PayloadId = { dcep: 50, string: 51, binary: 53, stringEmpty: 56, binaryEmpty: 57 } as const;

const DATA_CHANNEL_ACK = 2;
const DATA_CHANNEL_OPEN = 3;

/** Ours are shorter than 20; a long one is somebody filling memory. */
const MAX_NAME_BYTES = 256;

export interface ChannelOpen {
  readonly type: 'open';
  readonly label: string;
  readonly protocol: string;
  readonly ordered: boolean;
}

export type DcepMessage = ChannelOpen | { readonly type: 'ack' };

/** Reads a DCEP message; undefined when it is malformed or of an unknown type. */
export function parseDcep(data: Buffer): DcepMessage | undefined {
  if (data[0] === DATA_CHANNEL_ACK) return { type: 'ack' };
  if (data[0] !== DATA_CHANNEL_OPEN || data.length < 12) return undefined;
  const labelBytes = data.readUInt16BE(8);
  const protocolBytes = data.readUInt16BE(10);
  if (labelBytes > MAX_NAME_BYTES || protocolBytes > MAX_NAME_BYTES || 12 + labelBytes + protocolBytes > data.length) return undefined;
  return {
    type: 'open',
    ordered: data.readUInt8(1) < 0x80,
    label: data.toString('utf8', 12, 12 + labelBytes),
    protocol: data.toString('utf8', 12 + labelBytes, 12 + labelBytes + protocolBytes),
  };
}

/** A request for a reliable channel. */
export function writeOpen({ label, protocol, ordered }: Omit<ChannelOpen, 'type'>): Buffer {
  const labelBytes = Buffer.from(label);
  const protocolBytes = Buffer.from(protocol);
  const head = Buffer.alloc(12);
  head.writeUInt8(DATA_CHANNEL_OPEN, 0);
  head.writeUInt8(ordered ? 0x00 : 0x80, 1);
  head.writeUInt16BE(labelBytes.length, 8);
  head.writeUInt16BE(protocolBytes.length, 10);
  return Buffer.concat([head, labelBytes, protocolBytes]);
}

export function writeAck(): Buffer {
  return Buffer.from([DATA_CHANNEL_ACK]);
}
