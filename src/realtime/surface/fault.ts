import type { z } from 'zod';

/** What is wrong with something a client sent, in the reference's words. */
export interface Fault {
  readonly message: string;
  readonly code: string;
  /** Path of the parameter: `session.audio.input.turn_detection.threshold`, `item.content[0].text`. */
  readonly param?: string | undefined;
  /** Default `invalid_request_error`. */
  readonly type?: string | undefined;
}

type Issue = z.core.$ZodIssue;

/** Long keys and values of a client are not sent back whole. */
const MOST_NAME = 64;

/** The first issue of a check as the reference would tell it. `prefix` names what was checked; empty for an event. */
export function faultOf(error: z.ZodError, prefix: string): Fault & { readonly param: string } {
  const [issue, path] = deepest(error.issues[0], []);
  const param = pathText(prefix, path);
  if (!issue) return { message: 'Invalid value.', code: 'invalid_value', param };
  switch (issue.code) {
    case 'unrecognized_keys': {
      const unknown = pathText(param, [issue.keys[0] ?? '']);
      return { message: `Unknown parameter: '${unknown}'.`, code: 'unknown_parameter', param: unknown };
    }
    case 'invalid_type':
      if (issue.input === undefined && issue.message.endsWith('received undefined')) {
        return { message: `Missing required parameter: '${param}'.`, code: 'missing_required_parameter', param };
      }
      return { message: `Invalid type for '${param}': expected ${issue.expected}.`, code: 'invalid_type', param };
    case 'invalid_value':
      return {
        message: `Invalid value for '${param}': expected one of ${issue.values.map(String).join(', ')}.`,
        code: 'invalid_value',
        param,
      };
    case 'too_small':
      return {
        message: `Invalid value for '${param}': expected at least ${issue.minimum}${found(issue.input)}.`,
        code: tooSmallCode(issue.origin),
        param,
      };
    case 'too_big':
      return {
        message: `Invalid value for '${param}': expected at most ${issue.maximum}${found(issue.input)}.`,
        code: tooBigCode(issue.origin),
        param,
      };
    case 'invalid_union':
      return unionFault(issue, param);
    case 'custom':
      return { message: issue.message, code: String(issue.params?.['code'] ?? 'invalid_value'), param };
    default:
      return { message: `Invalid value for '${param}'.`, code: 'invalid_value', param };
  }
}

/** A number is told back; a text may be long, or a secret. */
function found(input: unknown): string {
  return typeof input === 'number' ? `, found ${input}` : '';
}

/** The discriminator is missing, or names nothing that there is. */
function unionFault(issue: Issue, param: string): Fault & { readonly param: string } {
  const { input, path } = issue;
  const key = path.at(-1);
  const holder = typeof input === 'object' && input !== null ? (input as Record<PropertyKey, unknown>) : undefined;
  if (holder && key !== undefined && 'discriminator' in issue && holder[key] === undefined) {
    return { message: `Missing required parameter: '${param}'.`, code: 'missing_required_parameter', param };
  }
  return { message: `Invalid value for '${param}'.`, code: 'invalid_value', param };
}

function tooSmallCode(origin: string): string {
  if (origin === 'string') return 'string_below_min_length';
  return origin === 'array' ? 'array_below_min_length' : 'integer_below_min_value';
}

function tooBigCode(origin: string): string {
  if (origin === 'string') return 'string_above_max_length';
  return origin === 'array' ? 'array_above_max_length' : 'integer_above_max_value';
}

/** A union says everything that failed; the branch that came farthest says what was meant. */
function deepest(issue: Issue | undefined, base: readonly PropertyKey[]): [Issue | undefined, readonly PropertyKey[]] {
  if (!issue) return [undefined, base];
  const path = [...base, ...issue.path];
  if (issue.code !== 'invalid_union') return [issue, path];
  let best: [Issue | undefined, readonly PropertyKey[]] = [issue, path];
  let depth = -1;
  for (const branch of issue.errors) {
    const [found, at] = deepest(branch[0], path);
    const reached = at.length - path.length + (found?.code === 'invalid_type' && at.length === path.length ? -1 : 0);
    if (!found || reached <= depth) continue;
    best = [found, at];
    depth = reached;
  }
  // A discriminator that names no branch is a wrong value, and stands in the path of the issue itself.
  return best;
}

function pathText(prefix: string, path: readonly PropertyKey[]): string {
  let text = prefix;
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += `${text === '' ? '' : '.'}${String(part).slice(0, MOST_NAME)}`;
  }
  return text;
}
