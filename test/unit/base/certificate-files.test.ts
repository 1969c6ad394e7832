import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CertificateFiles, CertificateMetrics } from '../../../src/base/certificate-files.ts';
import { createLog } from '../../../src/base/log.ts';
import { Metrics } from '../../../src/base/metrics.ts';
import { issueCertificate } from '../../../src/control/x509.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { removeFolder, tempFolder } from '../../support/temp-folder.ts';
import { eventually } from '../../support/wait.ts';

/* A certificate in files: exchanged, broken, ending. */

const DAY_MS = 24 * 3600 * 1000;
const NOW = Date.UTC(2030, 0, 1);

let folder: string;
let clock: FakeClock;
let metrics: Metrics;
let told: Record<string, unknown>[];
let changes: number;
let files: CertificateFiles;
const opened: CertificateFiles[] = [];

beforeEach(() => {
  folder = tempFolder('certificate');
  clock = new FakeClock(0, NOW);
  metrics = new Metrics();
  told = [];
  changes = 0;
  const log = createLog('info', { write: (line) => void told.push(JSON.parse(line)) });
  const paths = { certificateFile: join(folder, 'c.pem'), keyFile: join(folder, 'k.pem') };
  files = new CertificateFiles({ clock, log, metrics: new CertificateMetrics(metrics) }, 'sip', paths);
  files.onChange(() => {
    changes += 1;
  });
  opened.push(files);
});

afterEach(() => {
  for (const each of opened.splice(0)) each.stop();
  removeFolder(folder);
});

/** Writes a certificate that was made so many days ago; it is good for 819 days. */
function put(daysAgo = 0, { withKey = true } = {}): string {
  const { certificate, privateKey } = issueCertificate(['localhost'], NOW - daysAgo * DAY_MS);
  writeFileSync(join(folder, 'c.pem'), certificate);
  if (withKey) writeFileSync(join(folder, 'k.pem'), privateKey);
  return certificate;
}

/** Lets the clock run until the log has this line. */
async function heard(message: string): Promise<Record<string, unknown>> {
  return eventually(
    () => {
      clock.advance(500);
      return told.find(({ msg }) => msg === message);
    },
    5000,
    `the line "${message}"`,
  );
}

async function metric(name: string): Promise<number> {
  const line = (await metrics.text()).split('\n').find((each) => each.startsWith(`ringdown_${name}{`));
  return Number(line?.split(' ').at(-1));
}

describe('a certificate in files', () => {
  test('is exchanged when they change', async () => {
    const first = put();
    await files.start();
    expect(files.material.cert).toBe(first);
    const second = put();
    await heard('new certificate in use');
    expect([files.material.cert, changes]).toEqual([second, 1]);
  });

  test('stays when the new one cannot be used: no PEM, another key, ended, gone', async () => {
    const good = put();
    await files.start();
    const spoil = [
      () => writeFileSync(join(folder, 'c.pem'), 'rubbish'),
      () => void put(0, { withKey: false }),
      () => void put(900),
      () => rmSync(join(folder, 'k.pem')),
    ];
    for (const [index, each] of spoil.entries()) {
      each();
      await heard('new certificate cannot be used, the old one stays');
      told.length = 0;
      expect([files.material.cert, changes, await metric('tls_certificate_faults_total')]).toEqual([good, 0, index + 1]);
    }
    const next = put();
    await heard('new certificate in use');
    expect(files.material.cert).toBe(next);
  });

  test('is waited for when its key comes a moment later', async () => {
    put();
    await files.start();
    const { certificate, privateKey } = issueCertificate(['localhost'], NOW);
    writeFileSync(join(folder, 'c.pem'), certificate);
    clock.advance(500);
    await new Promise((resolve) => setImmediate(resolve));
    writeFileSync(join(folder, 'k.pem'), privateKey);
    await heard('new certificate in use');
    expect(told.map(({ msg }) => msg)).toEqual(['new certificate in use']);
  });

  test('is announced before it ends and after, once a day', async () => {
    put(810);
    await files.start();
    expect(told.map(({ msg, hours }) => [msg, hours])).toEqual([['certificate ends soon', 216]]);
    expect(await metric('tls_certificate_expiry_seconds')).toBe(9 * 86_400);
    put(900);
    const late = new CertificateFiles({ clock, log: createLog('info', { write: (line) => void told.push(JSON.parse(line)) }) }, 'late', {
      certificateFile: join(folder, 'c.pem'),
      keyFile: join(folder, 'k.pem'),
    });
    opened.push(late);
    await late.start();
    expect(told.at(-1)).toMatchObject({ msg: 'certificate has ended', level: 50 });
  });

  test('that is not there ends the start, by its name', async () => {
    await expect(files.start()).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringMatching(/[ck]\.pem cannot be read \(ENOENT\)/),
    });
  });
});
