import { readFileSync } from 'node:fs';

/** What the reference's clients know of server events: the fields in the typings of `openai`, and the schemas of `@openai/agents-realtime`. */

interface Shape {
  readonly required: readonly string[];
  readonly known: ReadonlySet<string>;
}

const TYPINGS = new URL('../../../node_modules/openai/resources/realtime/realtime.d.ts', import.meta.url);
const SCHEMAS = new URL('../../../node_modules/@openai/agents-realtime/dist/openaiRealtimeEvents.mjs', import.meta.url);

interface Schema {
  safeParse(value: unknown): { success: boolean; error?: unknown };
}
const agents = (await import(SCHEMAS.href)) as {
  realtimeServerEventSchema: Schema & { options: { shape: { type: { value: string } } }[] };
};
const agentsTypes = new Set(agents.realtimeServerEventSchema.options.map((option) => option.shape.type.value));

/** Fields of every interface that has a literal `type`, read from the typings. */
function readShapes(): Map<string, Shape> {
  const text = readFileSync(TYPINGS, 'utf8').replaceAll(/\/\*\*[\s\S]*?\*\//g, '');
  const shapes = new Map<string, Shape>();
  for (const [, body = ''] of text.matchAll(/interface \w+ \{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}/g)) {
    const type = /\btype: '([\w.]+)';/.exec(body)?.[1];
    if (!type?.includes('.') && type !== 'error') continue;
    const fields = [...body.matchAll(/^\s*(\w+)(\??):/gm)];
    shapes.set(type, {
      required: fields.filter(([, , optional]) => optional === '').map(([, name = '']) => name),
      known: new Set(fields.map(([, name = '']) => name)),
    });
  }
  return shapes;
}

const shapes = readShapes();

/** Our own events, which the reference has none of. */
const EXTENSIONS = /^(call|turn|barge_in)\.|^conversation\.item\.heard$/;

/** What is wrong with a server event, in the eyes of the reference's clients. */
export function faultsOf(event: Record<string, unknown>): string[] {
  const type = String(event['type']);
  if (EXTENSIONS.test(type)) return [];
  const shape = shapes.get(type);
  if (!shape) return [`${type}: not in the typings of openai`];
  const faults = [
    ...shape.required.filter((field) => event[field] === undefined).map((field) => `${type}: ${field} is missing`),
    ...Object.keys(event)
      .filter((field) => !shape.known.has(field))
      .map((field) => `${type}: ${field} is unknown`),
  ];
  if (agentsTypes.has(type) && !isImageItem(event)) {
    const parsed = agents.realtimeServerEventSchema.safeParse(event);
    if (!parsed.success) faults.push(`${type}: ${JSON.stringify(parsed.error)}`);
  }
  return faults;
}

/** The package has no schema for pictures, which the reference's own events hold too. */
function isImageItem(event: Record<string, unknown>): boolean {
  return JSON.stringify(event['item'] ?? null).includes('input_image');
}
