import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConfigError } from '../../../src/config/faults.ts';
import { environmentName, notBuilt, options } from '../../../src/config/flags.ts';
import { loadConfig, questionOf } from '../../../src/config/load.ts';
import { printConfig } from '../../../src/config/print.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringdown-config-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function load(argv: readonly string[], env: Record<string, string> = {}, yaml = '') {
  writeFileSync(join(directory, 'ringdown.yaml'), yaml);
  return loadConfig(argv, { env, directory });
}

/** Every fault as one line, or none. */
function faults(argv: readonly string[], env: Record<string, string> = {}, yaml?: string): string[] {
  try {
    load(argv, env, yaml);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.split('\n');
  }
}

function keyFile(bytes = 48): string {
  const path = join(directory, 'cluster.key');
  writeFileSync(path, 'k'.repeat(bytes));
  return path;
}

describe('music of those who wait', () => {
  test('is a file of sound that can be read, or is refused by name', () => {
    const music = (path: string): string => `roles: [transceiver]\ntools:\n  music: ${path}\n`;
    const there = join(directory, 'loop.wav');
    writeFileSync(there, 'sound');
    expect(load([], {}, `tools: { music: ${there} }`).config.tools.music).toBe(there);
    expect(faults([], {}, music(join(directory, 'none.wav'))).join()).toContain('ringdown.yaml:3: tools.music = ');
    expect(faults([], {}, music(join(directory, 'none.wav'))).join()).toContain('cannot be read (ENOENT)');
    expect(faults([], {}, music('loop.mp3')).join()).toContain('must be a .wav (PCM), or a .ul or .ulaw');
  });
});

describe('without any setting', () => {
  test('every setting has its default', () => {
    expect(load([]).config).toEqual({
      sip: {
        port: 5060,
        requestsPerSecond: 200,
        bans: { seconds: 300, after: 20 },
        realm: 'ringdown',
        digest: ['SHA-256', 'MD5'],
        sockets: 'trusted',
        origins: [],
      },
      http: { port: 8080 },
      relay: { port: 3478 },
      rtp: { ports: { first: 16384, last: 32767 } },
      bind: '0.0.0.0',
      dataDir: './data',
      roles: ['sip', 'relay', 'transceiver', 'control'],
      maxCalls: 100,
      drainS: 3600,
      logLevel: 'info',
      mediaTimeoutS: 30,
      sessionMinutes: 60,
      phoneMedia: { srtp: 'optional', sdesOverPlain: 'refuse' },
      trunks: [],
      users: [],
      alerts: { everyMs: 60_000 },
      stir: { policy: 'off', maxAgeS: 60, allow: [] },
      tools: { hangUp: false },
      callers: 'by-trunks',
      projects: [],
      routes: [],
      model: { type: 'embedded' },
      mcp: { servers: [], allow: [], sessionServers: 'all', listTimeoutMs: 10_000, callTimeoutMs: 30_000 },
      workers: 0,
      agent: {},
    });
  });

  test('an empty file, a file of comments and empty variables change nothing', () => {
    for (const yaml of ['', '# nothing\n', '---\n', 'sip:\n', 'sip:\n  port:\n'])
      expect(load([], { RINGDOWN_BIND: '' }, yaml).config).toEqual(load([]).config);
  });
});

describe('precedence', () => {
  const yaml = 'sip:\n  port: 1001\nhttp:\n  port: 1002\nrelay:\n  port: 1003\n';

  test('a flag wins over the environment, the environment over the file, the file over the default', () => {
    const { config, settings } = load(['--sip-port', '3001'], { RINGDOWN_SIP_PORT: '2001', RINGDOWN_HTTP_PORT: '2002' }, yaml);
    expect([config.sip.port, config.http.port, config.relay.port, config.maxCalls]).toEqual([3001, 2002, 1003, 100]);
    expect([
      settings.source('sip.port'),
      settings.source('http.port'),
      settings.source('relay.port'),
      settings.source('max-calls'),
    ]).toEqual(['flag --sip-port', 'env RINGDOWN_HTTP_PORT', 'ringdown.yaml:6', 'default']);
  });

  test('of a flag given twice the last one counts, and --flag=value is --flag value', () => {
    expect(load(['--sip-port', '1', '--sip-port=2']).config.sip.port).toBe(2);
  });

  test('--config names another file, and so does its variable', () => {
    writeFileSync(join(directory, 'other.yaml'), 'sip: {port: 7000}');
    expect(load(['--config', 'other.yaml'], {}, yaml).config.sip.port).toBe(7000);
    expect(load([], { RINGDOWN_CONFIG: 'other.yaml' }, yaml).config.sip.port).toBe(7000);
  });

  test('a value that another source overrides must not be right', () => {
    expect(faults(['--sip-port', '5070'], { RINGDOWN_SIP_PORT: 'abc' })).toEqual([]);
  });
});

