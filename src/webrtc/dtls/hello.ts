import { ByteReader, readUint16List } from './byte-reader.ts';
import { uint8, uint16, vector8, vector16 } from './byte-writer.ts';

/** CipherSuite numbers; all use AES-128-GCM and SHA-256. */
export const CipherSuite = { aes128GcmSha256: 0x1301, ecdheEcdsaAes128Gcm: 0xc02b, ecdheRsaAes128Gcm: 0xc02f } as const;
/** TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746 §3.3). */
export const EMPTY_RENEGOTIATION_INFO = 0x00ff;

export const ExtensionType = {
  supportedGroups: 10,
  pointFormats: 11,
  signatureAlgorithms: 13,
  useSrtp: 14,
  extendedMasterSecret: 23,
  supportedVersions: 43,
  cookie: 44,
  keyShare: 51,
  renegotiationInfo: 0xff01,
} as const;

export const RANDOM_BYTES = 32;
/** RFC 8446 §4.2 knows some 30; more than this is not a hello. */
const MAX_EXTENSIONS = 64;

export type Extensions = ReadonlyMap<number, Buffer>;

export interface ClientHello {
  readonly version: number;
  readonly random: Buffer;
  readonly sessionId: Buffer;
  readonly cookie: Buffer;
  readonly cipherSuites: readonly number[];
  readonly compressions: Buffer;
  readonly extensions: Extensions;
}

export interface ServerHello {
  readonly version: number;
  readonly random: Buffer;
  readonly sessionId: Buffer;
  readonly cipherSuite: number;
  readonly compression: number;
  readonly extensions: Extensions;
}

export function parseClientHello(body: Buffer): ClientHello | undefined {
  const reader = new ByteReader(body);
  const version = reader.uint16();
  const random = reader.bytes(RANDOM_BYTES);
  const sessionId = reader.vector8();
  const cookie = reader.vector8();
  const cipherSuites = readUint16List(reader.vector16());
  const compressions = reader.vector8();
  const extensions = parseExtensions(reader);
  if (!reader.isWhole || !cipherSuites || !extensions || sessionId.length > 32) return undefined;
  return { version, random, sessionId, cookie, cipherSuites, compressions, extensions };
}

export function writeClientHello(hello: ClientHello): Buffer {
  return Buffer.concat([
    uint16(hello.version),
    hello.random,
    vector8(hello.sessionId),
    vector8(hello.cookie),
    vector16(uint16(...hello.cipherSuites)),
    vector8(hello.compressions),
    writeExtensions(hello.extensions),
  ]);
}

/** A ClientHello that parses, as it would be without one of its extensions: byte for byte. */
export function withoutExtension(body: Buffer, type: number): Buffer {
  const reader = new ByteReader(body);
  reader.bytes(2 + RANDOM_BYTES);
  reader.vector8();
  reader.vector8();
  reader.vector16();
  reader.vector8();
  const head = body.subarray(0, body.length - reader.remaining);
  const block = new ByteReader(reader.vector16());
  const kept: Buffer[] = [];
  while (block.remaining > 0) {
    const each = block.uint16();
    const data = block.vector16();
    if (each !== type) kept.push(uint16(each), vector16(data));
  }
  return Buffer.concat([head, vector16(...kept)]);
}

export function parseServerHello(body: Buffer): ServerHello | undefined {
  const reader = new ByteReader(body);
  const version = reader.uint16();
  const random = reader.bytes(RANDOM_BYTES);
  const sessionId = reader.vector8();
  const cipherSuite = reader.uint16();
  const compression = reader.uint8();
  const extensions = parseExtensions(reader);
  if (!reader.isWhole || !extensions || sessionId.length > 32) return undefined;
  return { version, random, sessionId, cipherSuite, compression, extensions };
}

export function writeServerHello(hello: ServerHello): Buffer {
  return Buffer.concat([
    uint16(hello.version),
    hello.random,
    vector8(hello.sessionId),
    uint16(hello.cipherSuite),
    uint8(hello.compression),
    writeExtensions(hello.extensions),
  ]);
}

/** The extensions block, which may be missing altogether. Undefined when it does not parse or names one twice. */
export function parseExtensions(reader: ByteReader): Extensions | undefined {
  const extensions = new Map<number, Buffer>();
  if (reader.remaining === 0) return extensions;
  const block = new ByteReader(reader.vector16());
  while (block.remaining > 0) {
    const type = block.uint16();
    const data = block.vector16();
    if (!block.isSound || extensions.has(type) || extensions.size >= MAX_EXTENSIONS) return undefined;
    extensions.set(type, data);
  }
  return block.isWhole ? extensions : undefined;
}

export function writeExtensions(extensions: Extensions): Buffer {
  return vector16(...[...extensions].map(([type, data]) => Buffer.concat([uint16(type), vector16(data)])));
}

/** An extension that is one list of 16-bit numbers (groups, signature schemes). Undefined when missing or malformed. */
export function readNumberList(extensions: Extensions, type: number): number[] | undefined {
  const data = extensions.get(type);
  if (!data) return undefined;
  const reader = new ByteReader(data);
  const list = readUint16List(reader.vector16());
  return reader.isWhole ? list : undefined;
}

/** Versions that a client speaks: the extension of RFC 8446 §4.2.1, or the old field when it is missing. */
export function readVersions(hello: ClientHello): number[] | undefined {
  const data = hello.extensions.get(ExtensionType.supportedVersions);
  if (!data) return [hello.version];
  const reader = new ByteReader(data);
  const list = readUint16List(reader.vector8());
  return reader.isWhole ? list : undefined;
}

/** Does this client speak that version? */
export function offers(hello: ClientHello, version: number): boolean {
  return readVersions(hello)?.includes(version) ?? false;
}

export interface UseSrtp {
  /** SRTPProtectionProfile numbers, in the sender's order. */
  readonly profiles: readonly number[];
  readonly mki: Buffer;
}

/** RFC 5764 §4.1.1. Undefined when missing or malformed. */
export function readUseSrtp(extensions: Extensions): UseSrtp | undefined {
  const data = extensions.get(ExtensionType.useSrtp);
  if (!data) return undefined;
  const reader = new ByteReader(data);
  const profiles = readUint16List(reader.vector16());
  const mki = reader.vector8();
  return reader.isWhole && profiles ? { profiles, mki } : undefined;
}

export function writeUseSrtp(profiles: readonly number[]): Buffer {
  return Buffer.concat([vector16(uint16(...profiles)), vector8()]);
}
