import { randomText } from '../base/ids.ts';
import { type Attribute, attributeOf, attributesOf, type MediaDescription, type SessionDescription } from './description.ts';
import type { PhoneSecurity, PhoneTermsPolicy } from './phone-terms.ts';
import { CRYPTO_SUITES, type CryptoLine, makeSdesKey, parseCrypto, sameSdesKey, writeCrypto } from './sdes.ts';
import { type Fingerprint, parseFingerprints, type Setup } from './transport.ts';

/** What a transport protocol (m=) says of encryption; undefined for one that is not RTP. */
export type LineKind = 'plain' | 'srtp' | 'dtls';

export function kindOf(protocol: string): LineKind | undefined {
  if (protocol === 'RTP/AVP' || protocol === 'RTP/AVPF') return 'plain';
  if (protocol === 'RTP/SAVP' || protocol === 'RTP/SAVPF') return 'srtp';
  return protocol === 'UDP/TLS/RTP/SAVP' || protocol === 'UDP/TLS/RTP/SAVPF' ? 'dtls' : undefined;
}

/** Lines of a=crypto that are looked at; nobody offers more suites. */
const MAX_CRYPTO_LINES = 16;

/** RFC 8842 §4: 20 characters at least. */
const TLS_ID_CHARACTERS = 24;

/** What a peer's line says of keys. */
interface OfferedKeys {
  readonly fingerprints: readonly Fingerprint[];
  readonly setup: Setup | undefined;
  readonly tlsId: string | undefined;
  readonly crypto: readonly CryptoLine[];
}

function readKeys(media: MediaDescription, session: SessionDescription): OfferedKeys {
  const own = parseFingerprints(media);
  const setup = attributeOf(media, 'setup') ?? attributeOf(session, 'setup');
  const tlsId = attributeOf(media, 'tls-id') ?? attributeOf(session, 'tls-id');
  return {
    fingerprints: own.length > 0 ? own : parseFingerprints(session),
    setup: setup === 'actpass' || setup === 'active' || setup === 'passive' ? setup : undefined,
    tlsId: tlsId !== undefined && /^[A-Za-z0-9+/_-]{20,255}$/.test(tlsId) ? tlsId : undefined,
    crypto: attributesOf(media, 'crypto')
      .slice(0, MAX_CRYPTO_LINES)
      .flatMap((value) => parseCrypto(value) ?? []),
  };
}

/**
 * What we make of the keys of an offered line: DTLS where it is offered, else the first suite of the offerer's that is ours; nothing where both
 * sides are content without.
 * @param previous what protects the dialog so far: a call that has begun encrypted stays so
 * @returns in words why the line cannot be taken
 */
export function answerSecurity(
  media: MediaDescription,
  session: SessionDescription,
  policy: PhoneTermsPolicy,
  previous: PhoneSecurity | undefined,
): PhoneSecurity | undefined | string {
  const kind = kindOf(media.protocol);
  if (policy.srtp === 'off' && kind !== 'plain') return `${media.protocol} is not spoken here, only RTP/AVP`;
  if (policy.srtp === 'off') return undefined;
  const keys = readKeys(media, session);
  const dtls = answerDtls(keys, media, session, policy, previous);
  if (dtls) return dtls;
  if (kind === 'dtls') return policy.fingerprint ? 'no usable fingerprint and setup' : 'DTLS is not spoken here';
  const [line] = keys.crypto;
  if (line && policy.sdes) return answerSdes(line, keys.crypto, previous);
  if (kind === 'srtp') return withoutKeys(media, policy);
  if (previous) return 'the call is encrypted and stays so';
  if (policy.srtp === 'required') return line ? SDES_REFUSED : 'only encrypted media is taken here (srtp: required)';
  return undefined;
}

const SDES_REFUSED = 'keys in signalling that is not encrypted are not taken (sdes-over-plain: refuse); use TLS, or DTLS-SRTP';

