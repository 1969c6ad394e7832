import { expect, test } from 'vitest';
import type { ToolCatalogue } from '../../../src/realtime/tools/tool-catalogue.ts';
import type { ToolSource } from '../../../src/realtime/tools/tool-source.ts';
import { SurfaceBench } from '../realtime/surface-bench.ts';

/** Every source that was made, in order, and how often it was closed. */
function sources() {
  const made: { readonly label: string; closed: number }[] = [];
  const source = (label: string): ToolSource => {
    const entry = { label, closed: 0 };
    made.push(entry);
    return {
      ...{ label, onChanged: undefined, tools: [{ name: `${label}_${made.length}` }] },
      start: () => ({ abort: () => undefined }),
      close: () => {
        entry.closed += 1;
      },
    };
  };
  const catalogue: ToolCatalogue = {
    standing: () => [source('a'), source('b')],
    open: (tool) => source(String(tool['server_label'])),
  };
  return { made, catalogue };
}

const named = (server_label: string, allowed: string) => ({ type: 'mcp', server_label, allowed_tools: [allowed] });

test('every source is closed in the end, however often a session names what the operator gives everybody', () => {
  const { made, catalogue } = sources();
  const { client, session, model } = new SurfaceBench({ tools: catalogue });
  const offered = (): string[] => model.configs.at(-1)?.tools.map(({ name }) => name) ?? [];
  for (const tools of [
    [named('a', 'x')],
    [named('a', 'y')],
    [named('a', 'z'), named('c', 'x')],
    [named('b', 'x')],
    [named('b', 'y')],
    [],
  ]) {
    client.send({ type: 'session.update', session: { type: 'realtime', tools } });
    expect(
      offered()
        .map((name) => name.split('_')[0])
        .sort(),
    ).toEqual([...new Set(['a', 'b', ...tools.map((each) => each.server_label)])]);
  }
  expect(client.events.filter(({ type }) => type === 'error')).toEqual([]);
  session.end('agent_hangup');
  expect(made.filter(({ closed }) => closed === 0)).toEqual([]);
});

test('a source of the operator that nobody names goes on when another one is named, and no more', () => {
  const { made, catalogue } = sources();
  const { client } = new SurfaceBench({ tools: catalogue });
  for (const tools of [[named('a', 'x')], [named('a', 'y')], []])
    client.send({ type: 'session.update', session: { type: 'realtime', tools } });
  expect(made[1]).toEqual({ label: 'b', closed: 0 });
});
