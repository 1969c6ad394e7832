/*
 * What offers to phones and answers to them have in common: one audio line over RTP.
 */

import { isIPv6 } from 'node:net';
import { canonicalAddress, type Endpoint, isMediaTarget } from '../base/addresses.ts';
import { randomUint32 } from '../base/ids.ts';
import { type Attribute, attributeOf, type Connection, type MediaDescription, type SessionDescription } from './description.ts';
import type { Direction } from './direction.ts';
import { OWN_OPUS_FMTP } from './opus-parameters.ts';
import { clockRateOf, formatOf, mapOf, type PhoneClockHz, type PhoneCodecName, type PhoneFormat, sampleRateOf } from './phone-format.ts';
import type { PhoneTerms, PhoneTermsPolicy } from './phone-terms.ts';
import { codecsOf, maxPacketTimeOf, packetTimeOf } from './rtp-map.ts';

/** Our side of the media: what the description names. */
export interface LocalMedia {
  /** A literal address the phone can reach. */
  readonly address: string;
  /** The same for media of another family than `address`; undefined for an address that is not reached from here. */
  readonly addressTowards?: (remote: string) => string | undefined;
  readonly rtpPort: number;
  readonly rtcpPort: number;
  /** What may be agreed on, the preferred first. When absent, all, in the order of whoever offers. */
  readonly codecs?: readonly PhoneCodecName[];
  /** What of encryption may and must be agreed on; plain RTP alone when absent. */
  readonly terms?: PhoneTermsPolicy;
}

/** What was agreed. */
export interface NegotiatedAudio extends PhoneFormat, PhoneTerms {
  /** Of the sound; clockRateOf(codec) is that of RTP. */
  readonly sampleRateHz: PhoneClockHz;
  /** What the phone may change to without a word, because both sides named it. Empty when we have answered: our answers name one. */
  readonly alternatives: readonly PhoneFormat[];
  /** Of telephone-event, when both sides have it. */
  readonly telephoneEventPayloadType?: number;
  /** Its clock; 8000 when absent. */
  readonly telephoneEventRateHz?: PhoneClockHz;
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
  /** What had been agreed on with it. */
  readonly media?: PhoneTerms;
}

/** The packets we like to get, and send to a phone that does not say what it likes. */
const PTIME_MS = 20;
/** Longer packets are more delay than the bytes they save are worth; shorter ones more headers than sound. */
const MIN_PTIME_MS = 10;
const MAX_PTIME_MS = 60;

/** A format of telephone-event (RFC 4733 §2.4.1). */
export interface TelephoneEvent {
  readonly payloadType: number;
  readonly clockRateHz: PhoneClockHz;
}

