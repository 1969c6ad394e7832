import { isIPv6 } from 'node:net';
import type { Endpoint, TransportAddress } from '../base/addresses.ts';
import { randomText, randomUint32 } from '../base/ids.ts';
import {
  type Attribute,
  attributeOf,
  attributesOf,
  type MediaDescription,
  parseDescription,
  type SessionDescription,
  writeDescription,
} from './description.ts';
import { answerDirection, type Direction, directionOf } from './direction.ts';
import { writeHostCandidate } from './ice-candidate.ts';
import { type OpusParameters, opusParametersOf } from './opus-parameters.ts';
import { codecsOf } from './rtp-map.ts';
import {
  type IceDescription,
  type LocalTransport,
  parseTransport,
  type Setup,
  type TransportDescription,
  transportAttributes,
} from './transport.ts';

/** A WebRTC session as the gateway has it: one transport, at most one audio stream, at most one SCTP association. */
export interface WebRtcDescription extends TransportDescription {
  readonly audio?: WebRtcAudio;
  readonly application?: WebRtcApplication;
  readonly ice: IceDescription;
  readonly setup: Setup;
  /** The mids of the BUNDLE group, in its order. */
  readonly bundle: readonly string[];
  /** Every m= line in its order, and what becomes of it. */
  readonly sections: readonly WebRtcSection[];
}

export interface WebRtcAudio {
  readonly mid: string | undefined;
  /** At least one of the codecs. `telephoneEvent` is the one with the clock of the codec that is chosen, where there is a choice (RFC 4733 §2.1). */
  readonly payloadTypes: { readonly opus?: number; readonly pcmu?: number; readonly pcma?: number; readonly telephoneEvent?: number };
  readonly telephoneEventRateHz?: number;
  /** What the peer can play of Opus (RFC 7587 §6.1): bits above half of it are wasted. */
  readonly maxPlaybackRateHz?: number;
  /** What else it says of the Opus it would like; nothing without Opus. */
  readonly opus?: OpusParameters;
  /** As the peer says it: `sendonly` means that it only sends. */
  readonly direction: Direction;
}

/** How the audio of a session is coded, both ways. */
export interface WebRtcCodec {
  readonly name: 'opus' | 'PCMU' | 'PCMA';
  readonly payloadType: number;
  /** Of its RTP timestamps. */
  readonly clockRateHz: 48_000 | 8000;
}

export interface WebRtcApplication {
  readonly mid: string | undefined;
  readonly sctpPort: number;
  /** The largest message the peer takes; infinite when it says 0 (RFC 8841 §6). */
  readonly maxMessageSize: number;
  /** a=sctp-init as it stands there: the peer would do without the handshake of SCTP (draft-hancke-tsvwg-snap). */
  readonly sctpInit?: string;
}

export interface WebRtcSection {
  /** `idle`: nothing will flow in it, but the others live on its transport and it must not be refused. */
  readonly kind: 'audio' | 'application' | 'idle' | 'rejected';
  readonly mid: string | undefined;
  readonly media: MediaDescription;
}

export interface WebRtcFault {
  readonly reason:
    | 'malformed'
    /** Neither audio nor a data channel that could be taken. */
    | 'no_media'
    /** Audio, but neither Opus nor G.711. */
    | 'no_common_codec'
    /** ICE credentials, fingerprint or setup are missing or of no use. */
    | 'no_transport';
  readonly detail: string;
}

/** RFC 8841 §6: what a peer takes that does not say. */
const DEFAULT_MAX_MESSAGE_SIZE = 65_536;
/** What we take; Chromium's figure. */
const MAX_MESSAGE_SIZE = 262_144;
const SCTP_PORT = 5000;
/** Where media goes is found by ICE; m= lines carry the discard port until then (RFC 8840). */
const DISCARD_PORT = 9;

type Parsed = WebRtcDescription | { readonly fault: WebRtcFault };

/** Reads an offer. A missing a=setup means actpass there. */
export function parseWebRtcOffer(text: string): Parsed {
  return parse(text, ['actpass', 'active', 'passive'], 'actpass');
}

