import { z } from 'zod';

/** What the kinds of models have in common. */

/** Keys of vendors are longer; those of programs on this machine are what somebody made up. */
export const LEAST_MODEL_KEY = 1;

export const text = (max: number) =>
  z.string({ error: 'must be text' }).min(1, 'must not be empty').max(max, `longer than ${max} characters`);

export const within = (min: number, max: number, what: string) => {
  const message = `${what}, ${min} to ${max}`;
  return z.number({ error: message }).min(min, message).max(max, message);
};

/** @param schemes `https:` and the like; @param said as a fault says it */
export const urlOf = (schemes: readonly string[], said: string) =>
  z.string({ error: 'must be text' }).superRefine((value, context) => {
    const parsed = URL.canParse(value) ? new URL(value) : undefined;
    if (!parsed || !schemes.includes(parsed.protocol)) context.addIssue({ code: 'custom', message: said });
    else if (parsed.username !== '' || parsed.password !== '' || parsed.searchParams.has('api-key')) {
      context.addIssue({ code: 'custom', message: 'a key does not belong in a URL: logs show those' });
    }
  });

/** Would a key be read by others on its way there? */
export function isOpen(url: string): boolean {
  return /^(?:ws|http):/i.test(url) && !isHere(new URL(url).hostname);
}

function isHere(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host);
}
