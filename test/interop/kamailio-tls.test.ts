import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { calledBack } from '../support/called-back.ts';
import { endpointText, freePort } from '../support/endpoint.ts';
import { type GatewayUnderTest, gatewayUnderTest } from '../support/gateway-under-test.ts';
import { nextSound } from '../support/heard.ts';
import { Kamailio } from '../support/kamailio.ts';
import { describePeer, requiredPeer } from '../support/peers.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import type { SipPhone } from '../support/sip-phone.ts';
import { Switchhook } from '../support/switchhook.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';
import { eventually } from '../support/wait.ts';

/* A proxy in front that speaks TLS with the gateway, each showing its certificate to the other, and UDP with the phones. */

describePeer(['kamailio', 'openssl'], 'the gateway behind a Kamailio over mutual TLS', () => {
  const hook = new Switchhook();
  const folder = tempFolder('kamailio-tls');
  /** Their ports. */
  const phones = new Set<number>();
  let alice: SipPhone;
  let gateway: GatewayUnderTest;
  let kamailio: Kamailio;

  /** Good for both sides of a connection, and its own authority. */
  function certificate(name: string): { readonly certificate: string; readonly key: string } {
    const files = { certificate: join(folder, `${name}.pem`), key: join(folder, `${name}-key.pem`) };
    const usage = ['-addext', 'subjectAltName=IP:127.0.0.1', '-addext', 'extendedKeyUsage=serverAuth,clientAuth'];
    const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', `/CN=${name}`, ...usage];
    execFileSync(requiredPeer('openssl'), ['req', '-x509', ...made, '-keyout', files.key, '-out', files.certificate], { stdio: 'ignore' });
    return files;
  }

  beforeAll(async () => {
    const ours = certificate('gateway');
    const theirs = certificate('proxy');
    alice = await hook.phone({ user: 'alice' });
    const tlsPort = await freePort();
    const config = join(folder, 'ringdown.yaml');
    writeFileSync(
      config,
      `
trunks:
  - name: proxy
    peer: 127.0.0.1:${tlsPort}
    transport: tls
    tls: { ca: ${theirs.certificate}, cert: ${ours.certificate}, key: ${ours.key} }
    caps: { per-second: 100 }
    destinations: [alice]
agent:
  callback-trunk: proxy
`,
    );
    const tls = [
      '--sip-tls-cert',
      ours.certificate,
      '--sip-tls-key',
      ours.key,
      '--sip-tls-clients',
      theirs.certificate,
      '--sip-tls-port',
      '0',
    ];
    gateway = await gatewayUnderTest({ mode: 'process', flags: ['--config', config, ...tls, '--sip-rate', '0'] });
    kamailio = await Kamailio.start({
      port: await freePort(),
      targets: { agent: { ...gateway.sips, transport: 'tls' }, alice: alice.local },
      tls: { port: tlsPort, certificateFile: theirs.certificate, keyFile: theirs.key, caFile: ours.certificate },
    });
  });

  afterAll(async () => {
    await hook.close();
    await gateway?.stop();
    await kamailio?.stop();
    removeFolder(folder);
  });

  /** The phone spoke with nobody but the proxy, and the proxy with the gateway by TLS alone. */
  function expectOnlyThrough(phone: SipPhone): void {
    expect([...new Set(phone.messages.all.map(({ peer }) => endpointText(peer)))]).toEqual([endpointText(kamailio.local)]);
    expect(kamailio.refused).toEqual([]);
    phones.add(phone.local.port);
    const ours = kamailio.relayed.filter(({ from }) => !phones.has(from.port));
    expect(ours.filter(({ transport }) => transport !== 'tls')).toEqual([]);
  }

  async function recordOf(call: PhoneCall): Promise<Record<string, unknown>> {
    return await eventually(() => gateway.cdrs().find((each) => each['sip_call_id'] === call.callId), 3000, 'the record');
  }

  test('a phone is heard, holds and hangs up; what the gateway asks for comes by TLS too', async () => {
    const phone = await hook.phone();
    const call = await hook.call(kamailio.local, { user: 'agent' }, phone);
    await nextSound(call.media, 3000);
    expect((await call.reinvite(call.sdp({ direction: 'sendonly' }))).status).toBe(200);
    expect((await call.reinvite()).status).toBe(200);
    expect(call.responses.last?.header('contact')).toContain(';transport=tls');
    expect((await call.bye()).status).toBe(200);
    expect(await recordOf(call)).toMatchObject({
      cause: 'remote_hangup',
      sip_status: 200,
      peer: expect.stringMatching(/^tls:/) as string,
    });
    expectOnlyThrough(phone);
  });

  test('the gateway hangs up, and calls back by its trunk', async () => {
    const back = await calledBack(hook, alice, kamailio.local, { user: 'agent' });
    await back.media.press('#');
    const bye = await back.hungUp(10_000);
    expect(bye.all('via')).toHaveLength(2);
    expect(kamailio.relayed.filter(({ method }) => method === 'INVITE').map(({ transport }) => transport)).toContain('tls');
    expectOnlyThrough(alice);
  });
});