/** Reads the answer to an offer of ours: actpass is no answer. */
export function parseWebRtcAnswer(text: string): Parsed {
  return parse(text, ['active', 'passive'], undefined);
}

function parse(text: string, setups: readonly Setup[], defaultSetup: Setup | undefined): Parsed {
  const description = parseDescription(text);
  if ('fault' in description) return description;
  const refuse = (reason: WebRtcFault['reason'], detail: string) => ({ fault: { reason, detail } });
  const bundle = bundleOf(description);
  const audioIndex = description.media.findIndex((media) => isLive(media) && isAudio(media) && payloadTypesOf(media));
  const inBundle = (media: MediaDescription): boolean => bundle.includes(attributeOf(media, 'mid') ?? '');
  const applicationIndex = description.media.findIndex((media) => {
    if (!isLive(media) || !sctpPortOf(media)) return false;
    // One transport carries all: a data channel beside the audio's bundle is refused.
    const audio = description.media[audioIndex];
    return !audio || (inBundle(media) && inBundle(audio));
  });
  if (audioIndex < 0) {
    if (description.media.some((media) => isLive(media) && media.type === 'audio'))
      return refuse('no_common_codec', 'no audio with Opus or G.711 and rtcp-mux over DTLS');
    if (applicationIndex < 0) return refuse('no_media', 'neither audio nor a data channel');
  }
  const accepted = [description.media[audioIndex], description.media[applicationIndex]];
  const sections = description.media.map((media, index): WebRtcSection => {
    const kind =
      index === audioIndex ? 'audio' : index === applicationIndex ? 'application' : carries(media, accepted, bundle) ? 'idle' : 'rejected';
    return { kind, mid: attributeOf(media, 'mid') || undefined, media };
  });
  const tagged = taggedSection(sections, bundle);
  const transport = parseTransport(tagged.media, description);
  if (typeof transport === 'string') return refuse('no_transport', transport);
  const setup = transport.setup ?? defaultSetup;
  if (!setup || !setups.includes(setup)) return refuse('no_transport', 'no usable setup attribute');
  const audio = sections[audioIndex];
  const application = sections[applicationIndex];
  return {
    ...(audio ? { audio: audioOf(audio, description) } : {}),
    ...(application ? { application: applicationOf(application) } : {}),
    ...transport,
    setup,
    bundle,
    sections,
  };
}

/**
 * With the max-bundle policy the first section of the group has the transport of all: the others name the same credentials,
 * or are bundle-only. A browser that sees it refused loses that transport (Chromium does), so it is kept, inactive.
 */
function carries(media: MediaDescription, accepted: readonly (MediaDescription | undefined)[], bundle: readonly string[]): boolean {
  const mid = attributeOf(media, 'mid');
  if (mid === undefined || mid !== bundle[0] || media.port === 0 || attributeOf(media, 'rtcp-mux') === undefined) return false;
  const ufrag = attributeOf(media, 'ice-ufrag');
  return accepted.some((each) => each && (attributeOf(each, 'bundle-only') !== undefined || attributeOf(each, 'ice-ufrag') === ufrag));
}

/** The section whose transport is everybody's: the first accepted one of the group (RFC 9143 §7.3), or the first at all. */
function taggedSection(sections: readonly WebRtcSection[], bundle: readonly string[]): WebRtcSection {
  const accepted = sections.filter((section) => section.kind !== 'rejected');
  for (const mid of bundle) {
    const tagged = accepted.find((section) => section.mid === mid);
    if (tagged) return tagged;
  }
  return accepted[0] as WebRtcSection;
}

function bundleOf(description: SessionDescription): readonly string[] {
  const group = attributesOf(description, 'group').find((value) => /^BUNDLE( |$)/.test(value));
  return group ? group.split(/ +/).slice(1).filter(Boolean) : [];
}

/** Port 0 refuses a section, unless it only says that the section has no transport of its own (RFC 9143 §6). */
function isLive(media: MediaDescription): boolean {
  return media.port !== 0 || attributeOf(media, 'bundle-only') !== undefined;
}

function isAudio(media: MediaDescription): boolean {
  return media.type === 'audio' && /(?:^|\/)RTP\/SAVPF?$/.test(media.protocol) && attributeOf(media, 'rtcp-mux') !== undefined;
}

