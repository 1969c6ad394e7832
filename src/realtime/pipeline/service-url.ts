import { GatewayError } from '../../base/errors.ts';
import type { Stage } from './stage.ts';

const PATHS: Readonly<Record<Stage, string>> = {
  transcription: '/audio/transcriptions',
  chat: '/chat/completions',
  speech: '/audio/speech',
};

/**
 * Where a service is asked.
 * @param base as configured: up to `/v1`, or the whole address with its query
 * @throws GatewayError ERR_CONFIG when it is no such address
 */
export function serviceUrl(base: string, stage: Stage): URL {
  const url = URL.canParse(base) ? new URL(base) : undefined;
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new GatewayError('ERR_CONFIG', `the address of the ${stage} service begins with https:// or http://`);
  }
  if (url.username || url.password) throw new GatewayError('ERR_CONFIG', `the address of the ${stage} service holds no credentials`);
  const path = PATHS[stage];
  if (!url.pathname.endsWith(path)) url.pathname = url.pathname.replace(/\/+$/, '') + path;
  url.hash = '';
  return url;
}
