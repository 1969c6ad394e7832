import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLog } from '../../../src/base/log.ts';
import { TrunkBook } from '../../../src/sip/trunk-book.ts';
import { TrunkJournal } from '../../../src/sip/trunk-journal.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { TRUNK } from './outbound-under-test.ts';

const DAY_MS = 86_400_000;
const CAPPED = { ...TRUNK, caps: { ...TRUNK.caps, perDay: 3, concurrent: 100 } };

describe('the journal of the calls of a day', () => {
  let dataDir: string;
  const lines: string[] = [];
  const log = createLog('warn', { write: (line: string) => void lines.push(line) });
  const clock = new FakeClock();
  const open = async () => {
    const journal = await TrunkJournal.open(log, { dataDir });
    const book = new TrunkBook(clock, [CAPPED], journal);
    return { journal, call: (): boolean => 'lease' in book.admitOutbound('carrier', '+15550001'), book };
  };
  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'ringdown-days-'));
    lines.length = 0;
  });
  afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

  it('gives no second day’s worth after a restart, each direction by itself, and the next day’s at midnight', async () => {
    const first = await open();
    expect([first.call(), first.call(), 'lease' in (first.book.admitInbound(TRUNK.peer.address) ?? {})]).toEqual([true, true, true]);
    await first.journal.stop();
    const second = await open();
    expect(second.book.snapshot()).toMatchObject([{ outbound: { today: 2 }, inbound: { today: 1 } }]);
    expect([second.call(), second.call()]).toEqual([true, false]);
    await second.journal.stop();
    clock.advance(DAY_MS);
    const third = await open();
    expect([third.call(), third.call(), third.call(), third.call()]).toEqual([true, true, true, false]);
    await third.journal.stop();
    expect([lines, readdirSync(dataDir), statSync(join(dataDir, 'trunk-days.json')).mode & 0o777]).toEqual([
      [],
      ['trunk-days.json'],
      0o600,
    ]);
    expect(readFileSync(join(dataDir, 'trunk-days.json'), 'utf8')).not.toContain('15550001');
  });

  it.each([
    '',
    '{',
    'null',
    '{"version":1,"trunks":{"carrier":null}}',
    '{"version":2,"trunks":{}}',
    '{"version":1,"trunks":{"a":{"outbound":1}}}',
    '\0\0',
  ])('counts from zero, and says so, when the file holds %j', async (text) => {
    writeFileSync(join(dataDir, 'trunk-days.json'), text);
    const { call, journal } = await open();
    expect([call(), lines.length]).toEqual([true, 1]);
    await journal.stop();
    expect((await open()).book.snapshot()).toMatchObject([{ outbound: { today: 1 } }]);
    expect(lines).toHaveLength(1);
  });

  it('believes no day that has not come: a clock was wrong', async () => {
    const count = { day: 99_999, calls: 3 };
    writeFileSync(
      join(dataDir, 'trunk-days.json'),
      JSON.stringify({ version: 1, trunks: { carrier: { outbound: count, inbound: count } } }),
    );
    const { call, journal } = await open();
    expect(call()).toBe(true);
    await journal.stop();
  });

  it('goes on counting in memory when the disk refuses, and says so once', async () => {
    const { call, journal } = await open();
    rmSync(dataDir, { recursive: true });
    writeFileSync(dataDir, 'a file in the way');
    expect([call(), call(), call(), call()]).toEqual([true, true, true, false]);
    await journal.stop();
    expect(lines).toHaveLength(1);
  });
});
