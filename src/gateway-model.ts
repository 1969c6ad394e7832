import { readFile } from 'node:fs/promises';
import type { Clock } from './base/clock.ts';
import { GatewayError } from './base/errors.ts';
import type { Logger } from './base/log.ts';
import type { Metrics } from './base/metrics.ts';
import type { Config } from './config/config.ts';
import type { RealtimeModelConfig } from './config/model.ts';
import type { PipelineModelConfig } from './config/pipeline.ts';
import { EmbeddedAgent } from './realtime/embedded/agent.ts';
import { loadPrompts, textOf } from './realtime/embedded/prompts.ts';
import type { RealtimeModel } from './realtime/model.ts';
import { createPipelineMetrics } from './realtime/pipeline/pipeline-metrics.ts';
import { PipelineModel } from './realtime/pipeline/pipeline-model.ts';
import type { ServiceOptions } from './realtime/pipeline/pipeline-options.ts';
import { upstreamProfile } from './realtime/upstream/profile.ts';
import { createUpstreamMetrics } from './realtime/upstream/upstream-metrics.ts';
import { UpstreamModel } from './realtime/upstream/upstream-model.ts';

interface ModelParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Makes who talks to callers, as often as the configuration changes; what is measured goes on being counted. */
export class ModelMaker {
  readonly #parts: ModelParts;
  #pipelineMetrics: PipelineMetrics | undefined;
  #upstreamMetrics: UpstreamMetrics | undefined;

  constructor(parts: ModelParts) {
    this.#parts = parts;
  }

  /** @throws GatewayError ERR_CONFIG */
  async make(model: Config['model'], agent: Config['agent']): Promise<RealtimeModel> {
    const { metrics } = this.#parts;
    if (model.type === 'embedded') return new EmbeddedAgent({ prompts: await loadPrompts() }, agent);
    if (model.type === 'pipeline') {
      this.#pipelineMetrics ??= createPipelineMetrics(metrics);
      return createPipeline(this.#parts, this.#pipelineMetrics, model);
    }
    this.#upstreamMetrics ??= createUpstreamMetrics(metrics);
    return createUpstream(this.#parts, this.#upstreamMetrics, model);
  }
}

type PipelineMetrics = ReturnType<typeof createPipelineMetrics>;
type UpstreamMetrics = ReturnType<typeof createUpstreamMetrics>;

async function createPipeline({ clock, log }: ModelParts, metrics: PipelineMetrics, model: PipelineModelConfig): Promise<RealtimeModel> {
  const { transcription, chat, speech } = model;
  const { sorry, transfer } = await loadPrompts();
  const spare = (pcm: Int16Array) => ({ text: textOf(pcm) ?? '', pcm });
  const firstWord = ({ timeoutMs }: { readonly timeoutMs?: number }) => (timeoutMs === undefined ? {} : { firstMs: timeoutMs });
  return new PipelineModel(
    { clock, log, metrics, prompts: { fallback: spare(sorry), patience: spare(transfer) } },
    {
      ...model,
      transcription: { ...transcription, ...keyOf(transcription) },
      chat: { ...chat, ...keyOf(chat) },
      speech: { ...speech, ...keyOf(speech) },
      timings: { transcription: firstWord(transcription), chat: firstWord(chat), speech: firstWord(speech) },
    },
  );
}

function keyOf({ key }: { readonly key?: string }): Pick<ServiceOptions, 'apiKey'> {
  return key === undefined ? {} : { apiKey: key };
}

async function createUpstream({ clock, log }: ModelParts, metrics: UpstreamMetrics, model: RealtimeModelConfig): Promise<RealtimeModel> {
  const { url, profile, key, caFile, voice, instructions, greet, capMinutes, turns, uplinkWhileSpeaking } = model;
  const ca =
    caFile === undefined
      ? undefined
      : await readFile(caFile, 'utf8').catch((cause: NodeJS.ErrnoException) => {
          throw new GatewayError('ERR_CONFIG', `model.ca: ${caFile} cannot be read (${cause.code})`, { cause });
        });
  return new UpstreamModel(
    { clock, log, metrics },
    {
      url,
      profile: upstreamProfile(profile, capMinutes === undefined ? {} : { capMinutes }),
      model: model.model,
      apiKey: key,
      ca,
      config: { ...(voice === undefined ? {} : { voice }), ...(instructions === undefined ? {} : { instructions }) },
      greet: greet !== false,
      greeting: typeof greet === 'string' ? greet : undefined,
      turns,
      ...(uplinkWhileSpeaking && { uplinkWhileSpeaking }),
    },
  );
}
