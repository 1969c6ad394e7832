import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP, isIPv4, SocketAddress } from 'node:net';
import {
  derBitString,
  derBits,
  derImplicit,
  derInteger,
  derObjectIdentifier,
  derOctetString,
  derSequence,
  derSet,
  derTagged,
  derText,
  derTime,
  derTrue,
} from '../base/der.ts';

/* Two certificates (RFC 5280): an authority for people to trust, and what it says about this machine. */

const DAY_MS = 24 * 3600 * 1000;
/** As long as browsers and phones take a certificate of an authority that somebody added by hand (Apple: 825 days). */
const LIFETIME_MS = 820 * DAY_MS;
/** For clocks that are behind ours. */
const EARLIER_MS = DAY_MS;
const SERIAL_BYTES = 16;

const OID = {
  commonName: '2.5.4.3',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  subjectKey: '2.5.29.14',
  keyUsage: '2.5.29.15',
  alternativeNames: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKey: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const;

/** What a server shows, and whom its clients have to trust. PEM. */
export interface IssuedCertificate {
  readonly ca: string;
  readonly certificate: string;
  readonly privateKey: string;
}

interface KeyPair {
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Buffer;
  readonly pkcs8: Buffer;
  readonly key: KeyObject;
}

/**
 * Makes an authority, has it sign one certificate for these names, and forgets its key: nobody, whatever they get hold of later, can have it
 * sign another one.
 * @param names DNS names and literal addresses @param wallclock Unix milliseconds
 */
export function issueCertificate(names: readonly string[], wallclock: number): IssuedCertificate {
  const authority = makeKeys();
  const leaf = makeKeys();
  // The authorities of two starts have different names, so that a client that has both picks the right one.
  const issuer = commonName(`Ringdown ${randomBytes(4).toString('hex')}`);
  const authorityId = createHash('sha1').update(authority.spki).digest();
  const ca = certificate(
    { subject: issuer, issuer, spki: authority.spki, signer: authority.key, wallclock },
    extension(OID.basicConstraints, derSequence(derTrue(), derInteger(Buffer.of(0))), true), // signs leaves only
    extension(OID.keyUsage, derBits(0b0000_0100, 2), true), // keyCertSign
    extension(OID.subjectKey, derOctetString(authorityId)),
  );
  const server = certificate(
    { subject: commonName('Ringdown'), issuer, spki: leaf.spki, signer: authority.key, wallclock },
    extension(OID.basicConstraints, derSequence(), true),
    extension(OID.keyUsage, derBits(0b1000_0000, 7), true), // digitalSignature
    extension(OID.extendedKeyUsage, derSequence(derObjectIdentifier(OID.serverAuth))),
    extension(OID.authorityKey, derSequence(derImplicit(0, authorityId))),
    extension(OID.alternativeNames, derSequence(...names.map(generalName))),
  );
  return { ca: pem('CERTIFICATE', ca), certificate: pem('CERTIFICATE', server), privateKey: pem('PRIVATE KEY', leaf.pkcs8) };
}

function makeKeys(): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'prime256v1',
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
  });
  return { spki: publicKey, pkcs8: privateKey, key: createPrivateKey({ key: privateKey, type: 'pkcs8', format: 'der' }) };
}

interface CertificateParts {
  readonly subject: Buffer;
  readonly issuer: Buffer;
  readonly spki: Buffer;
  readonly signer: KeyObject;
  readonly wallclock: number;
}

function certificate({ subject, issuer, spki, signer, wallclock }: CertificateParts, ...extensions: readonly Buffer[]): Buffer {
  const algorithm = derSequence(derObjectIdentifier(OID.ecdsaWithSha256));
  const serial = randomBytes(SERIAL_BYTES);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40; // positive, and never short
  const toBeSigned = derSequence(
    derTagged(0, derInteger(Buffer.of(2))), // version 3
    derInteger(serial),
    algorithm,
    issuer,
    derSequence(derTime(wallclock - EARLIER_MS), derTime(wallclock - EARLIER_MS + LIFETIME_MS)),
    subject,
    spki,
    derTagged(3, derSequence(...extensions)),
  );
  return derSequence(toBeSigned, algorithm, derBitString(sign('sha256', toBeSigned, signer)));
}

function commonName(text: string): Buffer {
  return derSequence(derSet(derSequence(derObjectIdentifier(OID.commonName), derText(text))));
}

function extension(oid: string, value: Buffer, critical = false): Buffer {
  return derSequence(derObjectIdentifier(oid), ...(critical ? [derTrue()] : []), derOctetString(value));
}

/** RFC 5280 §4.2.1.6: [2] is a DNS name, [7] an address in network byte order. */
function generalName(name: string): Buffer {
  return isIP(name) === 0 ? derImplicit(2, Buffer.from(name, 'ascii')) : derImplicit(7, addressBytes(name));
}

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const { address: plain } = new SocketAddress({ address, family: 'ipv6' });
  const [left = '', right] = plain.split('::');
  const groups = (text: string | undefined): string[] => (text ? text.split(':') : []);
  const tail = groups(right);
  const head = groups(left);
  const all = [...head, ...Array<string>(8 - head.length - tail.length).fill('0'), ...tail];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
