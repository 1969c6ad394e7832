import { type Faulty, faulty } from './identity-fault.ts';
import type { IdentityHeader } from './identity-header.ts';
import type { Attestation } from './stir.ts';
import { canonicalNumber, canonicalUri, numberOfUri } from './telephone-number.ts';

/** What an INVITE says of itself, for comparison. */
export interface SignedCall {
  /** The URI that the caller's number is taken from: P-Asserted-Identity of a trunk, else From. */
  readonly caller: string;
  /** To, Request-URI. */
  readonly called: readonly string[];
  /** The same numbers in the form that the trunk's rules give them. */
  readonly callerNumber: string;
  readonly calledNumber: string;
  /** Value of Date. */
  readonly date: string | undefined;
}

/** A token that vouches for who calls whom (RFC 8225), unchecked. */
export interface Passport {
  /** What is signed. */
  readonly signed: string;
  /** r and s, 32 octets each (RFC 7518 §3.4). */
  readonly signature: Buffer;
  readonly x5u: string;
  /** Unix seconds. */
  readonly iat: number;
  readonly orig: { readonly tn?: string; readonly uri?: string };
  readonly dest: { readonly tn: readonly string[]; readonly uri: readonly string[] };
  /** Of `shaken` only. */
  readonly attest?: Attestation;
  readonly origid?: string;
}

/** More destinations than a call is signed for. */
const MOST_DESTINATIONS = 100;
const SIGNATURE_BYTES = 64;
/** RFC 8588 §5 wants a UUID; some have other names for their switches. */
const ORIGID = /^[\x21-\x7e]{1,64}$/;
/** A year in seconds has nine digits less; no clock shows more than this. */
const MOST_SECONDS = 1e11;

/** Reads the token of an Identity header. The compact form is filled in from the INVITE (RFC 8224 §4.1), so that a signature over anything else fails. */
export function readPassport(identity: IdentityHeader, call: SignedCall): Passport | Faulty {
  const { alg = 'ES256', ppt, info } = identity;
  if (alg !== 'ES256') return wrong('alg is not ES256');
  if (ppt !== undefined && ppt !== 'shaken') return wrong('ppt is not shaken');
  const signature = Buffer.from(identity.signature, 'base64url');
  if (signature.length !== SIGNATURE_BYTES)
    return wrong(`the signature has ${signature.length} octets, and ES256 makes ${SIGNATURE_BYTES}`);
  if (identity.header === '') {
    return ppt === undefined ? compactPassport(signature, info, call) : wrong('a shaken PASSporT has no compact form (RFC 8588 §6)');
  }
  const header = jsonObject(identity.header);
  const claims = jsonObject(identity.payload);
  if (!header || !claims) return wrong('header or claims are no JSON objects');
  if (header['alg'] !== 'ES256') return wrong('alg of the PASSporT is not ES256');
  if (typeof header['typ'] !== 'string' || header['typ'].toLowerCase() !== 'passport') return wrong('typ is not passport');
  if (header['ppt'] !== ppt) return wrong('ppt of the header and of the PASSporT differ');
  if (header['crit'] !== undefined) return wrong('it has critical extensions');
  if (header['x5u'] !== info) return wrong('x5u and info differ');
  return claimed(claims, { signed: `${identity.header}.${identity.payload}`, signature, x5u: info }, ppt === 'shaken');
}

function claimed(
  claims: Readonly<Record<string, unknown>>,
  token: Pick<Passport, 'signed' | 'signature' | 'x5u'>,
  isShaken: boolean,
): Passport | Faulty {
  const { iat, attest, origid } = claims;
  if (typeof iat !== 'number' || !Number.isSafeInteger(iat) || iat < 0 || iat > MOST_SECONDS) return wrong('iat is no time');
  const orig = asObject(claims['orig']);
  const dest = asObject(claims['dest']);
  if (!orig || !dest) return wrong('orig or dest is missing');
  const { tn, uri } = orig;
  if ((typeof tn === 'string') === (typeof uri === 'string')) return wrong('orig has not one of tn and uri');
  const tns = texts(dest['tn']);
  const uris = texts(dest['uri']);
  if (!tns || !uris || tns.length + uris.length === 0) return wrong('dest has no list of tn or uri');
  const common = {
    ...token,
    iat,
    orig: typeof tn === 'string' ? { tn } : { uri: uri as string },
    dest: { tn: tns, uri: uris },
  };
  if (!isShaken) return common;
  if (typeof tn !== 'string') return wrong('orig of a shaken PASSporT has no tn');
  if (attest !== 'A' && attest !== 'B' && attest !== 'C') return wrong('attest is none of A, B and C');
  if (typeof origid !== 'string' || !ORIGID.test(origid)) return wrong('origid is missing or unreadable');
  return { ...common, attest, origid };
}

