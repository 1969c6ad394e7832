import { randomText } from '../../base/ids.ts';
import { MODEL_RATE_HZ } from '../model.ts';
import type { TranscriptionOptions } from './pipeline-options.ts';
import type { StageRequest } from './service-call.ts';
import { writeWav } from './wav.ts';

/** A turn as an upload: multipart/form-data (RFC 7578) with a WAV file. */
export function transcriptionRequest(service: TranscriptionOptions, pcm: Int16Array, stream: boolean): StageRequest {
  const boundary = `ringdown-${randomText(24)}`;
  const fields: Record<string, unknown> = {
    model: service.model,
    ...(service.language === undefined ? {} : { language: service.language }),
    ...(service.prompt === undefined ? {} : { prompt: service.prompt }),
    response_format: 'json',
    ...(stream ? { stream: 'true' } : {}),
    ...service.extra,
  };
  const written = Object.entries(fields).map(
    ([name, value]) =>
      `--${boundary}\r\nContent-Disposition: form-data; name="${fieldName(name)}"\r\n\r\n${typeof value === 'string' ? value : JSON.stringify(value)}\r\n`,
  );
  const file = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="turn.wav"\r\nContent-Type: audio/wav\r\n\r\n`;
  const body = Buffer.concat([Buffer.from(written.join('') + file), writeWav(pcm, MODEL_RATE_HZ), Buffer.from(`\r\n--${boundary}--\r\n`)]);
  return { contentType: `multipart/form-data; boundary=${boundary}`, body };
}

function fieldName(name: string): string {
  return name.replace(/["\r\n]/g, '');
}
