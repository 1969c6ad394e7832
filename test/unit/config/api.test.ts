import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConfigError } from '../../../src/config/faults.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { printConfig } from '../../../src/config/print.ts';
import { removeFolder, tempFolder } from '../../support/temp-folder.ts';

const KEY = 'sk-0123456789abcdef';
const digest = (key: string): string => createHash('sha256').update(key).digest('hex');

let directory: string;
beforeEach(() => {
  directory = tempFolder('config');
});
afterEach(() => removeFolder(directory));

function load(yaml: string, env: Record<string, string> = {}, argv: readonly string[] = []) {
  writeFileSync(join(directory, 'ringdown.yaml'), yaml);
  return loadConfig(argv, { env, directory });
}

function faults(yaml: string, env: Record<string, string> = {}, argv: readonly string[] = []): string[] {
  try {
    load(yaml, env, argv);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.split('\n');
  }
}

describe('keys', () => {
  test('may stand in the file, in a variable, in another file, or as digests; digests are what is kept', () => {
    writeFileSync(join(directory, 'shop.key'), 'key-in-a-file-0123\n');
    const yaml = `projects:\n  - name: shop\n    keys:\n      - ${KEY}\n      - {env: SHOP_KEY}\n      - {file: shop.key}\n      - {sha256: ${digest('x').toUpperCase()}}\n`;
    const { config } = load(yaml, { SHOP_KEY: 'key-in-a-variable' });
    expect(config.projects).toEqual([{ name: 'shop', keyDigests: [KEY, 'key-in-a-variable', 'key-in-a-file-0123', 'x'].map(digest) }]);
  });

  test('the simple one belongs to the project default, with what the file gives that', () => {
    expect(load('', { RINGDOWN_API_KEY: KEY }).config.projects).toEqual([{ name: 'default', keyDigests: [digest(KEY)] }]);
    const yaml = `projects:\n  - {name: shop, keys: [{env: A}]}\n  - {name: default, keys: [{env: B}]}\n`;
    expect(load(yaml, { A: `${KEY}a`, B: `${KEY}b` }, ['--api-key', KEY]).config.projects).toEqual([
      { name: 'default', keyDigests: [digest(KEY), digest(`${KEY}b`)] },
      { name: 'shop', keyDigests: [digest(`${KEY}a`)] },
    ]);
  });

  test('that are missing or no keys are told with line and place, and are not shown', () => {
    const yaml = [
      'projects:',
      '  - name: shop',
      '    keys:',
      '      - canary',
      '      - {env: ABSENT}',
      '      - {sha256: canary}',
      '  - name: Bad Name',
      '    keys: []',
      '  - name: shop',
      '    keys: [canary-0123456789]',
      '    role: admin',
    ].join('\n');
    const told = faults(yaml);
    expect(told.map((line) => line.split(': ').slice(0, 2).join(': '))).toEqual([
      'ringdown.yaml:4: projects[0].keys[0]',
      'ringdown.yaml:6: projects[0].keys[2]',
      'ringdown.yaml:7: projects[1].name',
      'ringdown.yaml:8: projects[1].keys',
      'ringdown.yaml:11: projects[2].role',
    ]);
    expect(told.join()).not.toContain('canary');
    expect(faults('api-key: canary\n')).toEqual([expect.not.stringContaining('canary')]);
    expect(faults('', { RINGDOWN_API_KEY: 'canary' })).toEqual([
      expect.stringMatching(/^env RINGDOWN_API_KEY: api-key: has fewer than 16/),
    ]);
  });

  test('that cannot be fetched are told', () => {
    const yaml = 'projects:\n  - name: shop\n    keys:\n      - {env: ABSENT}\n      - {file: absent.key}\n      - {env: SHORT}\n';
    expect(faults(yaml, { SHORT: 'canary' })).toEqual([
      'ringdown.yaml:4: projects[0].keys[0]: the variable ABSENT is not set',
      'ringdown.yaml:5: projects[0].keys[1]: absent.key cannot be read (ENOENT)',
      'ringdown.yaml:6: projects[0].keys[2]: the variable SHORT has fewer than 16 characters',
    ]);
  });
});

