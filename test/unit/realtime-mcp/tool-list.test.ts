import type { Tool } from '@modelcontextprotocol/client';
import { describe, expect, test } from 'vitest';
import { functionName, listTools, MOST_TOOLS, type ToolSelection } from '../../../src/realtime/mcp/tool-list.ts';

const ALL: ToolSelection = { approval: 'never' };

function tool(name: string, more: Partial<Tool> = {}): Tool {
  return { name, inputSchema: { type: 'object' }, ...more };
}

const names = (found: readonly Tool[], selection: ToolSelection = ALL) =>
  listTools('srv', found, selection).tools.map((each) => each.tool.name);

describe('the tools of a server', () => {
  test('are offered under names that models can say, and no two under the same', () => {
    const { tools, leftOut } = listTools('srv', [tool('a.b'), tool('a/b'), tool('get-sum'), tool('get-sum')], ALL);
    expect(tools.map(({ name }) => name)).toEqual(['srv_a_b', 'srv_get-sum']);
    expect(leftOut).toBe(2);
  });

  test('have names of 64 characters at the most, told apart by their ends', () => {
    const [one, other] = [functionName('label', `${'x'.repeat(100)}1`), functionName('label', `${'x'.repeat(100)}2`)];
    expect([one.length, other.length, one === other]).toEqual([64, 64, false]);
    expect(one).toMatch(/^[a-zA-Z0-9_-]{1,64}$/);
  });

  test.each(['__proto__', 'constructor', 'prototype', '', 'a b', 'a\nb', 'x'.repeat(129), 'naïve', '<script>', 'a;b', '\u202egnp.exe'])(
    'are left out for a name like %j',
    (name) => expect(listTools('srv', [tool(name)], ALL)).toEqual({ tools: [], leftOut: 1 }),
  );

  test('have schemas without keys that touch prototypes', () => {
    const inputSchema = JSON.parse(
      '{"type":"object","__proto__":{"x":1},"properties":{"__proto__":{"type":"string"},"a":{"type":"string"}}}',
    ) as Tool['inputSchema'];
    const [listed] = listTools('srv', [tool('t', { inputSchema })], ALL).tools;
    expect(JSON.stringify(listed?.inputSchema)).toBe('{"type":"object","properties":{"a":{"type":"string"}}}');
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });

  test('are left out for schemas that nobody could read', () => {
    let deep: Record<string, unknown> = {};
    for (let n = 0; n < 70; n++) deep = { items: deep };
    const large = { type: 'object', description: 'x'.repeat(70_000) } as const;
    expect(listTools('srv', [tool('deep', { inputSchema: deep as never }), tool('large', { inputSchema: large })], ALL).leftOut).toBe(2);
  });

  test('are as many as a model is told', () => {
    const { tools, leftOut } = listTools(
      'srv',
      Array.from({ length: 10_000 }, (_, n) => tool(`t${n}`)),
      ALL,
    );
    expect([tools.length, leftOut]).toEqual([MOST_TOOLS, 10_000 - MOST_TOOLS]);
  });

  test('are those that are allowed: by name, by what they say of themselves, by both; and by session and file', () => {
    const found = [tool('a', { annotations: { readOnlyHint: true } }), tool('b'), tool('c', { annotations: { readOnlyHint: false } })];
    expect(names(found, { ...ALL, allowed: { names: ['b', 'c', 'x'] } })).toEqual(['b', 'c']);
    expect(names(found, { ...ALL, allowed: { readOnly: true } })).toEqual(['a']);
    expect(names(found, { ...ALL, allowed: { readOnly: false, names: ['a', 'b'] } })).toEqual(['b']);
    expect(names(found, { ...ALL, allowed: { names: [] } })).toEqual([]);
    expect(names(found, { ...ALL, allowed: { names: ['a', 'b'] }, alsoAllowed: { names: ['b', 'c'] } })).toEqual(['b']);
  });

  test('need approval as the rule says: what is named in neither list does', () => {
    const found = [tool('a', { annotations: { readOnlyHint: true } }), tool('b'), tool('c')];
    const asked = (approval: ToolSelection['approval']) =>
      listTools('srv', found, { approval })
        .tools.filter((each) => each.needsApproval)
        .map((each) => each.tool.name);
    expect(asked('always')).toEqual(['a', 'b', 'c']);
    expect(asked('never')).toEqual([]);
    expect(asked({ never: { readOnly: true } })).toEqual(['b', 'c']);
    expect(asked({ always: { names: ['a'] }, never: { names: ['a', 'b'] } })).toEqual(['a', 'c']);
    expect(asked({ always: { names: ['a'] } })).toEqual(['a', 'b', 'c']);
    expect(asked({})).toEqual(['a', 'b', 'c']);
  });
});
