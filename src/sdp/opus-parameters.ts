import { attributesOf, type MediaDescription } from './description.ts';

/** What a receiver of Opus says it would like (a=fmtp, RFC 7587 §6.1). All of it is about what is sent to whoever says it. */
export interface OpusParameters {
  /** The most it can play; nothing when it plays all. */
  readonly maxPlaybackRateHz?: number;
  /** Bits a second it takes on average, at the most. */
  readonly maxAverageBitrate?: number;
  /** It makes use of in-band FEC. */
  readonly fec: boolean;
  readonly cbr: boolean;
  /** It likes silence left out. */
  readonly dtx: boolean;
  readonly stereo: boolean;
}

/** RFC 7587 §6.1: what is not said. */
const OPUS_DEFAULTS: OpusParameters = { fec: false, cbr: false, dtx: false, stereo: false };

/** What a section says of its Opus under this number. */
export function opusParametersOf(media: MediaDescription, payloadType: number): OpusParameters {
  const said = attributesOf(media, 'fmtp').find((value) => value.startsWith(`${payloadType} `));
  return said === undefined ? OPUS_DEFAULTS : parseOpusParameters(said.slice(said.indexOf(' ') + 1));
}

/** What RFC 7587 §6.1 lets maxplaybackrate and maxaveragebitrate be. */
const RATES = { from: 8000, to: 48_000 } as const;
const BITRATES = { from: 6000, to: 510_000 } as const;

/** Reads the parameters of an a=fmtp line, without its payload type. What is unknown or out of bounds is as if it were not there. */
function parseOpusParameters(text: string): OpusParameters {
  const said = new Map<string, string>();
  for (const part of text.split(';')) {
    const [name = '', value] = part.split('=');
    if (value !== undefined) said.set(name.trim().toLowerCase(), value.trim());
  }
  const maxPlaybackRateHz = numberOf(said.get('maxplaybackrate'), RATES);
  const maxAverageBitrate = numberOf(said.get('maxaveragebitrate'), BITRATES);
  return {
    ...(maxPlaybackRateHz === undefined ? {} : { maxPlaybackRateHz }),
    ...(maxAverageBitrate === undefined ? {} : { maxAverageBitrate }),
    fec: said.get('useinbandfec') === '1',
    cbr: said.get('cbr') === '1',
    dtx: said.get('usedtx') === '1',
    stereo: said.get('stereo') === '1',
  };
}

function numberOf(text: string | undefined, { from, to }: { readonly from: number; readonly to: number }): number | undefined {
  const value = /^\d{1,6}$/.test(text ?? '') ? Number(text) : Number.NaN;
  return value >= from && value <= to ? value : undefined;
}

/**
 * What we say towards phones: sessions hear 24 kHz and one channel, so nobody need send more; a phone's network loses packets, and FEC is
 * the only thing that brings a lost one back (docs/media.md).
 */
export const OWN_OPUS_FMTP = 'maxplaybackrate=24000;stereo=0;sprop-stereo=0;useinbandfec=1';
