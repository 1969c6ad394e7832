import { isIP } from 'node:net';
import type { Endpoint } from '../../base/addresses.ts';
import { SIP_PORT, SIPS_PORT } from './via.ts';

/** A URI as far as the gateway looks into it. User parts stay escaped: they are compared and echoed, never unescaped in between. */
export type Uri =
  | {
      readonly type: 'sip';
      readonly secure: boolean;
      /** With password, escaped; undefined when absent. */
      readonly user: string | undefined;
      /** Lower case; IPv6 addresses with their brackets. */
      readonly host: string;
      readonly port: number | undefined;
      /** Lower-case names; flags have the value ''. */
      readonly parameters: ReadonlyMap<string, string>;
      /** What follows `?`, unread. */
      readonly headers: string | undefined;
    }
  | { readonly type: 'tel'; readonly number: string }
  | { readonly type: 'other'; readonly scheme: string };

const SCHEME = /^([A-Za-z][A-Za-z0-9+.-]{0,63}):/;
const HOST = /^(\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z._-]{1,255})(?::(\d{1,5}))?$/;
const TEL = /^[0-9A-Fa-f*#().+-]+$/;
const NOT_IN_URI = /[^!#-;=?-~\x80-\xff]/;

/** Reads a SIP, SIPS (RFC 3261 §19.1), tel (RFC 3966) or any other URI. Undefined when it is malformed. */
export function parseUri(text: string): Uri | undefined {
  const scheme = SCHEME.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined || text.length === scheme.length + 1 || NOT_IN_URI.test(text)) return undefined;
  const rest = text.slice(scheme.length + 1);
  if (scheme === 'sip' || scheme === 'sips') return parseSipUri(rest, scheme === 'sips');
  if (scheme !== 'tel') return { type: 'other', scheme };
  const semicolon = rest.indexOf(';');
  const number = semicolon === -1 ? rest : rest.slice(0, semicolon);
  return TEL.test(number) ? { type: 'tel', number } : undefined;
}

function parseSipUri(rest: string, secure: boolean): Uri | undefined {
  // The user part may hold ';', '?' and '/', so it is cut off first; '@' itself is always escaped in it.
  const at = rest.indexOf('@');
  const user = at === -1 ? undefined : rest.slice(0, at);
  if (user === '') return undefined;
  let tail = rest.slice(at + 1);
  if (tail.includes('@')) return undefined;
  const question = tail.indexOf('?');
  const headers = question === -1 ? undefined : tail.slice(question + 1);
  if (question !== -1) tail = tail.slice(0, question);
  const [hostPort = '', ...pairs] = tail.split(';');
  const [, host, portText] = HOST.exec(hostPort) ?? [];
  const port = portText === undefined ? undefined : Number(portText);
  if (host === undefined || (port !== undefined && (port === 0 || port > 65_535))) return undefined;
  const parameters = new Map<string, string>();
  for (const pair of pairs) {
    const equals = pair.indexOf('=');
    const name = (equals === -1 ? pair : pair.slice(0, equals)).toLowerCase();
    if (name === '') return undefined;
    parameters.set(name, equals === -1 ? '' : pair.slice(equals + 1));
  }
  return { type: 'sip', secure, user, host: host.toLowerCase(), port, parameters, headers };
}

/** The transport address a SIP URI names without asking anybody; undefined when its host is a name or it is no SIP URI. */
export function literalEndpoint(uri: Uri): Endpoint | undefined {
  if (uri.type !== 'sip') return undefined;
  const host = uri.parameters.get('maddr') ?? uri.host;
  const address = host.startsWith('[') ? host.slice(1, -1) : host;
  return isIP(address) ? { address, port: uri.port ?? (isOverTls(uri) ? SIPS_PORT : SIP_PORT) } : undefined;
}

/** Does it ask for TLS, by its scheme or its transport? */
export function isOverTls(uri: Uri): boolean {
  return uri.type === 'sip' && (uri.secure || uri.parameters.get('transport')?.toLowerCase() === 'tls');
}

/** A host for a URI or a sent-by: IPv6 addresses get brackets. */
export function uriHost(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}
