import type { SessionSettings } from './session-schema.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Objects that an update replaces as a whole; the rest is merged field by field. */
const WHOLE: ReadonlySet<string> = new Set([
  'tools',
  'tool_choice',
  'prompt',
  'tracing',
  'truncation',
  'include',
  'format',
  'voice',
  'output_modalities',
]);

/** What a session is after an update: fields that are absent stay as they were. Both of the same type. */
export function mergeSession(base: SessionSettings, update: SessionSettings): SessionSettings {
  return merge(base, update) as unknown as SessionSettings;
}

function merge(base: Fields, update: Fields): Fields {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(update)) {
    if (value === undefined) continue;
    const before = merged[key];
    merged[key] = !WHOLE.has(key) && isFields(before) && isFields(value) && isSameKind(before, value) ? merge(before, value) : value;
  }
  return merged;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Settings of one kind of turn detection mean nothing to another. */
function isSameKind(before: Fields, after: Fields): boolean {
  return after['type'] === undefined || before['type'] === after['type'];
}
