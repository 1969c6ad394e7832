import { readFile } from 'node:fs/promises';
import type { Clock } from './base/clock.ts';
import { GatewayError } from './base/errors.ts';
import type { Logger } from './base/log.ts';
import type { Metrics } from './base/metrics.ts';
import type { Config } from './config/config.ts';
import type { RealtimeModelConfig } from './config/model.ts';
import { EmbeddedAgent } from './realtime/embedded/agent.ts';
import { loadPrompts } from './realtime/embedded/prompts.ts';
import type { RealtimeModel } from './realtime/model.ts';
import { upstreamProfile } from './realtime/upstream/profile.ts';
import { createUpstreamMetrics } from './realtime/upstream/upstream-metrics.ts';
import { UpstreamModel } from './realtime/upstream/upstream-model.ts';

interface ModelParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Who talks to callers. @throws GatewayError ERR_CONFIG */
export async function createModel(parts: ModelParts, model: Config['model'], agent: Config['agent']): Promise<RealtimeModel> {
  if (model.type === 'embedded') return new EmbeddedAgent({ prompts: await loadPrompts() }, agent);
  return createUpstream(parts, model);
}

async function createUpstream({ clock, log, metrics }: ModelParts, model: RealtimeModelConfig): Promise<RealtimeModel> {
  const { url, profile, key, caFile, voice, instructions, greet, capMinutes } = model;
  const ca =
    caFile === undefined
      ? undefined
      : await readFile(caFile, 'utf8').catch((cause: NodeJS.ErrnoException) => {
          throw new GatewayError('ERR_CONFIG', `model.ca: ${caFile} cannot be read (${cause.code})`, { cause });
        });
  return new UpstreamModel(
    { clock, log, metrics: createUpstreamMetrics(metrics) },
    {
      url,
      profile: upstreamProfile(profile, capMinutes === undefined ? {} : { capMinutes }),
      model: model.model,
      apiKey: key,
      ca,
      config: { ...(voice === undefined ? {} : { voice }), ...(instructions === undefined ? {} : { instructions }) },
      greet: greet !== false,
      greeting: typeof greet === 'string' ? greet : undefined,
    },
  );
}
