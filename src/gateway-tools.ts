import type { Config } from './config/config.ts';
import { type EntryWebhookDeps, entryWebhook } from './control/entry-webhook.ts';
import { postWebhook } from './control/webhook-delivery.ts';
import { loadMusic } from './realtime/music-file.ts';
import type { SessionDeps } from './realtime/session-options.ts';
import { CallCatalogue } from './realtime/tools/call-catalogue.ts';
import { loadCallSounds } from './realtime/tools/call-sounds.ts';
import { catalogueOf, type ToolCatalogue } from './realtime/tools/tool-catalogue.ts';

/** The tools that sessions have, and what is heard while they run. @throws GatewayError ERR_CONFIG when a file of the installation is missing */
export async function createTools(
  deps: Omit<EntryWebhookDeps, 'post'>,
  { filler, music, collectDigits, ...call }: Config['tools'],
  others: readonly ToolCatalogue[],
): Promise<Pick<SessionDeps, 'tools' | 'filler'> & { readonly callSounds: SessionDeps['sounds'] }> {
  const sounds = await loadCallSounds();
  const { webhook } = collectDigits ?? {};
  const deliver = webhook && entryWebhook({ ...deps, post: postWebhook }, webhook);
  const collect = collectDigits && { secure: collectDigits.secure, most: collectDigits.most, deliver };
  return {
    tools: catalogueOf([new CallCatalogue({ ...call, filler, collectDigits: collect }), ...others]),
    callSounds: { ...sounds, ...(music === undefined ? {} : { music: await loadMusic(music) }) },
    filler,
  };
}
