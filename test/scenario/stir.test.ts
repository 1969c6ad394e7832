import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AddressFence } from '../../src/base/address-fence.ts';
import { systemClock } from '../../src/base/clock.ts';
import { issueCertificate } from '../../src/control/x509.ts';
import { fetchCertificate } from '../../src/sip/identity/fetch-certificate.ts';
import { endpointText } from '../support/endpoint.ts';
import { type GatewayUnderTest, gatewayUnderTest } from '../support/gateway-under-test.ts';
import { Lateness } from '../support/lateness.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import type { SipPhone } from '../support/sip-phone.ts';
import { identityOf, makeAuthority, ORIGID, type TokenOptions } from '../support/stir-authority.ts';
import { Switchhook } from '../support/switchhook.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';
import { eventually } from '../support/wait.ts';

/* Calls whose callers are vouched for by a provider of our own, with its certificate on a server of this machine. */

const hook = new Switchhook();
const folder = tempFolder('stir');
const authority = makeAuthority(Date.now());
const provider = authority.issue('Provider');
const stranger = makeAuthority(Date.now(), 'Another').issue('Stranger');
const expired = authority.issue('Expired', { validTo: Date.now() - 1000 });
const issued = issueCertificate(['127.0.0.1'], Date.now());
const lateness = new Lateness();
const asked: string[] = [];
let server: Server;
let port: number;
let gateway: GatewayUnderTest;
/** Of trunks that require, report and trust. */
let strict: SipPhone;
let lenient: SipPhone;
let believed: SipPhone;

