import { type NameAddress, parseNameAddress } from './embedded/name-address.ts';
import { decodeText, splitElements } from './embedded/text.ts';
import { parseUri } from './embedded/uri.ts';
import type { CallIdentity } from './identity/stir.ts';
import { type NumberRules, rewriteInbound } from './rewrite-number.ts';

/** What of an INVITE is read for people and programs. Values are text as people read it. */
export interface InviteFields {
  readonly from: string;
  readonly to: string;
  readonly requestUri: string;
  readonly headers: readonly { readonly name: string; readonly value: string }[];
}

export interface FactsOptions {
  readonly trunk?: string | undefined;
  readonly user?: string | undefined;
  /** What the user calls as. */
  readonly callerId?: string | undefined;
  readonly numbers?: NumberRules | undefined;
  /** The Request-URI holds our Contact at the registrar: who was dialled stands in To. */
  readonly isRegistered?: boolean;
}

export interface Diversion {
  readonly number: string;
  readonly reason?: string;
}

/** See leg/call-facts.ts, which says the same to other processes. */
export interface InviteFacts {
  readonly trunk?: string;
  readonly user?: string;
  readonly caller: string;
  readonly called: string;
  readonly displayName?: string;
  readonly asserted?: string;
  readonly isPrivate?: boolean;
  readonly originalCalled?: string;
  readonly diversions?: readonly Diversion[];
  readonly userToUser?: { readonly data: string; readonly encoding: 'hex' | 'text'; readonly purpose?: string };
  readonly headers?: readonly { readonly name: string; readonly value: string }[];
  /** Absent where nobody was asked to look. */
  readonly stir?: CallIdentity;
}

const MAX_TEXT = 256;
/** Proxies that send a call on: more is a loop. */
const MAX_DIVERSIONS = 16;
const MAX_HEADERS = 32;
const MAX_NAME = 64;
/** RFC 7433 §4.1 has 128 octets in ISDN, twice as many characters in hexadecimal. */
const MAX_USER_TO_USER = 512;

/** Reads identity, diversion and metadata of an INVITE (RFC 3323, 3325, 5806, 7044, 7433). Malformed fields are left out; nothing throws. */
export function readCallFacts(invite: InviteFields, options: FactsOptions): InviteFacts {
  const { trunk, user, callerId, numbers, isRegistered = false } = options;
  const of = (name: string): string[] => invite.headers.filter((each) => each.name.toLowerCase() === name).map(({ value }) => value);
  const party = (text: string, which: 'caller' | 'called'): string => rewriteInbound(clip(partyOf(text)), which, numbers);
  // Anybody can write it; a trunk has been asked by its address or password who it is (RFC 3325 §5).
  const assertedUri = trunk === undefined ? undefined : assertedIn(invite);
  const asserted = assertedUri === undefined ? undefined : party(assertedUri, 'caller');
  const displayName = clip(unquoted(addresses(of('from'))[0]?.displayName ?? ''));
  const privacy = of('privacy').flatMap((value) => value.toLowerCase().split(/[;,\s]+/));
  const diversions = [...readDiversions(of('diversion')), ...readHistory(of('history-info'))]
    .slice(0, MAX_DIVERSIONS)
    .map(({ number, reason }) => ({
      number: rewriteInbound(number, 'called', numbers),
      ...(reason === undefined ? {} : { reason }),
    }));
  const original = diversions.at(-1)?.number;
  const userToUser = readUserToUser(of('user-to-user')[0]);
  const headers = invite.headers
    .filter(({ name }) => /^x-/i.test(name) && name.length <= MAX_NAME)
    .slice(0, MAX_HEADERS)
    .map(({ name, value }) => ({ name, value: clip(value) }));
  return {
    ...(trunk === undefined ? {} : { trunk }),
    ...(user === undefined ? {} : { user }),
    caller: user === undefined ? (asserted ?? party(invite.from, 'caller')) : (callerId ?? user),
    called: party(isRegistered ? invite.to : invite.requestUri, 'called'),
    ...(displayName === '' ? {} : { displayName }),
    ...(asserted === undefined ? {} : { asserted }),
    ...(privacy.some((each) => ['id', 'user', 'header', 'full'].includes(each)) ? { isPrivate: true } : {}),
    ...(original === undefined ? {} : { originalCalled: original, diversions }),
    ...(userToUser && { userToUser }),
    ...(headers.length > 0 ? { headers } : {}),
  };
}

