import { sctpChecksum } from './crc32c.ts';

/** Larger than any packet a WebRTC stack makes (they stay near 1200 bytes); bounds the work a packet can cause. */
const MAX_PACKET_BYTES = 4096;

/** A full packet of one-byte messages has 60 chunks. */
const MAX_CHUNKS = 128;

/** Ours has 24 bytes; usrsctp's some 250, dcSCTP's 128. */
const MAX_COOKIE_BYTES = 1024;

const HEADER_BYTES = 12;

export const SctpChunk = {
  data: 0,
  init: 1,
  initAck: 2,
  sack: 3,
  heartbeat: 4,
  heartbeatAck: 5,
  abort: 6,
  shutdown: 7,
  shutdownAck: 8,
  error: 9,
  cookieEcho: 10,
  cookieAck: 11,
  shutdownComplete: 14,
  reConfig: 130,
  forwardTsn: 192,
} as const;

const STATE_COOKIE_PARAMETER = 7;

export interface SctpFilterLimits {
  /** The highest gap offset of a SACK that can mean something: how many TSNs are outstanding, with room for reordering. */
  readonly maxGapOffset: number;
}

/**
 * The guard before the SCTP implementation, which trusts what it parses (docs/webrtc.md): checks size, CRC32c, and every chunk and
 * parameter of the packet. Chunks of unknown types are taken out as their upper bits say (RFC 9260 §3.2).
 * @returns the packet to hand on; undefined when nothing in it may be handed on
 */
export function filterSctp(packet: Buffer, limits: SctpFilterLimits): Buffer | undefined {
  if (packet.length < HEADER_BYTES + 4 || packet.length > MAX_PACKET_BYTES) return undefined;
  if (packet.readUInt32LE(8) !== sctpChecksum(packet)) return undefined;
  const kept: Buffer[] = [];
  let chunks = 0;
  let stripped = false;
  let sacks = 0;
  for (let offset = HEADER_BYTES; offset < packet.length; ) {
    if (offset + 4 > packet.length) return undefined;
    const type = packet.readUInt8(offset);
    const length = packet.readUInt16BE(offset + 2);
    const end = offset + length;
    chunks += 1;
    if (length < 4 || end > packet.length || chunks > MAX_CHUNKS) return undefined;
    const next = Math.min(end + (-length & 3), packet.length);
    const wellFormed = checkChunk(type, packet.subarray(offset + 4, end), limits);
    if (wellFormed === false) return undefined;
    if (type === SctpChunk.sack) sacks += 1;
    const alone = type === SctpChunk.init || type === SctpChunk.initAck || type === SctpChunk.shutdownComplete;
    if (sacks > 1 || (alone && (chunks > 1 || next < packet.length)) || (type === SctpChunk.cookieEcho && chunks > 1)) return undefined;
    if (wellFormed) {
      kept.push(packet.subarray(offset, next));
    } else {
      stripped = true;
      if (type < 0x80) break; // the upper bit says: stop here
    }
    offset = next;
  }
  if (!tagFits(packet)) return undefined;
  return stripped ? rebuild(packet, kept) : packet;
}

/** Verification tag 0 belongs to INIT and to nothing else (RFC 9260 §8.5.1). */
function tagFits(packet: Buffer): boolean {
  return (packet.readUInt32BE(4) === 0) === (packet.readUInt8(HEADER_BYTES) === SctpChunk.init);
}

/** True: hand on. False: the packet is malformed. Undefined: not a chunk we know. */
function checkChunk(type: number, body: Buffer, limits: SctpFilterLimits): boolean | undefined {
  switch (type) {
    case SctpChunk.data:
      return body.length > 12;
    case SctpChunk.init:
      return isSoundInit(body);
    case SctpChunk.initAck:
      return isSoundInit(body) && hasCookie(body.subarray(16));
    case SctpChunk.sack:
      return checkSack(body, limits);
    case SctpChunk.heartbeat:
    case SctpChunk.heartbeatAck:
    case SctpChunk.abort:
    case SctpChunk.error:
      return walkParameters(body, () => true);
    case SctpChunk.shutdown:
      return body.length === 4;
    case SctpChunk.shutdownAck:
    case SctpChunk.cookieAck:
    case SctpChunk.shutdownComplete:
      return body.length === 0;
    case SctpChunk.cookieEcho:
      return body.length > 0 && body.length <= MAX_COOKIE_BYTES;
    case SctpChunk.reConfig:
      return body.length > 0 && walkParameters(body, checkReconfigParameter);
    case SctpChunk.forwardTsn:
      return body.length >= 4 && body.length % 4 === 0;
    default:
      return undefined;
  }
}

/** RFC 9260 §3.3.2: initiate tag, window and both stream counts are not zero. */
export function isSoundInit(body: Buffer): boolean {
  if (body.length < 16 || body.readUInt32BE(0) === 0 || body.readUInt32BE(4) < 1500) return false;
  return body.readUInt16BE(8) > 0 && body.readUInt16BE(10) > 0 && walkParameters(body.subarray(16), () => true);
}

function hasCookie(parameters: Buffer): boolean {
  let found = false;
  walkParameters(parameters, (type, value) => {
    found ||= type === STATE_COOKIE_PARAMETER && value.length > 0 && value.length <= MAX_COOKIE_BYTES;
    return true;
  });
  return found;
}

/** Gap blocks must ascend and end within what can be outstanding: unchecked, one SACK names 20 million TSNs. */
function checkSack(body: Buffer, { maxGapOffset }: SctpFilterLimits): boolean {
  if (body.length < 12) return false;
  const gaps = body.readUInt16BE(8);
  if (body.length !== 12 + 4 * (gaps + body.readUInt16BE(10))) return false;
  let last = 0;
  for (let i = 0; i < gaps; i += 1) {
    const start = body.readUInt16BE(12 + 4 * i);
    const end = body.readUInt16BE(14 + 4 * i);
    if (start <= last || end < start || end > maxGapOffset) return false;
    last = end;
  }
  return true;
}

/** RFC 6525 §4: the three parameters that are acted upon; others are passed by. */
function checkReconfigParameter(type: number, value: Buffer): boolean {
  if (type === 13) return value.length >= 12 && value.length % 2 === 0;
  if (type === 16) return value.length === 8 || value.length === 16;
  return type !== 17 || value.length === 8;
}

/** Walks type-length-value parameters (RFC 9260 §3.2.1); the last one's padding may be missing. */
function walkParameters(body: Buffer, accept: (type: number, value: Buffer) => boolean): boolean {
  for (let offset = 0; offset < body.length; ) {
    if (offset + 4 > body.length) return false;
    const length = body.readUInt16BE(offset + 2);
    if (length < 4 || offset + length > body.length) return false;
    if (!accept(body.readUInt16BE(offset), body.subarray(offset + 4, offset + length))) return false;
    offset += length + (-length & 3);
  }
  return true;
}

function rebuild(packet: Buffer, chunks: readonly Buffer[]): Buffer | undefined {
  if (chunks.length === 0) return undefined;
  const rebuilt = Buffer.concat([packet.subarray(0, HEADER_BYTES), ...chunks]);
  rebuilt.writeUInt32LE(sctpChecksum(rebuilt), 8);
  return rebuilt;
}
