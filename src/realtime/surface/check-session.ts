import { isShallow } from '../safe-json.ts';
import { type Fault, faultOf } from './fault.ts';
import { type SessionSettings, sessionSchema } from './session-schema.ts';

/** Checks a session object of a client: of a body, of an event, of a policy. The fault names the parameter at fault. */
export function checkSession(
  json: unknown,
): { readonly session: SessionSettings } | { readonly fault: Fault & { readonly param: string } } {
  if (!isShallow(json)) return { fault: { message: 'The session object is nested too deeply.', code: 'invalid_value', param: 'session' } };
  const parsed = sessionSchema.safeParse(json, { reportInput: true });
  if (parsed.success) return { session: parsed.data };
  return { fault: faultOf(parsed.error, 'session') };
}
