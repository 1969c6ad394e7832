import { GatewayError } from '../base/errors.ts';
import { attributeOf, type MediaDescription, parseDescription, type SessionDescription, writeDescription } from './description.ts';
import { answerDirection, type Direction, directionOf } from './direction.ts';
import {
  agreedAudio,
  audioLine,
  describe,
  type EarlierDescription,
  type LocalMedia,
  type NegotiatedAudio,
  type PhoneAudioFault,
  readAudio,
  refusedLine,
  type TelephoneEvent,
} from './phone-audio.ts';
import { clockRateOf, PHONE_CODECS, type PhoneCodecName, type PhoneFormat, staticFormat } from './phone-format.ts';
import { iceAttributes, offeredIce, readIce } from './phone-ice.ts';
import { kindOf, type OfferedSecurity, offeredAttributes, offerSecurity, offerToBrowser, readAnsweredSecurity } from './phone-security.ts';
import type { PhoneIce } from './phone-terms.ts';
import type { Fingerprint } from './transport.ts';

/** An offer of ours. Its answer is read with it; it is also the `previous` of the dialog's next description. */
export interface PhoneOffer {
  readonly offer: string;
  readonly description: SessionDescription;
  readonly local: LocalMedia;
  readonly formats: readonly PhoneFormat[];
  readonly direction: Direction;
  readonly security: OfferedSecurity;
  readonly ice: PhoneIce | undefined;
}

export interface PhoneOfferOptions {
  /** `sendrecv` when absent; `sendonly` or `inactive` puts the phone on hold. */
  readonly direction?: Direction;
  /** Our last description in this dialog: its lines are kept, its o= line carried on. */
  readonly previous?: EarlierDescription;
  /** What was agreed before: it alone is offered then, under its numbers, so that hold and resume change no codec. */
  readonly current?: NegotiatedAudio;
}

/** By the clock of the audio beside them (RFC 4733 §2.1); 101 is what nearly every phone calls telephone events. */
const TELEPHONE_EVENTS: readonly TelephoneEvent[] = [
  { payloadType: 101, clockRateHz: 8000 },
  { payloadType: 102, clockRateHz: 48_000 },
  { payloadType: 103, clockRateHz: 16_000 },
];

/**
 * An offer of one audio line with telephone events, for a call that we place, for an INVITE that came without an offer, and for
 * holding and resuming a call (RFC 3264 §5, §8.4).
 * @throws GatewayError ERR_BAD_OFFER when encryption is required and there is nothing to offer it with
 */
export function offerPhone(local: LocalMedia, { direction = 'sendrecv', previous, current }: PhoneOfferOptions = {}): PhoneOffer {
  const security = offerSecurity(local.terms ?? { srtp: 'off', sdes: false }, previous?.media?.security);
  if (typeof security === 'string') throw new GatewayError('ERR_BAD_OFFER', security);
  const ice = previous?.media?.ice;
  const formats = current
    ? [{ codec: current.codec, payloadType: current.payloadType }, ...current.alternatives]
    : (local.codecs ?? PHONE_CODECS).map(staticFormat);
  const transport = [{ name: 'rtcp-mux' }, ...(ice ? iceAttributes(ice, local) : []), ...offeredAttributes(security)];
  const line = audioLine(
    { formats, telephoneEvents: eventsOf(formats, current), comfortNoise: current?.comfortNoisePayloadType, direction, transport },
    local,
    protocolOf(previous, security),
  );
  const description = describe(inPlace(line, previous), local.address, previous, ice ? [{ name: 'ice-lite' }] : []);
  return { offer: writeDescription(description), description, local, formats, direction, security, ice };
}

/** What a browser speaks of ours, the best first. */
const BROWSER_CODECS: readonly PhoneCodecName[] = ['opus', 'PCMU', 'PCMA'];

/** Of the one line there is. */
const BROWSER_MID = '0';

/** The first offer to a browser, whose media comes to the ports of a phone: DTLS-SRTP, ICE-lite, RTCP by the same port (RFC 8829, RFC 8834). */
export function offerBrowser(local: LocalMedia, fingerprint: Fingerprint): PhoneOffer {
  const security = offerToBrowser(fingerprint);
  const ice = offeredIce();
  const formats = BROWSER_CODECS.map(staticFormat);
  const transport = [
    { name: 'mid', value: BROWSER_MID },
    { name: 'rtcp-mux' },
    ...iceAttributes(ice, { ...local, rtcpPort: undefined }),
    ...offeredAttributes(security),
  ];
  const audio = {
    formats,
    telephoneEvents: eventsOf(formats, undefined),
    comfortNoise: undefined,
    direction: 'sendrecv',
    rtcpMux: true,
  } as const;
  const line = audioLine({ ...audio, transport }, local, security.protocol);
  const session = [{ name: 'group', value: `BUNDLE ${BROWSER_MID}` }, { name: 'ice-lite' }];
  const description = describe([line], local.address, undefined, session);
  return { offer: writeDescription(description), description, local, formats, direction: 'sendrecv', security, ice };
}

