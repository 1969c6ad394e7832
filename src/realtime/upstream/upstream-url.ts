import { GatewayError } from '../../base/errors.ts';
import type { UpstreamProfile } from './profile.ts';

/**
 * Where the WebSocket of a model is. `http` and `https` are taken as `ws` and `wss`.
 * @param base the server as configured: `https://api.openai.com/v1`, or the whole address with its query
 * @throws GatewayError ERR_CONFIG when it is no such address
 */
export function upstreamUrl(base: string, profile: UpstreamProfile, model: string | undefined): string {
  const url = URL.canParse(base) ? new URL(base) : undefined;
  const scheme = url && { 'ws:': 'ws:', 'wss:': 'wss:', 'http:': 'ws:', 'https:': 'wss:' }[url.protocol];
  if (!url || !scheme) throw new GatewayError('ERR_CONFIG', 'the address of a model server begins with wss://, ws://, https:// or http://');
  if (url.username || url.password) throw new GatewayError('ERR_CONFIG', 'the address of a model server holds no credentials');
  const [path = '', query = ''] = profile.path.split('?');
  if (!url.search && !url.pathname.endsWith('/realtime')) url.pathname = url.pathname.replace(/\/+$/, '') + path;
  for (const [name, value] of new URLSearchParams(query)) {
    const filled = value === '{model}' ? model : value;
    if (filled !== undefined && !url.searchParams.has(name)) url.searchParams.set(name, filled);
  }
  url.hash = '';
  return scheme + url.href.slice(url.protocol.length);
}
