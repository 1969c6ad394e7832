import { describe, expect, test } from 'vitest';
import { Metrics } from '../../../../src/base/metrics.ts';
import { readAnchors } from '../../../../src/sip/identity/certificate.ts';
import type { Fetched } from '../../../../src/sip/identity/fetch-certificate.ts';
import { type IdentityFinding, IdentityVerifier, type VerifiedCall } from '../../../../src/sip/identity/identity-verifier.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import {
  compactIdentityOf,
  type IssueOptions,
  identityOf,
  makeAuthority,
  numberEntry,
  ORIGID,
  providerEntry,
  rangeEntry,
  type TokenOptions,
} from '../../../support/stir-authority.ts';

const clock = new FakeClock();
const NOW = clock.wallclock();
const IAT = Math.floor(NOW / 1000);
const URL_OF = 'https://certs.example.com/a.pem';
const authority = makeAuthority(NOW);
const stranger = makeAuthority(NOW, 'Another STI-PA');
const provider = authority.issue('Provider');

const CALL: VerifiedCall = {
  identities: [],
  source: 'trunk carrier',
  caller: 'sip:+12155551212@carrier.example.com;user=phone',
  called: ['sip:+12155551213@example.com', 'sip:agent@127.0.0.1'],
  callerNumber: '+12155551212',
  calledNumber: 'agent',
  date: undefined,
};

function token(options: Partial<TokenOptions> = {}): string {
  return identityOf({ key: provider.key, x5u: URL_OF, iat: IAT, orig: '12155551212', dest: '12155551213', ...options });
}

interface BenchOptions {
  readonly files?: Readonly<Record<string, string>>;
  readonly cacheControl?: string;
  readonly own?: FakeClock;
  readonly anchors?: string;
  readonly fetch?: (url: URL) => Promise<Fetched>;
}

class Bench {
  readonly asked: string[] = [];
  readonly verifier: IdentityVerifier;

  constructor({ files = { [URL_OF]: provider.pem }, cacheControl, own = clock, anchors = authority.pem, fetch }: BenchOptions = {}) {
    this.verifier = new IdentityVerifier(
      {
        clock: own,
        metrics: new Metrics(),
        fetch: async (url) => {
          this.asked.push(url.href);
          if (fetch) return fetch(url);
          const text = files[url.href];
          return text === undefined ? { failure: 'it answers with 404' } : { text, cacheControl };
        },
      },
      { anchors: readAnchors(anchors) ?? [], maxAgeS: 60, ports: new Set() },
    );
  }

  async verify(identities: readonly string[], call: Partial<VerifiedCall> = {}): Promise<string> {
    return told(await this.verifier.verify({ ...CALL, ...call, identities }));
  }
}

function told(finding: IdentityFinding): string {
  if (finding.type === 'passed') return `passed ${finding.attest ?? '-'} ${finding.origid ?? '-'}`;
  const { status, step, why } = finding.fault;
  return `${status} ${step}: ${why}`;
}

/** Header, payload, and the signature with the parameters. */
function partsOf(value: string): string[] {
  return /^([^.]*)\.([^.]*)\.(.*)$/.exec(value)?.slice(1) ?? [];
}

const PASSED = `passed A ${ORIGID}`;

