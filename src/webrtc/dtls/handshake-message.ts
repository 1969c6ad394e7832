import { ByteReader } from './byte-reader.ts';
import { uint8, uint16, uint24 } from './byte-writer.ts';

/** HandshakeType (RFC 5246 §7.4, RFC 6347 §4.3.2, RFC 8446 §4). */
export const HandshakeType = {
  helloRequest: 0,
  clientHello: 1,
  serverHello: 2,
  helloVerifyRequest: 3,
  encryptedExtensions: 8,
  certificate: 11,
  serverKeyExchange: 12,
  certificateRequest: 13,
  serverHelloDone: 14,
  certificateVerify: 15,
  clientKeyExchange: 16,
  finished: 20,
  keyUpdate: 24,
  /** Stands for the first hello in a transcript with a HelloRetryRequest; never sent. */
  messageHash: 254,
} as const;

export const HANDSHAKE_HEADER_BYTES = 12;

export interface HandshakeMessage {
  readonly type: number;
  /** message_seq: the number of this message among all that its sender sends in a handshake. */
  readonly sequence: number;
  readonly body: Buffer;
}

/** A piece of a message, or the whole of it. */
export interface HandshakeFragment {
  readonly type: number;
  readonly sequence: number;
  /** Of the whole message. */
  readonly length: number;
  readonly offset: number;
  readonly bytes: Buffer;
}

/** The fragments in one handshake record (RFC 6347 §4.2.2). Undefined when any of it does not parse. */
export function parseFragments(record: Buffer): HandshakeFragment[] | undefined {
  const reader = new ByteReader(record);
  const fragments: HandshakeFragment[] = [];
  while (reader.remaining > 0) {
    const type = reader.uint8();
    const length = reader.uint24();
    const sequence = reader.uint16();
    const offset = reader.uint24();
    const bytes = reader.vector24();
    if (!reader.isSound || offset + bytes.length > length) return undefined;
    fragments.push({ type, sequence, length, offset, bytes });
  }
  return reader.isWhole && fragments.length > 0 ? fragments : undefined;
}

/** A fragment with its header, as it stands in a record. */
export function writeFragment(message: HandshakeMessage, offset: number, length: number): Buffer {
  return Buffer.concat([
    uint8(message.type),
    uint24(message.body.length),
    uint16(message.sequence),
    uint24(offset),
    uint24(length),
    message.body.subarray(offset, offset + length),
  ]);
}

/** The message as transcripts hold it: as if it had been sent in one piece (RFC 6347 §4.2.6). */
export function wholeMessage(message: HandshakeMessage): Buffer {
  return writeFragment(message, 0, message.body.length);
}

/** The message as transcripts of DTLS 1.3 hold it: with the header of TLS (RFC 9147 §5.2). */
export function tlsMessage({ type, body }: Pick<HandshakeMessage, 'type' | 'body'>): Buffer {
  return Buffer.concat([uint8(type), uint24(body.length), body]);
}
