/*
 * What offers to phones and answers to them have in common: one audio line over plain RTP.
 */

import { isIPv6 } from 'node:net';
import { canonicalAddress, type Endpoint, isMediaTarget } from '../base/addresses.ts';
import { randomUint32 } from '../base/ids.ts';
import { type Attribute, attributeOf, type Connection, type MediaDescription, type SessionDescription } from './description.ts';
import type { Direction } from './direction.ts';
import { codecsOf, type MappedCodec, maxPacketTimeOf, packetTimeOf } from './rtp-map.ts';

export type PhoneCodecName = 'PCMU' | 'PCMA' | 'G722';

/** Spoken towards phones unless the caller says otherwise, the cheapest first. */
export const PHONE_CODECS: readonly PhoneCodecName[] = ['PCMU', 'PCMA', 'G722'];

const PAYLOAD_TYPES = { PCMU: 0, PCMA: 8, G722: 9 } as const;

/** Our side of the media: what the description names. */
export interface LocalMedia {
  /** A literal address the phone can reach. */
  readonly address: string;
  /** The same for media of another family than `address`; undefined for an address that is not reached from here. */
  readonly addressTowards?: (remote: string) => string | undefined;
  readonly rtpPort: number;
  readonly rtcpPort: number;
  /** What may be agreed on; all when absent. In an answer the offerer's order decides between them, in an offer this one. */
  readonly codecs?: readonly PhoneCodecName[];
}

/** A codec under its number. */
export interface PhoneFormat {
  readonly codec: PhoneCodecName;
  readonly payloadType: number;
}

/** What was agreed. */
export interface NegotiatedAudio extends PhoneFormat {
  /** Of the sound: 16000 for G.722. The RTP clock is 8000 for all of them (RFC 3551 §4.5.2). */
  readonly sampleRateHz: 8000 | 16_000;
  /** What the phone may change to without a word, because both sides named it. Empty when we have answered: our answers name one. */
  readonly alternatives: readonly PhoneFormat[];
  /** Of telephone-event/8000, when both sides have it. */
  readonly telephoneEventPayloadType?: number;
  /** Of CN/8000 (RFC 3389), when both sides have it: the phone may fall silent with a word about how silence sounds. */
  readonly comfortNoisePayloadType?: number;
  /** Where the phone wants its media. 0.0.0.0 or :: while it holds the call: send nothing then, and `direction` says so. */
  readonly remote: Endpoint;
  readonly remoteRtcp: Endpoint;
  /** Ours, as in our description: `recvonly` and `inactive` mean that we are on hold. */
  readonly direction: Direction;
  /** The packets to send: what the phone would like, in whole tens from 10 to 60. What it sends may have another length. */
  readonly ptimeMs: number;
}

export interface PhoneAudioFault {
  readonly reason: /** Not a session description: 400. */
    | 'malformed'
    /** Nothing that we speak, or only encrypted: 488 with a Warning. */
    | 'no_common_codec'
    /** An address where media must not be sent: 488. */
    | 'bad_target';
  /** For people and for the Warning header. */
  readonly detail: string;
}

/** Description of ours that another one follows in the same dialog. */
export interface EarlierDescription {
  readonly description: SessionDescription;
}

/** The packets we like to get, and send to a phone that does not say what it likes. */
const PTIME_MS = 20;
/** Longer packets are more delay than the bytes they save are worth; shorter ones more headers than sound. */
const MIN_PTIME_MS = 10;
const MAX_PTIME_MS = 60;

/** What a peer's audio line has for us. */
export interface ReadAudio {
  /** In the peer's order, at least one. */
  readonly codecs: readonly [PhoneFormat, ...PhoneFormat[]];
  readonly telephoneEvent: number | undefined;
  readonly comfortNoise: number | undefined;
  /** Ours, of the family of theirs. */
  readonly ownAddress: string;
  readonly remote: Endpoint;
  readonly remoteRtcp: Endpoint;
  /** Held by an address of zeros, whatever the attributes say. */
  readonly held: boolean;
  readonly ptimeMs: number;
}