describe('values', () => {
  test.each([
    ['--rtp-ports', '0', (c: ReturnType<typeof load>['config']) => c.rtp.ports, 'any'],
    ['--rtp-ports', '20000-20999', (c: ReturnType<typeof load>['config']) => c.rtp.ports, { first: 20000, last: 20999 }],
    ['--public-address', '192.0.2.7', (c: ReturnType<typeof load>['config']) => c.publicAddress, '192.0.2.7'],
    ['--roles', 'transceiver, sip,relay', (c: ReturnType<typeof load>['config']) => c.roles, ['sip', 'relay', 'transceiver']],
    ['--log-level', 'debug', (c: ReturnType<typeof load>['config']) => c.logLevel, 'debug'],
    ['--sip-rate', '0', (c: ReturnType<typeof load>['config']) => c.sip.requestsPerSecond, 0],
    ['--sip-ban', '0', (c: ReturnType<typeof load>['config']) => c.sip.bans.seconds, 0],
  ])('%s %s', (flag, value, read, expected) => {
    expect(read(load([flag, value]).config)).toEqual(expected);
  });

  test('YAML may give numbers, lists and maps', () => {
    const yaml = `rtp: {ports: 0}\nroles: [sip, relay]\nnode:\n  id: 7\n  cluster-key-file: ${keyFile()}\n  nodes:\n    7: 127.0.0.1:3479\n    8: 127.0.0.1:3480\n`;
    const { config } = load([], {}, yaml);
    expect(config.rtp.ports).toBe('any');
    expect(config.roles).toEqual(['sip', 'relay']);
    expect(config.node?.nodes).toEqual([
      { id: 7, address: '127.0.0.1', port: 3479 },
      { id: 8, address: '127.0.0.1', port: 3480 },
    ]);
  });

  test('a node of another cluster is CLUSTER.N', () => {
    const { config } = load(['--node-id', '2.10', '--cluster-key-file', keyFile(), '--nodes', '1.1=127.0.0.1:4001']);
    expect([config.node?.id, config.node?.nodes[0]?.id]).toEqual([2 * 65536 + 10, 65537]);
    expect(faults([], {}, 'node: {id: 2.10}')[0]).toContain('in quotes in YAML');
  });

  test('a process of several is described by flags too', () => {
    const key = keyFile();
    const { config } = load([
      '--roles',
      'relay',
      '--node-id',
      '2',
      '--cluster-key-file',
      key,
      '--nodes',
      '1=127.0.0.1:4001, 3=127.0.0.1:4003',
      '--inner-port',
      '4002',
    ]);
    expect(config.node).toEqual({
      id: 2,
      clusterKeyFile: key,
      nodes: [
        { id: 1, address: '127.0.0.1', port: 4001 },
        { id: 3, address: '127.0.0.1', port: 4003 },
      ],
      innerPort: 4002,
    });
  });
});

describe('whom secret keys are delivered to', () => {
  const yaml = (webhook: string) => `tools:\n  collect-digits:\n    most: 16\n    webhook: ${webhook}\n`;

  test('is a URL with its secrets, from wherever they are, which nobody is shown', () => {
    const text = yaml('{url: "https://app.example/digits", secrets: [{env: DIGITS}, "0123456789abcdef"]}');
    const { config, settings } = load([], { DIGITS: 'fedcba9876543210' }, text);
    const webhook = { url: 'https://app.example/digits', secrets: ['fedcba9876543210', '0123456789abcdef'] };
    expect(config.tools.collectDigits).toEqual({ secure: false, most: 16, webhook });
    expect(printConfig(settings)).not.toMatch(/fedcba9876543210|0123456789abcdef/);
  });

  test.each([
    [
      '{url: "ftp://app.example", secrets: [0123456789abcdefgh]}',
      /ringdown.yaml:4: tools.collect-digits.webhook.url.*an https: or http: URL/,
    ],
    ['{url: "https://app.example", secrets: []}', /tools.collect-digits.webhook.secrets.*needs a secret/],
    ['{url: "https://app.example", secrets: [short]}', /tools.collect-digits.webhook.secrets.*fewer than 16 characters/],
    ['{url: "https://app.example", secrets: [{env: MISSING}]}', /tools.collect-digits.webhook.secrets.*MISSING is not set/],
    ['{secrets: [0123456789abcdefgh]}', /tools.collect-digits.webhook/],
  ])('is refused by name: %s', (webhook, message) => {
    expect(faults([], {}, yaml(webhook)).join('\n')).toMatch(message);
  });
});