describe('routes', () => {
  const trunk = 'trunks: [{name: carrier, peer: 192.0.2.9}]\n';

  test('answer, or ask a program', () => {
    const yaml = `${trunk}projects: [{name: shop, keys: [{env: K}]}]
routes:
  - number: "+1555*"
    trunk: carrier
    project: shop
    answer: {instructions: hi}
  - webhook: {url: "https://shop.example/calls", secrets: [{env: H}]}
  - webhook:
      url: http://127.0.0.1:9000/
      secrets: [whsec_0123456789abcdef, plain-0123456789]
      within: 20
      otherwise: {answer: {}}
`;
    const { config } = load(yaml, { K: KEY, H: 'whsec_fedcba9876543210' });
    expect(config.routes).toEqual([
      {
        number: '+1555*',
        trunk: 'carrier',
        project: 'shop',
        action: { type: 'answer', session: { instructions: 'hi' } },
        source: 'ringdown.yaml:4',
      },
      {
        action: {
          type: 'webhook',
          webhook: {
            url: 'https://shop.example/calls',
            secrets: ['whsec_fedcba9876543210'],
            withinMs: 5000,
            otherwise: { type: 'reject', status: 480 },
          },
        },
        source: 'ringdown.yaml:8',
      },
      {
        action: {
          type: 'webhook',
          webhook: {
            url: 'http://127.0.0.1:9000/',
            secrets: ['whsec_0123456789abcdef', 'plain-0123456789'],
            withinMs: 20_000,
            otherwise: { type: 'answer', session: {} },
          },
        },
        source: 'ringdown.yaml:9',
      },
    ]);
  });

  test.each([
    ['- {}', 'routes[0]', 'either answer or webhook'],
    ['- {answer: {}, webhook: {url: "https://x", secrets: [0123456789abcdefg]}}', 'routes[0]', 'either answer or webhook'],
    ['- {number: +1555, answer: {}}', 'routes[0].number', 'quotes'],
    ['- {number: "1 2", answer: {}}', 'routes[0].number', 'a number or a name'],
    ['- {trunk: absent, answer: {}}', 'routes[0].trunk', 'no such trunk'],
    ['- {project: absent, answer: {}}', 'routes[0].project', 'no such project'],
    ['- {answer: true}', 'routes[0].answer', 'session object'],
    ['- {webhook: {url: "ftp://x", secrets: [0123456789abcdefg]}}', 'routes[0].webhook.url', 'https: or http:'],
    ['- {webhook: {url: "https://a:b@x", secrets: [0123456789abcdefg]}}', 'routes[0].webhook.url', 'credentials'],
    ['- {webhook: {url: "https://x", secrets: []}}', 'routes[0].webhook.secrets', 'needs a secret'],
    ['- {webhook: {url: "https://x"}}', 'routes[0].webhook.secrets', 'a list of secrets'],
    ['- {webhook: {url: "https://x", secrets: [short]}}', 'routes[0].webhook.secrets[0]', 'fewer than 16'],
    ['- {webhook: {url: "https://x", secrets: [{env: ABSENT}]}}', 'routes[0].webhook.secrets[0]', 'ABSENT is not set'],
    ['- {webhook: {url: "https://x", secrets: [0123456789abcdefg], within: 0}}', 'routes[0].webhook.within', '1 to 180'],
    [
      '- {webhook: {url: "https://x", secrets: [0123456789abcdefg], otherwise: {reject: 200}}}',
      'routes[0].webhook.otherwise.reject',
      '300 to 699',
    ],
  ])('%s is refused', (route, key, message) => {
    const [told, ...more] = faults(`${trunk}routes:\n  ${route}\n`);
    expect(more).toEqual([]);
    expect(told).toContain(`ringdown.yaml:3: ${key}: `);
    expect(told).toContain(message);
  });
});

const SERVICE = '{url: "http://127.0.0.1:8000/v1", model: m}';

/** A whole row, with this as one of its parts. */
function pipeline(part: string): string {
  const rest = part.startsWith('chat') ? '' : `chat: ${SERVICE}, `;
  return `{type: pipeline, transcription: ${SERVICE}, speech: {url: "http://127.0.0.1:8000/v1", model: m, voice: v}, ${rest}${part}}`;
}

