/** A message of a server as far as it was understood: an object with a type. Fields are read with the functions below, never trusted. */
export interface ServerEvent {
  readonly type: string;
  readonly fields: Fields;
}

export type Fields = Readonly<Record<string, unknown>>;

/** Why a message was not understood; the label of a metric. */
export type MessageFault = 'binary' | 'not_json' | 'too_complex' | 'no_type';

/** A message up to this size is parsed without a look: the worst of it costs 6 ms. */
const UNSEEN_CHARS = 65_536;

/** Larger ones are audio, an image or a long text: few objects (8 MB of brackets would take a second and 200 MB). */
const MOST_BRACKETS = 10_000;
const MOST_COMMAS = 100_000;

/** The preview's names, and those that servers in between use, for the reference's. */
const ALIASES = new Map([
  ['response.audio.delta', 'response.output_audio.delta'],
  ['response.audio.done', 'response.output_audio.done'],
  ['response.audio_transcript.delta', 'response.output_audio_transcript.delta'],
  ['response.audio_transcript.done', 'response.output_audio_transcript.done'],
  ['response.text.delta', 'response.output_text.delta'],
  ['response.text.done', 'response.output_text.done'],
  ['conversation.item.created', 'conversation.item.added'],
]);

/** Reads a message. @param names a profile's own names of events, for the reference's */
export function readServerEvent(message: string, names: Readonly<Record<string, string>>): ServerEvent | { readonly fault: MessageFault } {
  if (message.length > UNSEEN_CHARS && isComplex(message)) return { fault: 'too_complex' };
  let parsed: unknown;
  try {
    parsed = JSON.parse(message);
  } catch {
    return { fault: 'not_json' };
  }
  const fields = asFields(parsed);
  const type = fields && textOf(fields, 'type');
  if (!fields || type === undefined) return { fault: 'no_type' };
  const renamed = Object.hasOwn(names, type) ? names[type] : undefined;
  return { type: renamed ?? ALIASES.get(type) ?? type, fields };
}

function isComplex(message: string): boolean {
  let brackets = 0;
  let commas = 0;
  for (let n = 0; n < message.length; n++) {
    const code = message.charCodeAt(n);
    if (code === 0x5b || code === 0x7b) brackets += 1;
    else if (code === 0x2c) commas += 1;
  }
  return brackets > MOST_BRACKETS || commas > MOST_COMMAS;
}

function asFields(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

function own(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

export function textOf(fields: Fields, name: string): string | undefined {
  const value = own(fields, name);
  return typeof value === 'string' ? value : undefined;
}

/** An id: text that is neither empty nor longer than any server's ids are. */
export function idOf(fields: Fields, name: string): string | undefined {
  const value = textOf(fields, name);
  return value !== undefined && value.length > 0 && value.length <= 256 ? value : undefined;
}

/** A finite number that is not negative. */
export function numberOf(fields: Fields, name: string): number | undefined {
  const value = own(fields, name);
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;
}

export function objectOf(fields: Fields, name: string): Fields | undefined {
  return asFields(own(fields, name));
}

/** The objects of a list, at most `most`. */
export function objectsOf(fields: Fields, name: string, most: number): readonly Fields[] {
  const value = own(fields, name);
  if (!Array.isArray(value)) return [];
  return value
    .slice(0, most)
    .map(asFields)
    .filter((each) => each !== undefined);
}
