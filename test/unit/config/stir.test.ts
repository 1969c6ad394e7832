import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ConfigError } from '../../../src/config/faults.ts';
import { type Loaded, loadConfig } from '../../../src/config/load.ts';
import { printConfig } from '../../../src/config/print.ts';
import { readStir } from '../../../src/gateway-stir.ts';
import { makeAuthority } from '../../support/stir-authority.ts';
import { removeFolder, tempFolder } from '../../support/temp-folder.ts';

const folder = tempFolder('stir-config');
afterAll(() => removeFolder(folder));
const anchors = join(folder, 'anchors.pem');
writeFileSync(anchors, makeAuthority(0).pem);
const nothing = join(folder, 'nothing.pem');
writeFileSync(nothing, 'no certificate');

function load(yaml: string): Loaded {
  writeFileSync(join(folder, 'r.yaml'), yaml);
  return loadConfig(['--config', 'r.yaml'], { env: {}, directory: folder });
}

function faultsOf(yaml: string): string[] {
  try {
    load(yaml);
    return [];
  } catch (error) {
    return (error as ConfigError).faults.map(({ source, key, message }) => `${source} ${key}: ${message}`);
  }
}

describe('stir:', () => {
  test('holds for all, and trunks have their own; what is printed can be read again', () => {
    const { config, settings } = load(
      `stir: { policy: report, anchors: ${anchors}, max-age: 15, allow: [10.0.0.0/8, "127.0.0.1:9443"] }\ntrunks: [{ name: a, peer: 192.0.2.1, stir: trust }]\n`,
    );
    expect(config.stir).toMatchObject({ policy: 'report', policyAt: 'r.yaml:1', maxAgeS: 15, anchors: { path: anchors, at: 'r.yaml:1' } });
    expect(config.trunks[0]?.stir).toBe('trust');
    expect(load(printConfig(settings)).config.stir).toMatchObject({ policy: 'report', maxAgeS: 15, allow: config.stir.allow });
  });

  test.each([
    ['stir: { policy: trust }', 'r.yaml:1 stir.policy: off, report or require; trust is for trunks'],
    ['stir: { policy: require }', 'r.yaml:1 stir.policy: require needs anchors: whose certificates would be trusted?'],
    ['stir: { max-age: 0 }', 'r.yaml:1 stir.max-age: a whole number from 1 to 3600'],
    ['stir: { anchors: /nowhere.pem }', 'r.yaml:1 stir.anchors: cannot be read (ENOENT)'],
    ['trunks: [{ name: a, peer: 192.0.2.1, stir: yes }]', 'r.yaml:1 trunks[0].stir: off, report, require or trust'],
    [
      'trunks: [{ name: a, peer: 192.0.2.1, stir: require }]',
      'r.yaml:1 trunks[0].stir: require needs stir.anchors: whose certificates would be trusted?',
    ],
  ])('%s is refused', (yaml, fault) => {
    expect(faultsOf(yaml)).toEqual([fault]);
  });

  test('a file without certificates is refused before it is used', async () => {
    const { config } = load(`stir: { anchors: ${nothing} }`);
    await expect(readStir(config)).rejects.toThrow(ConfigError);
    expect((await readStir(load(`stir: { anchors: ${anchors} }`).config)).anchors).toHaveLength(1);
  });
});
