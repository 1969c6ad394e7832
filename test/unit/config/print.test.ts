import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readArguments } from '../../../src/config/arguments.ts';
import { environmentName, options } from '../../../src/config/flags.ts';
import { helpText } from '../../../src/config/help.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { printConfig } from '../../../src/config/print.ts';
import { schema } from '../../../src/config/schema.ts';

const directory = mkdtempSync(join(tmpdir(), 'ringdown-print-'));
const keyFile = join(directory, 'cluster.key');
writeFileSync(keyFile, '1:'.padEnd(48, 'A'));
afterAll(() => rmSync(directory, { recursive: true }));

const nowhere = { env: {}, directory: '/nonexistent' };

describe('--print-config', () => {
  test('shows every setting with its source', () => {
    const { settings } = loadConfig(['--bind=127.0.0.1', '--data', '123'], { ...nowhere, env: { RINGDOWN_MAX_CALLS: '7' } });
    const text = printConfig(settings);
    expect(text).toContain('sip:\n  port: 5060 # default\n');
    expect(text).toContain('bind: 127.0.0.1 # flag --bind\n');
    expect(text).toContain('max-calls: 7 # env RINGDOWN_MAX_CALLS\n');
    expect(text).toContain('data: "123" # flag --data\n');
    expect(text).toContain('# public-address: not set\n');
    for (const { key } of options) expect(text).toContain(`${key.split('.').at(-1)}:`);
  });

  test.each([
    ['defaults', []],
    ['one process', ['--rtp-ports=0', '--roles', 'sip,relay,transceiver', '--public-address=192.0.2.1', '--data', 'a #b: c']],
    [
      'one of several',
      ['--node-id=3.2', '--cluster-key-file', keyFile, '--nodes', '1=127.0.0.1:4001,3.1=127.0.0.1:4002', '--inner-port=0'],
    ],
    ['IPv6', ['--bind=::', '--public-address=::1', '--node-id=1', '--cluster-key-file', keyFile, '--nodes=1=[::1]:1,2=127.0.0.1:2']],
  ])('can be used as the file it describes: %s', (_, argv) => {
    const { config, settings } = loadConfig(argv, { env: {}, directory });
    writeFileSync(join(directory, 'printed.yaml'), printConfig(settings));
    expect(loadConfig(['--config', 'printed.yaml'], { env: {}, directory }).config).toEqual(config);
  });
});

describe('--help', () => {
  test('names every flag, fits the terminal and shows the defaults', () => {
    const text = helpText();
    for (const { flag, takes } of options) expect(text).toContain(`--${flag} ${takes}`);
    expect(text).toContain('(16384-32767)');
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(130);
  });

  test('every default has its reason', () => {
    for (const { key } of options) expect(schema[key].description, key).toBeTruthy();
  });
});

test('names follow from the flag', () => {
  expect(environmentName('sip-port')).toBe('RINGDOWN_SIP_PORT');
  expect(readArguments(['-h']).questions.has('help')).toBe(true);
});