/** The members in the order and without the blanks that RFC 8225 §9 wants. */
function compactPassport(signature: Buffer, info: string, call: SignedCall): Passport | Faulty {
  const at = call.date === undefined ? undefined : readSipDate(call.date);
  if (at === undefined) return wrong('the compact form needs a Date header');
  const iat = Math.floor(at / 1000);
  const [to = ''] = call.called;
  const tn = numberOfUri(call.caller);
  const calledTn = numberOfUri(to);
  const orig = tn === undefined ? { uri: canonicalUri(call.caller) ?? '' } : { tn };
  const dest = calledTn === undefined ? { uri: [canonicalUri(to) ?? ''] } : { tn: [calledTn] };
  const header = JSON.stringify({ alg: 'ES256', typ: 'passport', x5u: info });
  const signed = [header, JSON.stringify({ dest, iat, orig })].map((part) => Buffer.from(part).toString('base64url')).join('.');
  return { signed, signature, x5u: info, iat, orig, dest: { tn: dest.tn ?? [], uri: dest.uri ?? [] } };
}

/** Is it fresh (RFC 8224 §6.2.3), and does it speak of this call (§6.2.2 step 3, 4)? @param now Unix milliseconds */
export function claimFault(passport: Passport, call: SignedCall, now: number, maxAgeS: number): Faulty | undefined {
  const age = now / 1000 - passport.iat;
  if (Math.abs(age) > maxAgeS) return faulty('date', 403, `iat is ${ageText(age)}, and ${maxAgeS} s are taken`);
  const date = call.date === undefined ? undefined : readSipDate(call.date);
  if (call.date !== undefined && date === undefined) return faulty('date', 403, 'Date is no date');
  const dateAge = date === undefined ? 0 : (now - date) / 1000;
  if (Math.abs(dateAge) > maxAgeS) return faulty('date', 403, `Date is ${ageText(dateAge)}, and ${maxAgeS} s are taken`);
  const { orig, dest } = passport;
  const caller = candidates([call.caller], call.callerNumber);
  const called = candidates(call.called, call.calledNumber);
  const isCaller = orig.tn === undefined ? caller.uris.has(canonicalUri(orig.uri ?? '') ?? '') : caller.numbers.has(numeric(orig.tn));
  if (!isCaller) return faulty('numbers', 438, `orig ${clip(orig.tn ?? orig.uri ?? '')} is not the caller ${clip(call.callerNumber)}`);
  const isCalled =
    dest.tn.some((tn) => called.numbers.has(numeric(tn))) || dest.uri.some((uri) => called.uris.has(canonicalUri(uri) ?? ''));
  if (isCalled) return undefined;
  return faulty('numbers', 438, `dest ${clip([...dest.tn, ...dest.uri].join(', '))} is not the called ${clip(call.calledNumber)}`);
}

function candidates(
  uris: readonly string[],
  number: string,
): { readonly numbers: ReadonlySet<string>; readonly uris: ReadonlySet<string> } {
  const numbers = [...uris.map(numberOfUri), canonicalNumber(number)].filter((each) => each !== undefined);
  return { numbers: new Set(numbers), uris: new Set(uris.map(canonicalUri).filter((each) => each !== undefined)) };
}

/** What no candidate is when it is no number. */
function numeric(tn: string): string {
  return canonicalNumber(tn) ?? '';
}

function ageText(seconds: number): string {
  return seconds < 0 ? `${Math.round(-seconds)} s ahead` : `${Math.round(seconds)} s old`;
}

const SIP_DATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ?\d{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT$/;

/** Unix milliseconds of a Date header (RFC 3261 §20.17). */
function readSipDate(text: string): number | undefined {
  const plain = text.trim();
  if (!SIP_DATE.test(plain)) return undefined;
  // biome-ignore lint/style/noRestrictedGlobals: reads a time that is given, and no clock
  const at = Date.parse(plain);
  return Number.isNaN(at) ? undefined : at;
}

function jsonObject(base64url: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return asObject(JSON.parse(Buffer.from(base64url, 'base64url').toString('utf8')));
  } catch {
    return undefined;
  }
}

function asObject(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
}

/** Nothing is an empty list. */
function texts(value: unknown): string[] | undefined {
  if (value === undefined) return [];
  const isRight = Array.isArray(value) && value.length <= MOST_DESTINATIONS && value.every((each) => typeof each === 'string');
  return isRight ? (value as string[]) : undefined;
}

const MOST_SHOWN = 64;

function clip(text: string): string {
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text;
}

function wrong(why: string): Faulty {
  return faulty('passport', 438, why);
}