/**
 * Reads an audio line of a peer's description, or says why we cannot speak with it.
 * @param codecs what may be agreed on
 */
export function readAudio(
  session: SessionDescription,
  media: MediaDescription,
  codecs: readonly PhoneCodecName[],
  local: LocalMedia,
): ReadAudio | PhoneAudioFault {
  if (media.protocol !== 'RTP/AVP' && media.protocol !== 'RTP/AVPF') {
    return { reason: 'no_common_codec', detail: `${media.protocol} is not spoken here, only RTP/AVP` };
  }
  const mapped = codecsOf(media);
  const [first, ...others] = mapped.flatMap((codec) => formatOf(codec, codecs) ?? []);
  if (!first) return { reason: 'no_common_codec', detail: `no common codec; spoken here: ${codecs.join(', ')}` };
  const text = (media.connection ?? session.connection)?.address;
  if (text === undefined) return { reason: 'malformed', detail: 'no connection address (c=) for the audio' };
  const address = canonicalAddress(text);
  if (address === undefined) return { reason: 'bad_target', detail: 'the connection address is not a literal IP address' };
  const remote = { address, port: media.port };
  // RFC 2543 put a call on hold with an address of zeros (RFC 3264 §8.4 still knows it).
  const held = address === '0.0.0.0' || address === '::';
  if (!held && !isMediaTarget(remote)) return { reason: 'bad_target', detail: 'media cannot be sent to that address and port' };
  const ownAddress = held || isIPv6(local.address) === isIPv6(address) ? local.address : local.addressTowards?.(address);
  if (ownAddress === undefined) return { reason: 'bad_target', detail: `IPv${isIPv6(address) ? 6 : 4} media cannot be reached from here` };
  const beside = (name: string) => mapped.find((codec) => codec.name === name && codec.clockRateHz === 8000)?.payloadType;
  return {
    codecs: [first, ...others],
    telephoneEvent: beside('TELEPHONE-EVENT'),
    comfortNoise: beside('CN'),
    ownAddress,
    remote,
    remoteRtcp: rtcpOf(media, remote),
    held,
    ptimeMs: sentPacketTime(media),
  };
}

/** What was read, as what has been agreed. */
export function agreedAudio(read: ReadAudio, alternatives: readonly PhoneFormat[], direction: Direction): NegotiatedAudio {
  const [{ codec, payloadType }] = read.codecs;
  return {
    codec,
    payloadType,
    sampleRateHz: codec === 'G722' ? 16_000 : 8000,
    alternatives,
    ...(read.telephoneEvent === undefined ? {} : { telephoneEventPayloadType: read.telephoneEvent }),
    ...(read.comfortNoise === undefined ? {} : { comfortNoisePayloadType: read.comfortNoise }),
    remote: read.remote,
    remoteRtcp: read.remoteRtcp,
    direction: read.held ? withoutSending(direction) : direction,
    ptimeMs: read.ptimeMs,
  };
}

function formatOf({ name, clockRateHz, channels, payloadType }: MappedCodec, codecs: readonly PhoneCodecName[]): PhoneFormat | undefined {
  if (clockRateHz !== 8000 || channels !== 1) return undefined;
  const codec = codecs.find((each) => each === name);
  return codec && { codec, payloadType };
}

/** a=ptime is a wish, a=maxptime a limit (RFC 8866 §6.3, §6.4). */
function sentPacketTime(media: MediaDescription): number {
  const wished = Math.min(packetTimeOf(media) ?? PTIME_MS, maxPacketTimeOf(media) ?? MAX_PTIME_MS);
  return Math.max(MIN_PTIME_MS, Math.min(MAX_PTIME_MS, Math.floor(wished / 10) * 10));
}

