import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MOST_MESSAGE_BYTES, StreamBounds } from '../../../src/realtime/mcp/stream-bounds.ts';

type Framing = 'lines' | 'events' | 'whole';

/** What is wrong with a text, however it is cut into pieces. */
function pass(framing: Framing, text: string, pieces = 1): string | undefined {
  const bounds = new StreamBounds(framing);
  const bytes = Buffer.from(text);
  const step = Math.max(1, Math.ceil(bytes.length / pieces));
  for (let at = 0; at < bytes.length; at += step) {
    const fault = bounds.pass(bytes.subarray(at, at + step), at);
    if (fault) return fault.code;
  }
  return undefined;
}

const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;

describe('a stream of messages', () => {
  test('passes as long as each message is short and shallow', () => {
    expect(pass('lines', `${nested(64)}\n`.repeat(1000))).toBeUndefined();
    expect(pass('events', `data: ${nested(64)}\n\n`.repeat(1000))).toBeUndefined();
    expect(pass('events', `data: ${nested(64)}\r\n\r\n`.repeat(1000))).toBeUndefined();
    expect(pass('whole', nested(64))).toBeUndefined();
  });

  test.each(['lines', 'events', 'whole'] as const)('of %s is nonsense when a message is nested too deeply', (framing) => {
    for (const pieces of [1, 7, 100]) expect(pass(framing, nested(65), pieces)).toBe('nonsense');
  });

  test('counts no brackets in strings, also behind escapes', () => {
    expect(pass('lines', `${JSON.stringify({ text: `${'['.repeat(100)}\\"${'{'.repeat(100)}` })}\n`, 13)).toBeUndefined();
  });

  test.each(['\n', '\r\n', '\r'])('counts lines of one event together that end with %j', (end) => {
    for (const pieces of [1, 3, 50])
      expect(pass('events', `data: ${'['.repeat(40)}${end}data: ${'['.repeat(40)}${end}${end}`, pieces)).toBe('nonsense');
    expect(pass('events', `data: ${nested(40)}${end}${end}`.repeat(1000))).toBeUndefined();
    expect(pass('events', `data: ${'['.repeat(40)}${end}${end}`.repeat(3))).toBeUndefined();
  });

  test('ends no line with what does not end one for who reads it', () => {
    expect(pass('lines', `${'['.repeat(40)}\r${'['.repeat(40)}\n`)).toBe('nonsense');
    expect(pass('lines', `${'a'.repeat(1024 * 1024 - 1)}\r`.repeat(5))).toBe('too_large');
    expect(pass('lines', `${nested(64)}\r\n`.repeat(1000), 999)).toBeUndefined();
  });

  test.each(['lines', 'events', 'whole'] as const)('of %s is too large when a message does not end', (framing) => {
    const bounds = new StreamBounds(framing);
    const piece = Buffer.alloc(65_536, 0x20);
    let passed = 0;
    for (let now = 0; ; now += 1000) {
      const fault = bounds.pass(piece, now);
      if (fault) {
        expect(fault.code).toBe('too_large');
        break;
      }
      passed += piece.length;
      expect(passed).toBeLessThanOrEqual(MOST_MESSAGE_BYTES);
    }
  });

  test('is a flood when it is faster than anybody reads, and may go on for ever when it is slow', () => {
    const bounds = new StreamBounds('events');
    const event = Buffer.from(`data: ${'x'.repeat(60_000)}\n\n`);
    for (let now = 0; now < 3_600_000; now += 1000) expect(bounds.pass(event, now)).toBeUndefined();
    const codes = Array.from({ length: 400 }, () => bounds.pass(event, 3_600_000)?.code);
    expect(codes.find(Boolean)).toBe('flood');
  });

  test('is judged the same however it is cut', () => {
    const text = fc.string({ unit: fc.constantFrom('[', ']', '{', '}', '"', '\\', '\n', '\r', 'a'), maxLength: 400 });
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 400 }), fc.constantFrom<Framing>('lines', 'events', 'whole'), (sent, pieces, framing) => {
        expect(pass(framing, sent, pieces)).toBe(pass(framing, sent));
      }),
      { numRuns: 300 },
    );
  });
});
