import type { IncomingMessage } from 'node:http';
import { RequestError } from './api-error.ts';

/** What a client wants of a WebSocket. */
export type SocketRequest =
  | { readonly type: 'session'; readonly model: string }
  | { readonly type: 'transcription' }
  /** A sideband of a call. */
  | { readonly type: 'call'; readonly callId: string };

export const SOCKET_PATH = '/v1/realtime';
export const SUBPROTOCOL = 'realtime';
const KEY_PROTOCOL = 'openai-insecure-api-key.';

/** The path without its query. */
export function pathOf({ url = '' }: IncomingMessage): string {
  return url.split('?', 1)[0] ?? '';
}

/**
 * What the query asks for: exactly one of `call_id`, `model`, `intent=transcription`; beside a `call_id` a model means nothing.
 * @throws RequestError
 */
export function socketRequestOf({ url = '' }: IncomingMessage): SocketRequest {
  const query = new URLSearchParams(url.slice(pathOf({ url } as IncomingMessage).length));
  const [callId, model, intent] = ['call_id', 'model', 'intent'].map((name) => one(query, name));
  if (intent !== undefined && intent !== 'transcription') throw new RequestError("'intent' can only be 'transcription'.", 'intent');
  if (callId !== undefined && intent === undefined) return { type: 'call', callId };
  if (intent !== undefined && model === undefined && callId === undefined) return { type: 'transcription' };
  if (model !== undefined && intent === undefined) return { type: 'session', model };
  throw new RequestError("Give exactly one of 'model', 'call_id' and 'intent=transcription'.", 'model', 'missing_required_parameter');
}

function one(query: URLSearchParams, name: string): string | undefined {
  const values = query.getAll(name);
  if (values.length > 1 || values[0] === '') throw new RequestError(`'${name}' stands there twice, or is empty.`, name);
  return values[0];
}

/** The key among the subprotocols, by which browsers send it: they cannot set headers. */
export function protocolKeyOf({ headers }: IncomingMessage): string | undefined {
  const protocols = (headers['sec-websocket-protocol'] ?? '').split(',').map((word) => word.trim());
  const key = protocols.find((word) => word.startsWith(KEY_PROTOCOL))?.slice(KEY_PROTOCOL.length);
  return key !== undefined && /^[\x21-\x7e]{1,512}$/.test(key) ? key : undefined;
}
