import { ByteReader, readUint16List } from './byte-reader.ts';
import { uint8, uint16, vector8, vector16, vector24 } from './byte-writer.ts';
import { DTLS_1_2 } from './record.ts';
import { SIGNATURE_SCHEMES } from './signature.ts';

/** ClientCertificateType (RFC 5246 §7.4.4, RFC 8422 §5.5). */
const CertificateType = { rsaSign: 1, ecdsaSign: 64 } as const;
const NAMED_CURVE = 3;

/** HelloVerifyRequest (RFC 6347 §4.2.1). */
export function writeHelloVerifyRequest(cookie: Buffer): Buffer {
  return Buffer.concat([uint16(DTLS_1_2), vector8(cookie)]);
}

/** The cookie of a HelloVerifyRequest. */
export function parseHelloVerifyRequest(body: Buffer): Buffer | undefined {
  const reader = new ByteReader(body);
  reader.uint16();
  const cookie = reader.vector8();
  return reader.isWhole && cookie.length > 0 ? cookie : undefined;
}

/** Certificate: a chain of one. */
export function writeCertificate(certificate: Buffer): Buffer {
  return vector24(vector24(certificate));
}

/** The peer's own certificate, the first of the chain. Undefined when malformed or empty. */
export function parseCertificate(body: Buffer): Buffer | undefined {
  const reader = new ByteReader(body);
  const chain = new ByteReader(reader.vector24());
  const certificate = chain.vector24();
  while (chain.remaining > 0) chain.vector24();
  return reader.isWhole && chain.isWhole && certificate.length > 0 ? certificate : undefined;
}

/** ServerKeyExchange of ECDHE (RFC 8422 §5.4). */
export interface ServerKeyExchange {
  readonly group: number;
  readonly publicKey: Buffer;
  /** The bytes that are signed, after both randoms. */
  readonly parameters: Buffer;
  readonly scheme: number;
  readonly signature: Buffer;
}

export function writeKeyParameters(group: number, publicKey: Buffer): Buffer {
  return Buffer.concat([uint8(NAMED_CURVE), uint16(group), vector8(publicKey)]);
}

export function writeSigned(parameters: Buffer, scheme: number, signature: Buffer): Buffer {
  return Buffer.concat([parameters, uint16(scheme), vector16(signature)]);
}

export function parseServerKeyExchange(body: Buffer): ServerKeyExchange | undefined {
  const reader = new ByteReader(body);
  const curveType = reader.uint8();
  const group = reader.uint16();
  const publicKey = reader.vector8();
  const parameters = body.subarray(0, 4 + publicKey.length);
  const scheme = reader.uint16();
  const signature = reader.vector16();
  if (!reader.isWhole || curveType !== NAMED_CURVE) return undefined;
  return { group, publicKey, parameters, scheme, signature };
}

/** CertificateRequest: any key that we can verify; no names, as there is no authority. */
export function writeCertificateRequest(): Buffer {
  return Buffer.concat([
    vector8(Buffer.of(CertificateType.ecdsaSign, CertificateType.rsaSign)),
    vector16(uint16(...SIGNATURE_SCHEMES)),
    vector16(),
  ]);
}

/** The signature schemes that the server accepts from us. */
export function parseCertificateRequest(body: Buffer): number[] | undefined {
  const reader = new ByteReader(body);
  reader.vector8();
  const schemes = readUint16List(reader.vector16());
  reader.vector16();
  return reader.isWhole ? schemes : undefined;
}

/** ClientKeyExchange of ECDHE. */
export function writeClientKeyExchange(publicKey: Buffer): Buffer {
  return vector8(publicKey);
}

export function parseClientKeyExchange(body: Buffer): Buffer | undefined {
  const reader = new ByteReader(body);
  const publicKey = reader.vector8();
  return reader.isWhole ? publicKey : undefined;
}

export interface CertificateVerify {
  readonly scheme: number;
  readonly signature: Buffer;
}

export function writeCertificateVerify(scheme: number, signature: Buffer): Buffer {
  return Buffer.concat([uint16(scheme), vector16(signature)]);
}

export function parseCertificateVerify(body: Buffer): CertificateVerify | undefined {
  const reader = new ByteReader(body);
  const scheme = reader.uint16();
  const signature = reader.vector16();
  return reader.isWhole ? { scheme, signature } : undefined;
}
