import { randomUint32 } from '../../base/ids.ts';
import { isSoundInit, SctpChunk } from './sctp-filter.ts';

/** What one side of an association says of itself in INIT (RFC 9260 §3.3.2). */
export interface SctpInit {
  /** In every packet that the other side sends. Never 0. */
  readonly tag: number;
  readonly windowBytes: number;
  readonly outboundStreams: number;
  readonly inboundStreams: number;
  /** Of the first piece of data. */
  readonly tsn: number;
  /** Optional and variable parameters, as they stand on the wire. */
  readonly parameters: readonly SctpParameter[];
}

export interface SctpParameter {
  readonly type: number;
  readonly value: Buffer;
}

/** Both sides of an association whose INITs went by the session descriptions (SNAP): it is up as soon as DTLS is. */
export interface SctpInits {
  readonly local: SctpInit;
  readonly remote: SctpInit;
}

const HEADER_BYTES = 4;
const FIXED_BYTES = 16;
/** Chromium's has 30 bytes; nobody's needs a kilobyte. */
const MAX_CHUNK_BYTES = 1024;

/** Twice the largest message: one may wait for a lost piece while the next arrives. */
export const RECEIVE_WINDOW_BYTES = 512 * 1024;
const MAX_STREAMS = 0xffff;

/** FORWARD-TSN (RFC 3758 §3.1) and the chunks of RFC 5061 §4.2.7 that are understood: what werift says in its own INIT. */
const PARAMETERS: readonly SctpParameter[] = [
  { type: 0xc000, value: Buffer.alloc(0) },
  { type: 0x8008, value: Buffer.of(SctpChunk.forwardTsn, SctpChunk.reConfig) },
];

/** A new one of ours. */
export function createSctpInit(): SctpInit {
  return {
    tag: randomUint32() || 1,
    windowBytes: RECEIVE_WINDOW_BYTES,
    outboundStreams: MAX_STREAMS,
    inboundStreams: MAX_STREAMS,
    tsn: randomUint32(),
    parameters: PARAMETERS,
  };
}

/** The value of `a=sctp-init`: a whole INIT chunk in base64; the last parameter's padding may be missing. Undefined when it is none. */
export function parseSctpInit(value: string): SctpInit | undefined {
  if (value.length > 2 * MAX_CHUNK_BYTES || !/^[A-Za-z0-9+/]+={0,2}$/.test(value)) return undefined;
  const chunk = Buffer.from(value, 'base64');
  if (chunk.length < HEADER_BYTES + FIXED_BYTES || chunk.length > MAX_CHUNK_BYTES || chunk[0] !== SctpChunk.init) return undefined;
  const length = chunk.readUInt16BE(2);
  const body = chunk.subarray(HEADER_BYTES, length);
  if (length > chunk.length || chunk.length > length + (-length & 3) || !isSoundInit(body)) return undefined;
  return {
    tag: body.readUInt32BE(0),
    windowBytes: body.readUInt32BE(4),
    outboundStreams: body.readUInt16BE(8),
    inboundStreams: body.readUInt16BE(10),
    tsn: body.readUInt32BE(12),
    parameters: readParameters(body.subarray(FIXED_BYTES)),
  };
}

export function writeSctpInit({ tag, windowBytes, outboundStreams, inboundStreams, tsn, parameters }: SctpInit): string {
  const fixed = Buffer.alloc(HEADER_BYTES + FIXED_BYTES);
  fixed.writeUInt8(SctpChunk.init, 0);
  fixed.writeUInt32BE(tag, 4);
  fixed.writeUInt32BE(windowBytes, 8);
  fixed.writeUInt16BE(outboundStreams, 12);
  fixed.writeUInt16BE(inboundStreams, 14);
  fixed.writeUInt32BE(tsn, 16);
  const written = parameters.flatMap(({ type, value }, i) => {
    const head = Buffer.alloc(HEADER_BYTES);
    head.writeUInt16BE(type, 0);
    head.writeUInt16BE(HEADER_BYTES + value.length, 2);
    return [head, value, Buffer.alloc(i < parameters.length - 1 ? -value.length & 3 : 0)];
  });
  const chunk = Buffer.concat([fixed, ...written]);
  chunk.writeUInt16BE(chunk.length, 2);
  return chunk.toString('base64');
}

/** @param bytes parameters that were found to be well-formed */
function readParameters(bytes: Buffer): SctpParameter[] {
  const parameters: SctpParameter[] = [];
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const length = bytes.readUInt16BE(at + 2);
    parameters.push({ type: bytes.readUInt16BE(at), value: bytes.subarray(at + HEADER_BYTES, at + length) });
    at += length + (-length & 3);
  }
  return parameters;
}
