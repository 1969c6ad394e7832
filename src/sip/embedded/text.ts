// SIP text is kept as latin1 strings, one character a byte, so that what is echoed comes back byte for byte.
// Patterns on wire text are linear: no two unbounded repeats that can match the same characters stand side by side.

/** `token` of RFC 3261 §25.1. */
const TOKEN = /^[!%'*+.0-9A-Z_`a-z~-]+$/;

export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

const SPACE = 0x20;
const TAB = 0x09;

/** Cuts spaces and tabs from both ends. String.trim would also cut 0xA0, which may be the last byte of a UTF-8 letter. */
export function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return start === 0 && end === text.length ? text : text.slice(start, end);
}

export function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

const BEYOND_ASCII = /[\x80-\xff]/;

/** Wire text as people read it: UTF-8 where it is valid. */
export function decodeText(text: string): string {
  return BEYOND_ASCII.test(text) ? Buffer.from(text, 'latin1').toString('utf8') : text;
}

/** Text of ours as wire text. */
export function encodeText(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** Splits a header value at its commas, but not at those in quotes or in <>. Undefined when an element is empty. */
export function splitElements(value: string): string[] | undefined {
  if (!value.includes(',')) return value === '' ? undefined : [value];
  const elements: string[] = [];
  let start = 0;
  let quoted = false;
  let bracketed = false;
  for (let i = 0; i <= value.length; i += 1) {
    const char = i === value.length ? ',' : value[i];
    if (quoted && i < value.length) {
      if (char === '\\') i += 1;
      else if (char === '"') quoted = false;
    } else if (char === '"') quoted = true;
    else if (char === '<') bracketed = true;
    else if (char === '>') bracketed = false;
    else if (char === ',' && (!bracketed || i === value.length)) {
      const element = trimBlanks(value.slice(start, i));
      if (element === '') return undefined;
      elements.push(element);
      start = i + 1;
    }
  }
  return elements;
}
