import type { SpeechOptions } from './pipeline-options.ts';
import type { StageRequest } from './service-call.ts';

/** How something is to be said. */
export interface VoiceManner {
  readonly voice: string;
  readonly speed: number | undefined;
}

export function speechRequest(service: SpeechOptions, text: string, { voice, speed }: VoiceManner): StageRequest {
  const body = {
    model: service.model,
    input: text,
    voice,
    response_format: service.format ?? 'pcm',
    ...(speed === undefined ? {} : { speed }),
    ...service.extra,
  };
  return { contentType: 'application/json', body: JSON.stringify(body) };
}
