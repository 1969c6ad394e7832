import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConfigError } from '../../../src/config/faults.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { printConfig } from '../../../src/config/print.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringdown-trunks-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function load(yaml: string, argv: readonly string[] = []) {
  writeFileSync(join(directory, 'ringdown.yaml'), yaml);
  return loadConfig(argv, { env: {}, directory });
}

function faults(yaml: string, argv: readonly string[] = []): string[] {
  try {
    load(yaml, argv);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.split('\n');
  }
}

const FULL = `
trunks:
  - name: carrier
    peer: 192.0.2.9
    transport: tcp
    username: 1001
    password: s3cret-canary
    realm: sip.example.com
    addresses: [192.0.2.0/28, "2001:db8::1"]
    caps: { concurrent: 2, per-second: 3, per-day: 4, duration: 5 }
    destinations: ["+1555*", alice, "sip:bob@192.0.2.77", "*"]
    redirects: follow
    refer: allow
  - name: pbx
    peer: "[2001:db8::2]:5070"
    auth: { username: 2002, password: other-canary }
    keep-alive: 30
agent:
  callback-trunk: carrier
  transfer-target: sip:desk@192.0.2.9
`;

/** Without what says where each part stands. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

describe('trunks', () => {
  test('have careful defaults: little at once, and no destination at all', () => {
    expect(plain(load(FULL).config.trunks)).toEqual([
      {
        name: 'carrier',
        peer: { address: '192.0.2.9', port: 5060 },
        transport: 'tcp',
        username: '1001',
        password: 's3cret-canary',
        realm: 'sip.example.com',
        addresses: ['192.0.2.0/28', '2001:db8::1'],
        caps: { concurrent: 2, perSecond: 3, perDay: 4, durationS: 5 },
        destinations: ['+1555*', 'alice', 'sip:bob@192.0.2.77', '*'],
        redirects: 'follow',
        refer: 'allow',
      },
      {
        name: 'pbx',
        peer: { address: '2001:db8::2', port: 5070 },
        transport: 'udp',
        addresses: [],
        caps: { concurrent: 10, perSecond: 1, perDay: 1000, durationS: 14_400 },
        auth: { username: '2002', password: 'other-canary', realm: 'ringdown', algorithms: ['SHA-256', 'MD5'] },
        keepAliveS: 30,
        destinations: [],
        redirects: 'refuse',
        refer: 'refuse',
      },
    ]);
    expect(load(FULL).config.agent).toEqual({ callbackTrunk: 'carrier', transferTarget: 'sip:desk@192.0.2.9' });
  });

  test('are printed without their passwords, and the print is refused where they are missing', () => {
    const text = printConfig(load(FULL).settings);
    expect(text).not.toContain('canary');
    expect(text).toContain('password: "********"');
    expect(text).toContain('trunks: # ringdown.yaml:2\n');
    expect(faults(text)).toEqual([
      expect.stringMatching(/ringdown\.yaml:\d+: trunks\[0\]\.password: this is the mask of --print-config, not a password/),
      expect.stringMatching(/ringdown\.yaml:\d+: trunks\[1\]\.auth\.password: this is the mask of --print-config, not a password/),
    ]);
    const { config } = load(FULL);
    expect(plain(load(text.replace('"********"', 's3cret-canary').replace('"********"', 'other-canary')).config)).toEqual(plain(config));
  });

  test('are wrong each at its own line, and no value is repeated', () => {
    const yaml = [
      'trunks:',
      '  - name: carrier',
      '    peer: sip.exam ple.com',
      '    pasword: canary',
      '    username: u',
      '    destinations:',
      '      - "+1555*"',
      '      - +15551234',
      '      - "sip:x@evil example"',
      '    caps:',
      '      concurrent: 0',
      '  - peer: 192.0.2.1',
      '    addresses: [192.0.2.0/33]',
      '    redirects: maybe',
      '  - carrier',
    ].join('\n');
    const told = faults(yaml);
    expect(told).toEqual([
      'ringdown.yaml:3: trunks[0].peer: ADDRESS, ADDRESS:PORT, NAME or NAME:PORT; an IPv6 address with a port in brackets',
      'ringdown.yaml:11: trunks[0].caps.concurrent: a whole number from 1 to 10000',
      'ringdown.yaml:8: trunks[0].destinations[1]: must be text: put it in quotes, YAML takes +1555 for the number 1555',
      'ringdown.yaml:9: trunks[0].destinations[2]: a number, a name or a sip: URI, or the beginning of one with * at its end; sip:*@HOST is everybody there',
      'ringdown.yaml:4: trunks[0].pasword: no such key',
      'ringdown.yaml:12: trunks[1].name: must be text',
      'ringdown.yaml:13: trunks[1].addresses[0]: an address, or a network like 192.0.2.0/24',
      'ringdown.yaml:14: trunks[1].redirects: refuse or follow',
      'ringdown.yaml:15: trunks[2]: must be a map with at least name and peer',
    ]);
    expect(told.join()).not.toContain('canary');
  });

  test('have names of their own, and a password only with a user name', () => {
    expect(faults('trunks:\n  - {name: a, peer: 192.0.2.1}\n  - {name: a, peer: 192.0.2.2, password: canary}\n')).toEqual([
      'ringdown.yaml:3: trunks[1].name: another trunk has this name',
      'ringdown.yaml:3: trunks[1]: has no username: it takes both or none',
    ]);
  });

  test('have nothing in their names that would end a header', () => {
    expect(faults('trunks:\n  - {name: a, peer: 192.0.2.1, username: "u\\r\\nX: y", password: p}\n')).toEqual([
      'ringdown.yaml:2: trunks[0].username: holds control characters',
    ]);
  });

  test('are a list, in the file only', () => {
    expect(faults('trunks: carrier\n')).toEqual([expect.stringMatching(/^ringdown\.yaml:1: trunks = .*must be a list|allowed: a list/)]);
    expect(faults('', ['--trunks', 'x'])[0]).toMatch(/no such flag/);
  });

  test('must hold the one that the agent calls back by', () => {
    expect(faults('agent: {callback-trunk: x}\n')).toEqual([
      'ringdown.yaml:1: agent.callback-trunk = "x": no such trunk (trunks: there are none)',
    ]);
    expect(faults('agent: {transfer-target: desk}\n')[0]).toContain('allowed: a sip: or tel: URI');
  });
});
