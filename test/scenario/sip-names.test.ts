import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { issueCertificate } from '../../src/control/x509.ts';
import { DnsServer } from '../support/dns-server.ts';
import { endpointText, freePort } from '../support/endpoint.ts';
import { type GatewayUnderTest, gatewayUnderTest } from '../support/gateway-under-test.ts';
import { Lateness } from '../support/lateness.ts';
import { TlsServerWire } from '../support/phone-wire.ts';
import type { SipPhone } from '../support/sip-phone.ts';
import { Switchhook } from '../support/switchhook.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';
import { eventually } from '../support/wait.ts';

/* Trunks by name: found by DNS, tried one place after the other, over TLS only where the certificate names what was asked for. */

const hook = new Switchhook();
const folder = tempFolder('names');
const SILENT = Array.from({ length: 20 }, (_, index) => `silent${index}.example`);
let dns: DnsServer;
let gateway: GatewayUnderTest;
let lateness: Lateness;
let phone: SipPhone;
let secure: SipPhone;
let stranger: SipPhone;
const servers: TlsServerWire[] = [];

async function tlsServer(name: string): Promise<{ readonly wire: TlsServerWire; readonly ca: string }> {
  const issued = issueCertificate([name], Date.now());
  const wire = await TlsServerWire.open({ cert: issued.certificate, key: issued.privateKey });
  servers.push(wire);
  const ca = join(folder, `${name}.pem`);
  writeFileSync(ca, issued.ca);
  return { wire, ca };
}

function port(at: { readonly local: { readonly port: number } }): number {
  return at.local.port;
}

beforeAll(async () => {
  lateness = new Lateness();
  dns = await DnsServer.open();
  phone = await hook.phone({ user: 'alice' });
  const busy = await hook.phone();
  busy.onRequest = (request, reply) => {
    if (request.method === 'INVITE') reply(503, 'Service Unavailable');
    return true;
  };
  const good = await tlsServer('sip.secure.example');
  const other = await tlsServer('somebody.example');
  const transport = { transport: 'TLS', uriParameters: ';transport=tls', retransmit: false };
  secure = await hook.phone({ wire: good.wire, ...transport });
  stranger = await hook.phone({ wire: other.wire, ...transport });
  const set = dns.zone;
  set.set('pbx.example', [
    { type: 'NAPTR', value: '10 1 SIP+D2T _sip._tcp.pbx.example' },
    { type: 'NAPTR', value: '20 1 SIP+D2U _sip._udp.pbx.example' },
  ]);
  set.set('_sip._tcp.pbx.example', [{ type: 'SRV', value: `1 1 ${await freePort()} one.pbx.example` }]);
  set.set('_sip._udp.pbx.example', [
    { type: 'SRV', value: `1 1 ${port(busy)} one.pbx.example` },
    { type: 'SRV', value: `2 1 ${port(phone)} one.pbx.example` },
  ]);
  set.set('one.pbx.example', [{ type: 'A', value: '127.0.0.1', ttlS: 30 }]);
  // DNS says another host than was asked for, and that other host is not in the certificate.
  set.set('_sips._tcp.sip.secure.example', [{ type: 'SRV', value: `1 1 ${port(good.wire)} one.pbx.example` }]);
  set.set('_sips._tcp.forged.example', [{ type: 'SRV', value: `1 1 ${port(other.wire)} one.pbx.example` }]);
  for (const name of SILENT) set.set(name, 'silent');
  const file = join(folder, 'ringdown.yaml');
  const destinations = 'caps: { per-second: 100 }, destinations: ["*", "sip:*@pbx.example"]';
  const silent = SILENT.map((name, index) => `  - { name: silent${index}, peer: "${name}:5060", ${destinations} }`);
  writeFileSync(
    file,
    [
      'callers: anyone',
      'trunks:',
      `  - { name: pbx, peer: pbx.example, ${destinations} }`,
      `  - { name: secure, peer: sip.secure.example, transport: tls, tls: { ca: ${good.ca} }, ${destinations} }`,
      `  - { name: forged, peer: forged.example, transport: tls, tls: { ca: ${other.ca} }, ${destinations} }`,
      `  - { name: untrusted, peer: sip.secure.example, transport: tls, ${destinations} }`,
      `  - { name: direct, peer: 192.0.2.9, ${destinations} }`,
      ...silent,
    ].join('\n'),
  );
  gateway = await gatewayUnderTest({ flags: ['--config', file, '--sip-dns', dns.address] });
});