/** RFC 3605: a=rtcp names the port, and perhaps another address; without it the next port is meant. */
function rtcpOf(media: MediaDescription, rtp: Endpoint): Endpoint {
  const match = /^(\d{1,5})(?: +IN +IP[46] +(\S+))?$/.exec(attributeOf(media, 'rtcp') ?? '');
  const named = match ? { address: canonicalAddress(match[2] ?? rtp.address) ?? '', port: Number(match[1]) } : undefined;
  // Reports to a third party are nobody's wish but an attacker's: the machine must be the same.
  if (named && named.address === rtp.address && isMediaTarget(named)) return named;
  return { address: rtp.address, port: rtp.port + 1 };
}

function withoutSending(direction: Direction): Direction {
  if (direction === 'sendrecv') return 'recvonly';
  return direction === 'sendonly' ? 'inactive' : direction;
}

/** What an audio line of ours says. */
export interface WrittenAudio {
  readonly formats: readonly PhoneFormat[];
  readonly telephoneEvent: number | undefined;
  readonly comfortNoise: number | undefined;
  readonly direction: Direction;
}

/** @param protocol RTP/AVP, or what the offer has */
export function audioLine(
  { formats, telephoneEvent, comfortNoise, direction }: WrittenAudio,
  local: LocalMedia,
  protocol: string,
): MediaDescription {
  const attributes: Attribute[] = formats.map(({ codec, payloadType }) => ({ name: 'rtpmap', value: `${payloadType} ${codec}/8000` }));
  if (telephoneEvent !== undefined) {
    attributes.push({ name: 'rtpmap', value: `${telephoneEvent} telephone-event/8000` }, { name: 'fmtp', value: `${telephoneEvent} 0-15` });
  }
  if (comfortNoise !== undefined) attributes.push({ name: 'rtpmap', value: `${comfortNoise} CN/8000` });
  attributes.push({ name: 'ptime', value: `${PTIME_MS}` }, { name: direction });
  // Named always, not only when it is no neighbour: costs nothing and leaves nothing to guess.
  attributes.push({ name: 'rtcp', value: `${local.rtcpPort}` });
  const payloadTypes = [...formats.map(({ payloadType }) => payloadType), telephoneEvent, comfortNoise];
  return {
    type: 'audio',
    port: local.rtpPort,
    protocol,
    formats: payloadTypes.flatMap((payloadType) => (payloadType === undefined ? [] : [`${payloadType}`])),
    bandwidths: [],
    attributes,
  };
}

/** The number under which we offer a codec. */
export function staticFormat(codec: PhoneCodecName): PhoneFormat {
  return { codec, payloadType: PAYLOAD_TYPES[codec] };
}

/** A line that is refused, in its place (RFC 3264 §6). */
export function refusedLine({ type, protocol, formats }: MediaDescription): MediaDescription {
  return { type, port: 0, protocol, formats, bandwidths: [], attributes: [] };
}

/**
 * A description with these lines. RFC 3264 §8: the same session id for the life of the dialog, the version one up whenever
 * the description changed.
 */
export function describe(
  media: readonly MediaDescription[],
  address: string,
  previous: EarlierDescription | undefined,
): SessionDescription {
  const connection = connectionOf(address);
  const body = {
    name: '-',
    information: [],
    connection,
    bandwidths: [],
    times: [{ type: 't', value: '0 0' }],
    attributes: [],
    media,
  };
  if (!previous) {
    const { addressType } = connection;
    return { origin: { username: '-', sessionId: `${randomUint32()}`, sessionVersion: '1', addressType, address }, ...body };
  }
  const { origin, ...before } = previous.description;
  const unchanged = JSON.stringify(before) === JSON.stringify(body);
  return { origin: unchanged ? origin : { ...origin, sessionVersion: `${BigInt(origin.sessionVersion) + 1n}` }, ...body };
}

function connectionOf(address: string): Connection {
  return { addressType: isIPv6(address) ? 'IP6' : 'IP4', address };
}
