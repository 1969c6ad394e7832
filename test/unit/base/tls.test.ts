import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { CertificateFiles } from '../../../src/base/certificate-files.ts';
import { createLog } from '../../../src/base/log.ts';
import { connectTls, listenTls } from '../../../src/base/tls.ts';
import { issueCertificate } from '../../../src/control/x509.ts';
import { TrunkCertificates } from '../../../src/sip/trunk-certificates.ts';
import { createIdentity } from '../../../src/webrtc/dtls/identity.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { removeFolder, tempFolder } from '../../support/temp-folder.ts';

it('a trunk that wants a certificate of ours gets the one of its files, and lets nobody in without', async () => {
  const folder = tempFolder('tls');
  const theirs = issueCertificate(['localhost'], Date.now());
  const own = createIdentity(Date.now());
  const ours = `-----BEGIN CERTIFICATE-----\n${own.certificate.toString('base64')}\n-----END CERTIFICATE-----\n`;
  const at = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const caFile = at('ca.pem', theirs.ca);
  const shown = {
    certificateFile: at('cert.pem', ours),
    keyFile: at('key.pem', String(own.privateKey.export({ type: 'pkcs8', format: 'pem' }))),
  };
  const deps = { clock: new FakeClock(), log: createLog('silent') };
  const trunks = new TrunkCertificates(deps);
  const strange = issueCertificate(['localhost'], Date.now());
  const stranger = { certificateFile: at('strange.pem', strange.certificate), keyFile: at('strange-key.pem', strange.privateKey) };
  await trunks.use([
    { name: 'stranger', tls: { caFile, ...stranger } },
    { name: 'known', tls: { caFile, ...shown } },
    { name: 'bare', tls: { caFile } },
  ]);
  const server = new CertificateFiles(deps, 'server', {
    certificateFile: at('theirs.pem', theirs.certificate),
    keyFile: at('theirs-key.pem', theirs.privateKey),
    caFile: at('ours-ca.pem', ours),
  });
  await server.start();
  const listener = await listenTls({ address: '127.0.0.1', port: 0 }, { material: server.material, requestCert: true });
  const said = (trunk: string): Promise<string> =>
    new Promise((resolve) => {
      listener.onConnection = (stream) => {
        stream.onData = (chunk) => {
          stream.destroy();
          resolve(chunk.toString());
        };
        stream.onClose = () => resolve(`refused: ${stream.failure}`);
      };
      const socket = connectTls(listener.local, { context: trunks.contextOf(trunk), name: 'localhost', mismatch: () => undefined });
      socket.write(Buffer.from('hello'));
    });
  try {
    expect(await said('known')).toBe('hello');
    expect(await said('bare')).toBe('refused: it showed no certificate');
    // Of an authority that nobody here knows, and a server's.
    expect(await said('stranger')).toMatch(/^refused: its (?:authority is not trusted here|certificate is not made for this side)/);
    // A reload without anything new for it leaves a trunk what it has, and its connections with it.
    const [known, bare] = [trunks.contextOf('known'), trunks.contextOf('bare')];
    await trunks.use([
      { name: 'known', tls: { caFile, ...shown } },
      { name: 'bare', tls: { caFile, ...shown } },
    ]);
    expect([trunks.contextOf('known') === known, trunks.contextOf('bare') === bare]).toEqual([true, false]);
    expect(trunks.contextOf('stranger')).toBe(trunks.contextOf('nobody'));
  } finally {
    listener.close();
    trunks.stop();
    server.stop();
    removeFolder(folder);
  }
});
