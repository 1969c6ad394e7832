import { type Attribute, attributeOf, attributesOf } from './description.ts';
import { type IceCandidate, parseIceCandidate } from './ice-candidate.ts';

/** A certificate's hash (RFC 8122). */
export interface Fingerprint {
  /** In lower case: `sha-256`. */
  readonly algorithm: string;
  /** Pairs of upper-case hexadecimal digits with colons. */
  readonly value: string;
}

/** RFC 4145, RFC 8842: who is the DTLS client. */
export type Setup = 'actpass' | 'active' | 'passive';

export interface IceDescription {
  readonly ufrag: string;
  readonly pwd: string;
  /** The peer does ICE-lite. */
  readonly lite: boolean;
  readonly options: readonly string[];
  readonly candidates: readonly IceCandidate[];
}

/** Everything below RTP and SCTP: how the two sides find and trust each other. */
export interface TransportDescription {
  readonly ice: IceDescription;
  readonly fingerprints: readonly Fingerprint[];
  /** undefined when the section does not say. */
  readonly setup: Setup | undefined;
}

/** More candidates than any browser gathers; the rest is not looked at. */
const MAX_CANDIDATES = 64;
/** Bytes of the hashes that are taken; SHA-1 and older ones prove nothing any more. */
const HASH_BYTES: Readonly<Record<string, number>> = { 'sha-256': 32, 'sha-384': 48, 'sha-512': 64 };

type Section = { readonly attributes: readonly Attribute[] };

/** The transport of a media section; what it does not say the session says for all. In the fault's words when something is missing. */
export function parseTransport(media: Section, session: Section): TransportDescription | string {
  const either = (name: string) => attributeOf(media, name) ?? attributeOf(session, name);
  const ufrag = either('ice-ufrag');
  const pwd = either('ice-pwd');
  // RFC 8839 §5.4: 4 and 22 characters at least, 256 at most.
  if (!ufrag || !/^[!-~]{4,256}$/.test(ufrag)) return 'no usable ice-ufrag';
  if (!pwd || !/^[!-~]{22,256}$/.test(pwd)) return 'no usable ice-pwd';
  const own = parseFingerprints(media);
  const fingerprints = own.length > 0 ? own : parseFingerprints(session);
  if (fingerprints.length === 0) return 'no usable fingerprint: only DTLS is spoken here';
  const setup = either('setup');
  if (setup !== undefined && setup !== 'actpass' && setup !== 'active' && setup !== 'passive') return 'no usable setup attribute';
  const ice = {
    ufrag: copyOf(ufrag),
    pwd: copyOf(pwd),
    lite: attributeOf(session, 'ice-lite') !== undefined,
    options: [
      ...new Set([session, media].flatMap((section) => attributesOf(section, 'ice-options')).flatMap((value) => value.split(/ +/))),
    ],
    candidates: attributesOf(media, 'candidate')
      .slice(0, MAX_CANDIDATES)
      .flatMap((value) => parseIceCandidate(value) ?? []),
  };
  return { ice, fingerprints, setup };
}

/** The usable fingerprints of a section. */
export function parseFingerprints(section: Section): readonly Fingerprint[] {
  return attributesOf(section, 'fingerprint').flatMap((text) => {
    const [name, value] = text.trim().split(/ +/);
    const algorithm = name?.toLowerCase() ?? '';
    const bytes = HASH_BYTES[algorithm];
    if (bytes === undefined || !value || !/^[0-9a-f]{2}(?::[0-9a-f]{2})*$/i.test(value) || value.length !== 3 * bytes - 1) return [];
    return [{ algorithm, value: copyOf(value.toUpperCase()) }];
  });
}

/** V8 cuts strings without copying: a fingerprint that is kept for a call would keep the whole description, which has 8 kB from a browser. */
function copyOf(ascii: string): string {
  return Buffer.from(ascii, 'latin1').toString('latin1');
}

export interface LocalTransport {
  readonly ufrag: string;
  readonly pwd: string;
  readonly fingerprint: Fingerprint;
  readonly setup: Setup;
}

/** What every accepted media section says of our transport. */
export function transportAttributes({ ufrag, pwd, fingerprint, setup }: LocalTransport): readonly Attribute[] {
  return [
    { name: 'ice-ufrag', value: ufrag },
    { name: 'ice-pwd', value: pwd },
    { name: 'fingerprint', value: `${fingerprint.algorithm} ${fingerprint.value}` },
    { name: 'setup', value: setup },
  ];
}