afterAll(async () => {
  await hook.close();
  await gateway.stop();
  for (const server of servers) server.close();
  dns.close();
  lateness.stop();
  removeFolder(folder);
});

/** Has the gateway call. @returns the status of the API, and how long that took */
async function dial(
  trunk: string,
  destination = 'alice',
): Promise<{ readonly status: number; readonly text: string; readonly tookMs: number }> {
  const before = performance.now();
  const response = await fetch(`http://${endpointText(gateway.http)}/v1/realtime/calls`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ session: { type: 'realtime' }, transport: { type: 'sip', destination, trunk } }),
  });
  return { status: response.status, text: await response.text(), tookMs: performance.now() - before };
}

function failure(trunk: string): Promise<unknown> {
  return eventually(
    () => gateway.log.all.some(({ msg, name }) => msg === 'sip connection could not be opened' && name === trunk),
    5000,
    `a failure towards ${trunk}`,
  );
}

describe('a trunk with a name', () => {
  test('is tried at all its places, is believed only by the name that was asked for, and never makes a call wait for DNS', async () => {
    const calls = [phone.nextCall(8000), secure.nextCall(8000)] as const;
    expect((await dial('pbx')).status).toBe(201);
    expect((await dial('secure')).status).toBe(201);
    const [plain, encrypted] = await Promise.all(calls);
    for (const call of [plain, encrypted]) call.answer();
    await Promise.all([plain.acknowledged(), encrypted.acknowledged()]);
    const invite = secure.seen('in', ({ method }) => method === 'INVITE')[0]?.message;
    expect(invite?.requestUri).toBe('sip:alice@sip.secure.example');
    expect(invite?.header('via')).toMatch(/^SIP\/2\.0\/TLS /);
    expect(invite?.header('contact')).toMatch(/;transport=tls>$/);

    // The certificate is somebody else's, or of an authority that nobody here knows.
    expect((await dial('forged')).status).toBe(201);
    await failure('forged.example');
    expect(gateway.log.all.find(({ name }) => name === 'forged.example')?.['reason']).toBe(
      'its certificate does not name forged.example, but somebody.example',
    );
    expect((await dial('untrusted')).status).toBe(201);
    const untrusted = (line: Readonly<Record<string, unknown>>): boolean => /authority is not trusted/.test(String(line['reason']));
    await eventually(() => gateway.log.all.some(untrusted), 5000, 'the authority that is not trusted');
    // Their calls have failed by then, and their records say why.
    const told = (reason: RegExp): boolean => gateway.cdrs().some((record) => reason.test(JSON.stringify(record)));
    await eventually(() => told(/does not name forged.example/) && told(/authority is not trusted/), 5000, 'the records of both');
    expect(stranger.seen('in', () => true)).toEqual([]);

    // A DNS that says nothing costs nobody anything: neither the call that wanted it, nor the others.
    const [dead, late, options] = await Promise.all([dial('silent0'), lateness.soFar(), phone.ask('OPTIONS', gateway.sip)]);
    expect([dead.status, options.status]).toEqual([503, 200]);
    expect(dead.text).toContain('silent0.example cannot be found');
    expect(dead.tookMs).toBeLessThan(1000 + late);

    // Names of other people's choice are not looked up; those of the list are.
    const asked = dns.asked.length;
    expect((await dial('direct', 'sip:bob@elsewhere.example')).status).toBe(404);
    const next = phone.nextCall(8000);
    expect((await dial('direct', 'sip:bob@pbx.example')).status).toBe(201);
    (await next).refuse(486, 'Busy Here');
    expect(dns.asked.slice(asked).filter((each) => each.includes('elsewhere'))).toEqual([]);

    // Requests in a dialog take its connection, both ways.
    expect((await encrypted.bye()).status).toBe(200);
    expect((await plain.bye()).status).toBe(200);
    expect(servers[0]?.connections).toHaveLength(1);
  });
});
