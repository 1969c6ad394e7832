import type { RateLimit, ResponseUsage } from '../model.ts';
import { type Fields, numberOf, objectOf, objectsOf, textOf } from './server-event.ts';

/** More names of tokens, or of limits, than any server has. */
const MOST_FIELDS = 16;

/** Tokens as a server counted them: numbers, and at most one level of details. */
export function readUsage(fields: Fields): ResponseUsage | undefined {
  const usage = objectOf(fields, 'usage');
  if (!usage) return undefined;
  const input = numberOf(usage, 'input_tokens') ?? 0;
  const output = numberOf(usage, 'output_tokens') ?? 0;
  const inputDetails = readDetails(usage, 'input_token_details');
  const outputDetails = readDetails(usage, 'output_token_details');
  return {
    total_tokens: numberOf(usage, 'total_tokens') ?? input + output,
    input_tokens: input,
    output_tokens: output,
    ...(inputDetails && { input_token_details: inputDetails }),
    ...(outputDetails && { output_token_details: outputDetails }),
  };
}

function readDetails(fields: Fields, name: string): Readonly<Record<string, unknown>> | undefined {
  const details = objectOf(fields, name);
  if (!details) return undefined;
  const read: [string, unknown][] = numbersOf(details);
  const cached = objectOf(details, 'cached_tokens_details');
  if (cached) read.push(['cached_tokens_details', Object.fromEntries(numbersOf(cached))]);
  return Object.fromEntries(read);
}

function numbersOf(fields: Fields): [string, number][] {
  return Object.keys(fields)
    .slice(0, MOST_FIELDS)
    .flatMap((name): [string, number][] => {
      const value = numberOf(fields, name);
      return value === undefined || name === '__proto__' ? [] : [[name, value]];
    });
}

/** What is left of the limits a server keeps. */
export function readRateLimits(fields: Fields): RateLimit[] {
  return objectsOf(fields, 'rate_limits', MOST_FIELDS).flatMap((each) => {
    const name = textOf(each, 'name');
    if (name === undefined) return [];
    return [
      {
        name: name.slice(0, 64),
        limit: numberOf(each, 'limit') ?? 0,
        remaining: numberOf(each, 'remaining') ?? 0,
        reset_seconds: numberOf(each, 'reset_seconds') ?? 0,
      },
    ];
  });
}
