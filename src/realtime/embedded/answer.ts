import type { FunctionTool, Item, ModelConfig, ResponseRequest } from '../model.ts';

/** What the agent does when a program asks it to respond. */
export type Answer =
  /** Calls one of the program's functions. */
  | { readonly type: 'call'; readonly name: string; readonly arguments: string }
  | { readonly type: 'write'; readonly text: string }
  /** Says what it is. */
  | { readonly type: 'introduce' }
  /** Says back the turn that was committed last. */
  | { readonly type: 'parrot' };

/** Of what somebody wrote, or a tool gave, so much is read back. */
const MOST_READ_BACK = 2000;

/** `call weather {"city":"Ulm"}`: for trying tools without a model. */
const CALL = /^\s*call\s+([a-zA-Z0-9_-]{1,64})\s*([\s\S]*)$/;

export type Settings = Pick<ModelConfig, 'tools' | 'toolChoice' | 'outputModality'>;

/**
 * The agent understands no language: it reads back what it was given, and calls a tool when it is told to in so many words.
 * @param items what was put into the conversation since the last response; @param heard was a turn committed since then?
 */
export function answerTo(request: Pick<ResponseRequest, 'input'>, items: readonly Item[], settings: Settings, heard: boolean): Answer {
  const given = request.input ? request.input.filter((each) => each.type !== 'item_reference') : items;
  const newest = given.findLast((item) => item.type === 'function_call_output' || (item.type === 'message' && item.role === 'user'));
  if (newest?.type === 'function_call_output') return { type: 'write', text: `The tool says: ${newest.output.slice(0, MOST_READ_BACK)}` };
  const text = newest?.type === 'message' ? textOf(newest) : undefined;
  const call = settings.toolChoice === 'none' ? undefined : callOf(text, settings);
  if (call) return call;
  if (newest?.type === 'message') {
    if (newest.content.some(({ type }) => type === 'input_image')) return { type: 'write', text: 'You gave me a picture. I cannot see.' };
    if (text !== undefined && settings.outputModality === 'text') {
      return { type: 'write', text: `I do not understand language. You wrote: ${text.slice(0, MOST_READ_BACK)}` };
    }
    return { type: 'introduce' };
  }
  return heard ? { type: 'parrot' } : { type: 'introduce' };
}

function textOf(item: Extract<Item, { readonly type: 'message' }>): string | undefined {
  const texts = item.content.flatMap((part) => (part.type === 'input_text' ? [part.text] : []));
  return texts.length > 0 ? texts.join('\n') : undefined;
}

function callOf(text: string | undefined, { tools, toolChoice }: Settings): Answer | undefined {
  const [, name, rest = ''] = CALL.exec(text ?? '') ?? [];
  if (name !== undefined) {
    if (!tools.some((tool) => tool.name === name)) return { type: 'write', text: `There is no tool of the name ${name}.${listOf(tools)}` };
    const json = rest.trim() === '' ? '{}' : rest.trim();
    if (!isJsonObject(json)) return { type: 'write', text: `The arguments of ${name} are no JSON object.` };
    return { type: 'call', name, arguments: json };
  }
  // Whoever insists on a call gets one.
  if (typeof toolChoice === 'object') return { type: 'call', name: toolChoice.name, arguments: '{}' };
  const [first] = tools;
  return toolChoice === 'required' && first ? { type: 'call', name: first.name, arguments: '{}' } : undefined;
}

function listOf(tools: readonly FunctionTool[]): string {
  return tools.length === 0 ? ' None is declared.' : ` Declared: ${tools.map(({ name }) => name).join(', ')}.`;
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
