import { type Attribute, attributeOf } from './description.ts';

/** Which way media flows, seen from whoever writes the description (RFC 8866 §6.7). */
export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';

const DIRECTIONS: readonly Direction[] = ['sendrecv', 'sendonly', 'recvonly', 'inactive'];

type Section = { readonly attributes: readonly Attribute[] };

/** What a section says of its direction, or the session for all, or else sendrecv. */
export function directionOf(media: Section, session: Section): Direction {
  for (const section of [media, session]) {
    const said = DIRECTIONS.find((direction) => attributeOf(section, direction) !== undefined);
    if (said) return said;
  }
  return 'sendrecv';
}

/** The answer that takes the offer at its word (RFC 3264 §6.1): what one side sends the other receives. */
export function answerDirection(offered: Direction): Direction {
  if (offered === 'sendonly') return 'recvonly';
  return offered === 'recvonly' ? 'sendonly' : offered;
}