describe('faults', () => {
  test('are all told at once, each with its place, key, value and what is allowed', () => {
    const yaml = 'sip:\n  port: 70000\n  prot: 5060\nbind: localhost\n';
    expect(faults(['--max-calls', 'many', '--drian', '5'], { RINGDOWN_HTTP_PORT: '-1', RINGDOWN_DRIAN: '1' }, yaml)).toEqual([
      'ringdown.yaml:3: sip.prot: no such key; did you mean sip.port?',
      'env RINGDOWN_DRIAN: no such variable; did you mean RINGDOWN_DRAIN?',
      'flag --drian: no such flag; did you mean --drain?',
      'ringdown.yaml:2: sip.port = "70000": allowed: 0 to 65535; 0 takes any free port',
      'env RINGDOWN_HTTP_PORT: http.port = "-1": allowed: 0 to 65535; 0 takes any free port',
      'ringdown.yaml:4: bind = "localhost": not an address; allowed: an IPv4 or IPv6 address; 0.0.0.0 is every interface over IPv4, :: every interface over both',
      'flag --max-calls = "many": allowed: 1 to 100000',
    ]);
  });

  test.each([
    ['--sip-port', '5060.5'],
    ['--sip-port', '1e3'],
    ['--sip-port', '0x10'],
    ['--sip-port', ' 5060 x'],
    ['--sip-port', '65536'],
    ['--rtp-ports', '16385-20000'],
    ['--rtp-ports', '20000-10000'],
    ['--rtp-ports', '100-200'],
    ['--rtp-ports', '60000-70000'],
    ['--rtp-ports', '20000'],
    ['--bind', 'example.org'],
    ['--bind', '127.1'],
    ['--bind', 'fe80::1%eth0'],
    ['--bind', '[::1]'],
    ['--bind', '::1::'],
    ['--public-address', '0.0.0.0'],
    ['--public-address', '::'],
    ['--public-address', 'ff02::1'],
    ['--public-address', '239.1.2.3'],
    ['--nodes', '1=2001:db8::1:3479'],
    ['--nodes', '1=[fe80::1%eth0]:3479'],
    ['--workers', '65'],
    ['--workers', '-1'],
    ['--roles', ''],
    ['--roles', 'sip,cook'],
    ['--max-calls', '0'],
    ['--drain', '-1'],
    ['--log-level', 'loud'],
    ['--node-id', '0'],
    ['--node-id', '256.1'],
    ['--node-id', '1.0'],
    ['--node-id', '70000'],
    ['--nodes', 'a=127.0.0.1:1'],
    ['--nodes', '1=localhost:1'],
    ['--nodes', '1=127.0.0.1'],
    ['--nodes', '1=127.0.0.1:0'],
    ['--nodes', '1=127.0.0.1:1,1=127.0.0.1:2'],
    ['--data', ''],
  ])('%s "%s" is refused', (flag, value) => {
    const told = faults([`${flag}=${value}`]);
    expect(told[0]).toContain(`flag ${flag}`);
    expect(told[0]).toContain('allowed: ');
  });

  test('YAML errors name the line', () => {
    expect(faults([], {}, 'sip:\n  port: 1\n  port: 2\n')).toEqual([expect.stringMatching(/^ringdown\.yaml:3: YAML: .*unique/)]);
    expect(faults([], {}, 'sip: [1\n')[0]).toMatch(/^ringdown\.yaml:\d: YAML: /);
    expect(faults([], {}, '- sip\n')).toEqual(['ringdown.yaml:1: YAML: the file must be a map of settings']);
    expect(faults([], {}, 'sip: 5060\n')).toEqual([
      'ringdown.yaml:1: sip: must be a map: port, tls-port, tls-cert, tls-key, tls-clients, ws, ws-origins, dns, rate, ban, ban-after, realm, digest',
    ]);
  });

  test('a named file must be there and readable', () => {
    expect(faults(['--config', 'absent.yaml'])).toEqual(['absent.yaml: config: there is no such file']);
    expect(faults(['--config', '.'])).toEqual(['.: config: cannot be read (EISDIR)']);
  });

  test('flags without a value, stray words and values of questions', () => {
    expect(faults(['--sip-port', '--http-port', '0', 'hello', '--help=yes'])).toEqual([
      'flag --sip-port: sip.port: needs a value: 0 to 65535; 0 takes any free port',
      'argument 4: command line: every argument is a flag, --name VALUE; see --help',
      'flag --help = "yes": takes no value',
    ]);
  });

  test('the flag name used as a key is led to the key', () => {
    expect(faults([], {}, 'sip-port: 1\n')).toEqual(['ringdown.yaml:1: sip-port: no such key; did you mean sip.port?']);
  });

  test('what an unknown name holds is never shown: it may be a secret', () => {
    const told = faults(
      ['--api-kye', 'sk-canary', '--token=sk-canary', 'sk-canary'],
      { RINGDOWN_APIKEY: 'sk-canary' },
      'secret: sk-canary\n',
    );
    expect(told).toHaveLength(5);
    expect(told.join('\n')).not.toContain('canary');
  });

  test('what is not built yet is refused by name, as flag, variable and key', () => {
    for (const { flag, key } of notBuilt) {
      if (flag) {
        expect(faults([`--${flag}`, '1'])).toEqual([expect.stringContaining(`flag --${flag}: not built yet`)]);
        expect(faults([], { [environmentName(flag)]: '1' })).toEqual([expect.stringContaining('not built yet')]);
      }
      if (key && !key.includes('.'))
        expect(faults([], {}, `${key}: 1\n`)).toEqual([expect.stringMatching(/^ringdown\.yaml:1: .*not built yet/)]);
    }
  });

  test('variables that Kubernetes makes for Services are not taken for settings', () => {
    const links = {
      RINGDOWN_SERVICE_HOST: '10.0.0.1',
      RINGDOWN_SERVICE_PORT: '5060',
      RINGDOWN_SERVICE_PORT_SIP_UDP: '5060',
      RINGDOWN_PORT: 'udp://10.0.0.1:5060',
      RINGDOWN_PORT_5060_UDP: 'udp://10.0.0.1:5060',
      RINGDOWN_PORT_5060_UDP_ADDR: '10.0.0.1',
      RINGDOWN_WEB_SERVICE_HOST: '10.0.0.2',
    };
    expect(faults([], links)).toEqual([]);
    expect(faults([], { RINGDOWN_SIP_PORT: 'udp://10.0.0.1:5060' })).toEqual([expect.stringContaining('enableServiceLinks: false')]);
    expect(faults([], { RINGDOWN_PORT: '5060' })).toEqual([expect.stringContaining('did you mean RINGDOWN_SIP_PORT?')]);
  });

  test('the variable of the test data is no setting', () => {
    expect(faults([], { RINGDOWN_TEST_DATA: '/somewhere' })).toEqual([]);
  });
});