function withoutKeys(media: MediaDescription, policy: PhoneTermsPolicy): string {
  const lines = attributesOf(media, 'crypto').length;
  if (lines > 0 && !policy.sdes) return SDES_REFUSED;
  return lines > 0 ? `no crypto line can be used; suites spoken here: ${CRYPTO_SUITES.join(', ')}` : `${media.protocol} without keys`;
}

function answerSdes(first: CryptoLine, lines: readonly CryptoLine[], previous: PhoneSecurity | undefined): PhoneSecurity {
  // The line that protects the call already, where it still stands: nothing changes then, and no packet is lost.
  const before = previous?.type === 'sdes' ? previous : undefined;
  const same = before && lines.find(({ suite, key }) => suite === before.suite && sameSdesKey(key, before.remote));
  const { tag, suite, key: remote } = same ?? first;
  return { type: 'sdes', tag, suite, local: same && before ? before.local : makeSdesKey(suite), remote };
}

function answerDtls(
  { fingerprints, setup, tlsId }: OfferedKeys,
  media: MediaDescription,
  session: SessionDescription,
  policy: PhoneTermsPolicy,
  previous: PhoneSecurity | undefined,
): PhoneSecurity | undefined {
  if (!policy.fingerprint || fingerprints.length === 0) return undefined;
  const before = previous?.type === 'dtls' && isSameAssociation(previous, fingerprints, tlsId) ? previous : undefined;
  const roles = { active: 'server', passive: 'client', actpass: before?.role ?? openRole(media, session, policy) } as const;
  // RFC 4145 §4.1: an offer that says nothing is of somebody who wants to be active.
  const role = roles[setup ?? 'active'];
  return {
    type: 'dtls',
    role,
    remoteFingerprints: fingerprints,
    ...(tlsId === undefined ? {} : { remoteTlsId: tlsId, localTlsId: before?.localTlsId ?? randomText(TLS_ID_CHARACTERS) }),
  };
}

/** Client saves a round trip (RFC 5763 §5), unless our hello might not reach the phone. */
function openRole(media: MediaDescription, session: SessionDescription, { farAddress }: PhoneTermsPolicy): 'client' | 'server' {
  const address = (media.connection ?? session.connection)?.address;
  return farAddress === undefined || farAddress === address ? 'client' : 'server';
}

/** Do these descriptions mean the handshake that was made already (RFC 8842 §3.1)? */
export function isSameAssociation(
  before: Extract<PhoneSecurity, { type: 'dtls' }>,
  fingerprints: readonly Fingerprint[],
  tlsId: string | undefined,
): boolean {
  if (tlsId !== before.remoteTlsId || fingerprints.length !== before.remoteFingerprints.length) return false;
  return fingerprints.every(({ algorithm, value }, index) => {
    const other = before.remoteFingerprints[index];
    return other?.algorithm === algorithm && other.value === value;
  });
}

/** What our line says of what was agreed. */
export function securityAttributes(security: PhoneSecurity | undefined, fingerprint: Fingerprint | undefined): Attribute[] {
  if (!security) return [];
  if (security.type === 'sdes') return [{ name: 'crypto', value: writeCrypto({ ...security, key: security.local }) }];
  if (!fingerprint) return [];
  return dtlsAttributes(fingerprint, security.role === 'client' ? 'active' : 'passive', security.localTlsId);
}

function dtlsAttributes({ algorithm, value }: Fingerprint, setup: Setup, tlsId: string | undefined): Attribute[] {
  return [
    { name: 'fingerprint', value: `${algorithm} ${value}` },
    { name: 'setup', value: setup },
    ...(tlsId === undefined ? [] : [{ name: 'tls-id', value: tlsId }]),
  ];
}

/** The keys of an offer of ours, until its answer says which of them count. */
export interface OfferedSecurity {
  readonly protocol: 'RTP/AVP' | 'RTP/SAVP' | 'UDP/TLS/RTP/SAVP' | 'UDP/TLS/RTP/SAVPF';
  /** Ours, by the tag of its line. */
  readonly crypto: readonly CryptoLine[];
  readonly fingerprint: Fingerprint | undefined;
  readonly tlsId: string | undefined;
  /** An answer without keys ends in a refusal. */
  readonly required: boolean;
}

