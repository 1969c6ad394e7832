import { ByteReader } from './byte-reader.ts';
import { uint8, uint16, vector8, vector16, vector24 } from './byte-writer.ts';
import { type Extensions, ExtensionType, parseExtensions, readNumberList, type ServerHello, writeExtensions } from './hello.ts';
import type { DtlsRole } from './key-schedule.ts';
import { DTLS_1_3 } from './record.ts';
import { SIGNATURE_SCHEMES } from './signature.ts';

/** SHA-256 of "HelloRetryRequest": a ServerHello with this random is one (RFC 8446 §4.1.3). */
export const RETRY_RANDOM = Buffer.from('cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c', 'hex');
/** The end of the random of a server that speaks 1.3 and answers in 1.2 (RFC 8446 §4.1.3). */
export const DOWNGRADE_SENTINEL = Buffer.from('DOWNGRD\x01', 'latin1');
/** Browsers send two shares, one of them post-quantum; more than this is not looked at. */
const MAX_SHARES = 16;

export interface SharedKey {
  readonly group: number;
  readonly publicKey: Buffer;
}

/** Does the server choose 1.3 (RFC 8446 §4.2.1)? */
export function chosenTls13({ extensions }: ServerHello): boolean {
  return extensions.get(ExtensionType.supportedVersions)?.equals(uint16(DTLS_1_3)) ?? false;
}

export function writeKeyShare({ group, publicKey }: SharedKey): Buffer {
  return Buffer.concat([uint16(group), vector16(publicKey)]);
}

/** `key_share` of a ServerHello. */
export function readServerShare(extensions: Extensions): SharedKey | undefined {
  const reader = new ByteReader(extensions.get(ExtensionType.keyShare) ?? Buffer.alloc(0));
  const share = { group: reader.uint16(), publicKey: reader.vector16() };
  return reader.isWhole ? share : undefined;
}

/** `key_share` of a ClientHello; undefined when missing or malformed. */
export function readClientShares(extensions: Extensions): SharedKey[] | undefined {
  const data = extensions.get(ExtensionType.keyShare);
  if (!data) return undefined;
  const reader = new ByteReader(data);
  const list = new ByteReader(reader.vector16());
  const shares: SharedKey[] = [];
  while (list.remaining > 0 && shares.length < MAX_SHARES) shares.push({ group: list.uint16(), publicKey: list.vector16() });
  return reader.isWhole && list.isWhole ? shares : undefined;
}

/** What a HelloRetryRequest asks for (RFC 8446 §4.1.4). */
export interface Retry {
  readonly group: number | undefined;
  readonly cookie: Buffer | undefined;
}

/** Undefined when it asks for nothing, or is malformed. */
export function readRetry({ extensions }: ServerHello): Retry | undefined {
  const share = extensions.get(ExtensionType.keyShare);
  const group = share?.length === 2 ? share.readUInt16BE(0) : undefined;
  const cookie = extensions.has(ExtensionType.cookie) ? readCookie(extensions) : undefined;
  if ((share && group === undefined) || (extensions.has(ExtensionType.cookie) && !cookie)) return undefined;
  return group === undefined && !cookie ? undefined : { group, cookie };
}

export function writeCookie(cookie: Buffer): Buffer {
  return vector16(cookie);
}

export function readCookie(extensions: Extensions): Buffer | undefined {
  const reader = new ByteReader(extensions.get(ExtensionType.cookie) ?? Buffer.alloc(0));
  const cookie = reader.vector16();
  return reader.isWhole && cookie.length > 0 ? cookie : undefined;
}

export function writeEncryptedExtensions(extensions: Extensions): Buffer {
  return writeExtensions(extensions);
}

export function parseEncryptedExtensions(body: Buffer): Extensions | undefined {
  return readExtensions(new ByteReader(body));
}

/** CertificateRequest (RFC 8446 §4.3.2): any key that we can verify. */
export function writeTls13CertificateRequest(): Buffer {
  const extensions = new Map([[ExtensionType.signatureAlgorithms, vector16(uint16(...SIGNATURE_SCHEMES))]]);
  return Buffer.concat([vector8(), writeExtensions(extensions)]);
}

export interface Tls13CertificateRequest {
  /** To be repeated in our Certificate. */
  readonly context: Buffer;
  readonly schemes: readonly number[];
}

export function parseTls13CertificateRequest(body: Buffer): Tls13CertificateRequest | undefined {
  const reader = new ByteReader(body);
  const context = reader.vector8();
  const extensions = readExtensions(reader);
  const schemes = extensions && readNumberList(extensions, ExtensionType.signatureAlgorithms);
  return schemes ? { context, schemes } : undefined;
}

/** Certificate (RFC 8446 §4.4.2): a chain of one. */
export function writeTls13Certificate(certificate: Buffer, context: Buffer): Buffer {
  return Buffer.concat([vector8(context), vector24(vector24(certificate), vector16())]);
}

/** The peer's own certificate, the first of the chain. Undefined when malformed, empty, or with another context. */
export function parseTls13Certificate(body: Buffer): Buffer | undefined {
  const reader = new ByteReader(body);
  const context = reader.vector8();
  const chain = new ByteReader(reader.vector24());
  const certificate = chain.vector24();
  chain.vector16();
  while (chain.remaining > 0) {
    chain.vector24();
    chain.vector16();
  }
  // A server has no context, and we ask for none.
  return reader.isWhole && chain.isWhole && certificate.length > 0 && context.length === 0 ? certificate : undefined;
}

/** What CertificateVerify signs (RFC 8446 §4.4.3). */
export function signedContent(signer: DtlsRole, transcriptHash: Buffer): Buffer {
  return Buffer.concat([Buffer.alloc(64, 0x20), Buffer.from(`TLS 1.3, ${signer} CertificateVerify\0`), transcriptHash]);
}

export function writeKeyUpdate(isRequested: boolean): Buffer {
  return uint8(isRequested ? 1 : 0);
}

/** Whether the peer wants new keys of us as well; undefined when malformed. */
export function parseKeyUpdate(body: Buffer): boolean | undefined {
  return body.length === 1 && (body[0] === 0 || body[0] === 1) ? body[0] === 1 : undefined;
}

function readExtensions(reader: ByteReader): Extensions | undefined {
  // Unlike in a hello of old, the block must be there.
  if (reader.remaining < 2) return undefined;
  const extensions = parseExtensions(reader);
  return reader.isWhole ? extensions : undefined;
}
