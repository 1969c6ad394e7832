import type { NegotiatedAudio } from '../sdp/phone-audio.ts';

/** What a bridge asks the owner of a session to send it: what its phone can use. */
export interface InnerVoice {
  /** Of what the phone can play. */
  readonly maxPlaybackRateHz: number;
  /** The packets go on to the phone as they are, over a network that loses some: with FEC in them. */
  readonly fec?: boolean;
  /** Bits a second that the phone takes, at the most. */
  readonly maxAverageBitrate?: number;
  /** The phone wants all packets of one size. */
  readonly cbr?: boolean;
}

/** Nobody sends more than the model's 24 kHz; there is no use in asking for it. */
export function voiceFor({ codec, sampleRateHz, opus }: Pick<NegotiatedAudio, 'codec' | 'sampleRateHz' | 'opus'>): InnerVoice {
  if (codec !== 'opus' || !opus) return { maxPlaybackRateHz: sampleRateHz };
  const { maxPlaybackRateHz = sampleRateHz, maxAverageBitrate, fec, cbr } = opus;
  return { maxPlaybackRateHz, fec, cbr, ...(maxAverageBitrate === undefined ? {} : { maxAverageBitrate }) };
}

/**
 * May a phone that has agreed on Opus be sent what comes from an owner who was asked for `asked`? Asked before the codec was changed in
 * mid-call, it may be too much for the phone, or lack the FEC.
 */
export function fitsPhone(asked: InnerVoice, audio: NegotiatedAudio): boolean {
  const wanted = voiceFor(audio);
  if (wanted.fec && !asked.fec) return false;
  if (wanted.cbr && !asked.cbr) return false;
  return (asked.maxAverageBitrate ?? Number.POSITIVE_INFINITY) <= (wanted.maxAverageBitrate ?? Number.POSITIVE_INFINITY);
}