const NOTHING: OfferedSecurity = { protocol: 'RTP/AVP', crypto: [], fingerprint: undefined, tlsId: undefined, required: false };

/**
 * What we offer: keys in the description where the signalling hides them, best-effort beside plain RTP (RFC 8643) unless encryption is required;
 * where it does not, DTLS, and only when it is required: a trunk without TLS knows neither. In a call that is encrypted, the same again.
 */
export function offerSecurity(policy: PhoneTermsPolicy, previous: PhoneSecurity | undefined): OfferedSecurity | string {
  if (policy.srtp === 'off') return NOTHING;
  const required = policy.srtp === 'required' || previous !== undefined;
  if (previous?.type === 'dtls' || (!policy.sdes && required)) {
    if (!policy.fingerprint) return 'encryption is required, and neither SDES nor DTLS can be offered';
    const tlsId = previous?.type === 'dtls' ? previous.localTlsId : undefined;
    return { ...NOTHING, protocol: 'UDP/TLS/RTP/SAVP', fingerprint: policy.fingerprint, tlsId, required };
  }
  if (!policy.sdes) return NOTHING;
  const crypto =
    previous?.type === 'sdes'
      ? [{ tag: previous.tag, suite: previous.suite, key: previous.local }]
      : CRYPTO_SUITES.map((suite, index) => ({ tag: index + 1, suite, key: makeSdesKey(suite) }));
  return { ...NOTHING, protocol: required ? 'RTP/SAVP' : 'RTP/AVP', crypto, required };
}

/** What a browser is offered: it speaks nothing else (RFC 8827 §6.5). */
export function offerToBrowser(fingerprint: Fingerprint): OfferedSecurity {
  return { ...NOTHING, protocol: 'UDP/TLS/RTP/SAVPF', fingerprint, required: true };
}

/** What the line of an offer says. */
export function offeredAttributes({ crypto, fingerprint, tlsId }: OfferedSecurity): Attribute[] {
  const lines = crypto.map((line) => ({ name: 'crypto', value: writeCrypto(line) }));
  return fingerprint ? [...lines, ...dtlsAttributes(fingerprint, 'actpass', tlsId)] : lines;
}

/** What an answer to our offer agrees to; in words why it is of no use. */
export function readAnsweredSecurity(
  media: MediaDescription,
  session: SessionDescription,
  offered: OfferedSecurity,
): PhoneSecurity | undefined | string {
  const kind = kindOf(media.protocol);
  const keys = readKeys(media, session);
  if (offered.fingerprint && keys.fingerprints.length > 0) {
    // RFC 4145 §4.1: an answer that says nothing is of somebody who waits for us.
    const role = keys.setup === 'active' ? 'server' : 'client';
    const ids = keys.tlsId === undefined ? {} : { remoteTlsId: keys.tlsId };
    const own = offered.tlsId === undefined ? {} : { localTlsId: offered.tlsId };
    return { type: 'dtls', role, remoteFingerprints: keys.fingerprints, ...ids, ...own };
  }
  const pairs = keys.crypto.flatMap((line) => {
    const ours = offered.crypto.find(({ tag, suite }) => tag === line.tag && suite === line.suite);
    return ours ? [{ ours, theirs: line }] : [];
  });
  const [pair] = pairs;
  // RFC 4568 §5.1.3: one line, with the tag and the suite of one of ours.
  if (pair && keys.crypto.length === 1) {
    const { tag, suite, key: remote } = pair.theirs;
    return { type: 'sdes', tag, suite, local: pair.ours.key, remote };
  }
  if (offered.required || kind !== 'plain' || keys.crypto.length > 0) return 'the answer has no keys that fit our offer';
  return undefined;
}
