import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';

/** What --print-config shows in place of a secret. */
export const MASKED = '********';

/** A secret as it stands in the file: itself, the name of a variable that holds it, or the path of a file that does. */
export type SecretValue = string | { readonly env: string } | { readonly file: string };

/** More is no secret but a mistake: a certificate, a log. */
const MAX_SECRET_BYTES = 4096;
const MAX_NAME = 128;

/** @param least characters: what can be guessed is no secret */
export function secretText(least: number) {
  return z
    .string({ error: 'must be text: put it in quotes' })
    .refine((value) => value !== MASKED, 'this is the mask of --print-config, not a secret')
    .refine((value) => faultOf(value, least) === undefined, { error: (issue) => faultOf(String(issue.input), least) ?? '' });
}

/** As `secretText`, or where it is. */
export function secret(least: number) {
  const place = z.union([z.strictObject({ env: z.string().min(1).max(MAX_NAME) }), z.strictObject({ file: z.string().min(1).max(4096) })], {
    error: 'must be text, {env: NAME} or {file: PATH}',
  });
  // The text is checked first: a union would tell both branches' faults.
  return z.unknown().transform((value, context): SecretValue => {
    const read = (typeof value === 'string' || typeof value === 'number' ? secretText(least) : place).safeParse(value);
    if (read.success) return read.data;
    for (const { message } of read.error.issues.slice(0, 1)) context.addIssue({ code: 'custom', message });
    return z.NEVER;
  });
}

function faultOf(text: string, least: number): string | undefined {
  if (text.length < least) return `has fewer than ${least} characters`;
  if (Buffer.byteLength(text) > MAX_SECRET_BYTES) return `has more than ${MAX_SECRET_BYTES} bytes`;
  return /^[\x21-\x7e]+$/.test(text) ? undefined : 'holds other characters than visible ASCII';
}

export interface SecretPlaces {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What paths are relative to. */
  readonly directory: string;
}

/** Fetches a secret from where it is. @returns what is wrong, as a fault says it */
export function readSecret(
  value: SecretValue,
  { env, directory }: SecretPlaces,
  least: number,
): { readonly text: string } | { readonly fault: string } {
  if (typeof value === 'string') return { text: value };
  const place = 'env' in value ? `the variable ${value.env}` : value.file;
  let text: string | undefined;
  try {
    text = 'env' in value ? env[value.env] : readFileSync(resolve(directory, value.file), 'utf8');
  } catch (error) {
    return { fault: `${place} cannot be read (${(error as NodeJS.ErrnoException).code})` };
  }
  if (text === undefined || text === '') return { fault: `${place} is not set` };
  const trimmed = text.trim(); // files end with a line break
  const fault = faultOf(trimmed, least);
  return fault === undefined ? { text: trimmed } : { fault: `${place} ${fault}` };
}

/** What is kept of a key. */
export function digestOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/** A secret as --print-config shows it. */
export function maskedSecret<Value>(value: Value): Value | string {
  return typeof value === 'string' ? MASKED : value;
}
