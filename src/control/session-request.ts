import { GatewayError } from '../base/errors.ts';
import type { SessionJson } from '../leg/session-host.ts';
import { checkSession } from '../realtime/surface/check-session.ts';
import { mergeSession } from '../realtime/surface/merge-session.ts';
import type { SessionSettings } from '../realtime/surface/session-schema.ts';
import { RequestError } from './api-error.ts';
import type { Credential } from './gatekeeper.ts';

/** @throws RequestError naming the parameter */
export function readSession(json: unknown): SessionSettings {
  const checked = checkSession(json);
  if ('session' in checked) return checked.session;
  const { message, param, code } = checked.fault;
  throw new RequestError(message, param, code);
}

/**
 * What a call is made with: what its request says, under what the client secret was made with.
 * @throws RequestError, GatewayError ERR_FORBIDDEN
 */
export function sessionFor({ secret }: Credential, asked: unknown): SessionJson {
  const settings = readSession(asked ?? secret?.session ?? { type: 'realtime' });
  if (!secret) return settings;
  if (asked !== undefined) refuseReach(settings);
  const made = readSession(secret.session);
  if (made.type !== settings.type) {
    throw new GatewayError('ERR_FORBIDDEN', `The client secret is for sessions of type '${made.type}'.`, { param: 'session.type' });
  }
  return mergeSession(settings, made);
}

/** The bearer of a client secret is anybody: it must not have us speak to other machines. */
function refuseReach(settings: SessionSettings): void {
  const tools: readonly { readonly type: string }[] = (settings.type === 'realtime' ? settings.tools : undefined) ?? [];
  const at = tools.findIndex(({ type }) => type !== 'function');
  if (at < 0) return;
  throw new GatewayError('ERR_FORBIDDEN', 'A client secret cannot add tools of other machines.', { param: `session.tools[${at}]` });
}