/** What a peer's audio line has for us. */
export interface ReadAudio {
  /** In the peer's order, at least one. */
  readonly codecs: readonly [PhoneFormat, ...PhoneFormat[]];
  readonly telephoneEvent: TelephoneEvent | undefined;
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
 * @param options `isOurOrder`: the list decides what is first, not the line. `viaIce`: the way is found by checks, and the address says nothing
 */
export function readAudio(
  session: SessionDescription,
  media: MediaDescription,
  codecs: readonly PhoneCodecName[],
  local: LocalMedia,
  { isOurOrder = false, viaIce = false }: { readonly isOurOrder?: boolean; readonly viaIce?: boolean } = {},
): ReadAudio | PhoneAudioFault {
  const mapped = codecsOf(media);
  const common = mapped.flatMap((codec) => formatOf(codec, codecs, media) ?? []);
  const [first, ...others] = isOurOrder ? common.sort((a, b) => codecs.indexOf(a.codec) - codecs.indexOf(b.codec)) : common;
  if (!first) return { reason: 'no_common_codec', detail: `no common codec; spoken here: ${codecs.join(', ')}` };
  const text = (media.connection ?? session.connection)?.address;
  if (text === undefined) return { reason: 'malformed', detail: 'no connection address (c=) for the audio' };
  const address = canonicalAddress(text) ?? (viaIce ? '0.0.0.0' : undefined);
  if (address === undefined) return { reason: 'bad_target', detail: 'the connection address is not a literal IP address' };
  const remote = { address, port: media.port };
  // RFC 2543 put a call on hold with an address of zeros (RFC 3264 §8.4 still knows it).
  const isNowhere = address === '0.0.0.0' || address === '::';
  const held = isNowhere && !viaIce;
  if (!isNowhere && !viaIce && !isMediaTarget(remote))
    return { reason: 'bad_target', detail: 'media cannot be sent to that address and port' };
  const ownAddress = isNowhere || isIPv6(local.address) === isIPv6(address) ? local.address : local.addressTowards?.(address);
  if (ownAddress === undefined) return { reason: 'bad_target', detail: `IPv${isIPv6(address) ? 6 : 4} media cannot be reached from here` };
  const beside = (name: string, clockRateHz: number) => mapped.find((codec) => codec.name === name && codec.clockRateHz === clockRateHz);
  // RFC 4733 §2.1 wants the clock of the audio beside them. Phones that have Opus and events of 8 kHz alone are understood all the same.
  const event = beside('TELEPHONE-EVENT', clockRateOf(first.codec)) ?? beside('TELEPHONE-EVENT', 8000);
  return {
    codecs: [first, ...others],
    telephoneEvent: event && { payloadType: event.payloadType, clockRateHz: event.clockRateHz as PhoneClockHz },
    comfortNoise: clockRateOf(first.codec) === 8000 ? beside('CN', 8000)?.payloadType : undefined,
    ownAddress,
    remote,
    remoteRtcp: rtcpOf(media, remote),
    held,
    ptimeMs: sentPacketTime(media),
  };
}

/** What was read, as what has been agreed. */
export function agreedAudio(
  read: ReadAudio,
  alternatives: readonly PhoneFormat[],
  direction: Direction,
  terms: PhoneTerms = {},
): NegotiatedAudio {
  const [format] = read.codecs;
  return {
    ...format,
    ...terms,
    sampleRateHz: sampleRateOf(format.codec),
    alternatives,
    ...(read.telephoneEvent && { telephoneEventPayloadType: read.telephoneEvent.payloadType }),
    ...(read.telephoneEvent && read.telephoneEvent.clockRateHz !== 8000 && { telephoneEventRateHz: read.telephoneEvent.clockRateHz }),
    ...(read.comfortNoise === undefined ? {} : { comfortNoisePayloadType: read.comfortNoise }),
    remote: read.remote,
    remoteRtcp: read.remoteRtcp,
    direction: read.held ? withoutSending(direction) : direction,
    ptimeMs: read.ptimeMs,
  };
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
  readonly telephoneEvents: readonly TelephoneEvent[];
  readonly comfortNoise: number | undefined;
  readonly direction: Direction;
  /** Ends without a port for RTCP. */
  readonly rtcpMux?: boolean;
  /** Of what lies below RTP. */
  readonly transport?: readonly Attribute[];
}

/** @param protocol RTP/AVP, or what the offer has */
export function audioLine(
  { formats, telephoneEvents, comfortNoise, direction, rtcpMux = false, transport = [] }: WrittenAudio,
  local: LocalMedia,
  protocol: string,
): MediaDescription {
  const attributes: Attribute[] = formats.flatMap(({ codec, payloadType }) => [
    { name: 'rtpmap', value: `${payloadType} ${mapOf(codec)}` },
    ...(codec === 'opus' ? [{ name: 'fmtp', value: `${payloadType} ${OWN_OPUS_FMTP}` }] : []),
  ]);
  for (const { payloadType, clockRateHz } of telephoneEvents) {
    attributes.push({ name: 'rtpmap', value: `${payloadType} telephone-event/${clockRateHz}` });
    attributes.push({ name: 'fmtp', value: `${payloadType} 0-15` });
  }
  if (comfortNoise !== undefined) attributes.push({ name: 'rtpmap', value: `${comfortNoise} CN/8000` });
  attributes.push({ name: 'ptime', value: `${PTIME_MS}` }, { name: direction });
  // Named always, not only when it is no neighbour: costs nothing and leaves nothing to guess.
  if (!rtcpMux) attributes.push({ name: 'rtcp', value: `${local.rtcpPort}` });
  attributes.push(...transport);
  const payloadTypes = [...[...formats, ...telephoneEvents].map(({ payloadType }) => payloadType), comfortNoise];
  return {
    type: 'audio',
    port: local.rtpPort,
    protocol,
    formats: payloadTypes.flatMap((payloadType) => (payloadType === undefined ? [] : [`${payloadType}`])),
    bandwidths: [],
    attributes,
  };
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
  attributes: readonly Attribute[] = [],
): SessionDescription {
  const connection = connectionOf(address);
  const body = {
    name: '-',
    information: [],
    connection,
    bandwidths: [],
    times: [{ type: 't', value: '0 0' }],
    attributes,
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
