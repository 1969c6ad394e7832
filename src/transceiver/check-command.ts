import { GatewayError } from '../base/errors.ts';
import { checkSession } from '../realtime/surface/check-session.ts';
import type { SessionSettings } from '../realtime/surface/session-schema.ts';
import type { ToolCatalogue } from '../realtime/tools/tool-catalogue.ts';
import type { HostedTool } from '../realtime/tools/tool-source.ts';

/** Longer than any address a phone could be sent to. */
const MAX_TARGET = 2048;

/**
 * @param access.project whose session it is
 * @throws GatewayError ERR_BAD_REQUEST or ERR_FORBIDDEN naming the parameter
 */
export function checkedSession(
  json: unknown,
  { tools, project }: { readonly tools: ToolCatalogue | undefined; readonly project: string },
): SessionSettings {
  const checked = checkSession(json);
  if ('fault' in checked) throw new GatewayError('ERR_BAD_REQUEST', checked.fault.message, { param: checked.fault.param });
  const { session } = checked;
  const named = (session.type === 'realtime' ? session.tools : undefined) ?? [];
  for (const [index, tool] of named.entries()) {
    if (tool.type === 'function') continue;
    const refusal = tools?.refuse?.(tool as HostedTool, project);
    if (!refusal) continue;
    const code = refusal.code === 'forbidden' ? 'ERR_FORBIDDEN' : 'ERR_BAD_REQUEST';
    throw new GatewayError(code, refusal.message, { param: `session.tools[${index}]` });
  }
  return session;
}

/** @throws GatewayError ERR_BAD_REQUEST for what is no status that refuses (RFC 3261 §21) */
export function checkRefusal(status: number): void {
  if (!Number.isInteger(status) || status < 300 || status > 699)
    throw new GatewayError('ERR_BAD_REQUEST', 'the status must be from 300 to 699', { param: 'status_code' });
}

/** @throws GatewayError ERR_BAD_REQUEST for what is no sip:, sips: or tel: URI */
export function checkTarget(target: string): void {
  if (!/^(?:sips?|tel):[\x21-\x7e]+$/i.test(target) || target.length > MAX_TARGET || /[<>"\\]/.test(target))
    throw new GatewayError('ERR_BAD_REQUEST', 'the target must be a sip: or tel: URI', { param: 'target_uri' });
}
