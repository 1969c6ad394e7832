import { createHash } from 'node:crypto';
import { type Endpoint, endpointText } from './endpoint.ts';
import type { PhoneCall } from './phone-call.ts';
import type { SipMessage } from './sip-message.ts';
import type { SipPhone } from './sip-phone.ts';
import type { Switchhook } from './switchhook.ts';

/* Phones of the users of a gateway, which show a password. */

/** Registers as this user. */
export async function register(phone: SipPhone, at: Endpoint, name: string, password: string): Promise<void> {
  const uri = `sip:${at.address}`;
  const about = `sip:${name}@${at.address}`;
  const asked = await phone.ask('REGISTER', at, { uri, about });
  const header = credentials(asked, { method: 'REGISTER', uri, name, password });
  const taken = await phone.ask('REGISTER', at, { uri, about, headers: [['Authorization', header]] });
  if (taken.status !== 200) throw new Error(`not registered: ${taken.startLine}`);
}

/** Calls with a password. */
export async function callAs(hook: Switchhook, phone: SipPhone, at: Endpoint, user: string, name: string): Promise<PhoneCall> {
  const asked = await (await phone.dial(at, { user })).refused();
  const uri = `sip:${user}@${endpointText(at)}`;
  const header = credentials(asked, { method: 'INVITE', uri, name, password: `${name}s-password` });
  return hook.call(at, { user, headers: [['Authorization', header]] }, phone);
}

/** What answers a challenge (RFC 7616). */
function credentials(
  asked: SipMessage,
  { method, uri, name, password }: { readonly method: string; readonly uri: string; readonly name: string; readonly password: string },
): string {
  // Where there is room for one challenge only it is MD5.
  const challenge = asked.all('www-authenticate').find((value) => /algorithm=MD5/i.test(value)) ?? '';
  const value = (key: string): string => new RegExp(`\\b${key}="([^"]*)"`).exec(challenge)?.[1] ?? '';
  const hash = (text: string): string => createHash('md5').update(text).digest('hex');
  const [realm, nonce, cnonce] = [value('realm'), value('nonce'), 'f00d'];
  const response = hash(`${hash(`${name}:${realm}:${password}`)}:${nonce}:00000001:${cnonce}:auth:${hash(`${method}:${uri}`)}`);
  const shown = [`username="${name}"`, `realm="${realm}"`, `nonce="${nonce}"`, `uri="${uri}"`, `response="${response}"`];
  return `Digest ${[...shown, 'algorithm=MD5', 'qop=auth', 'nc=00000001', `cnonce="${cnonce}"`].join(', ')}`;
}
