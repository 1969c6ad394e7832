import type { CallToolResult } from '@modelcontextprotocol/client';
import { describe, expect, test } from 'vitest';
import { outputOf } from '../../../src/realtime/mcp/call-output.ts';
import { MOST_OUTPUT } from '../../../src/realtime/tools/tool-desk.ts';

const text = (value: string) => ({ type: 'text', text: value }) as const;

describe('what a tool answered', () => {
  test('is its text; of what cannot be spoken it is what it is', () => {
    const content: CallToolResult['content'] = [
      text('one'),
      { type: 'image', data: 'AAAA', mimeType: 'image/png' },
      { type: 'audio', data: 'AAAA', mimeType: 'audio/wav' },
      { type: 'resource_link', uri: 'file:///x', name: 'x' },
      { type: 'resource', resource: { uri: 'file:///y', text: 'inside' } },
      { type: 'resource', resource: { uri: 'file:///z', blob: 'AAAA' } },
    ];
    expect(outputOf({ content })).toEqual({
      text: 'one\n[image image/png]\n[audio audio/wav]\n[resource file:///x]\ninside\n[resource file:///z]',
      isError: false,
    });
  });

  test('is its structure where there is no text', () => {
    expect(outputOf({ content: [], structuredContent: { sum: 3 } }).text).toBe('{"sum":3}');
    expect(outputOf({ content: [text('three')], structuredContent: { sum: 3 } }).text).toBe('three');
    expect(outputOf({} as CallToolResult).text).toBe('');
  });

  test('is cut where it is longer than a model is told', () => {
    const { text: cut } = outputOf({ content: [text('x'.repeat(60_000)), text('y'.repeat(60_000)), text('z')] });
    expect(cut.length).toBeLessThan(MOST_OUTPUT);
    expect(cut.endsWith('[cut off]')).toBe(true);
  });

  test('may be a failure, in its own words', () => {
    expect(outputOf({ content: [text('no such city')], isError: true })).toEqual({ text: 'no such city', isError: true });
  });

  test('never is the end of us', () => {
    let deep: unknown = 0;
    for (let n = 0; n < 100_000; n++) deep = [deep];
    expect(outputOf({ content: [], structuredContent: deep as never }).text).toBe('');
  });
});
