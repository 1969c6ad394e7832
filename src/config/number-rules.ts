import { z } from 'zod';
import { whole } from './whole-number.ts';

/** How a trunk writes numbers, and how they are written inside: `numbers:` of a trunk. No regular expressions: a rule is a beginning, what is cut off and what is put before. */

const digits = (max: number) =>
  z.union([z.number().transform(String), z.string()]).pipe(z.string().regex(new RegExp(`^\\d{1,${max}}$`), `digits, ${max} at the most`));

const rule = z.strictObject(
  {
    match: z
      .string({ error: 'must be text: put it in quotes, YAML takes 0049 for the number 49' })
      .regex(/^[A-Za-z0-9+*#_.!~-]{0,64}\*?$/, 'a number or a name, or the beginning of one with * at its end'),
    strip: whole(0, 64).default(0),
    add: z
      .string({ error: 'must be text: put it in quotes' })
      .regex(/^[A-Za-z0-9+*#_.!~-]{0,32}$/, 'letters, digits and + * # _ . ! ~ -, 32 at the most')
      .default(''),
  },
  { error: (issue) => (issue.code === 'invalid_type' ? 'must be a map with match, and strip or add' : undefined) },
);

const rules = z.array(rule, { error: 'a list of rules' }).max(100).default([]);
const direction = z.strictObject({ caller: rules, called: rules }).prefault({});

export const numbers = z.strictObject({
  country: digits(3).optional(),
  national: digits(4).default('0'),
  international: digits(5).default('00'),
  inbound: direction,
  outbound: direction,
});

/** `match` has `*` at its end where it is a beginning; the first rule that fits is applied. */
export interface NumberRule {
  readonly match: string;
  readonly strip: number;
  readonly add: string;
}

/** How numbers are rewritten between a trunk and us. */
export interface NumberRules {
  /** Makes +… of national and international numbers that come in, before the rules. */
  readonly country?: { readonly code: string; readonly national: string; readonly international: string };
  readonly inbound: { readonly caller: readonly NumberRule[]; readonly called: readonly NumberRule[] };
  readonly outbound: { readonly caller: readonly NumberRule[]; readonly called: readonly NumberRule[] };
}

export function numbersOf({ country, national, international, inbound, outbound }: z.output<typeof numbers>): NumberRules {
  return { ...(country === undefined ? {} : { country: { code: country, national, international } }), inbound, outbound };
}
