import type { MediaDescription } from './description.ts';
import { type OpusParameters, opusParametersOf } from './opus-parameters.ts';
import { type MappedCodec, maxPacketTimeOf } from './rtp-map.ts';

/** A codec of phones: by its name in RTP, with the clock rate where one name has several. */
export type PhoneCodecName = 'PCMU' | 'PCMA' | 'G722' | 'opus' | 'L16/16000' | 'L16/8000';

export type PhoneClockHz = 8000 | 16_000 | 48_000;

interface CodecShape {
  /** As in a=rtpmap. */
  readonly map: string;
  /** RTP clock. */
  readonly clockRateHz: PhoneClockHz;
  /** As in a=rtpmap; 1 where it says nothing. Opus always says 2 (RFC 7587 §7). */
  readonly channels: 1 | 2;
  /** Of the sound. */
  readonly sampleRateHz: PhoneClockHz;
  /** The number we offer it under: the static one, or one that is free for all (RFC 3551 §3). */
  readonly payloadType: number;
}

const SHAPES: Readonly<Record<PhoneCodecName, CodecShape>> = {
  PCMU: { map: 'PCMU/8000', clockRateHz: 8000, channels: 1, sampleRateHz: 8000, payloadType: 0 },
  PCMA: { map: 'PCMA/8000', clockRateHz: 8000, channels: 1, sampleRateHz: 8000, payloadType: 8 },
  // RFC 3551 §4.5.2: the clock is half the sample rate, by an old mistake that stayed.
  G722: { map: 'G722/8000', clockRateHz: 8000, channels: 1, sampleRateHz: 16_000, payloadType: 9 },
  opus: { map: 'opus/48000/2', clockRateHz: 48_000, channels: 2, sampleRateHz: 48_000, payloadType: 96 },
  // The static numbers 10 and 11 are 44.1 kHz, which no phone has.
  'L16/16000': { map: 'L16/16000', clockRateHz: 16_000, channels: 1, sampleRateHz: 16_000, payloadType: 97 },
  'L16/8000': { map: 'L16/8000', clockRateHz: 8000, channels: 1, sampleRateHz: 8000, payloadType: 98 },
};

/** All that is spoken, the cheapest first. */
export const ANSWERED_CODECS: readonly PhoneCodecName[] = ['PCMU', 'PCMA', 'G722', 'opus', 'L16/16000', 'L16/8000'];

/** What we offer unless we are told otherwise: without L16, which takes four times the bits of G.722 for the same sound. */
export const PHONE_CODECS: readonly PhoneCodecName[] = ['PCMU', 'PCMA', 'G722', 'opus'];

/** A codec under its number. */
export interface PhoneFormat {
  readonly codec: PhoneCodecName;
  readonly payloadType: number;
  /** What the phone says of the Opus it would like. */
  readonly opus?: OpusParameters;
}

/** RTP clock of a codec: of its timestamps, and of telephone events beside it (RFC 4733 §2.1). */
export function clockRateOf(codec: PhoneCodecName): PhoneClockHz {
  return SHAPES[codec].clockRateHz;
}

/** Of its sound. */
export function sampleRateOf(codec: PhoneCodecName): PhoneClockHz {
  return SHAPES[codec].sampleRateHz;
}

/** The value of a=rtpmap after the payload type. */
export function mapOf(codec: PhoneCodecName): string {
  return SHAPES[codec].map;
}

/** The number under which we offer a codec. */
export function staticFormat(codec: PhoneCodecName): PhoneFormat {
  return { codec, payloadType: SHAPES[codec].payloadType };
}

/** Our packets of Opus have 20 ms: a phone that bears no more than 10 gets another codec. */
const OPUS_PACKET_MS = 20;

/** A codec of a peer's line as one of ours; undefined when it is none of `codecs`. */
export function formatOf(
  { name, clockRateHz, channels, payloadType }: MappedCodec,
  codecs: readonly PhoneCodecName[],
  media: MediaDescription,
): PhoneFormat | undefined {
  const codec = codecs.find((each) => {
    const shape = SHAPES[each];
    return shape.map.split('/')[0]?.toUpperCase() === name && shape.clockRateHz === clockRateHz && shape.channels === channels;
  });
  if (codec !== 'opus') return codec && { codec, payloadType };
  if ((maxPacketTimeOf(media) ?? OPUS_PACKET_MS) < OPUS_PACKET_MS) return undefined;
  return { codec, payloadType, opus: opusParametersOf(media, payloadType) };
}
