import { z } from 'zod';
import { maskedSecret, type SecretValue, secret } from './secrets.ts';

/** The `projects:` section: who may use the API, and whose calls are whose. */

/** 16 random characters of base64 are 96 bits; what people make up is shorter. */
export const LEAST_KEY = 16;
/** Every request is compared with each. */
const MOST_KEYS = 1000;
const MOST_PROJECTS = 1000;

export const projectName = z
  .string({ error: 'must be text' })
  .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, 'lower-case letters, digits, hyphens and underscores, 64 at the most');

const digest = z.strictObject({
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/i, 'the SHA-256 of a key, as 64 hexadecimal digits')
    .transform((hex) => hex.toLowerCase()),
});

/** A key itself, where it is, or its digest. */
const key = z.unknown().transform((value, context): KeyValue => {
  const isDigest = typeof value === 'object' && value !== null && 'sha256' in value;
  const read = (isDigest ? digest : secret(LEAST_KEY)).safeParse(value);
  if (read.success) return read.data;
  context.addIssue({ code: 'custom', message: read.error.issues[0]?.message ?? 'not a key' });
  return z.NEVER;
});

const project = z.strictObject(
  { name: projectName, keys: z.array(key, { error: 'a list of keys' }).min(1, "a project without a key is nobody's").max(MOST_KEYS) },
  { error: (issue) => (issue.code === 'invalid_type' ? 'must be a map with name and keys' : undefined) },
);

export const projects = z
  .array(project, { error: 'must be a list of projects' })
  .max(MOST_PROJECTS)
  .superRefine((all, context) => {
    for (const [index, { name }] of all.entries()) {
      if (all.findIndex((other) => other.name === name) < index) {
        context.addIssue({ code: 'custom', path: [index, 'name'], message: 'another project has this name' });
      }
    }
  });

export type ProjectValues = z.output<typeof project>;
export type KeyValue = SecretValue | { readonly sha256: string };

/** A project as the code uses it: of its keys the digests are kept. */
export interface ProjectConfig {
  readonly name: string;
  /** SHA-256, hexadecimal. */
  readonly keyDigests: readonly string[];
}

export function shownProjects(all: readonly ProjectValues[]): unknown[] {
  return all.map(({ name, keys }) => ({ name, keys: keys.map(maskedSecret) }));
}
