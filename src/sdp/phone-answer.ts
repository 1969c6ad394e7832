import { isIPv6 } from 'node:net';
import { canonicalAddress, type Endpoint, isMediaTarget } from '../base/addresses.ts';
import { randomUint32 } from '../base/ids.ts';
import {
  type Attribute,
  attributeOf,
  type Connection,
  type MediaDescription,
  parseDescription,
  type SessionDescription,
  writeDescription,
} from './description.ts';
import { answerDirection, type Direction, directionOf } from './direction.ts';
import { codecsOf, type MappedCodec, packetTimeOf } from './rtp-map.ts';

export type PhoneCodec = 'PCMU' | 'PCMA';

/** Our side of the media: what the answer names. */
export interface LocalMedia {
  /** A literal address the phone can reach. */
  readonly address: string;
  /** The same for media of another family than `address`; undefined for an address that is not reached from here. */
  readonly addressTowards?: (remote: string) => string | undefined;
  readonly rtpPort: number;
  readonly rtcpPort: number;
  /** What may be agreed on; both laws when absent. The offerer's order decides between them. */
  readonly codecs?: readonly PhoneCodec[];
}

/** What was agreed. */
export interface NegotiatedAudio {
  readonly codec: PhoneCodec;
  readonly payloadType: number;
  /** Of telephone-event/8000, when the phone offers it. */
  readonly telephoneEventPayloadType?: number;
  /** Where the phone wants its media. 0.0.0.0 or :: while it holds the call: send nothing then, and `direction` says so. */
  readonly remote: Endpoint;
  readonly remoteRtcp: Endpoint;
  /** Ours, as in the answer: `recvonly` and `inactive` mean that we are on hold. */
  readonly direction: Direction;
  /** The packets the phone would like; 20 when it does not say. */
  readonly ptimeMs: number;
}

/** An answer and what it means. Hand it back as `previous` for the next offer of the same dialog. */
export interface PhoneAnswer {
  readonly answer: string;
  readonly media: NegotiatedAudio;
  /** The answer as it was before it was written, for the version of the next one. */
  readonly description: SessionDescription;
}

export interface PhoneAnswerFault {
  readonly reason: /** Not a session description: 400. */
    | 'malformed'
    /** Nothing that we speak, or only encrypted: 488 with a Warning. */
    | 'no_common_codec'
    /** An address where media must not be sent: 488. */
    | 'bad_target';
  /** For people and for the Warning header. */
  readonly detail: string;
}

/** The packets we send and like to get. */
const PTIME_MS = 20;

interface Acceptable {
  readonly index: number;
  /** Ours, of the family of theirs. */
  readonly address: string;
  readonly codec: MappedCodec;
  readonly telephoneEvent: MappedCodec | undefined;
  readonly remote: Endpoint;
  readonly remoteRtcp: Endpoint;
  readonly held: boolean;
}

/**
 * Answers a phone's offer (RFC 3264): the first audio line we can speak is taken, with one codec and telephone events;
 * every other line is refused with port 0, in its place.
 * @param previous the last answer of this dialog: its o= line is carried on, one version higher when anything changed
 */
export function answerPhoneOffer(
  offerText: string,
  local: LocalMedia,
  previous?: PhoneAnswer,
): PhoneAnswer | { readonly fault: PhoneAnswerFault } {
  const offer = parseDescription(offerText);
  if ('fault' in offer) return offer;
  const accepted = chooseMedia(offer, local);
  if ('reason' in accepted) return { fault: accepted };
  const media = negotiated(offer, accepted);
  const body = {
    name: '-',
    information: [],
    connection: connectionOf(accepted.address),
    bandwidths: [],
    times: [{ type: 't', value: '0 0' }],
    attributes: [],
    media: offer.media.map((line, index) => (index === accepted.index ? acceptedLine(line, accepted, media, local) : refusedLine(line))),
  };
  const description: SessionDescription = { origin: nextOrigin(body, accepted.address, previous), ...body };
  return { answer: writeDescription(description), media, description };
}

/** The first line that can be taken; when there is none, why the most promising one could not. */
function chooseMedia(offer: SessionDescription, local: LocalMedia): Acceptable | PhoneAnswerFault {
  let fault: PhoneAnswerFault = { reason: 'no_common_codec', detail: 'no audio is offered' };
  for (const [index, media] of offer.media.entries()) {
    if (media.type !== 'audio' || media.port === 0) continue;
    const result = judge(offer, media, index, local);
    if (!('reason' in result)) return result;
    // A bad target says more than a codec we lack.
    if (fault.reason !== 'bad_target') fault = result;
  }
  return fault;
}