/** One for each clock of the formats; none when none was agreed on. */
function eventsOf(formats: readonly PhoneFormat[], current: NegotiatedAudio | undefined): readonly TelephoneEvent[] {
  if (current) {
    const { telephoneEventPayloadType: payloadType, telephoneEventRateHz: clockRateHz = 8000 } = current;
    return payloadType === undefined ? [] : [{ payloadType, clockRateHz }];
  }
  const clocks = new Set(formats.map(({ codec }) => clockRateOf(codec)));
  return TELEPHONE_EVENTS.filter(({ clockRateHz }) => clocks.has(clockRateHz));
}

/** RFC 3264 §8: no line of a dialog ever goes away; what was refused stays refused. */
function inPlace(line: MediaDescription, previous: EarlierDescription | undefined): readonly MediaDescription[] {
  const live = previous && liveLine(previous.description);
  if (!previous || live === undefined) return [line];
  return previous.description.media.map((each, index) => (index === live ? line : refusedLine(each)));
}

function liveLine({ media }: SessionDescription): number | undefined {
  const index = media.findIndex(({ type, port }) => type === 'audio' && port !== 0);
  return index < 0 ? undefined : index;
}

/** The one of the dialog, as long as it says the same of encryption. */
function protocolOf(previous: EarlierDescription | undefined, { protocol }: OfferedSecurity): string {
  const live = previous && liveLine(previous.description);
  const before = live === undefined ? undefined : previous?.description.media[live]?.protocol;
  return before !== undefined && (previous?.media?.security || kindOf(before) === kindOf(protocol)) ? before : protocol;
}

/** Reads the phone's answer to an offer of ours. */
export function readPhoneAnswer(
  answerText: string,
  offer: PhoneOffer,
): { readonly media: NegotiatedAudio } | { readonly fault: PhoneAudioFault } {
  const answer = parseDescription(answerText);
  if ('fault' in answer) return answer;
  const index = liveLine(offer.description) ?? 0;
  const media = answer.media[index];
  if (media?.type !== 'audio') return { fault: { reason: 'malformed', detail: 'the answer has no line for the audio' } };
  if (media.port === 0) return { fault: { reason: 'no_common_codec', detail: 'the audio is refused' } };
  const codecs = offer.formats.map(({ codec }) => codec);
  const remoteIce = offer.ice && readIce(media, answer);
  const ice = offer.ice && typeof remoteIce === 'object' ? { local: offer.ice.local, remote: remoteIce } : undefined;
  const read = readAudio(answer, media, codecs, offer.local, { viaIce: ice !== undefined });
  if ('reason' in read) return { fault: read };
  const security = readAnsweredSecurity(media, answer, offer.security);
  if (typeof security === 'string') return { fault: { reason: 'no_common_codec', detail: security } };
  const [first, ...others] = read.codecs;
  // The phone may change between those that the same coders do for.
  const alternatives = others.filter(({ codec }) => clockRateOf(codec) === clockRateOf(first.codec) && first.codec !== 'opus');
  const direction = agreedDirection(offer.direction, answerDirection(directionOf(media, answer)));
  const terms = {
    ...(security && { security }),
    ...(attributeOf(media, 'rtcp-mux') !== undefined && { rtcpMux: true }),
    ...(ice && { ice }),
  };
  return { media: agreedAudio(read, alternatives, direction, terms) };
}

/** What both want: an answer may only take away (RFC 3264 §6.1), and one that adds is read as if it had not. */
function agreedDirection(offered: Direction, answered: Direction): Direction {
  const sends = isSending(offered) && isSending(answered);
  const receives = isReceiving(offered) && isReceiving(answered);
  if (sends) return receives ? 'sendrecv' : 'sendonly';
  return receives ? 'recvonly' : 'inactive';
}

function isSending(direction: Direction): boolean {
  return direction === 'sendrecv' || direction === 'sendonly';
}

function isReceiving(direction: Direction): boolean {
  return direction === 'sendrecv' || direction === 'recvonly';
}