describe('addresses', () => {
  test('may be IPv6, and are kept in the form that sockets show', () => {
    const { config } = load(['--bind', '0:0:0:0:0:0:0:0', '--public-address', '2001:DB8:0:0::0:1']);
    expect([config.bind, config.publicAddress]).toEqual(['::', '2001:db8::1']);
    expect(load(['--bind', '::ffff:192.0.2.1']).config.bind).toBe('192.0.2.1');
  });

  test('of nodes stand in brackets when they are IPv6', () => {
    const argv = ['--bind', '::', '--node-id', '1', '--cluster-key-file', keyFile(), '--nodes', '1=[2001:DB8::1]:3479,2=192.0.2.2:3479'];
    expect(load(argv).config.node?.nodes).toEqual([
      { id: 1, address: '2001:db8::1', port: 3479 },
      { id: 2, address: '192.0.2.2', port: 3479 },
    ]);
  });
});

describe('settings that do not go together', () => {
  test('two doors on one port', () => {
    expect(faults(['--sip-port', '8080'])).toEqual([
      'flag --sip-port: sip.port = "8080": the same port as http.port (default); give each its own',
    ]);
    expect(faults(['--sip-port', '0', '--http-port', '0', '--relay-port', '0'])).toEqual([]);
  });

  test('a port within the RTP range', () => {
    expect(faults(['--relay-port', '20000'])).toEqual([
      'flag --relay-port: relay.port = "20000": lies within rtp.ports 16384-32767 (default)',
    ]);
    expect(faults(['--http-port', '20000'])).toEqual([]); // TCP
  });

  test('less room for RTP than calls', () => {
    expect(faults(['--rtp-ports', '20000-20009'])).toEqual([
      'flag --rtp-ports: rtp.ports = "20000-20009": room for 5 calls (two ports each), and max-calls is 100 (default)',
    ]);
    expect(faults(['--rtp-ports', '20000-20009', '--max-calls', '5'])).toEqual([]);
  });

  test('addresses of a family that the doors do not speak', () => {
    const needs = (bind: string, source: string) => `of a family that bind ${bind} (${source}) does not speak; :: speaks both`;
    expect(faults(['--public-address', '2001:db8::1'])).toEqual([`flag --public-address = "2001:db8::1": ${needs('0.0.0.0', 'default')}`]);
    const node = ['--node-id', '1', '--cluster-key-file', keyFile(), '--nodes', '2=127.0.0.1:4001,3=[2001:db8::3]:4001'];
    expect(faults(node)).toEqual([`flag --nodes: node.nodes = "2001:db8::3": ${needs('0.0.0.0', 'default')}`]);
    expect(faults([...node, '--bind', '::1'])).toEqual([`flag --nodes: node.nodes = "127.0.0.1": ${needs('::1', 'flag --bind')}`]);
    for (const publicAddress of ['192.0.2.1', '2001:db8::1']) {
      expect(faults([...node, '--bind', '::', '--public-address', publicAddress])).toEqual([]);
    }
  });

  test('workers need the roles around them in their own process, and ports for each', () => {
    expect(load(['--workers', '4']).config.workers).toBe(4);
    expect(faults(['--workers', '2', '--roles', 'sip,relay,transceiver'])).toEqual([]);
    const apart = ['--roles', 'sip', '--node-id', '1', '--cluster-key-file', keyFile(), '--nodes', '2=127.0.0.1:4001'];
    expect(faults(['--workers', '2', ...apart])).toEqual([
      'flag --workers = "2": needs the roles sip, relay and transceiver; this process has no relay and no transceiver (roles from flag --roles)',
      'flag --workers = "2": a process that is one of several (flag --node-id) has none',
    ]);
    expect(faults(['--workers', '3', '--rtp-ports', '20000-20007', '--max-calls', '4'])).toEqual([
      expect.stringContaining('room for 3 calls (two ports each), and max-calls is 4'),
    ]);
  });

  test('roles apart need a node, a key and the other nodes', () => {
    const because = 'must be set when a process runs without sip and transceiver (roles from flag --roles)';
    expect(faults(['--roles', 'relay'])).toEqual([
      `default: node.id: ${because}`,
      `default: node.cluster-key-file: ${because}`,
      `default: node.nodes: ${because}`,
    ]);
    expect(faults(['--roles', 'sip,relay,transceiver'])).toEqual([]);
  });

  test('a part of the node settings is none', () => {
    expect(faults(['--node-id', '1', '--nodes', '2=127.0.0.1:1'])).toEqual([
      'default: node.cluster-key-file: must be set too, since node.id is (flag --node-id)',
    ]);
    expect(faults(['--inner-port', '4000'])).toHaveLength(3);
  });

  test('ports of roles that this process does not run do not count', () => {
    const node = ['--node-id', '1', '--cluster-key-file', keyFile(), '--nodes', '2=127.0.0.1:4001'];
    expect(faults(['--roles', 'transceiver', '--http-port', '5060', ...node])).toEqual([]);
    expect(faults(['--roles', 'relay', '--relay-port', '3479', ...node])).toEqual([
      'default: node.inner-port = "3479": the same port as relay.port (flag --relay-port); give each its own',
    ]);
  });

  test('the cluster key file must be there, a file, and long enough', () => {
    const node = ['--node-id', '1', '--nodes', '2=127.0.0.1:4001', '--cluster-key-file'];
    expect(faults([...node, join(directory, 'none')])).toEqual([expect.stringContaining('cannot be read (ENOENT)')]);
    expect(faults([...node, directory])).toEqual([expect.stringContaining('is not a file')]);
    expect(faults([...node, keyFile(31)])).toEqual([expect.stringContaining('holds 31 bytes; a key has at least 32')]);
  });
});

describe('the table of options', () => {
  test('no flag, key or variable has two meanings, and none is both built and not', () => {
    const flags = [...options.map((option) => option.flag), ...notBuilt.flatMap(({ flag }) => (flag ? [flag] : []))];
    expect(new Set(flags).size).toBe(flags.length);
    const keys = [...options.map((option): string => option.key), ...notBuilt.flatMap(({ key }) => (key ? [key] : []))];
    expect(new Set(keys).size).toBe(keys.length);
  });

  test('help is answered whatever else the line holds', () => {
    expect(questionOf(['--sip-port', 'abc', '--print-config', '--help'])).toBe('help');
    expect(questionOf(['--print-config'])).toBe('print-config');
    expect(questionOf([])).toBeUndefined();
  });
});
