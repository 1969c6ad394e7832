import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../../src/config/load.ts';
import { parseClusterKeys } from '../../../src/ownership/cluster-keys.ts';

interface Service {
  readonly profiles?: readonly string[];
  readonly command?: string;
  readonly network_mode: string;
  readonly environment: Readonly<Record<string, string | number>>;
  readonly secrets: readonly string[];
  readonly volumes: readonly string[];
  readonly stop_grace_period: string;
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
  readonly secrets: Readonly<Record<string, { readonly file: string }>>;
  readonly configs: Readonly<Record<string, { readonly content: string }>>;
}

const text = readFileSync('docker-compose.yml', 'utf8');
const compose = parse(text, { merge: true }) as Compose;
const directory = mkdtempSync(join(tmpdir(), 'ringdown-compose-'));
const keyFile = join(directory, 'cluster.key');
writeFileSync(keyFile, `1:${Buffer.alloc(32, 7).toString('base64')}\n`);
afterAll(() => rmSync(directory, { recursive: true }));

/** The configuration a service gets from its environment, with the secret where this machine has it. */
function configOf({ environment }: Service) {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment))
    env[name] = String(value)
      .replace(/\$\{\w+:-([^}]*)\}/g, '$1')
      .replace(/\$\{\w+:\+[^}]*\}/g, '')
      .replace('/run/secrets/cluster-key', keyFile);
  return loadConfig([], { env, directory }).config;
}

/** Programs of others, which are asked for by their profile. */
const others = Object.entries(compose.services).filter(([, { profiles }]) => profiles !== undefined);
const services = Object.entries(compose.services)
  .filter(([, { profiles }]) => profiles === undefined)
  .map(([name, service]) => ({ name, service, config: configOf(service) }));

describe('docker-compose.yml', () => {
  test('runs each role apart, each with settings the gateway takes', () => {
    expect(services.map(({ config }) => config.roles)).toEqual([
      ['sip', 'control'],
      ['relay', 'control'],
      ['transceiver', 'control'],
    ]);
  });

  test('has drachtio-server in front of SIP when asked to: it finds the gateway, and the gateway lets it in', () => {
    expect(others.map(([name, { profiles }]) => [name, profiles])).toEqual([['drachtio', ['drachtio']]]);
    const file = join(directory, 'drachtio.yaml');
    writeFileSync(file, compose.configs['drachtio']?.content ?? '');
    const { config } = loadConfig(['--config', file], { env: { DRACHTIO_SECRET: 'a-secret' }, directory });
    expect(config.drachtio).toMatchObject({ secret: 'a-secret', listen: { address: '127.0.0.1', port: 9023 }, allow: ['127.0.0.1'] });
    const sip = services.find(({ name }) => name === 'sip');
    expect(others[0]?.[1].command).toContain(`--http-handler http://127.0.0.1:${sip?.config.http.port}/drachtio/route`);
  });

  test('gives every process its own number, inner port and HTTP port, and all the same list of who is where', () => {
    const ids = services.map(({ config }) => config.node?.id);
    expect(new Set(ids).size).toBe(services.length);
    expect(new Set(services.flatMap(({ config }) => [config.http.port, config.node?.innerPort])).size).toBe(2 * services.length);
    const list = services.map(({ config }) => ({ id: config.node?.id, address: '127.0.0.1', port: config.node?.innerPort }));
    for (const { config } of services) expect(config.node?.nodes).toEqual(list);
  });

  test('names only volumes and secrets it has, and waits longer for the end than the drain takes', () => {
    for (const { service, config } of services) {
      expect(service.network_mode).toBe('host');
      expect(service.secrets).toEqual(Object.keys(compose.secrets));
      for (const volume of service.volumes) expect(Object.keys(compose.volumes)).toContain(volume.split(':')[0]);
      const [, hours, minutes] = /^(\d+)h(\d+)m$/.exec(service.stop_grace_period) ?? [];
      expect(Number(hours) * 3600 + Number(minutes) * 60).toBeGreaterThan(config.drainS);
    }
  });

  test('tells how to make a key that the gateway takes, and git does not keep it', () => {
    expect(text).toContain(`printf '1:%s\\n' "$(openssl rand -base64 32)" > cluster.key`);
    expect(parseClusterKeys(readFileSync(keyFile, 'utf8')).current.id).toBe(1);
    expect(readFileSync('.gitignore', 'utf8').split('\n')).toContain('cluster.key');
  });
});

describe('Dockerfile', () => {
  const lines = readFileSync('Dockerfile', 'utf8').split('\n');

  test('copies only what is there and what .dockerignore lets through', () => {
    const sent = readFileSync('.dockerignore', 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const sources = lines.filter((line) => /^COPY (?!--from)/.test(line)).flatMap((line) => line.split(' ').slice(1, -1));
    expect(sources.length).toBeGreaterThan(5);
    for (const source of sources) {
      expect(existsSync(source), source).toBe(true);
      expect(sent, source).toContain(source);
    }
  });

  test('runs what package.json calls the program, as a user that is not root, and its stop is the drain', () => {
    const { bin } = JSON.parse(readFileSync('package.json', 'utf8')) as { bin: { ringdown: string } };
    expect(lines).toContain(`ENTRYPOINT ["node", "--max-semi-space-size=4", "--enable-source-maps", "${bin.ringdown}"]`);
    expect(lines).toContain('STOPSIGNAL SIGTERM');
    expect(lines.indexOf('USER node')).toBeGreaterThan(lines.lastIndexOf('FROM node:20-slim'));
  });

  test('sets only variables the gateway takes', () => {
    const variables = lines.filter((line) => line.startsWith('ENV')).flatMap((line) => [...line.matchAll(/(RINGDOWN_\w+)=(\S+)/g)]);
    expect(variables.length).toBe(1);
    const env = Object.fromEntries(variables.map(([, name = '', value = '']) => [name, value]));
    expect(() => loadConfig([], { env, directory })).not.toThrow();
  });
});
