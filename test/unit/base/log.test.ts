import { describe, expect, it } from 'vitest';
import { createLog } from '../../../src/base/log.ts';

describe('the log', () => {
  it('writes lines in which nothing moves a cursor, begins a line or turns the direction, and which read as they were', () => {
    const lines: string[] = [];
    const log = createLog('info', { write: (line) => void lines.push(line) });
    const nasty = '\u001b[31m \u0007 a\u009b31m \u007f \u0085 \u2028 \u202e \u2066 \u200f "\\ é 語';
    log.info({ nasty }, 'said');
    const [line = ''] = lines;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    expect(line.trimEnd()).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/);
    expect(JSON.parse(line)).toMatchObject({ nasty, msg: 'said' });
  });
});
