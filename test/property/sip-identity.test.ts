import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Metrics } from '../../src/base/metrics.ts';
import { readDer } from '../../src/base/read-der.ts';
import { readAnchors, readCertificates } from '../../src/sip/identity/certificate.ts';
import { readCredential } from '../../src/sip/identity/credential.ts';
import { IdentityVerifier } from '../../src/sip/identity/identity-verifier.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { identityOf, makeAuthority } from '../support/stir-authority.ts';

const clock = new FakeClock();
const authority = makeAuthority(clock.wallclock());
const provider = authority.issue('P');
const anchors = readAnchors(authority.pem) ?? [];
const right = identityOf({
  key: provider.key,
  x5u: 'https://c.example/p',
  iat: Math.floor(clock.wallclock() / 1000),
  orig: '1',
  dest: '2',
});
const [, head = '', claims = ''] = /^([^.]*)\.([^.]*)\./.exec(right) ?? [];

const json = fc.jsonValue().map((value) => Buffer.from(JSON.stringify(value)).toString('base64url'));
const member = fc.constantFrom('iat', 'orig', 'dest', 'attest', 'origid', 'typ', 'alg', 'x5u', 'ppt', '__proto__');
const claim = fc.tuple(fc.constantFrom(head, claims), member, fc.jsonValue()).map(([part, name, value]) => {
  const all = JSON.parse(Buffer.from(part, 'base64url').toString()) as object;
  return Buffer.from(JSON.stringify({ ...all, [name]: value })).toString('base64url');
});
const piece = fc.constantFrom(
  '.',
  ';',
  'info=',
  '<https://c.example/p>',
  'alg=ES256',
  'ppt=shaken',
  'ppt="shaken"',
  head,
  claims,
  '=',
  ' ',
  '"',
  '<',
  '>',
);
const part = fc.oneof(fc.base64String(), json, claim, fc.constantFrom(head, claims, ''));
const value = fc.oneof(
  fc.string(),
  fc.array(piece, { maxLength: 20 }).map((all) => all.join('')),
  fc.tuple(part, part, part).map(([a, b, c]) => `${a}.${b}.${c};info=<https://c.example/p>;alg=ES256;ppt=shaken`),
  fc
    .tuple(fc.nat(right.length - 1), fc.string({ minLength: 1, maxLength: 1 }))
    .map(([at, other]) => right.slice(0, at) + other + right.slice(at + 1)),
);
const uri = fc.oneof(fc.string(), fc.constantFrom('sip:+1@x', 'tel:2', 'sip:%zz@x', 'sip:%2@x'));

/** One octet of the certificate is another one, or it ends early. */
const der = Buffer.from(provider.pem.replace(/-----[^-]*-----|\s/g, ''), 'base64');
const bent = fc.tuple(fc.nat(der.length - 1), fc.nat(255), fc.boolean()).map(([at, byte, isCut]) => {
  const other = Buffer.from(der);
  other[at] = byte;
  return isCut ? other.subarray(0, at) : other;
});

test('whatever stands in Identity headers, nothing throws, and nobody passes but with the signature', async () => {
  const deps = { clock, metrics: new Metrics(), fetch: async () => ({ text: provider.pem, cacheControl: undefined }) };
  const verifier = new IdentityVerifier(deps, { anchors, maxAgeS: 60, ports: new Set() });
  const run = fc.asyncProperty(
    fc.array(value, { maxLength: 10 }),
    uri,
    uri,
    fc.option(fc.string()),
    async (identities, caller, called, date) => {
      const call = { source: 'x', caller, called: [called], callerNumber: caller, calledNumber: called, date: date ?? undefined };
      const finding = await verifier.verify({ ...call, identities });
      // A header that is changed where nothing is signed (a blank, the spelling of a parameter) is the same header.
      const isSame = identities.some((each) => each.startsWith(`${head}.${claims}.`));
      if (finding.type === 'passed') expect(isSame).toBe(true);
      else expect(finding.fault.why.length).toBeLessThan(512);
    },
  );
  await fc.assert(run);
});

test('a certificate that is bent anywhere is none, or leads nowhere, and costs no more than another one', () => {
  fc.assert(
    fc.property(bent, (bytes) => {
      const text = `-----BEGIN CERTIFICATE-----\n${bytes.toString('base64')}\n-----END CERTIFICATE-----\n`;
      const found = readCredential(text, anchors, clock.wallclock());
      if (!bytes.equals(der)) expect('fault' in found).toBe(true);
    }),
    { numRuns: 500 },
  );
  fc.assert(fc.property(fc.string(), (text) => void readCertificates(text)));
});

test('bytes that are no DER are read without a throw, and what is read fits into them', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const all = readDer(bytes) ?? [];
      expect(all.reduce((sum, { whole }) => sum + whole.length, 0)).toBeLessThanOrEqual(bytes.length);
    }),
  );
});