function judge(offer: SessionDescription, media: MediaDescription, index: number, local: LocalMedia): Acceptable | PhoneAnswerFault {
  if (media.protocol !== 'RTP/AVP' && media.protocol !== 'RTP/AVPF') {
    return { reason: 'no_common_codec', detail: `${media.protocol} is not spoken here, only RTP/AVP` };
  }
  const offered = codecsOf(media);
  const wanted: readonly string[] = local.codecs ?? ['PCMU', 'PCMA'];
  const codec = offered.find((each) => wanted.includes(each.name) && each.clockRateHz === 8000 && each.channels === 1);
  if (!codec) return { reason: 'no_common_codec', detail: `no common codec; spoken here: ${wanted.join(', ')}` };
  const telephoneEvent = offered.find((each) => each.name === 'TELEPHONE-EVENT' && each.clockRateHz === 8000);
  const text = (media.connection ?? offer.connection)?.address;
  if (text === undefined) return { reason: 'malformed', detail: 'no connection address (c=) for the audio' };
  const address = canonicalAddress(text);
  if (address === undefined) return { reason: 'bad_target', detail: 'the connection address is not a literal IP address' };
  const remote = { address, port: media.port };
  // RFC 2543 put a call on hold with an address of zeros (RFC 3264 §8.4 still knows it).
  const held = address === '0.0.0.0' || address === '::';
  if (!held && !isMediaTarget(remote)) return { reason: 'bad_target', detail: 'media cannot be sent to that address and port' };
  const own = held || isIPv6(local.address) === isIPv6(address) ? local.address : local.addressTowards?.(address);
  if (own === undefined) return { reason: 'bad_target', detail: `IPv${isIPv6(address) ? 6 : 4} media cannot be reached from here` };
  return { index, address: own, codec, telephoneEvent, remote, remoteRtcp: rtcpOf(media, remote), held };
}

/** RFC 3605: a=rtcp names the port, and perhaps another address; without it the next port is meant. */
function rtcpOf(media: MediaDescription, rtp: Endpoint): Endpoint {
  const match = /^(\d{1,5})(?: +IN +IP[46] +(\S+))?$/.exec(attributeOf(media, 'rtcp') ?? '');
  const named = match ? { address: canonicalAddress(match[2] ?? rtp.address) ?? '', port: Number(match[1]) } : undefined;
  // Reports to a third party are nobody's wish but an attacker's: the machine must be the same.
  if (named && named.address === rtp.address && isMediaTarget(named)) return named;
  return { address: rtp.address, port: rtp.port + 1 };
}

function negotiated(offer: SessionDescription, accepted: Acceptable): NegotiatedAudio {
  const media = offer.media[accepted.index] as MediaDescription;
  const direction = answerDirection(directionOf(media, offer));
  return {
    codec: accepted.codec.name as PhoneCodec,
    payloadType: accepted.codec.payloadType,
    ...(accepted.telephoneEvent ? { telephoneEventPayloadType: accepted.telephoneEvent.payloadType } : {}),
    remote: accepted.remote,
    remoteRtcp: accepted.remoteRtcp,
    direction: accepted.held ? heldDirection(direction) : direction,
    ptimeMs: packetTimeOf(media) ?? PTIME_MS,
  };
}

/** An address of zeros takes our sending away, whatever the attributes say. */
function heldDirection(direction: Direction): Direction {
  if (direction === 'sendrecv') return 'recvonly';
  return direction === 'sendonly' ? 'inactive' : direction;
}

function acceptedLine(line: MediaDescription, accepted: Acceptable, media: NegotiatedAudio, local: LocalMedia): MediaDescription {
  const { codec, telephoneEvent } = accepted;
  const attributes: Attribute[] = [{ name: 'rtpmap', value: `${codec.payloadType} ${codec.name}/8000` }];
  if (telephoneEvent) {
    attributes.push(
      { name: 'rtpmap', value: `${telephoneEvent.payloadType} telephone-event/8000` },
      { name: 'fmtp', value: `${telephoneEvent.payloadType} 0-15` },
    );
  }
  attributes.push({ name: 'ptime', value: `${PTIME_MS}` }, { name: media.direction });
  // Named always, not only when it is no neighbour: costs nothing and leaves nothing to guess.
  attributes.push({ name: 'rtcp', value: `${local.rtcpPort}` });
  return {
    type: line.type,
    port: local.rtpPort,
    protocol: line.protocol,
    formats: [codec, ...(telephoneEvent ? [telephoneEvent] : [])].map(({ payloadType }) => `${payloadType}`),
    bandwidths: [],
    attributes,
  };
}

function refusedLine({ type, protocol, formats }: MediaDescription): MediaDescription {
  return { type, port: 0, protocol, formats, bandwidths: [], attributes: [] };
}

function connectionOf(address: string): Connection {
  return { addressType: isIPv6(address) ? 'IP6' : 'IP4', address };
}

/** RFC 3264 §8: the same session id for the life of the dialog, the version one up whenever the description changed. */
function nextOrigin(
  body: Omit<SessionDescription, 'origin'>,
  address: string,
  previous: PhoneAnswer | undefined,
): SessionDescription['origin'] {
  const { addressType } = connectionOf(address);
  if (!previous) return { username: '-', sessionId: `${randomUint32()}`, sessionVersion: '1', addressType, address };
  const { origin, ...before } = previous.description;
  const unchanged = JSON.stringify(before) === JSON.stringify(body);
  const version = unchanged ? origin.sessionVersion : `${BigInt(origin.sessionVersion) + 1n}`;
  return { ...origin, sessionVersion: version };
}
