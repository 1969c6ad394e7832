import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLog } from '../../../src/base/log.ts';
import { BindingJournal } from '../../../src/sip/binding-journal.ts';
import type { Binding } from '../../../src/sip/bindings.ts';
import { SipIdentity } from '../../../src/sip/sip-identity.ts';
import { FakeClock } from '../../support/fake-clock.ts';

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'ringdown-bindings-'));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

const lines: string[] = [];
const log = createLog('warn', { write: (line) => void lines.push(line) });
const BINDING: Binding = {
  uri: 'sip:alice@10.0.0.5',
  q: 1,
  callId: 'c',
  cseq: 1,
  source: { address: '198.51.100.20', port: 40_001, transport: 'udp' },
  path: [],
  expiresAt: 60_000,
};

test('who is registered is found again by the next process, until when by the wall clock, and without its connection', async () => {
  const clock = new FakeClock();
  const first = await BindingJournal.open(clock, log, { dataDir });
  const flow = { transport: 'tcp', reliable: true, remote: BINDING.source, open: true, send: () => undefined } as const;
  first.note(() => ({ bindings: new Map([['alice', [{ ...BINDING, flow }]]]), markOf: () => 'salt:0a1b', offsetMs: 1_000_000 }));
  await first.stop();
  const file = join(dataDir, 'registrations.json');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readFileSync(file, 'utf8')).not.toContain('flow');
  const second = await BindingJournal.open(clock, log, { dataDir });
  expect([...second.restored]).toEqual([['alice', { mark: 'salt:0a1b', bindings: [{ ...BINDING, expiresAt: 1_060_000 }] }]]);
});

const OTHERS = [
  'nonsense',
  '{}',
  '[]',
  '{"version":1,"users":{}}',
  '{"version":2,"users":{"alice":null}}',
  '{"version":2,"users":{"alice":{"bindings":[]}}}',
  '{"version":2,"users":{"alice":{"mark":"","bindings":[{"uri":1}]}}}',
];

test.each(OTHERS)('a file that holds %s is nothing, and is said', async (text) => {
  writeFileSync(join(dataDir, 'registrations.json'), text);
  lines.length = 0;
  const journal = await BindingJournal.open(new FakeClock(), log, { dataDir });
  expect([...journal.restored]).toEqual([]);
  expect(lines.join()).toContain('registrations cannot be read');
});

test('the name of the gateway is the same after a restart, and another one without its file', async () => {
  const first = await SipIdentity.open(log, { dataDir });
  const second = await SipIdentity.open(log, { dataDir });
  expect([second.instance, second.contactUser('a')]).toEqual([first.instance, first.contactUser('a')]);
  expect(first.contactUser('a')).not.toBe(first.contactUser('b'));
  expect(new SipIdentity().contactUser('a')).not.toBe(first.contactUser('a'));
});
