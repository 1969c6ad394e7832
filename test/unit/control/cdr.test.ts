import { describe, expect, test } from 'vitest';
import { type CallRecord, formatRecord } from '../../../src/control/cdr.ts';

const record: CallRecord = {
  id: 'rtc_1_abc',
  sipCallId: 'x@phone',
  from: 'sip:+4930123456@example.org',
  to: 'sip:agent@192.0.2.1',
  peer: '192.0.2.9:5060',
  startedAt: 1_700_000_000_000,
  answeredAt: 1_700_000_000_250,
  endedAt: 1_700_000_012_750,
  cause: 'remote_hangup',
  sipStatus: 200,
  codec: 'PCMU',
  figures: { loss_pct: 0.5, turns: 3 },
};

describe('a call record', () => {
  test('is one line of JSON with ISO times, the talking time and full numbers', () => {
    expect(JSON.parse(formatRecord(record))).toEqual({
      id: 'rtc_1_abc',
      sip_call_id: 'x@phone',
      from: 'sip:+4930123456@example.org',
      to: 'sip:agent@192.0.2.1',
      peer: '192.0.2.9:5060',
      started_at: '2023-11-14T22:13:20.000Z',
      answered_at: '2023-11-14T22:13:20.250Z',
      ended_at: '2023-11-14T22:13:32.750Z',
      duration_s: 12.5,
      cause: 'remote_hangup',
      sip_status: 200,
      codec: 'PCMU',
      loss_pct: 0.5,
      turns: 3,
    });
  });

  test('of a call that was never answered lasts 0 s', () => {
    const { answeredAt: _, ...unanswered } = record;
    expect(JSON.parse(formatRecord({ ...unanswered, cause: 'cancelled' }))).toMatchObject({ duration_s: 0, cause: 'cancelled' });
  });

  test('cannot break its line, move a cursor or fill the disk', () => {
    const from = `sip:\r\n{"cause":"x"}\u001b[2J\u009b2J\u007f\u2028${'9'.repeat(10_000)}`;
    const line = formatRecord({ ...record, from });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
    expect(line.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028]/);
    expect(line.length).toBeLessThan(1500);
    expect((JSON.parse(line) as { from: string }).from.startsWith('sip:\r\n{"cause":"x"}\u001b[2J\u009b2J')).toBe(true);
  });
});
