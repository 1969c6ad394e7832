import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConfigError } from '../../../src/config/faults.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { phoneMediaPolicy } from '../../../src/gateway-phone-media.ts';
import type { InboundCall } from '../../../src/sip/engine.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringdown-media-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function load(yaml: string, argv: readonly string[] = []) {
  writeFileSync(join(directory, 'ringdown.yaml'), yaml);
  return loadConfig(argv, { env: {}, directory }).config;
}

function faults(yaml: string, argv: readonly string[] = []): string {
  try {
    load(yaml, argv);
    return '';
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message;
  }
}

const YAML = `
codecs: [G722, PCMA]
trunks:
  - name: carrier
    peer: 192.0.2.9
    srtp: required
    codecs: [opus, L16/16000]
  - name: pbx
    peer: 192.0.2.10
    sdes-over-plain: allow
users:
  - name: alice
    password: correct-horse
    srtp: off
`;

const from = (caller: InboundCall['caller']) => ({ caller }) as InboundCall;

describe('how the media of phones is carried', () => {
  test('is said for all, and otherwise by trunk and by user', () => {
    const config = load(YAML, ['--srtp', 'optional']);
    const policy = (caller: InboundCall['caller']) => phoneMediaPolicy(config, from(caller));
    expect(policy({ type: 'trunk', name: 'carrier' })).toEqual({
      srtp: 'required',
      sdesOverPlain: 'refuse',
      codecs: ['opus', 'L16/16000'],
    });
    expect(policy({ type: 'trunk', name: 'pbx' })).toEqual({ srtp: 'optional', sdesOverPlain: 'allow', codecs: ['G722', 'PCMA'] });
    expect(policy({ type: 'user', name: 'alice' })).toEqual({ srtp: 'off', sdesOverPlain: 'refuse', codecs: ['G722', 'PCMA'] });
    expect(policy({ type: 'stranger' })).toEqual({ srtp: 'optional', sdesOverPlain: 'refuse', codecs: ['G722', 'PCMA'] });
  });

  test.each([
    ['codecs: [PCMU, GSM]', 'PCMU, PCMA, G722, opus, L16/16000, L16/8000'],
    ['codecs: [PCMU, PCMU]', 'each at most once'],
    ['codecs: []', 'PCMU, PCMA'],
    ['srtp: maybe', 'off, optional or required'],
    ['sdes-over-plain: yes', 'refuse or allow'],
  ])('is refused where it cannot be: %s', (line, allowed) => {
    expect(faults(line)).toContain(allowed);
    expect(faults(`trunks:\n  - name: carrier\n    peer: 192.0.2.9\n    ${line}`)).toContain(`ringdown.yaml:4`);
    expect(faults(`trunks:\n  - name: carrier\n    peer: 192.0.2.9\n    ${line}`)).toContain(allowed.split(',')[0]);
  });
});
