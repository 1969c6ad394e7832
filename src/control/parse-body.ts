import type { z } from 'zod';
import { faultOf } from '../realtime/surface/fault.ts';
import { RequestError } from './api-error.ts';

/** A body as its schema makes it. @throws RequestError naming the first parameter at fault */
export function parseBody<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  const parsed = schema.safeParse(body, { reportInput: true });
  if (parsed.success) return parsed.data;
  const { message, param, code } = faultOf(parsed.error, '');
  throw new RequestError(param === '' ? 'The body must be a JSON object.' : message, param === '' ? undefined : param, code);
}
