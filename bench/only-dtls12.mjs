// Preloaded into a gateway that is to speak DTLS 1.2 alone: no browser can be told to any more, and no setting of the gateway's should.
import { register } from 'node:module';

const HOOKS = `
const BOTH = "['1.3', '1.2']";
export async function load(url, context, next) {
  const loaded = await next(url, context);
  if (!url.endsWith('/webrtc/dtls/dtls-connection.js')) return loaded;
  const source = String(loaded.source);
  if (!source.includes(BOTH)) throw new Error('the versions of DTLS stand elsewhere now');
  return { ...loaded, source: source.replace(BOTH, "['1.2']") };
}
`;

register(`data:text/javascript,${encodeURIComponent(HOOKS)}`);