/** The URI that the caller's number is taken from. @param isTrunk only then P-Asserted-Identity counts */
export function callerUri(invite: Pick<InviteFields, 'from' | 'headers'>, isTrunk: boolean): string {
  return (isTrunk ? assertedIn(invite) : undefined) ?? invite.from;
}

function assertedIn({ headers }: Pick<InviteFields, 'headers'>): string | undefined {
  const values = headers.filter(({ name }) => name.toLowerCase() === 'p-asserted-identity').map(({ value }) => value);
  return addresses(values)[0]?.uri;
}

/** User part of a SIP URI, the number of a tel URI, or the host where nobody is named. */
function partyOf(uri: string): string {
  const parsed = parseUri(uri);
  if (parsed?.type === 'tel') return parsed.number.replaceAll(/[().-]/g, '');
  if (parsed?.type !== 'sip') return uri;
  const [plain = ''] = (parsed.user ?? parsed.host).split(/[:;]/, 1);
  try {
    return decodeURIComponent(plain);
  } catch {
    return plain;
  }
}

function addresses(values: readonly string[]): NameAddress[] {
  return values.flatMap((value) => splitElements(value) ?? []).flatMap((element) => parseNameAddress(element) ?? []);
}

/** RFC 5806: the last diversion stands first. */
function readDiversions(values: readonly string[]): Diversion[] {
  return addresses(values).map(({ uri, parameters }) => {
    const reason = unquoted(parameters.get('reason') ?? '');
    return { number: clip(partyOf(uri)), ...(reason === '' ? {} : { reason: clip(reason) }) };
  });
}

/** RFC 7044: entries in the order in which the call went; the last one is whom it has reached. Here the last diversion stands first. */
function readHistory(values: readonly string[]): Diversion[] {
  const entries = addresses(values);
  return entries
    .slice(0, -1)
    .map(({ uri }, index) => {
      // Why an entry was left stands in the URI of the next one (RFC 7044 §5).
      const cause = /[?&;]cause=(\d{3})/i.exec(entries[index + 1]?.uri ?? '')?.[1] ?? /Reason=[^&]*cause%3D(\d{3})/i.exec(uri)?.[1];
      const reason = cause === undefined ? undefined : (CAUSES[cause] ?? cause);
      return { number: clip(partyOf(uri.split('?')[0] ?? uri)), ...(reason === undefined ? {} : { reason }) };
    })
    .reverse();
}

/** RFC 4458 §2.1, in the words of RFC 5806. */
const CAUSES: Readonly<Record<string, string>> = {
  '302': 'unconditional',
  '404': 'unknown',
  '408': 'no-answer',
  '480': 'deflection',
  '486': 'user-busy',
  '487': 'deflection',
  '503': 'unavailable',
};

/** RFC 7433 §4.1: `56a390f3;encoding=hex;purpose=isdn-uui`. */
function readUserToUser(value: string | undefined): InviteFacts['userToUser'] {
  const [, quoted, plain, rest = ''] = /^\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))\s*(;.*)?$/.exec(value ?? '') ?? [];
  const data = quoted ?? plain;
  if (data === undefined || data.length > MAX_USER_TO_USER) return undefined;
  const encoding = /;\s*encoding\s*=\s*"?([a-z]+)/i.exec(rest)?.[1]?.toLowerCase();
  const purpose = /;\s*purpose\s*=\s*"?([A-Za-z0-9_.-]{1,64})/i.exec(rest)?.[1];
  // Without a word about it, the package of ISDN is meant, which is hexadecimal (§5).
  const isHex = (encoding ?? (quoted === undefined ? 'hex' : 'text')) === 'hex' && /^(?:[0-9a-f]{2})+$/i.test(data);
  return { data, encoding: isHex ? 'hex' : 'text', ...(purpose === undefined ? {} : { purpose }) };
}

function unquoted(text: string): string {
  return text.replace(/^"(.*)"$/, '$1').replaceAll(/\\(.)/g, '$1');
}

function clip(text: string): string {
  return decodeText(text).slice(0, MAX_TEXT);
}
