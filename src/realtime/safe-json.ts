/** Deeper than any schema of a tool; recursion over it is no danger to the stack. */
const MOST_DEPTH = 64;

/** Objects and arrays in one event: a schema of 128 tools has fewer. */
const MOST_CONTAINERS = 20_000;

/**
 * The value of a JSON text; undefined when it is none, or nested so deeply, or made of so many parts, that handling it would cost more than it is
 * worth. Looks at the text before it is parsed. Keys that could touch a prototype (`__proto__`) are left out.
 */
export function parseJson(text: string): unknown {
  if (!isBounded(text)) return undefined;
  try {
    return text.includes('__proto__') || text.includes('\\u') ? JSON.parse(text, dropPrototype) : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function dropPrototype(key: string, value: unknown): unknown {
  return key === '__proto__' ? undefined : value;
}

/** Counts brackets outside of strings, and goes over long strings (audio) by search and not by character. */
function isBounded(text: string): boolean {
  let depth = 0;
  let containers = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22: // a string: to its end
        at = stringEnd(text, at);
        if (at < 0) return false;
        break;
      case 0x5b:
      case 0x7b:
        depth += 1;
        containers += 1;
        if (depth > MOST_DEPTH || containers > MOST_CONTAINERS) return false;
        break;
      case 0x5d:
      case 0x7d:
        depth -= 1;
        break;
      default:
    }
  }
  return true;
}

function stringEnd(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let escapes = 0;
    while (text.charCodeAt(at - 1 - escapes) === 0x5c) escapes += 1;
    if (escapes % 2 === 0) return at;
  }
  return -1;
}

/** Is the value no deeper than an event may be? For values that did not come through parseJson. */
export function isShallow(value: unknown, depth = 0): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (depth >= MOST_DEPTH) return false;
  return Object.values(value).every((each) => isShallow(each, depth + 1));
}
