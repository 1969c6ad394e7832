import type { Config } from './config/config.ts';
import { loadMusic } from './realtime/music-file.ts';
import type { SessionDeps } from './realtime/session-options.ts';
import { CallCatalogue } from './realtime/tools/call-catalogue.ts';
import { loadCallSounds } from './realtime/tools/call-sounds.ts';
import { catalogueOf, type ToolCatalogue } from './realtime/tools/tool-catalogue.ts';

/** The tools that sessions have, and what is heard while they run. @throws GatewayError ERR_CONFIG when a file of the installation is missing */
export async function createTools(
  { filler, music, ...call }: Config['tools'],
  others: readonly ToolCatalogue[],
): Promise<Pick<SessionDeps, 'tools' | 'filler'> & { readonly callSounds: SessionDeps['sounds'] }> {
  const sounds = await loadCallSounds();
  return {
    tools: catalogueOf([new CallCatalogue({ ...call, filler }), ...others]),
    callSounds: { ...sounds, ...(music === undefined ? {} : { music: await loadMusic(music) }) },
    filler,
  };
}