function payloadTypesOf(media: MediaDescription): WebRtcAudio['payloadTypes'] | undefined {
  const codecs = codecsOf(media);
  const find = (name: string, rateHz: number) => codecs.find((codec) => codec.name === name && codec.clockRateHz === rateHz)?.payloadType;
  const opus = find('OPUS', 48_000);
  const pcmu = find('PCMU', 8000);
  const pcma = find('PCMA', 8000);
  if (opus === undefined && pcmu === undefined && pcma === undefined) return undefined;
  const event = (rateHz: number) => find('TELEPHONE-EVENT', rateHz);
  const telephoneEvent = opus === undefined ? (event(8000) ?? event(48_000)) : (event(48_000) ?? event(8000));
  return {
    ...(opus === undefined ? {} : { opus }),
    ...(pcmu === undefined ? {} : { pcmu }),
    ...(pcma === undefined ? {} : { pcma }),
    ...(telephoneEvent === undefined ? {} : { telephoneEvent }),
  };
}

/** Opus where it is offered, else G.711. */
export function chooseCodec({ payloadTypes: { opus, pcmu, pcma } }: Pick<WebRtcAudio, 'payloadTypes'>): WebRtcCodec {
  if (opus !== undefined) return { name: 'opus', payloadType: opus, clockRateHz: 48_000 };
  if (pcmu !== undefined) return { name: 'PCMU', payloadType: pcmu, clockRateHz: 8000 };
  return { name: 'PCMA', payloadType: pcma as number, clockRateHz: 8000 };
}

function audioOf({ mid, media }: WebRtcSection, description: SessionDescription): WebRtcAudio {
  const payloadTypes = payloadTypesOf(media) as WebRtcAudio['payloadTypes'];
  const event = codecsOf(media).find((codec) => codec.payloadType === payloadTypes.telephoneEvent);
  const opus = payloadTypes.opus === undefined ? undefined : opusParametersOf(media, payloadTypes.opus);
  return {
    mid,
    payloadTypes,
    ...(event ? { telephoneEventRateHz: event.clockRateHz } : {}),
    ...(opus?.maxPlaybackRateHz === undefined ? {} : { maxPlaybackRateHz: opus.maxPlaybackRateHz }),
    ...(opus && { opus }),
    direction: directionOf(media, description),
  };
}

function sctpPortOf(media: MediaDescription): number | undefined {
  if (media.type !== 'application' || !media.protocol.endsWith('DTLS/SCTP') || media.formats[0] !== 'webrtc-datachannel') return undefined;
  const port = attributeOf(media, 'sctp-port') ?? '';
  return /^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535 ? Number(port) : undefined;
}

function applicationOf({ mid, media }: WebRtcSection): WebRtcApplication {
  const size = attributeOf(media, 'max-message-size') ?? '';
  const bytes = /^\d{1,15}$/.test(size) ? Number(size) : DEFAULT_MAX_MESSAGE_SIZE;
  const sctpInit = attributeOf(media, 'sctp-init');
  const maxMessageSize = bytes === 0 ? Number.POSITIVE_INFINITY : bytes;
  return { mid, sctpPort: sctpPortOf(media) as number, maxMessageSize, ...(sctpInit ? { sctpInit } : {}) };
}

export interface WebRtcOfferOptions extends LocalTransport {
  /** Of the audio we will send. */
  readonly ssrc?: number;
  readonly cname?: string;
  readonly dataChannel: boolean;
  /** Ask the peer for in-band FEC: for lossy paths. */
  readonly inbandFec?: boolean;
  /** What can be played here, when that is less than all (RFC 7587 §6.1). */
  readonly maxPlaybackRateHz?: number;
  readonly maxAverageBitrate?: number;
  readonly cbr?: boolean;
}

