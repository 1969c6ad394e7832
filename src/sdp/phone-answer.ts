import {
  type Attribute,
  attributeOf,
  type MediaDescription,
  parseDescription,
  type SessionDescription,
  writeDescription,
} from './description.ts';
import { answerDirection, directionOf } from './direction.ts';
import {
  agreedAudio,
  audioLine,
  describe,
  type EarlierDescription,
  type LocalMedia,
  type NegotiatedAudio,
  type PhoneAudioFault,
  type ReadAudio,
  readAudio,
  refusedLine,
} from './phone-audio.ts';
import { ANSWERED_CODECS } from './phone-format.ts';
import { agreeIce, ICE_MISMATCH, iceAttributes, readIce } from './phone-ice.ts';
import { answerSecurity, kindOf, securityAttributes } from './phone-security.ts';
import type { PhoneTerms } from './phone-terms.ts';

/** An answer and what it means. Hand it back as `previous` for the next description of the same dialog, whoever offers then. */
export interface PhoneAnswer {
  readonly answer: string;
  readonly media: NegotiatedAudio;
  /** The answer as it was before it was written, for the version of the next one. */
  readonly description: SessionDescription;
}

/** A line that can be taken, and what it comes to. */
interface Taken {
  readonly line: MediaDescription;
  readonly read: ReadAudio;
  readonly terms: PhoneTerms;
  readonly isMismatch: boolean;
}

/**
 * Answers a phone's offer (RFC 3264): the first audio line we can speak is taken, an encrypted one before others, with one codec, telephone
 * events and comfort noise; every other line is refused with port 0, in its place.
 * @param previous our last description in this dialog: its o= line is carried on, one version higher when anything changed
 */
export function answerPhoneOffer(
  offerText: string,
  local: LocalMedia,
  previous?: EarlierDescription,
): PhoneAnswer | { readonly fault: PhoneAudioFault } {
  const offer = parseDescription(offerText);
  if ('fault' in offer) return offer;
  const taken = chooseLine(offer, local, previous?.media);
  if ('reason' in taken) return { fault: taken };
  const { line: offered, read, terms } = taken;
  const media = agreedAudio(read, [], answerDirection(directionOf(offered, offer)), terms);
  const [format] = read.codecs;
  const { telephoneEvent, comfortNoise } = read;
  const line = audioLine(
    {
      formats: [format],
      telephoneEvents: telephoneEvent ? [telephoneEvent] : [],
      comfortNoise,
      direction: media.direction,
      rtcpMux: terms.rtcpMux ?? false,
      transport: transportOf(taken, offer, { ...local, address: read.ownAddress }),
    },
    local,
    offered.protocol,
  );
  const description = describe(
    offer.media.map((each) => (each === offered ? line : refusedLine(each))),
    read.ownAddress,
    previous,
    sessionAttributes(taken, offer),
  );
  return { answer: writeDescription(description), media, description };
}

/** The first line that can be taken, of those with encryption where there are such; when there is none, why the most promising one could not. */
function chooseLine(offer: SessionDescription, local: LocalMedia, previous: PhoneTerms | undefined): Taken | PhoneAudioFault {
  let fault: PhoneAudioFault = { reason: 'no_common_codec', detail: 'no audio is offered' };
  let plain: Taken | undefined;
  for (const media of offer.media) {
    if (media.type !== 'audio' || media.port === 0) continue;
    const taken = takeLine(offer, media, local, previous);
    if ('reason' in taken) {
      // A bad target says more than a codec we lack.
      if (fault.reason !== 'bad_target') fault = taken;
    } else if (taken.terms.security) return taken;
    else plain ??= taken;
  }
  return plain ?? fault;
}

function takeLine(
  offer: SessionDescription,
  media: MediaDescription,
  local: LocalMedia,
  previous: PhoneTerms | undefined,
): Taken | PhoneAudioFault {
  const policy = local.terms ?? { srtp: 'off', sdes: false };
  if (kindOf(media.protocol) === undefined) return notSpoken(`${media.protocol} is not spoken here, only RTP/AVP`);
  const ice = local.terms && readIce(media, offer);
  const viaIce = ice !== undefined && ice !== ICE_MISMATCH;
  const read = readAudio(offer, media, local.codecs ?? ANSWERED_CODECS, local, { isOurOrder: local.codecs !== undefined, viaIce });
  if ('reason' in read) return read;
  const security = answerSecurity(media, offer, policy, previous?.security);
  if (typeof security === 'string') return notSpoken(security);
  const terms: PhoneTerms = {
    ...(security && { security }),
    ...(attributeOf(media, 'rtcp-mux') !== undefined && { rtcpMux: true }),
    ...(viaIce && { ice: agreeIce(ice, previous?.ice) }),
  };
  return { line: media, read, terms, isMismatch: ice === ICE_MISMATCH };
}

function notSpoken(detail: string): PhoneAudioFault {
  return { reason: 'no_common_codec', detail };
}

/** What the line says of the way and of keys. */
function transportOf({ line, terms, isMismatch }: Taken, offer: SessionDescription, local: LocalMedia): Attribute[] {
  const mid = attributeOf(line, 'mid');
  const { address, rtpPort, rtcpPort } = local;
  const at = { address, rtpPort, rtcpPort: terms.rtcpMux ? undefined : rtcpPort };
  return [
    ...(mid !== undefined && groupOf(offer, mid) ? [{ name: 'mid', value: mid }] : []),
    ...(terms.rtcpMux ? [{ name: 'rtcp-mux' }] : []),
    ...(terms.ice ? iceAttributes(terms.ice, at) : []),
    ...(isMismatch ? [{ name: 'ice-mismatch' }] : []),
    ...securityAttributes(terms.security, local.terms?.fingerprint),
  ];
}

/** RFC 8839 §5.3; and a browser's bundle of lines, of which we take one (RFC 9143 §7.3.3). */
function sessionAttributes({ line, terms }: Taken, offer: SessionDescription): Attribute[] {
  const mid = attributeOf(line, 'mid');
  return [
    ...(mid !== undefined && groupOf(offer, mid) ? [{ name: 'group', value: `BUNDLE ${mid}` }] : []),
    ...(terms.ice ? [{ name: 'ice-lite' }] : []),
  ];
}

/** Does the offer put this line into a bundle? */
function groupOf({ attributes }: SessionDescription, mid: string): boolean {
  return attributes.some(({ name, value = '' }) => {
    const [semantics, ...mids] = value.split(' ');
    return name === 'group' && semantics === 'BUNDLE' && mids.includes(mid);
  });
}
