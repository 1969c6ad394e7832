import { parseNameAddress } from './name-address.ts';

/** Whom a REFER names (RFC 3515 §2.1). */
export interface ReferTo {
  /** Without headers. */
  readonly uri: string;
  /** Value of the Replaces among its headers, unescaped. */
  readonly replaces: string | undefined;
}

const MAX_CHARACTERS = 2048;

/** Undefined when it is malformed, or asks for a method other than INVITE. */
export function readReferTo(value: string): ReferTo | undefined {
  const uri = value.length > MAX_CHARACTERS ? undefined : parseNameAddress(value)?.uri;
  if (uri === undefined || /;method=(?!INVITE(?:[;?]|$))/i.test(uri)) return undefined;
  const question = uri.indexOf('?');
  const bare = (question === -1 ? uri : uri.slice(0, question)).replace(/;method=INVITE/i, '');
  if (question === -1) return { uri: bare, replaces: undefined };
  const header = uri
    .slice(question + 1)
    .split('&')
    .find((each) => /^replaces=/i.test(each));
  if (header === undefined) return { uri: bare, replaces: undefined };
  const replaces = plainText(header.slice('replaces='.length));
  return replaces === undefined ? undefined : { uri: bare, replaces };
}

/** A URI that stands for taking the place of a call (RFC 3891 §3, RFC 5589 §7). */
export function withReplaces(uri: string, replaces: string): string {
  return `${uri}?Replaces=${encodeURIComponent(replaces)}`;
}

function plainText(text: string): string | undefined {
  try {
    const plain = decodeURIComponent(text);
    return /[\r\n\0]/.test(plain) ? undefined : plain;
  } catch {
    return undefined;
  }
}