describe('the model', () => {
  test('may be services in a row, each with its own key', () => {
    const yaml = `model: ${pipeline('chat: {url: "https://chat.example/v1", model: m, key: {env: CHAT_KEY}, timeout: 3}, greeting: Hello.')}\n`;
    const { config, settings } = load(yaml, { CHAT_KEY: 'canary' });
    expect(config.model).toEqual({
      type: 'pipeline',
      transcription: { url: 'http://127.0.0.1:8000/v1', model: 'm', stream: true },
      chat: { url: 'https://chat.example/v1', model: 'm', key: 'canary', timeoutMs: 3000 },
      speech: { url: 'http://127.0.0.1:8000/v1', model: 'm', voice: 'v', format: 'pcm', rateHz: 24_000 },
      greeting: 'Hello.',
      patienceMs: 1500,
    });
    expect(config.callers).toBe('trunks');
    expect(printConfig(settings)).not.toContain('canary');
    expect(printConfig(load(yaml.replace('{env: CHAT_KEY}', 'canary-2'), {}).settings)).not.toContain('canary');
  });

  test('is the embedded agent, and anyone may call', () => {
    const { config } = load('');
    expect([config.model, config.callers]).toEqual([{ type: 'embedded' }, 'by-trunks']);
  });

  test('may be any that speaks the protocol; then only trunks may call, unless somebody says otherwise', () => {
    const yaml = 'model:\n  type: realtime\n  model: gpt-realtime\n  key: {env: OPENAI_API_KEY}\n  cap-minutes: 30\n  greet: false\n';
    const { config } = load(yaml, { OPENAI_API_KEY: 'sk-x' });
    expect(config.model).toEqual({
      type: 'realtime',
      profile: 'openai',
      url: 'wss://api.openai.com/v1/realtime',
      model: 'gpt-realtime',
      key: 'sk-x',
      greet: false,
      capMinutes: 30,
      turns: 'gateway',
    });
    expect(config.callers).toBe('trunks');
    expect(load(`${yaml}callers: anyone\n`, { OPENAI_API_KEY: 'sk-x' }).config.callers).toBe('anyone');
  });

  test('needs no key on this machine', () => {
    const { config } = load('model: {type: realtime, profile: generic, url: "http://127.0.0.1:8000/v1", ca: other.pem}\n');
    expect(config.model).toEqual({
      type: 'realtime',
      profile: 'generic',
      url: 'http://127.0.0.1:8000/v1',
      caFile: 'other.pem',
      greet: true,
      turns: 'gateway',
    });
  });

  test('may have its server take the turns', () => {
    const { config } = load(
      'model: {type: realtime, profile: generic, url: "http://127.0.0.1:8000/v1", turns: upstream, uplink-while-speaking: duck}\n',
    );
    expect(config.model).toMatchObject({ turns: 'upstream', uplinkWhileSpeaking: 'duck' });
  });

  test.each([
    ['gpt', 'model', 'a map with type'],
    ['{type: embedded, key: canary}', 'model.key', 'no such key'],
    ['{type: other}', 'model.type', 'embedded, realtime or pipeline'],
    ['{type: pipeline}', 'model.transcription', 'expected'],
    [pipeline('chat: {url: "ws://127.0.0.1/v1", model: m}'), 'model.chat.url', 'an https: or http: URL'],
    [pipeline('chat: {url: "http://other.example/v1", model: m, key: k}'), 'model.chat.url', 'unencrypted'],
    [pipeline('chat: {url: "http://u:canary@127.0.0.1/v1", model: m}'), 'model.chat.url', 'does not belong in a URL'],
    [pipeline('chat: {url: "http://127.0.0.1/v1", model: m, extra: {messages: []}}'), 'model.chat.extra.messages', 'ours to say'],
    [pipeline('chat: {url: "http://127.0.0.1/v1", model: m, timeout: 0}'), 'model.chat.timeout', 'seconds, 0.1 to 60'],
    [pipeline('chat: {url: "http://127.0.0.1/v1", model: m, key: {env: ABSENT}}'), 'model.chat.key', 'ABSENT is not set'],
    ['{type: embedded, voice: x}', 'model.voice', 'no such key'],
    ['{type: realtime, key: k}', 'model.model', 'needs one'],
    ['{type: realtime, model: m}', 'model.key', 'needs one'],
    ['{type: realtime, model: m, profile: azure, key: k}', 'model.url', 'needs one'],
    ['{type: realtime, model: m, profile: other, key: k}', 'model.profile', 'generic-beta'],
    ['{type: realtime, model: m, key: k, url: "ftp://x"}', 'model.url', 'wss:, ws:'],
    ['{type: realtime, model: m, key: k, url: "http://other.example/"}', 'model.url', 'unencrypted'],
    ['{type: realtime, model: m, key: k, url: "ws://other.example/"}', 'model.url', 'unencrypted'],
    ['{type: realtime, model: m, key: k, cap-minutes: 0}', 'model.cap-minutes', '1 to 1440'],
    ['{type: realtime, model: m, key: k, turns: server}', 'model.turns', 'gateway or upstream'],
    [
      '{type: realtime, model: m, key: k, turns: upstream, uplink-while-speaking: yes}',
      'model.uplink-while-speaking',
      'auto, gated, through or duck',
    ],
    [
      '{type: realtime, model: m, key: k, uplink-while-speaking: gated}',
      'model.uplink-while-speaking',
      'only where the server takes turns',
    ],
    ['{type: realtime, model: m, key: {env: ABSENT}}', 'model.key', 'ABSENT is not set'],
  ])('%s is refused', (model, key, message) => {
    const [told] = faults(`model: ${model}\n`);
    expect(told).toContain(`ringdown.yaml:1: ${key}`);
    expect(told).toContain(message);
  });
});

test('a certificate needs its key', () => {
  expect(load('tls: {cert: a.pem, key: b.pem}\n').config.tls).toEqual({ certificateFile: 'a.pem', keyFile: 'b.pem' });
  expect(faults('', {}, ['--tls-cert', 'a.pem'])).toEqual([expect.stringContaining('tls.key: must be set too, since tls.cert is')]);
});

test('no secret is printed, and the mask is no secret', () => {
  const yaml = `api-key: canary-0123456789\nprojects: [{name: shop, keys: [canary-0123456789, {env: K}]}]
routes: [{webhook: {url: "https://x", secrets: [canary-0123456789]}}]
model: {type: realtime, model: m, key: canary-0123456789}\n`;
  const printed = printConfig(load(yaml, { K: KEY }).settings);
  expect(printed).not.toContain('canary');
  expect(printed).toContain('env: K');
  const told = faults(printed, { K: KEY });
  expect(told).toHaveLength(4);
  for (const line of told) expect(line).toContain('mask');
});
