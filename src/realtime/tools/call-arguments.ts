/** Of the arguments of one call, in characters. */
const MOST_ARGUMENTS = 65_536;

export type CallArguments =
  | { readonly type: 'object'; readonly value: Readonly<Record<string, unknown>> }
  /** @param message for the model, which may try again */
  | { readonly type: 'fault'; readonly message: string };

/** Reads what a model wrote as the arguments of a call. A call without any is one with an empty object. */
export function readArguments(text: string): CallArguments {
  if (text.length > MOST_ARGUMENTS) return { type: 'fault', message: `The arguments have more than ${MOST_ARGUMENTS} characters.` };
  if (text.trim() === '') return { type: 'object', value: {} };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { type: 'fault', message: 'The arguments are not JSON.' };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { type: 'fault', message: 'The arguments are not a JSON object.' };
  }
  return { type: 'object', value: value as Record<string, unknown> };
}
