import { z } from 'zod';
import { type AllowedNetworkConfig, allowedNetwork, shownNetwork } from './allowed-network.ts';
import { text } from './model-fields.ts';
import { whole } from './whole-number.ts';

/** The `stir:` section, and the key of trunks: whether callers are who they say they are (STIR/SHAKEN). */

const MOST_ALLOWED = 100;

/** What a trunk says of its callers. */
export const trunkStir = z.enum(['off', 'report', 'require', 'trust'], { error: 'off, report, require or trust' });

export const stir = z
  .strictObject(
    {
      policy: z.enum(['off', 'report', 'require'], { error: 'off, report or require; trust is for trunks' }).default('off'),
      anchors: text(4096).optional(),
      'max-age': whole(1, 3600).default(60),
      allow: z.array(allowedNetwork, { error: 'a list of addresses' }).max(MOST_ALLOWED).default([]),
      ca: text(4096).optional(),
    },
    { error: (issue) => (issue.code === 'invalid_type' ? 'must be a map' : undefined) },
  )
  .superRefine(({ policy, anchors }, context) => {
    if (policy === 'off' || anchors !== undefined) return;
    context.addIssue({ code: 'custom', path: ['policy'], message: `${policy} needs anchors: whose certificates would be trusted?` });
  });

export type StirValues = z.output<typeof stir>;

/** A PEM file, and where it is named. */
interface NamedFile {
  readonly path: string;
  readonly at: string;
}

/** The same as the code uses it. */
export interface StirConfig {
  /** Of trunks that have none of their own, and of strangers. */
  readonly policy: 'off' | 'report' | 'require';
  /** Where that stands; absent where nothing is wanted. */
  readonly policyAt?: string;
  readonly anchors?: NamedFile;
  readonly maxAgeS: number;
  readonly allow: readonly AllowedNetworkConfig[];
  readonly ca?: NamedFile;
}

/** @param at says where a part stands */
export function stirOf({ policy, anchors, 'max-age': maxAgeS, allow, ca }: StirValues, at: (part: string) => string): StirConfig {
  return {
    ...{ policy, maxAgeS, allow },
    ...(policy === 'off' ? {} : { policyAt: at('policy') }),
    ...(anchors === undefined ? {} : { anchors: { path: anchors, at: at('anchors') } }),
    ...(ca === undefined ? {} : { ca: { path: ca, at: at('ca') } }),
  };
}

export function shownStir({ allow, ...rest }: StirValues): unknown {
  return { ...rest, allow: allow.map(shownNetwork) };
}