/** An offer of Opus both ways, with or without a data channel, all in one bundle. */
export function writeWebRtcOffer(options: WebRtcOfferOptions): string {
  const transport = [...transportAttributes(options), { name: 'ice-options', value: 'trickle' }];
  const audio = section(
    'audio',
    'UDP/TLS/RTP/SAVPF',
    ['111'],
    [
      ...transport,
      { name: 'mid', value: '0' },
      { name: 'sendrecv' },
      { name: 'rtcp-mux' },
      ...opusAttributes(111, options.inbandFec ?? false, options),
      ...sourceAttributes(options.ssrc, options.cname),
    ],
  );
  const application = section(
    'application',
    'UDP/DTLS/SCTP',
    ['webrtc-datachannel'],
    [
      ...transport,
      { name: 'mid', value: '1' },
      { name: 'sctp-port', value: `${SCTP_PORT}` },
      { name: 'max-message-size', value: `${MAX_MESSAGE_SIZE}` },
    ],
  );
  return write(options.dataChannel ? [audio, application] : [audio], options.dataChannel ? ['0', '1'] : ['0'], []);
}

export interface WebRtcAnswerOptions extends LocalTransport {
  readonly setup: 'active' | 'passive';
  /** Public addresses of the relays, the preferred one first; UDP before TCP. Never empty. */
  readonly candidates: readonly TransportAddress[];
  /** Of the audio we will send. */
  readonly ssrc?: number;
  readonly cname?: string;
  /** Ask the peer for in-band FEC; browsers are the lossy edge, so the default is yes. */
  readonly inbandFec?: boolean;
  /** a=ice-options: of the offered ones those that are taken up. */
  readonly iceOptions?: readonly string[];
  /** a=sctp-init, when the offer has one and it is taken up. */
  readonly sctpInit?: string;
  /** Of the o= line: a later answer of the same session has the same id and the next version (RFC 8866 §5.2). */
  readonly session?: DescribedSession;
}

export interface DescribedSession {
  readonly id: number;
  readonly version: number;
}

/**
 * The answer of an ICE-lite host: every m= line in its place, the accepted ones with our transport, the others refused
 * by port 0. All candidates are in it; none will trickle.
 */
export function answerWebRtcOffer(offer: WebRtcDescription, options: WebRtcAnswerOptions): string {
  const tagged = taggedSection(offer.sections, offer.bundle);
  const candidates: Attribute[] = [
    ...options.candidates.map((endpoint, index) => ({ name: 'candidate', value: writeHostCandidate(endpoint, index, options.ufrag) })),
    { name: 'end-of-candidates' },
  ];
  const media = offer.sections.map((each): MediaDescription => {
    if (each.kind === 'rejected') return refused(each);
    const attributes = [
      ...(each.mid === undefined ? [] : [{ name: 'mid', value: each.mid }]),
      ...transportAttributes(options),
      ...(options.iceOptions?.length ? [{ name: 'ice-options', value: options.iceOptions.join(' ') }] : []),
      ...answerSection(each, offer, options),
      ...(each === tagged ? candidates : []),
    ];
    const formats = each.kind === 'audio' && offer.audio ? audioFormats(offer.audio) : each.media.formats.slice(0, 1);
    return section(each.media.type, each.media.protocol, formats, attributes, options.candidates[0]);
  });
  const accepted = offer.sections.flatMap(({ kind, mid }) =>
    kind !== 'rejected' && mid !== undefined && offer.bundle.includes(mid) ? [mid] : [],
  );
  return write(media, accepted, [{ name: 'ice-lite' }], options.session);
}

function answerSection({ kind, media }: WebRtcSection, offer: WebRtcDescription, options: WebRtcAnswerOptions): readonly Attribute[] {
  if (kind === 'audio' && offer.audio) return answerAudio(offer.audio, options);
  return kind === 'idle' ? [{ name: 'inactive' }, { name: 'rtcp-mux' }, ...firstMap(media)] : answerApplication(options);
}

function audioFormats(audio: WebRtcAudio): readonly string[] {
  const { telephoneEvent } = audio.payloadTypes;
  const { payloadType } = chooseCodec(audio);
  return telephoneEvent === undefined ? [`${payloadType}`] : [`${payloadType}`, `${telephoneEvent}`];
}

