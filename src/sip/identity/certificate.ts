import { X509Certificate } from 'node:crypto';
import { type DerElement, readDer, readDerTime, readObjectIdentifier } from '../../base/read-der.ts';
import { readTnAuthority, type TnAuthority } from './tn-authority.ts';

/** A certificate with what Node does not tell of it (RFC 5280 §4). */
export interface Certificate {
  readonly x509: X509Certificate;
  /** Unix milliseconds. */
  readonly validFrom: number;
  readonly validTo: number;
  /** May it issue others? */
  readonly issues: boolean;
  /** Issuers that may stand between it and the last one. */
  readonly mostBelow: number;
  /** May its key sign what is no certificate? */
  readonly signs: boolean;
  readonly authority?: TnAuthority;
}

const OID = {
  keyUsage: '2.5.29.15',
  alternativeNames: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  certificatePolicies: '2.5.29.32',
  extendedKeyUsage: '2.5.29.37',
  tnAuthority: '1.3.6.1.5.5.7.1.26',
} as const;

/** Critical ones that we know the meaning of; whoever does not know one must not take the certificate (RFC 5280 §4.2). */
const KNOWN: ReadonlySet<string> = new Set(Object.values(OID));

const TAG = { boolean: 0x01, integer: 0x02, bitString: 0x03, octetString: 0x04, sequence: 0x30, version: 0xa0, extensions: 0xa3 } as const;

/** Bits of the first octet of KeyUsage. */
const DIGITAL_SIGNATURE = 0x80;
const KEY_CERT_SIGN = 0x04;

/** A leaf, what stands between it and its anchor, and the anchor: more is a chain that somebody made to keep us busy. */
const MOST_IN_FILE = 6;
/** Anchors of all countries that have any. */
const MOST_ANCHORS = 500;
const PEM = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]{1,16384})-----END CERTIFICATE-----/g;

/** The certificates of a PEM text in their order; undefined when one of them cannot be used, or there are none, or too many. */
export function readCertificates(text: string, most = MOST_IN_FILE): Certificate[] | undefined {
  const found = [...text.matchAll(PEM)].slice(0, most + 1);
  if (found.length === 0 || found.length > most) return undefined;
  const read = found.map(([, body = '']) => readCertificate(Buffer.from(body, 'base64')));
  return read.every((each) => each !== undefined) ? read : undefined;
}

/** Those that are trusted. */
export function readAnchors(text: string): Certificate[] | undefined {
  return readCertificates(text, MOST_ANCHORS);
}

function readCertificate(der: Buffer): Certificate | undefined {
  let x509: X509Certificate;
  try {
    x509 = new X509Certificate(der);
    // Of a kind that nobody here knows, the first look throws.
    if (x509.publicKey.type !== 'public') return undefined;
  } catch {
    return undefined;
  }
  const [outer] = readDer(x509.raw) ?? [];
  const [toBeSigned] = (outer && readDer(outer.content)) ?? [];
  const fields = (toBeSigned && readDer(toBeSigned.content)) ?? [];
  const [validity] = fields.slice(fields[0]?.tag === TAG.version ? 4 : 3);
  const [from, to] = ((validity && readDer(validity.content)) ?? []).map(readDerTime);
  const extensions = readExtensions(fields.find(({ tag }) => tag === TAG.extensions));
  if (from === undefined || to === undefined || !extensions) return undefined;
  const usage = extensions.get(OID.keyUsage);
  const bits = usage && readUsage(usage);
  const constraints = extensions.get(OID.basicConstraints);
  const place = constraints ? readConstraints(constraints) : { isAuthority: false, mostBelow: 0 };
  const list = extensions.get(OID.tnAuthority);
  const authority = list && readTnAuthority(list);
  if ((usage && bits === undefined) || !place || (list && !authority)) return undefined;
  return {
    x509,
    validFrom: from,
    validTo: to,
    issues: place.isAuthority && (bits === undefined || (bits & KEY_CERT_SIGN) !== 0),
    mostBelow: place.mostBelow,
    signs: bits === undefined || (bits & DIGITAL_SIGNATURE) !== 0,
    ...(authority && { authority }),
  };
}

/** By their identifiers; undefined when they are malformed, one comes twice, or a critical one is not known. */
function readExtensions(field: DerElement | undefined): Map<string, Buffer> | undefined {
  const found = new Map<string, Buffer>();
  if (!field) return found;
  const [list] = readDer(field.content) ?? [];
  const all = list?.tag === TAG.sequence ? readDer(list.content) : undefined;
  if (!all) return undefined;
  for (const { content } of all) {
    const [id, ...rest] = readDer(content) ?? [];
    const oid = id && readObjectIdentifier(id.content);
    const value = rest.at(-1);
    const critical = rest.length === 2 && rest[0]?.tag === TAG.boolean && rest[0].content[0] !== 0;
    if (oid === undefined || value?.tag !== TAG.octetString || found.has(oid) || (critical && !KNOWN.has(oid))) return undefined;
    found.set(oid, value.content);
  }
  return found;
}

function readUsage(value: Buffer): number | undefined {
  const [bits] = readDer(value) ?? [];
  return bits?.tag === TAG.bitString && bits.content.length > 1 ? bits.content[1] : undefined;
}

function readConstraints(value: Buffer): { readonly isAuthority: boolean; readonly mostBelow: number } | undefined {
  const [list] = readDer(value) ?? [];
  const parts = list?.tag === TAG.sequence ? readDer(list.content) : undefined;
  if (!parts) return undefined;
  const isAuthority = parts[0]?.tag === TAG.boolean && parts[0].content[0] !== 0;
  const most = parts.find(({ tag }) => tag === TAG.integer)?.content;
  return { isAuthority, mostBelow: most === undefined ? Number.POSITIVE_INFINITY : most.length === 1 ? (most[0] ?? 0) : 255 };
}
