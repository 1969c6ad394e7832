import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import {
  derBitString,
  derBits,
  derInteger,
  derObjectIdentifier,
  derOctetString,
  derSequence,
  derSet,
  derTagged,
  derText,
  derTime,
  derTrue,
} from '../../src/base/der.ts';

/* An authority of telephone providers, the certificates it issues (RFC 8226), and the tokens that are signed with them (RFC 8225, 8588). */

const ES256 = '1.2.840.10045.4.3.2';
const DAY_MS = 24 * 3600 * 1000;

export interface IssueOptions {
  readonly validFrom?: number;
  readonly validTo?: number;
  /** Entries of its TN Authorization List; none at all with undefined. */
  readonly numbers?: readonly Buffer[] | undefined;
  readonly isAuthority?: boolean;
  readonly mostBelow?: number;
  /** OID of a critical extension that nobody knows. */
  readonly critical?: string;
  readonly usage?: number;
  readonly curve?: string;
}

/** All numbers of a provider. */
export function providerEntry(code = '1234'): Buffer {
  return derTagged(0, ia5(code));
}

export function numberEntry(number: string): Buffer {
  return derTagged(2, ia5(number));
}

export function rangeEntry(start: string, count: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(count);
  return derTagged(1, derSequence(ia5(start), derInteger(bytes)));
}

function ia5(text: string): Buffer {
  return Buffer.concat([Buffer.of(0x16, text.length), Buffer.from(text, 'latin1')]);
}

/** A certificate and its key. */
export interface Issued {
  readonly pem: string;
  readonly key: KeyObject;
  issue(name: string, options?: IssueOptions): Issued;
}

/** One that has issued itself. @param now Unix milliseconds */
export function makeAuthority(now: number, name = 'Test STI-PA', options: IssueOptions = {}): Issued {
  return make(now, name, { isAuthority: true, ...options }, undefined);
}

function make(
  now: number,
  name: string,
  options: IssueOptions,
  issuer: { readonly name: Buffer; readonly key: KeyObject } | undefined,
): Issued {
  const { isAuthority = false, validFrom = now - DAY_MS, validTo = now + DAY_MS, curve = 'prime256v1', mostBelow, critical } = options;
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: curve });
  const subject = derSequence(derSet(derSequence(derObjectIdentifier('2.5.4.3'), derText(name))));
  const numbers = 'numbers' in options || isAuthority ? options.numbers : [providerEntry()];
  const extensions = [
    ...(isAuthority
      ? [extension('2.5.29.19', derSequence(derTrue(), ...(mostBelow === undefined ? [] : [derInteger(Buffer.of(mostBelow))])), true)]
      : []),
    extension('2.5.29.15', derBits(options.usage ?? (isAuthority ? 0b0000_0110 : 0b1000_0000), 0), true),
    ...(numbers ? [extension('1.3.6.1.5.5.7.1.26', derSequence(...numbers))] : []),
    ...(critical === undefined ? [] : [extension(critical, derText('?'), true)]),
  ];
  const algorithm = derSequence(derObjectIdentifier(ES256));
  const serial = randomBytes(8);
  serial[0] = 0x40;
  const toBeSigned = derSequence(
    derTagged(0, derInteger(Buffer.of(2))),
    derInteger(serial),
    algorithm,
    issuer?.name ?? subject,
    derSequence(derTime(validFrom), derTime(validTo)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    derTagged(3, derSequence(...extensions)),
  );
  const der = derSequence(toBeSigned, algorithm, derBitString(sign('sha256', toBeSigned, issuer?.key ?? privateKey)));
  return {
    pem: `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`,
    key: privateKey,
    issue: (other, more = {}) => make(now, other, more, { name: subject, key: privateKey }),
  };
}

function extension(oid: string, value: Buffer, isCritical = false): Buffer {
  return derSequence(derObjectIdentifier(oid), ...(isCritical ? [derTrue()] : []), derOctetString(value));
}

export interface TokenOptions {
  readonly key: KeyObject;
  readonly x5u: string;
  /** Unix seconds. */
  readonly iat: number;
  readonly orig: string;
  readonly dest: string;
  readonly attest?: string;
  readonly origid?: string;
  /** Other members of the token's header and claims. */
  readonly header?: Readonly<Record<string, unknown>>;
  readonly claims?: Readonly<Record<string, unknown>>;
}

export const ORIGID = '123e4567-e89b-12d3-a456-426655440000';

/** The value of an Identity header. */
export function identityOf({ key, x5u, iat, orig, dest, attest = 'A', origid = ORIGID, header = {}, claims = {} }: TokenOptions): string {
  const head = { alg: 'ES256', ppt: 'shaken', typ: 'passport', x5u, ...header };
  const body = { attest, dest: { tn: [dest] }, iat, orig: { tn: orig }, origid, ...claims };
  const signed = [head, body].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${signed}.${signatureOf(signed, key)};info=<${x5u}>;alg=ES256;ppt=shaken`;
}

/** A token without a kind, in the form that leaves out what stands in the INVITE. */
export function compactIdentityOf({ key, x5u, iat, orig, dest }: TokenOptions): string {
  const head = { alg: 'ES256', typ: 'passport', x5u };
  const body = { dest: { tn: [dest] }, iat, orig: { tn: orig } };
  const signed = [head, body].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `..${signatureOf(signed, key)};info=<${x5u}>;alg=ES256`;
}

function signatureOf(signed: string, key: KeyObject): string {
  return sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');
}