function answerAudio(audio: WebRtcAudio, { ssrc, cname, inbandFec }: WebRtcAnswerOptions): readonly Attribute[] {
  const { telephoneEvent } = audio.payloadTypes;
  const { name, payloadType } = chooseCodec(audio);
  const direction = answerDirection(audio.direction);
  const sends = direction === 'sendrecv' || direction === 'sendonly';
  return [
    { name: direction },
    { name: 'rtcp-mux' },
    ...(name === 'opus' ? opusAttributes(payloadType, inbandFec ?? true) : [{ name: 'rtpmap', value: `${payloadType} ${name}/8000` }]),
    ...(telephoneEvent === undefined ? [] : [{ name: 'rtpmap', value: `${telephoneEvent} telephone-event/${audio.telephoneEventRateHz}` }]),
    ...(sends ? sourceAttributes(ssrc, cname) : []),
  ];
}

function answerApplication({ sctpInit }: WebRtcAnswerOptions): readonly Attribute[] {
  return [
    { name: 'sctp-port', value: `${SCTP_PORT}` },
    { name: 'max-message-size', value: `${MAX_MESSAGE_SIZE}` },
    ...(sctpInit === undefined ? [] : [{ name: 'sctp-init', value: sctpInit }]),
  ];
}

/** RFC 7587 §7: always two channels in the map; without stereo=1 nobody sends more than one. */
function opusAttributes(
  payloadType: number,
  inbandFec: boolean,
  { maxPlaybackRateHz, maxAverageBitrate, cbr }: Pick<WebRtcOfferOptions, 'maxPlaybackRateHz' | 'maxAverageBitrate' | 'cbr'> = {},
): readonly Attribute[] {
  const playback = maxPlaybackRateHz === undefined ? '' : `;maxplaybackrate=${maxPlaybackRateHz}`;
  const bitrate = maxAverageBitrate === undefined ? '' : `;maxaveragebitrate=${maxAverageBitrate}`;
  return [
    { name: 'rtpmap', value: `${payloadType} opus/48000/2` },
    { name: 'fmtp', value: `${payloadType} minptime=10;useinbandfec=${inbandFec ? 1 : 0}${playback}${bitrate}${cbr ? ';cbr=1' : ''}` },
  ];
}

function sourceAttributes(ssrc: number | undefined, cname: string = randomText(16)): readonly Attribute[] {
  if (ssrc === undefined) return [];
  return [
    { name: 'msid', value: 'ringdown audio' },
    { name: 'ssrc', value: `${ssrc} cname:${cname}` },
  ];
}

/** A refused section keeps its mid, one of its formats with its map, and says inactive: what Firefox wants to see of it. */
function refused({ mid, media }: WebRtcSection): MediaDescription {
  const attributes = [{ name: 'inactive' }, ...(mid === undefined ? [] : [{ name: 'mid', value: mid }]), ...firstMap(media)];
  return { ...section(media.type, media.protocol, media.formats.slice(0, 1), attributes), port: 0 };
}

/** The map of a section's first format, for a section that says no more than it must. */
function firstMap(media: MediaDescription): readonly Attribute[] {
  const map = attributesOf(media, 'rtpmap').find((value) => value.startsWith(`${media.formats[0]} `));
  return map === undefined ? [] : [{ name: 'rtpmap', value: map }];
}

function section(
  type: string,
  protocol: string,
  formats: readonly string[],
  attributes: readonly Attribute[],
  at?: Endpoint,
): MediaDescription {
  const address = at?.address ?? '0.0.0.0';
  return {
    type,
    port: at?.port ?? DISCARD_PORT,
    protocol,
    formats,
    connection: { addressType: isIPv6(address) ? 'IP6' : 'IP4', address },
    bandwidths: [],
    attributes,
  };
}

function write(
  media: readonly MediaDescription[],
  bundle: readonly string[],
  attributes: readonly Attribute[],
  { id, version }: DescribedSession = { id: randomUint32(), version: 1 },
): string {
  return writeDescription({
    origin: { username: '-', sessionId: `${id}`, sessionVersion: `${version}`, addressType: 'IP4', address: '127.0.0.1' },
    name: '-',
    information: [],
    bandwidths: [],
    times: [{ type: 't', value: '0 0' }],
    attributes: [...attributes, ...(bundle.length > 0 ? [{ name: 'group', value: `BUNDLE ${bundle.join(' ')}` }] : [])],
    media,
  });
}
