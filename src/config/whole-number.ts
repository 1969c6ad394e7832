import { z } from 'zod';

/** A number of the file within these bounds. */
export function whole(min: number, max: number) {
  const message = `a whole number from ${min} to ${max}`;
  return z.number({ error: message }).int(message).min(min, message).max(max, message);
}
