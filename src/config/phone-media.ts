import { z } from 'zod';

/** How media towards phones may be carried: the same three keys for all calls, for those of a trunk and for those of a user. */

/** The codecs that phones may speak, by the names of the configuration; the cheapest first. */
const PHONE_CODEC_NAMES = ['PCMU', 'PCMA', 'G722', 'opus', 'L16/16000', 'L16/8000'] as const;

const SRTP_POLICIES = ['off', 'optional', 'required'] as const;
const SDES_OVER_PLAIN = ['refuse', 'allow'] as const;

export const srtpPolicy = z.enum(SRTP_POLICIES, { error: 'off, optional or required' });
export const sdesOverPlain = z.enum(SDES_OVER_PLAIN, { error: 'refuse or allow' });

const CODECS = `a list of ${PHONE_CODEC_NAMES.join(', ')}, each at most once, the preferred first`;

export const phoneCodecs = z
  .union([z.string().transform((text) => text.split(',').map((word) => word.trim())), z.array(z.unknown())], { error: CODECS })
  .pipe(z.array(z.enum(PHONE_CODEC_NAMES, { error: CODECS }), { error: CODECS }).min(1, CODECS))
  .refine((list) => new Set(list).size === list.length, CODECS);

/** For the section of a trunk or a user; what is not said there is as it is for all. */
export const phoneMediaFields = {
  codecs: phoneCodecs.optional(),
  srtp: srtpPolicy.optional(),
  'sdes-over-plain': sdesOverPlain.optional(),
};

/** What a section says of the media of its calls, as the code uses it. */
export interface PhoneMediaConfig {
  readonly codecs?: readonly (typeof PHONE_CODEC_NAMES)[number][];
  readonly srtp?: (typeof SRTP_POLICIES)[number];
  readonly sdesOverPlain?: (typeof SDES_OVER_PLAIN)[number];
}

/** As phoneMediaOf; undefined for a section that says nothing of it. */
export function someMediaOf(values: Parameters<typeof phoneMediaOf>[0]): PhoneMediaConfig | undefined {
  const media = phoneMediaOf(values);
  return Object.keys(media).length > 0 ? media : undefined;
}

export function phoneMediaOf(values: {
  readonly codecs?: PhoneMediaConfig['codecs'] | undefined;
  readonly srtp?: PhoneMediaConfig['srtp'] | undefined;
  readonly 'sdes-over-plain'?: PhoneMediaConfig['sdesOverPlain'] | undefined;
}): PhoneMediaConfig {
  const { codecs, srtp, 'sdes-over-plain': over } = values;
  return { ...(codecs && { codecs }), ...(srtp && { srtp }), ...(over && { sdesOverPlain: over }) };
}
