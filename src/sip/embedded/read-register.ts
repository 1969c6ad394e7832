import type { BindingAsk } from '../bindings.ts';
import type { IncomingRequest } from './incoming-request.ts';
import { bad, type Fault } from './message.ts';
import { type NameAddress, parseNameAddress } from './name-address.ts';
import { parseUri } from './uri.ts';

/** What a REGISTER asks for (RFC 3261 §10.2). */
export interface ReadRegister {
  /** User part of To: whose bindings. */
  readonly user: string;
  /** None: the bindings are only asked for. */
  readonly contacts: readonly BindingAsk[] | '*';
  readonly path: readonly string[];
  /** The phone knows RFC 5626. */
  readonly outbound: boolean;
}

/** More in one request than any user may have. */
const MAX_CONTACTS = 20;
const MAX_URI = 512;
/** Proxies before us. */
const MAX_PATH = 8;
/** An hour, as RFC 3261 §10.2 has it where nothing is said. */
const DEFAULT_EXPIRES_S = 3600;
const MAX_INSTANCE = 128;

/** Reads the parts of a REGISTER that say what is to become of bindings. */
export function readRegister({ message, to, hops }: IncomingRequest): ReadRegister | Fault {
  const { headers } = message;
  const aor = parseUri(to.uri);
  if (aor?.type !== 'sip' || aor.user === undefined) return bad('To');
  const target = parseUri(message.uri);
  if (target?.type !== 'sip' || target.user !== undefined) return bad('Request-URI'); // §10.2: no user part
  const values = headers.all('contact');
  const common = readSeconds(headers.first('expires')) ?? DEFAULT_EXPIRES_S;
  const path = headers.elements('path');
  if (!path || path.length > MAX_PATH || !path.every((each) => parseUri(parseNameAddress(each)?.uri ?? '')?.type === 'sip'))
    return bad('Path');
  const outbound = (headers.elements('supported') ?? []).some((each) => each.toLowerCase() === 'outbound') && hops === 1;
  const user = decodeUser(aor.user);
  if (values.includes('*')) {
    // §10.2.2: only to take all away, and alone.
    if (values.length > 1 || readSeconds(headers.first('expires')) !== 0) return bad('Contact');
    return { user, contacts: '*', path, outbound };
  }
  const elements = headers.elements('contact');
  if (!elements || elements.length > MAX_CONTACTS) return bad('Contact');
  const contacts: BindingAsk[] = [];
  for (const element of elements) {
    const address = parseNameAddress(element);
    const uri = address && parseUri(address.uri);
    if (!address || uri?.type !== 'sip' || uri.headers !== undefined || address.uri.length > MAX_URI) return bad('Contact');
    contacts.push(readContact(address, common));
  }
  return { user, contacts, path, outbound };
}

function readContact({ uri, parameters }: NameAddress, common: number): BindingAsk {
  const expiresS = readSeconds(parameters.get('expires')) ?? common;
  const q = /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(parameters.get('q') ?? '') ? Number(parameters.get('q')) : 1;
  const instance = /^"<([^<>"\\]{1,128})>"$/.exec(parameters.get('+sip.instance') ?? '')?.[1]?.slice(0, MAX_INSTANCE);
  const regId = /^\d{1,9}$/.test(parameters.get('reg-id') ?? '') ? Number(parameters.get('reg-id')) : undefined;
  return { uri, q, expiresS, ...(instance === undefined ? {} : { instance }), ...(regId === undefined ? {} : { regId }) };
}

/** Delta-seconds (RFC 3261 §20.19); a number that is too large is the largest, anything else is nothing. */
function readSeconds(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,20}$/.test(text)) return undefined;
  return Math.min(Number(text), 2 ** 31);
}

/** Without its password and parameters, escapes undone where they are some. */
function decodeUser(user: string): string {
  const [plain = ''] = user.split(/[:;]/, 1);
  try {
    return decodeURIComponent(plain);
  } catch {
    return plain;
  }
}