beforeAll(async () => {
  server = createServer({ cert: issued.certificate, key: issued.privateKey }, (request, response) => {
    asked.push(request.url ?? '');
    const files: Record<string, string> = { '/p': provider.pem, '/stranger': stranger.pem, '/expired': expired.pem };
    const file = files[request.url ?? ''];
    if (request.url === '/slow') return;
    if (request.url === '/huge') response.end(Buffer.alloc(1_000_000, 'A'));
    else if (request.url === '/moved') response.writeHead(302, { location: '/p' }).end();
    else response.writeHead(file === undefined ? 404 : 200).end(file);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
  strict = await hook.phone({ address: '127.0.0.2', user: '+12155551212' });
  lenient = await hook.phone({ address: '127.0.0.3', user: '+12155551212' });
  believed = await hook.phone({ address: '127.0.0.4', user: '+12155551212;verstat=TN-Validation-Passed' });
  const file = join(folder, 'ringdown.yaml');
  writeFileSync(join(folder, 'anchors.pem'), authority.pem);
  writeFileSync(join(folder, 'ca.pem'), issued.ca);
  const trunk = (name: string, peer: SipPhone, stir: string) =>
    `  - { name: ${name}, peer: "${endpointText(peer.local)}", stir: ${stir}, caps: { per-second: 100, concurrent: 100 } }\n`;
  writeFileSync(
    file,
    `stir: { anchors: ${join(folder, 'anchors.pem')}, ca: ${join(folder, 'ca.pem')}, allow: ["127.0.0.1:${port}"] }
trunks:
${trunk('strict', strict, 'require')}${trunk('lenient', lenient, 'report')}${trunk('believed', believed, 'trust')}`,
  );
  gateway = await gatewayUnderTest({ flags: ['--config', file, '--sip-rate', '0'] });
  // The first call loads codecs, which holds everything up; a fetch has 2 s.
  const first = await hook.call(gateway.sip, {}, believed);
  await first.bye();
});

afterAll(async () => {
  await hook.close();
  lateness.stop();
  await gateway?.stop();
  server?.closeAllConnections();
  server?.close();
  removeFolder(folder);
});

function identity(options: Partial<TokenOptions> = {}): string {
  const iat = Math.floor(Date.now() / 1000);
  return identityOf({ key: provider.key, x5u: at('p'), iat, orig: '12155551212', dest: '12155551213', ...options });
}

function at(path: string): string {
  return `https://127.0.0.1:${port}/${path}`;
}

function dial(phone: SipPhone, value?: string, name = 'Identity'): Promise<PhoneCall> {
  return phone.dial(gateway.sip, { user: '+12155551213', headers: value === undefined ? [] : [[name, value]] });
}

async function refusal(call: Promise<PhoneCall>): Promise<string> {
  const dialled = await call;
  return (await dialled.refused()).startLine.replace('SIP/2.0 ', '');
}

function record(call: PhoneCall): Promise<Readonly<Record<string, unknown>>> {
  return eventually(() => gateway.cdrs().find((each) => each['sip_call_id'] === call.callId), 5000, 'the record');
}

describe('a trunk whose callers must be vouched for', () => {
  test('is let in by the signature of its provider; what was found stands with the call and in its record', async () => {
    const call = await dial(strict, identity());
    await call.answered();
    const calls = `http://${endpointText(gateway.http)}/v1/calls/${encodeURIComponent(call.callId)}/why`;
    const why = (await (await fetch(calls)).json()) as { id: string; rules: { rule: string; matched: boolean }[] };
    expect(why.rules.filter(({ rule }) => /stir/.test(rule)).map(({ rule, matched }) => `${rule} ${matched}`)).toEqual([
      ...['identity', 'passport', 'date', 'numbers', 'certificate', 'signature', 'replay'].map((step) => `stir.${step} true`),
      'trunks.strict.stir true',
    ]);
    const session = await fetch(`http://${endpointText(gateway.http)}/v1/realtime/calls/${why.id}`);
    const stir = { verstat: 'TN-Validation-Passed', attest: 'A', origid: ORIGID, by: 'gateway' };
    expect(await session.json()).toMatchObject({ call: { caller: '+12155551212', stir } });
    await call.bye();
    expect(await record(call)).toMatchObject({ verstat: 'TN-Validation-Passed', attest: 'A', origid: ORIGID });
    const compact = await dial(strict, identity({ attest: 'B' }), 'y');
    await compact.answered();
    await compact.bye();
    expect(asked.filter((path) => path === '/p')).toHaveLength(1);
  });

  test('is refused as RFC 8224 says, and the record names the rule', async () => {
    const iat = Math.floor(Date.now() / 1000);
    const once = identity();
    const first = await dial(strict, once);
    await first.answered();
    const cases: [string, string | undefined, string][] = [
      ['no identity', undefined, '428 Use Identity Header'],
      ['a bad signature', identity({ key: stranger.key }), '438 Invalid Identity Header'],
      ['another number', identity({ orig: '12155550000' }), '438 Invalid Identity Header'],
      ['an expired certificate', identity({ key: expired.key, x5u: at('expired') }), '437 Unsupported Credential'],
      ['another authority', identity({ key: stranger.key, x5u: at('stranger') }), '437 Unsupported Credential'],
      ['a stale token', identity({ iat: iat - 100 }), '403 Stale Date'],
      ['a private address', identity({ x5u: at('p').replace('127.0.0.1', '10.0.0.1') }), '436 Bad Identity Info'],
      ['this machine', identity({ x5u: at('p').replace('127.0.0.1', '127.0.0.2') }), '436 Bad Identity Info'],
      ['a name of this machine', identity({ x5u: at('x').replace('127.0.0.1', 'localhost') }), '436 Bad Identity Info'],
      ['http', identity({ x5u: at('p').replace('https', 'http') }), '436 Bad Identity Info'],
      ['a huge file', identity({ x5u: at('huge') }), '436 Bad Identity Info'],
      ['a redirect', identity({ x5u: at('moved') }), '436 Bad Identity Info'],
      ['nothing there', identity({ x5u: at('nothing') }), '436 Bad Identity Info'],
      ['the same signature', once, '438 Invalid Identity Header'],
      ['nonsense', 'a.b.c', '436 Bad Identity Info'],
    ];
    const said = await Promise.all(cases.map(([, value]) => refusal(dial(strict, value))));
    // A machine that is too busy to hand a file over within the 2 s of a fetch makes 436 of 437, which is right too.
    const late = said.map((each, n) => (cases[n]?.[2].startsWith('437') && each.startsWith('436') ? cases[n][2] : each));
    expect(cases.map(([name], n) => `${name}: ${late[n]}`)).toEqual(cases.map(([name, , expected]) => `${name}: ${expected}`));
    await first.bye();
    const call = await dial(strict);
    expect((await call.refused()).header('warning')).toContain('it has no Identity header');
    expect(await record(call)).toMatchObject({ verstat: 'No-TN-Validation', sip_status: 428, trunk: 'strict', cause: 'rejected' });
  });

  test('waits for a slow server without anybody else waiting, and may give up meanwhile', async () => {
    const slow = await dial(strict, identity({ x5u: at('slow') }));
    const left = await dial(strict, identity({ x5u: `${at('slow')}`, attest: 'C' }));
    await Promise.all([slow.response(100), left.response(100)]);
    await left.cancel();
    expect((await left.refused()).status).toBe(487);
    const from = performance.now();
    const other = await hook.call(gateway.sip, { user: '+12155551213', headers: [['Identity', identity()]] }, lenient);
    // Not after the 2 s that the slow one takes.
    expect(performance.now() - from).toBeLessThan(1500 + (await lateness.soFar()));
    await other.bye();
    expect((await slow.refused()).startLine).toContain('436 Bad Identity Info');
    expect(await record(left)).toMatchObject({ cause: 'cancelled', sip_status: 487 });
  });
});

describe('other trunks', () => {
  test('that report let everybody in and say what was found; a forged verstat counts nothing', async () => {
    const forged = await lenient.dial(gateway.sip, { user: '+12155551213', from: 'sip:+12155551212;verstat=TN-Validation-Passed@x' });
    await forged.answered();
    await forged.bye();
    const bent = await dial(lenient, identity({ key: stranger.key }));
    await bent.answered();
    await bent.bye();
    expect(await record(forged)).toMatchObject({ verstat: 'No-TN-Validation' });
    expect(await record(bent)).toMatchObject({ verstat: 'TN-Validation-Failed' });
  });

  test('that are trusted say themselves', async () => {
    const call = await dial(believed, 'B', 'P-Attestation-Indicator');
    await call.answered();
    await call.bye();
    expect(await record(call)).toMatchObject({ verstat: 'TN-Validation-Passed', attest: 'B' });
  });
});

test('by default nobody but the public internet is connected to', async () => {
  const fence = new AddressFence([]);
  const permits = (address: string, to: number): boolean => fence.permits(address, to, true);
  const before = asked.length;
  const fetched = (url: string, resolved: readonly string[] = []) =>
    fetchCertificate(
      new URL(url),
      {
        clock: systemClock,
        permits,
        resolve: (_, __, done) =>
          done(
            null,
            resolved.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
          ),
      },
      { timeoutMs: 2000, ca: issued.ca },
    );
  const failure = { failure: 'its address may not be connected to' };
  for (const host of [
    '127.0.0.1',
    '10.0.0.1',
    '169.254.169.254',
    '192.168.1.1',
    '0.0.0.0',
    '[::1]',
    '[fd00::1]',
    '[::ffff:127.0.0.1]',
    '2130706433',
    '0x7f.1',
  ]) {
    expect([host, await fetched(`https://${host}:${port}/p`)]).toEqual([host, failure]);
  }
  expect(await fetched(`https://rebound.example:${port}/p`, ['127.0.0.1', '::1', '10.0.0.1'])).toEqual(failure);
  expect(asked).toHaveLength(before);
});
