import { describe, expect, test } from 'vitest';
import { StderrLog } from '../../../src/realtime/mcp/stderr-log.ts';

function logOf(secrets: readonly string[] = []) {
  const lines: [string, number][] = [];
  return { log: new StderrLog(secrets, (line, left) => lines.push([line, left])), lines };
}

describe('what a program prints', () => {
  test('is told line by line, whatever pieces it comes in', () => {
    const { log, lines } = logOf();
    log.write('one\ntw', 0);
    log.write('o\n\n  \nthr', 0);
    expect(lines).toEqual([
      ['one', 0],
      ['two', 0],
    ]);
  });

  test('holds no value that the program was given, and nothing that looks like a credential', () => {
    const { log, lines } = logOf(['hunter22', 'hunter22-and-more', 'abc']);
    log.write('key hunter22-and-more and hunter22, abc\nAuthorization: Bearer eyJhbGciOi.x\n{"api_key":"12345"}\npassword=secret1 ok\n', 0);
    const text = lines.map(([line]) => line).join('\n');
    for (const secret of ['hunter22', 'eyJhbGciOi', '12345', 'secret1']) expect(text).not.toContain(secret);
    expect(text).toContain('abc'); // too short to be one
  });

  test('is cut where a line is long, a secret at the cut with it', () => {
    const { log, lines } = logOf(['s3cr3t-s3cr3t']);
    log.write(`${'x'.repeat(495)}s3cr3t-s3cr3t${'y'.repeat(100_000)}`, 0);
    log.write('\nnext\n', 0);
    expect(lines.map(([line]) => line.length)).toEqual([500, 4]);
    expect(lines[0]?.[0]).not.toContain('s3cr');
  });

  test('is left out where it is too much, and counted', () => {
    const { log, lines } = logOf();
    log.write('x\n'.repeat(1000), 0);
    expect(lines.length).toBe(50);
    log.write('y\n', 1000);
    expect(lines.at(-1)).toEqual(['y', 950]);
  });
});
