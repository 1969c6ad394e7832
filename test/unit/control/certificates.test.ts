import { X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLog } from '../../../src/base/log.ts';
import { Certificates } from '../../../src/control/certificates.ts';
import { issueCertificate } from '../../../src/control/x509.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { removeFolder, tempFolder } from '../../support/temp-folder.ts';

const DAY_MS = 24 * 3600 * 1000;
const NAMES = ['localhost', '127.0.0.1', '::1', 'host.example', '2001:db8::7'];
let folder: string;
let clock: FakeClock;
let logged: string[];
beforeEach(() => {
  folder = join(tempFolder('certificates'), 'certificates');
  clock = new FakeClock(0, Date.UTC(2026, 10, 20));
  logged = [];
});
afterEach(() => removeFolder(join(folder, '..')));

function certificates(names: readonly string[] = NAMES): Certificates {
  const log = createLog('warn', { write: (line) => void logged.push(line) });
  return new Certificates({ clock, log }, { folder, names });
}

async function start(names?: readonly string[]): Promise<void> {
  const own = certificates(names);
  await own.start();
  own.stop();
}

const file = (name: string): string => readFileSync(join(folder, name), 'utf8');

describe('our own authority', () => {
  test('signs a certificate for every name, and its key is nowhere', async () => {
    const own = certificates();
    await own.start();
    own.stop();
    const ca = new X509Certificate(file('ca.pem'));
    const leaf = new X509Certificate(file('server.pem'));
    expect([ca.ca, leaf.ca]).toEqual([true, false]);
    expect(leaf.checkIssued(ca) && leaf.verify(ca.publicKey)).toBe(true);
    for (const name of ['localhost', 'host.example']) expect(leaf.checkHost(name), name).toBe(name);
    for (const address of ['127.0.0.1', '::1', '2001:db8::7']) expect(leaf.checkIP(address), address).toBe(address);
    expect(leaf.checkHost('other.example')).toBeUndefined();
    expect(own.caFile).toBe(join(folder, 'ca.pem'));
    expect(readdirSync(folder).sort()).toEqual(['ca.pem', 'server.key', 'server.pem']);
    expect(readdirSync(folder).filter((name) => file(name).includes('PRIVATE KEY'))).toEqual(['server.key']);
    expect(statSync(join(folder, 'server.key')).mode & 0o777).toBe(0o600);
    expect(logged).toEqual([]);
  });

  test('is kept over starts', async () => {
    await start();
    const before = file('ca.pem');
    clock.advance(700 * DAY_MS);
    await start();
    expect([file('ca.pem'), logged]).toEqual([before, []]);
  });

  test.each([
    ['the names change', () => [...NAMES, '192.0.2.1'], () => undefined, 'it does not name 192.0.2.1'],
    ['it ends within a month', () => NAMES, () => clock.advance(795 * DAY_MS), 'ends soon'],
    ['a file is broken', () => NAMES, () => writeFileSync(join(folder, 'server.pem'), 'x'), 'cannot be read'],
    [
      'the files do not belong together',
      () => NAMES,
      () => writeFileSync(join(folder, 'ca.pem'), issueCertificate(NAMES, clock.wallclock()).ca),
      'do not belong together',
    ],
  ])('is made anew, loudly, when %s', async (_, names, change, reason) => {
    await start();
    const before = file('ca.pem');
    change();
    await start(names());
    expect(file('ca.pem')).not.toBe(before);
    expect(logged).toHaveLength(1);
    expect(logged[0]).toContain(reason);
    await start(names());
    expect(logged).toHaveLength(1);
  });

  test('is renewed while the gateway runs, and the door is told', async () => {
    const own = certificates();
    const first = await own.start();
    let shown: unknown = first;
    const changed = new Promise<void>((resolve) => {
      own.onChange = (context) => {
        shown = context;
        resolve();
      };
    });
    clock.oversleep(800 * DAY_MS);
    await changed;
    expect(shown).not.toBe(first);
    own.stop();
  });

  test('is served even when it cannot be kept', async () => {
    writeFileSync(join(folder, '..', 'file'), '');
    folder = join(folder, '..', 'file', 'certificates');
    const own = certificates();
    expect(await own.start()).toBeDefined();
    own.stop();
    expect(logged).toEqual([expect.stringContaining('cannot be read'), expect.stringContaining('own certificate cannot be kept')]);
    folder = join(folder, '..', '..', 'certificates');
  });
});

describe('a configured certificate', () => {
  test('is used, and there is no authority of ours', async () => {
    const { certificate, privateKey } = issueCertificate(['localhost'], clock.wallclock());
    const at = join(folder, '..');
    writeFileSync(join(at, 'c.pem'), certificate);
    writeFileSync(join(at, 'k.pem'), privateKey);
    const log = createLog('silent');
    const configured = { certificateFile: join(at, 'c.pem'), keyFile: join(at, 'k.pem') };
    const own = new Certificates({ clock, log }, { folder, names: NAMES, configured });
    await own.start();
    own.stop();
    expect([own.caFile, existsSync(folder)]).toEqual([undefined, false]);
    writeFileSync(join(at, 'k.pem'), 'x');
    await expect(new Certificates({ clock, log }, { folder, names: NAMES, configured }).start()).rejects.toMatchObject({
      code: 'ERR_CONFIG',
    });
    const absent = { ...configured, keyFile: join(at, 'absent.pem') };
    await expect(new Certificates({ clock, log }, { folder, names: NAMES, configured: absent }).start()).rejects.toThrow(
      'absent.pem cannot be read (ENOENT)',
    );
    chmodSync(at, 0o700);
  });
});
