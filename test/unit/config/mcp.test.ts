import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ConfigError } from '../../../src/config/faults.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { printConfig } from '../../../src/config/print.ts';
import { removeFolder, tempFolder } from '../../support/temp-folder.ts';

const directory = tempFolder('config');
afterAll(() => removeFolder(directory));

function load(yaml: string) {
  writeFileSync(join(directory, 'ringdown.yaml'), yaml);
  return loadConfig([], { env: { TOKEN: 'from-the-environment' }, directory });
}

/** Faults as people see them, without the file's name. */
function faultsOf(yaml: string): string[] {
  try {
    load(yaml);
  } catch (error) {
    if (error instanceof ConfigError)
      return error.faults.map(({ source, key, message }) => `${source.replace('ringdown.yaml:', '')} ${key}: ${message}`);
    throw error;
  }
  return [];
}

const YAML = `mcp:
  servers:
    - label: files
      command: some-server
      args: [-y, "3"]
      env: { API_TOKEN: { env: TOKEN }, MODE: fast }
      cwd: /srv
    - label: crm
      url: https://crm.example.com/mcp
      key: { env: TOKEN }
      headers: { X-Tenant: acme }
      allowed-tools: [find]
      require-approval: { always: [create] }
      everywhere: false
      projects: [shop]
  allow: [10.1.2.0/24, "127.0.0.1:3001", "[::1]:3001", "fd00::/8", 10.0.0.5, "::1"]
  session-servers: [shop]
  call-seconds: 5
`;

describe('servers of tools', () => {
  test('are as the file says, secrets from where they are', () => {
    expect(load(YAML).config.mcp).toEqual({
      servers: [
        {
          type: 'stdio',
          label: 'files',
          command: 'some-server',
          args: ['-y', '3'],
          env: { API_TOKEN: 'from-the-environment', MODE: 'fast' },
          cwd: '/srv',
          approval: 'never',
          everywhere: true,
        },
        {
          type: 'http',
          label: 'crm',
          url: 'https://crm.example.com/mcp',
          headers: { 'X-Tenant': 'acme', authorization: 'Bearer from-the-environment' },
          allowedTools: ['find'],
          approval: { always: ['create'] },
          everywhere: false,
          projects: ['shop'],
        },
      ],
      allow: [
        { address: '10.1.2.0', bits: 24 },
        { address: '127.0.0.1', bits: 32, port: 3001 },
        { address: '::1', bits: 128, port: 3001 },
        { address: 'fd00::', bits: 8 },
        { address: '10.0.0.5', bits: 32 },
        { address: '::1', bits: 128 },
      ],
      sessionServers: ['shop'],
      listTimeoutMs: 10_000,
      callTimeoutMs: 5000,
    });
  });

  test('are printed without their secrets, as a file that means the same', () => {
    const yaml = YAML.replace('key: { env: TOKEN }', 'key: never-printed').replace('X-Tenant: acme', 'X-Tenant: never-printed-either');
    const loaded = load(yaml);
    const printed = printConfig(loaded.settings);
    expect(printed).not.toContain('never-printed');
    const again = load(printed.replaceAll('"********"', 'other').replaceAll('********', 'other').slice(printed.indexOf('mcp:')));
    expect(again.config.mcp.allow).toEqual(loaded.config.mcp.allow);
    expect(again.config.mcp.servers.map(({ label }) => label)).toEqual(['files', 'crm']);
  });

  test.each<[string, string]>([
    ['servers: [{label: a}]', '2 mcp.servers[0]: must be a map with label, and either command or url'],
    ['servers: [{label: a, command: x, url: "https://x"}]', '2 mcp.servers[0]: must be a map with label, and either command or url'],
    ['servers: [{label: "a b", command: x}]', '2 mcp.servers[0].label: letters, digits, hyphens and underscores, 64 at the most'],
    ['servers: [{label: a, command: x}, {label: a, command: y}]', '2 mcp.servers[1].label: another server has this label'],
    ['servers: [{label: a, url: "https://127.0.0.1/"}]', '2 mcp.servers[0].url: 127.0.0.1 is reached only when `allow` names it'],
    ['servers: [{label: a, url: "http://8.8.8.8/"}]', '2 mcp.servers[0].url: 8.8.8.8 is reached only when `allow` names it'],
    ['servers: [{label: a, url: "https://user:pw@x/"}]', '2 mcp.servers[0].url: a key does not belong in a URL: logs show those'],
    ['servers: [{label: a, url: "https://x/", headers: {Authorization: x}}]', '2 mcp.servers[0].headers.Authorization: is ours to say'],
    ['servers: [{label: a, command: x, env: {"A B": x}}]', '2 mcp.servers[0].env.A B: is no name of a variable'],
    ['servers: [{label: a, url: "https://x/", key: {env: NOBODY}}]', '2 mcp.servers[0].key: the variable NOBODY is not set'],
    [
      'servers: [{label: a, command: x, require-approval: sometimes}]',
      '2 mcp.servers[0].require-approval: always, never, or a map with lists of names of tools: always, never',
    ],
    [
      'allow: [example.com]',
      '2 mcp.allow[0]: a literal address, with /BITS for a network and :PORT for one port of it (IPv6 with a port in brackets)',
    ],
    ['allow: [10.0.0.0/33]', '2 mcp.allow[0]: a prefix has at most 32 bits'],
    ['session-servers: some', '2 mcp.session-servers: all, none or a list of projects'],
    ['call-seconds: 0', '2 mcp.call-seconds: seconds, 0.1 to 3600'],
  ])('are refused by line: %s', (line, fault) => {
    expect(faultsOf(`mcp:\n  ${line}\n`)).toEqual([fault]);
  });

  test('may be on this machine where the file allows it', () => {
    expect(faultsOf('mcp:\n  servers: [{label: a, url: "http://127.0.0.1:3001/mcp"}]\n  allow: ["127.0.0.1:3001"]\n')).toEqual([]);
  });
});
