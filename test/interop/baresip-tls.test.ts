import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { issueCertificate } from '../../src/control/x509.ts';
import { Baresip } from '../support/baresip.ts';
import { type GatewayUnderTest, gatewayUnderTest } from '../support/gateway-under-test.ts';
import { describePeer } from '../support/peers.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';
import { elapse, eventually } from '../support/wait.ts';

describePeer('baresip', 'baresip over TLS', () => {
  const folder = tempFolder('baresip-tls');
  const phones: Baresip[] = [];
  let gateway: GatewayUnderTest;

  beforeAll(async () => {
    const issued = issueCertificate(['localhost', '127.0.0.1'], Date.now());
    for (const [name, text] of Object.entries(issued)) writeFileSync(join(folder, `${name}.pem`), text);
    const files = ['--sip-tls-cert', join(folder, 'certificate.pem'), '--sip-tls-key', join(folder, 'privateKey.pem')];
    gateway = await gatewayUnderTest({ flags: [...files, '--sip-tls-port', '0'] });
  });

  afterAll(async () => {
    await Promise.all(phones.map((each) => each.stop()));
    await gateway?.stop();
    removeFolder(folder);
  });

  test('it believes the certificate, and gets its BYE by its own connection', async () => {
    const baresip = await Baresip.start({ caFile: join(folder, 'ca.pem') });
    phones.push(baresip);
    await baresip.dial(`sip:agent@127.0.0.1:${gateway.sips.port};transport=tls`);
    const { id } = await baresip.established();
    await elapse(500);
    await baresip.press('#');
    await baresip.event('CALL_CLOSED', 15_000);
    const record = await eventually(() => gateway.cdrs().find((each) => each['sip_call_id'] === id), 5000, 'the call record');
    expect(record).toMatchObject({ cause: 'agent_hangup' });
  });
});