describe('the identity of a caller', () => {
  test('is verified: by To, by the Request-URI, by the rules of the trunk; and every rule says so', async () => {
    const bench = new Bench();
    expect(await bench.verify([token()])).toBe(PASSED);
    expect(await bench.verify([token({ dest: '+1 (215) 555-1213', attest: 'B' })])).toBe(`passed B ${ORIGID}`);
    expect(await bench.verify([token({ dest: '4930123' })], { called: ['sip:030123@x', 'sip:030123@y'], calledNumber: '+4930123' })).toBe(
      PASSED,
    );
    const finding = await bench.verifier.verify({ ...CALL, identities: [token()] });
    expect(finding.tried.map(({ rule, matched }) => `${rule} ${matched}`)).toEqual(
      ['identity', 'passport', 'date', 'numbers', 'certificate', 'signature', 'replay'].map((step) => `stir.${step} true`),
    );
    expect(bench.asked).toEqual([URL_OF]);
  });

  test('is not there: no header, or none that says who calls; and nothing is fetched', async () => {
    const bench = new Bench();
    expect(await bench.verify([])).toBe('428 identity: it has no Identity header');
    expect(await bench.verify([token().replace('ppt=shaken', 'ppt=div')])).toBe(
      '428 identity: none of its Identity headers says who calls',
    );
    expect(await bench.verify(Array<string>(9).fill(token()))).toBe('438 identity: more than 8 Identity headers');
    expect(bench.asked).toEqual([]);
  });

  test('one right header of two is enough, and others are passed over', async () => {
    const other = token().replace('ppt=shaken', 'ppt=rph');
    expect(await new Bench().verify([other, token({ orig: '1999' }), token()])).toBe(PASSED);
  });

  test('has a wrong signature', async () => {
    const other = authority.issue('Another provider');
    expect(await new Bench().verify([token({ key: other.key })])).toBe('438 signature: it is not the signature of CN=Provider');
    const [head = '', , signature = ''] = partsOf(token());
    const claims = Buffer.from(
      JSON.stringify({ attest: 'A', dest: { tn: ['12155551213'] }, iat: IAT, orig: { tn: '12155551212' }, origid: 'x' }),
    );
    expect(await new Bench().verify([`${head}.${claims.toString('base64url')}.${signature}`])).toMatch(/^438 signature/);
  });

  test('speaks of others', async () => {
    const bench = new Bench();
    expect(await bench.verify([token({ orig: '12155550000' })])).toBe('438 numbers: orig 12155550000 is not the caller +12155551212');
    expect(await bench.verify([token({ dest: '12155550000' })])).toBe('438 numbers: dest 12155550000 is not the called agent');
    // What a trunk asserts is what the program is told: then From does not count.
    expect(await bench.verify([token()], { caller: 'tel:+1999', callerNumber: '+1999' })).toMatch(/^438 numbers/);
    expect(bench.asked).toEqual([]);
  });

  test.each<[string, number, string | undefined, string]>([
    ['old', -61, undefined, '403 date: iat is 61 s old, and 60 s are taken'],
    ['of tomorrow', 61, undefined, '403 date: iat is 61 s ahead, and 60 s are taken'],
    ['with an old Date', 0, 'Sat, 13 Nov 2010 23:29:00 GMT', '403 date: Date is'],
    ['with a Date that is none', 0, 'yesterday', '403 date: Date is no date'],
  ])('is %s', async (_, age, date, expected) => {
    expect(await new Bench().verify([token({ iat: IAT + age })], { date })).toContain(expected);
  });

  test.each<[string, IssueOptions, string]>([
    ['expired', { validTo: NOW - 1000 }, '437 certificate: CN=P: it, or an issuer of it, has expired'],
    ['not valid yet', { validFrom: NOW + 1000 }, '437 certificate: CN=P: it, or an issuer of it, is not valid yet'],
    ['without numbers', { numbers: undefined }, '437 certificate: CN=P: it has no TN Authorization List (RFC 8226)'],
    ['for other numbers', { numbers: [numberEntry('12155551211')] }, '437 certificate: CN=P: its numbers are others than orig'],
    ['for a range beside it', { numbers: [rangeEntry('12155551213', 100)] }, '437 certificate: CN=P: its numbers are others than orig'],
    ['for a range that has ended', { numbers: [rangeEntry('12155551200', 12)] }, '437 certificate: CN=P: its numbers are others than orig'],
    ['of a curve that ES256 does not have', { curve: 'secp256k1' }, '437 certificate: CN=P: its key is not for ES256'],
    ['for something else', { usage: 0b0000_0010 }, '437 certificate: CN=P: its key may not sign'],
    ['with a critical extension nobody knows', { critical: '1.2.3.4' }, '436 certificate: what is there is no chain of certificates'],
  ])('has a certificate that is %s', async (_, options, expected) => {
    const issued = authority.issue('P', options);
    const bench = new Bench({ files: { [URL_OF]: issued.pem } });
    expect(await bench.verify([token({ key: issued.key })])).toBe(expected);
  });

  test.each<[string, IssueOptions]>([
    ['the number', { numbers: [numberEntry('12155551212')] }],
    ['a range', { numbers: [providerEntry(), rangeEntry('12155551200', 13)] }],
    ['a range alone', { numbers: [rangeEntry('12155551200', 13)] }],
  ])('has a certificate for %s', async (_, options) => {
    const issued = authority.issue('P', options);
    expect(await new Bench({ files: { [URL_OF]: issued.pem } }).verify([token({ key: issued.key })])).toBe(PASSED);
  });

  test('has a certificate of nobody that is trusted, or of somebody between who may not issue', async () => {
    const wrong = stranger.issue('P');
    const via = authority.issue('Between', { isAuthority: true, mostBelow: 0 });
    const below = via.issue('P');
    const deep = via.issue('Deeper', { isAuthority: true });
    const deeper = deep.issue('P');
    const leaf = provider.issue('P');
    const of = (text: string, key: TokenOptions['key']): Promise<string> =>
      new Bench({ files: { [URL_OF]: text } }).verify([token({ key })]);
    expect(await of(wrong.pem + stranger.pem, wrong.key)).toBe('437 certificate: CN=P: no trusted authority has issued it');
    expect(await of(below.pem + via.pem, below.key)).toBe(PASSED);
    expect(await of(below.pem, below.key)).toMatch(/^437/);
    expect(await of(deeper.pem + deep.pem + via.pem, deeper.key)).toMatch(/^437/); // pathLen 0
    expect(await of(leaf.pem + provider.pem, leaf.key)).toMatch(/^437/); // a leaf has issued it
    expect(await of(provider.pem.replace('CERTIFICATE', 'PRIVATE KEY'), provider.key)).toBe(
      '436 certificate: what is there is no chain of certificates',
    );
  });

  test('lets one call in: neither the same signature again nor the other one that anybody can make of it', async () => {
    const bench = new Bench();
    const once = token();
    expect(await bench.verify([once])).toBe(PASSED);
    expect(await bench.verify([once])).toBe('438 replay: this signature has let a call in before');
    const [head, claims, rest = ''] = partsOf(once);
    const [text = '', ...parameters] = rest.split(';');
    const signature = Buffer.from(text, 'base64url');
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
    const twin = (order - BigInt(`0x${signature.toString('hex', 32)}`)).toString(16).padStart(64, '0');
    const other = Buffer.concat([signature.subarray(0, 32), Buffer.from(twin, 'hex')]).toString('base64url');
    expect(await bench.verify([[head, claims, [other, ...parameters].join(';')].join('.')])).toMatch(/^438 replay/);
  });

  test('stands in the compact form: what is left out is read from the INVITE', async () => {
    const date = new Date(IAT * 1000).toUTCString();
    const compact = compactIdentityOf({ key: provider.key, x5u: URL_OF, iat: IAT, orig: '12155551212', dest: '12155551213' });
    expect(await new Bench().verify([compact], { date })).toBe('passed - -');
    expect(await new Bench().verify([compact], { date, caller: 'tel:+1999' })).toMatch(/^438 signature/);
    expect(await new Bench().verify([compact])).toBe('438 passport: the compact form needs a Date header');
    expect(await new Bench().verify([`${compact};ppt=shaken`], { date })).toMatch(/^438 passport: .*no compact form/);
  });

  test.each<[string, string, string]>([
    ['http', 'http://certs.example.com/a.pem', '436 certificate: x5u is not https'],
    ['another scheme', 'file:///etc/passwd', '436 certificate: x5u is not https'],
    ['another port', 'https://certs.example.com:22/', '436 certificate: x5u has port 22, and 443 and 8443 are taken'],
    ['a password', 'https://a:b@certs.example.com/', '436 certificate: x5u has a user in it'],
    ['no URL', 'nonsense', '436 certificate: x5u is no URL'],
    ['a long URL', `https://certs.example.com/${'a'.repeat(500)}`, '436 certificate: x5u is no URL'],
  ])('names a certificate by %s: nothing is fetched', async (_, x5u, expected) => {
    const bench = new Bench();
    expect(await bench.verify([token({ x5u })])).toBe(expected);
    expect(bench.asked).toEqual([]);
  });

  test.each<[string, (value: string) => string, string]>([
    ['two alg', (value) => `${value};alg=ES256`, '438 identity: has the parameter alg twice'],
    ['two info', (value) => `${value};info=<https://x/>`, '438 identity: has the parameter info twice'],
    ['no info', (value) => value.replace(/info=<[^>]*>;/, ''), '436 identity: has no info=<URI>'],
    ['another info', (value) => value.replace('info=<https://certs', 'info=<https://other'), '438 passport: x5u and info differ'],
    ['alg none', (value) => value.replace('alg=ES256', 'alg=none'), '438 passport: alg is not ES256'],
    ['no signature', (value) => value.replace(/\.[^.]*;info/, '.;info'), '438 identity: is not header.payload.signature'],
    ['half a form', (value) => value.replace(/^[^.]*/, ''), '438 identity: has one of header and payload'],
    ['a short signature', (value) => value.replace(/\.[^.]*;info/, '.AAAA;info'), '438 passport: the signature has 3 octets'],
    ['too much', (value) => `${value};x=${'a'.repeat(9000)}`, '438 identity: longer than 8192 characters'],
    ['no ppt', (value) => value.replace(';ppt=shaken', ''), '438 passport: ppt of the header and of the PASSporT differ'],
  ])('has a header with %s', async (_, change, expected) => {
    expect(await new Bench().verify([change(token())])).toContain(expected);
  });

  test.each<[string, Partial<TokenOptions>, string]>([
    ['alg HS256', { header: { alg: 'HS256' } }, 'alg of the PASSporT is not ES256'],
    ['another typ', { header: { typ: 'JWT' } }, 'typ is not passport'],
    ['critical extensions', { header: { crit: ['x'] } }, 'it has critical extensions'],
    ['a text as iat', { claims: { iat: '1' } }, 'iat is no time'],
    ['no dest', { claims: { dest: {} } }, 'dest has no list'],
    ['a number as dest', { claims: { dest: { tn: [12155551213] } } }, 'dest has no list'],
    ['two origs', { claims: { orig: { tn: '12155551212', uri: 'sip:a@b' } } }, 'orig has not one'],
    ['an orig that is a list', { claims: { orig: ['1'] } }, 'orig or dest is missing'],
    ['a uri as orig', { claims: { orig: { uri: 'sip:a@b' } } }, 'has no tn'],
    ['attestation D', { attest: 'D' }, 'attest is none of A, B and C'],
    ['a long origid', { origid: 'x'.repeat(65) }, 'origid is missing'],
  ])('has a token with %s', async (_, options, expected) => {
    expect(await new Bench().verify([token(options)])).toMatch(new RegExp(`^438 passport: .*${expected}`));
  });

  test('what cannot be fetched is not asked for again for half a minute; what can, for as long as its server says', async () => {
    const own = new FakeClock();
    const iat = () => Math.floor(own.wallclock() / 1000);
    const failing = new Bench({ files: {}, own });
    expect(await failing.verify([token({ iat: iat() })])).toBe('436 certificate: https://certs.example.com: it answers with 404');
    await failing.verify([token({ iat: iat() })]);
    expect(failing.asked).toHaveLength(1);
    own.advance(30_001);
    await failing.verify([token({ iat: iat() })]);
    expect(failing.asked).toHaveLength(2);
    const validTo = own.wallclock() + 10 * 24 * 3600 * 1000;
    const lasting = makeAuthority(own.wallclock(), 'Lasting', { validTo });
    const leaf = lasting.issue('P', { validTo });
    const kept: number[] = [];
    for (const [cacheControl, heldS] of [
      ['max-age=100', 99],
      ['max-age=100', 101],
      ['no-store, max-age=100', 1],
      ['public, max-age=999999999', 24 * 3600 - 1],
      ['public, max-age=999999999', 24 * 3600 + 1],
      ['private', 3599],
      ['private', 3601],
    ] as const) {
      const bench = new Bench({ files: { [URL_OF]: leaf.pem }, cacheControl, own, anchors: lasting.pem });
      expect(await bench.verify([token({ key: leaf.key, iat: iat() })])).toBe(PASSED);
      own.advance(heldS * 1000);
      expect(await bench.verify([token({ key: leaf.key, iat: iat() })])).toBe(PASSED);
      kept.push(bench.asked.length);
    }
    expect(kept).toEqual([1, 2, 2, 1, 2, 1, 2]);
  });

  test('a certificate that is kept ends when it says, and with the anchors it was trusted by', async () => {
    const own = new FakeClock();
    const iat = () => Math.floor(own.wallclock() / 1000);
    const ca = makeAuthority(own.wallclock(), 'CA');
    const leaf = ca.issue('P', { validTo: own.wallclock() + 1000_000 });
    const bench = new Bench({ files: { [URL_OF]: leaf.pem }, own, anchors: ca.pem });
    expect(await bench.verify([token({ key: leaf.key, iat: iat() })])).toBe(PASSED);
    own.advance(1_001_000);
    expect(await bench.verify([token({ key: leaf.key, iat: iat() })])).toMatch(/^437 .*expired$/);
    expect(bench.asked).toHaveLength(1);
    bench.verifier.configure({ anchors: readAnchors(authority.pem) ?? [], maxAgeS: 60, ports: new Set() });
    expect(await bench.verify([token({ key: leaf.key, iat: iat() })])).toMatch(/^437 .*no trusted authority/);
  });

  test('calls that come together share one fetch, and there is a bound of them for all and for each source', async () => {
    const gates: ((fetched: Fetched) => void)[] = [];
    const bench = new Bench({ fetch: () => new Promise((resolve) => gates.push(resolve)) });
    const at = (n: number, source: string) => {
      const x5u = `https://certs.example.com/${n}`;
      return bench.verifier.verify({ ...CALL, source, identities: [token({ x5u })] });
    };
    const first = [at(0, 'a'), at(0, 'a')];
    expect(bench.asked).toHaveLength(1);
    const waiting = Array.from({ length: 15 }, (_, n) => at(n + 1, 'a'));
    const over = at(99, 'a');
    expect(over).toMatchObject({ fault: { status: 503 } });
    for (let n = 0; n < 16; n++) waiting.push(at(100 + n, 'b'));
    expect(at(999, 'c')).toMatchObject({ fault: { status: 503 } });
    expect(bench.asked).toHaveLength(32);
    for (const gate of gates) gate({ failure: 'gone' });
    await Promise.all([...first, ...waiting]);
    expect(at(1000, 'c')).toBeInstanceOf(Promise);
  });
});
