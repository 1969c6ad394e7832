import { z } from 'zod';
import type { EntryRules } from '../tools/digit-collector.ts';

/** A caller who reads a number off a card looks at it twice. */
const FIRST_MS = 15_000;
const BETWEEN_MS = 5000;

/** Ten minutes: what the stock client of the reference waits for an answer. */
const MOST_ENTRY_MS = 600_000;

const waitMs = z.int().min(100).max(MOST_ENTRY_MS);

/** How a program wants keys collected: in an event of a channel and in a request alike. */
export const digitRules = {
  secure: z.boolean().optional(),
  count: z.int().min(1).max(64).optional(),
  terminator: z
    .string()
    .refine((keys) => /^[0-9A-D*#]{0,16}$/.test(keys), {
      error: ({ input }) => `Invalid value for 'terminator': expected at most 16 of 0-9 A-D * #, found '${String(input).slice(0, 32)}'.`,
    })
    .optional(),
  first_timeout_ms: waitMs.optional(),
  timeout_ms: waitMs.optional(),
  within_ms: waitMs.optional(),
};

type DigitRules = z.output<z.ZodObject<typeof digitRules>>;

/** The same as the collector has it, with what was left out. */
export function entryRulesOf(asked: Readonly<DigitRules>): EntryRules {
  const { count = 64, terminator = '#', first_timeout_ms: firstMs = FIRST_MS, timeout_ms: betweenMs = BETWEEN_MS, within_ms } = asked;
  return { most: count, terminators: terminator, firstMs, betweenMs, ...(within_ms === undefined ? {} : { wholeMs: within_ms }) };
}
