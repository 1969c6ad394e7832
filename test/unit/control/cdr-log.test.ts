import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLog } from '../../../src/base/log.ts';
import { Metrics } from '../../../src/base/metrics.ts';
import type { CallRecord } from '../../../src/control/cdr.ts';
import { CdrLog } from '../../../src/control/cdr-log.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { eventually } from '../../support/wait.ts';

let root: string;
let dataDir: string;
let file: string;
let clock: FakeClock;
let metrics: Metrics;
let logged: string[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'ringdown-cdr-'));
  dataDir = join(root, 'data');
  file = join(dataDir, 'cdr.jsonl');
  clock = new FakeClock();
  metrics = new Metrics();
  logged = [];
});
afterEach(() => rmSync(root, { recursive: true }));

function makeLog(): CdrLog {
  const log = createLog('info', { write: (line) => logged.push(line) });
  return new CdrLog({ clock, log, metrics }, { dataDir });
}

function record(id: string): CallRecord {
  return { id, from: 'sip:+4930123456@example.org', startedAt: 0, endedAt: 1000, cause: 'remote_hangup' };
}

function ids(path = file): string[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  expect(lines.pop()).toBe('');
  return lines.map((line) => (JSON.parse(line) as { id: string }).id);
}

async function metric(name: string): Promise<number> {
  return Number(new RegExp(`^ringdown_${name} (\\d+)$`, 'm').exec(await metrics.text())?.[1]);
}

describe('call records', () => {
  test('are in the file soon after they are written, one line each, for the owner alone', async () => {
    const cdrs = makeLog();
    await cdrs.start();
    for (let n = 0; n < 100; n += 1) cdrs.write(record(`c${n}`));
    await eventually(() => cdrs.backlog === 0, 10_000, 'the records to be written');
    expect(ids()).toEqual(Array.from({ length: 100 }, (_, n) => `c${n}`));
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(dataDir).mode & 0o777).toBe(0o700);
    await cdrs.stop();
    expect(await metric('cdr_write_errors_total')).toBe(0);
  });

  test('written just before stop are not lost; after stop they count as lost', async () => {
    const cdrs = makeLog();
    await cdrs.start();
    cdrs.write(record('a'));
    cdrs.write(record('b'));
    await cdrs.stop();
    await cdrs.stop();
    expect(ids()).toEqual(['a', 'b']);
    cdrs.write(record('c'));
    expect(await metric('cdr_lost_total')).toBe(1);
  });

  test('follow those of the last run, on a line of their own even when that run died in the middle of one', async () => {
    const first = makeLog();
    await first.start();
    first.write(record('a'));
    await first.stop();
    writeFileSync(file, '{"id":"half', { flag: 'a' });
    metrics = new Metrics();
    const second = makeLog();
    await second.start();
    second.write(record('b'));
    await second.stop();
    const lines = readFileSync(file, 'utf8').split('\n');
    expect(lines.map((line) => line.slice(0, 11))).toEqual(['{"id":"a","', '{"id":"half', '{"id":"b","', '']);
  });

  test('go to a new file when the old one was rotated away', async () => {
    const cdrs = makeLog();
    await cdrs.start();
    cdrs.write(record('a'));
    await eventually(() => cdrs.backlog === 0, 10_000, 'the first record');
    renameSync(file, `${file}.1`);
    cdrs.write(record('b'));
    await cdrs.stop();
    expect([ids(`${file}.1`), ids()]).toEqual([['a'], ['b']]);
  });
});

// /dev/full answers every write with "no space left on device".
describe.skipIf(!existsSync('/dev/full'))('a full disk', () => {
  async function startOnFullDisk(): Promise<CdrLog> {
    const cdrs = makeLog();
    await cdrs.start();
    unlinkSync(file);
    symlinkSync('/dev/full', file);
    return cdrs;
  }

  test('costs one warning and no record, once there is space again', async () => {
    const cdrs = await startOnFullDisk();
    for (const id of ['a', 'b', 'c']) {
      cdrs.write(record(id));
      await eventually(async () => (await metric('cdr_write_errors_total')) > 0, 10_000, 'the error to be counted');
    }
    expect(cdrs.backlog).toBe(3);
    unlinkSync(file);
    clock.advance(5000);
    await eventually(() => cdrs.backlog === 0, 10_000, 'the records to be written');
    cdrs.write(record('d'));
    await cdrs.stop();
    expect(ids()).toEqual(['a', 'b', 'c', 'd']);
    expect(logged.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual([
      'call records cannot be written',
      'call records can be written again',
    ]);
  });

  test('keeps a bounded number of records in memory and counts the rest as lost', async () => {
    const cdrs = await startOnFullDisk();
    for (let n = 0; n < 10_005; n += 1) cdrs.write(record(`c${n}`));
    expect([cdrs.backlog, await metric('cdr_lost_total'), await metric('cdr_backlog')]).toEqual([10_000, 5, 10_000]);
    await cdrs.stop();
    expect(await metric('cdr_lost_total')).toBe(10_005);
    expect(logged.at(-1)).toContain('call records lost');
    expect(logged.join('')).not.toContain('4930123456');
  });
});

test('a place that cannot be written is a warning at start and a metric, and writing goes on', async () => {
  writeFileSync(dataDir, 'a file where the directory should be');
  const cdrs = makeLog();
  await cdrs.start();
  expect(logged).toHaveLength(1);
  expect(JSON.parse(logged[0] ?? '')).toMatchObject({ level: 40, msg: 'call records cannot be written', file });
  cdrs.write(record('a'));
  unlinkSync(dataDir);
  clock.advance(5000);
  await eventually(() => cdrs.backlog === 0, 10_000, 'the record to be written');
  await cdrs.stop();
  expect(ids()).toEqual(['a']);
  expect(await metric('cdr_write_errors_total')).toBe(1);
});
