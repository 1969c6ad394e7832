import { z } from 'zod';
import type { LegHeader } from '../leg/call-facts.ts';

/** As many as an INVITE of a trunk has room for beside its own. */
const MOST = 16;
/** Half of the 512 characters that a session keeps of it, in octets. */
const MOST_USER_TO_USER = 256;

/** Visible ASCII and blanks: a line break would begin another header field. */
const value = z.string().regex(/^[\x20-\x7e]{0,256}$/, 'visible ASCII, 256 characters at the most');

/** Only `X-…`: what steers a message, or lets somebody in, is not for programs to write. */
const name = z.string().regex(/^X-[A-Za-z0-9-]{1,60}$/i, 'X- and letters, digits and hyphens');

/** Fields of a request body that become header fields of a request of ours (RFC 7433 for the second one). */
export const requestHeaders = {
  headers: z
    .record(name, value)
    .refine((all) => Object.keys(all).length <= MOST, `${MOST} headers at the most`)
    .optional(),
  user_to_user: z
    .strictObject({
      data: z
        .string()
        .regex(/^(?:[0-9A-Fa-f]{2})+$/, 'octets in hexadecimal')
        .max(MOST_USER_TO_USER * 2),
      purpose: z
        .string()
        .regex(/^[A-Za-z0-9_.-]{1,64}$/)
        .optional(),
    })
    .optional(),
};

interface RequestHeaders {
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly user_to_user?: { readonly data: string; readonly purpose?: string | undefined } | undefined;
}

/** The header fields that a body asks for; nothing where it asks for none. */
export function headersPart({ headers = {}, user_to_user: uui }: RequestHeaders): { readonly headers?: readonly LegHeader[] } {
  const lines: LegHeader[] = Object.entries(headers).map(([name, value]) => ({ name, value }));
  if (uui)
    lines.push({ name: 'User-to-User', value: `${uui.data};encoding=hex${uui.purpose === undefined ? '' : `;purpose=${uui.purpose}`}` });
  return lines.length === 0 ? {} : { headers: lines };
}
