import { type Parameters, parseParameters } from './parameters.ts';
import { isBlank, trimBlanks } from './text.ts';

/** A value of From, To, Contact, Route …: a URI with what stands around it (RFC 3261 §20.10). */
export interface NameAddress {
  /** As written, without its quotes; '' when absent. */
  readonly displayName: string;
  readonly uri: string;
  /** Parameters of the header, not of the URI. */
  readonly parameters: Parameters;
}

const URI = /^[A-Za-z][A-Za-z0-9+.-]{0,63}:[!#-;=?-~\x80-\xff]+$/;
/** Without <> a URI may hold neither of these: they would be read as the header's (RFC 3261 §20). */
const BARE_URI = /^[A-Za-z][A-Za-z0-9+.-]{0,63}:[!#-+\-.-:=@-~\x80-\xff]+$/;
/** Tokens and blanks (RFC 3261 §25.1); UTF-8 without quotes is tolerated, since real phones send it. */
const PLAIN_NAME = /^[!%'*+.0-9A-Z_`a-z~\x80-\xff \t-]*$/;

/** Reads one `name-addr` or `addr-spec` with parameters. Undefined when it is malformed. */
export function parseNameAddress(text: string): NameAddress | undefined {
  if (text.startsWith('"')) return parseQuoted(text);
  const open = text.indexOf('<');
  if (open !== -1) {
    const displayName = trimBlanks(text.slice(0, open));
    return PLAIN_NAME.test(displayName) ? parseBracketed(text, open, displayName) : undefined;
  }
  const semicolon = text.indexOf(';');
  const uri = trimBlanks(semicolon === -1 ? text : text.slice(0, semicolon));
  if (!BARE_URI.test(uri)) return undefined;
  const parameters = parseParameters(text, semicolon === -1 ? text.length : semicolon);
  return parameters && { displayName: '', uri, parameters };
}

function parseQuoted(text: string): NameAddress | undefined {
  let close = 1;
  while (close < text.length && text[close] !== '"') close += text[close] === '\\' ? 2 : 1;
  let open = close + 1;
  while (isBlank(text.charCodeAt(open))) open += 1;
  return text[open] === '<' ? parseBracketed(text, open, text.slice(1, close)) : undefined;
}

function parseBracketed(text: string, open: number, displayName: string): NameAddress | undefined {
  const close = text.indexOf('>', open);
  if (close === -1) return undefined;
  const uri = text.slice(open + 1, close);
  if (!URI.test(uri)) return undefined;
  const parameters = parseParameters(text, close + 1);
  return parameters && { displayName, uri, parameters };
}
