import { z } from 'zod';
import type { SessionSettings } from '../realtime/surface/session-schema.ts';
import { RequestError } from './api-error.ts';
import { parseBody } from './parse-body.ts';
import { readSession } from './session-request.ts';

/* Session objects of the beta: the same things, under other names and without levels. */

export type BetaSession = (body: unknown) => {
  readonly settings: SessionSettings;
  /** An effective session in the names of the beta. */
  readonly tell: (effective: Record<string, unknown>) => Record<string, unknown>;
};

const FORMATS = {
  pcm16: { type: 'audio/pcm', rate: 24_000 },
  g711_ulaw: { type: 'audio/pcmu' },
  g711_alaw: { type: 'audio/pcma' },
} as const;

const format = z.enum(['pcm16', 'g711_ulaw', 'g711_alaw']);

const shared = {
  input_audio_format: format.optional(),
  input_audio_transcription: z.unknown().optional(),
  input_audio_noise_reduction: z.unknown().optional(),
  turn_detection: z.unknown().optional(),
  modalities: z.unknown().optional(),
};

const realtime = z.strictObject({
  ...shared,
  model: z.unknown().optional(),
  voice: z.unknown().optional(),
  instructions: z.unknown().optional(),
  output_audio_format: format.optional(),
  speed: z.unknown().optional(),
  tools: z.unknown().optional(),
  tool_choice: z.unknown().optional(),
  tracing: z.unknown().optional(),
  /** Means nothing to models of today. */
  temperature: z.number().optional(),
  max_response_output_tokens: z.unknown().optional(),
});

const transcription = z.strictObject({ ...shared, include: z.unknown().optional() });

export const betaRealtime: BetaSession = (body) => {
  const given = parseBody(realtime, body);
  const settings = readSession(
    defined({
      type: 'realtime',
      model: given.model,
      instructions: given.instructions,
      output_modalities: modalities(given.modalities),
      tools: given.tools,
      tool_choice: given.tool_choice,
      tracing: given.tracing,
      max_output_tokens: given.max_response_output_tokens,
      audio: {
        input: inputOf(given),
        output: defined({
          format: given.output_audio_format && FORMATS[given.output_audio_format],
          voice: given.voice,
          speed: given.speed,
        }),
      },
    }),
  );
  return { settings, tell: tellRealtime };
};

export const betaTranscription: BetaSession = (body) => {
  const given = parseBody(transcription, body);
  const settings = readSession(defined({ type: 'transcription', include: given.include, audio: { input: inputOf(given) } }));
  return { settings, tell: tellInput };
};

function inputOf(given: z.output<typeof transcription> | z.output<typeof realtime>): Record<string, unknown> {
  return defined({
    format: given.input_audio_format && FORMATS[given.input_audio_format],
    transcription: given.input_audio_transcription,
    noise_reduction: given.input_audio_noise_reduction,
    turn_detection: given.turn_detection,
  });
}

/** The beta asked for text with every audio; now audio has its transcript. */
function modalities(given: unknown): unknown {
  if (given === undefined) return undefined;
  if (!Array.isArray(given)) throw new RequestError("Invalid type for 'modalities': expected array.", 'modalities', 'invalid_type');
  return given.includes('audio') ? ['audio'] : given;
}

function tellRealtime(effective: Record<string, unknown>): Record<string, unknown> {
  const { type: _type, audio, output_modalities, max_output_tokens, ...rest } = effective;
  const { output } = audio as { output: Record<string, unknown> };
  const spoken = Array.isArray(output_modalities) && output_modalities.includes('audio');
  return {
    ...rest,
    ...tellAudio(effective),
    modalities: spoken ? ['audio', 'text'] : ['text'],
    output_audio_format: nameOf(output['format']),
    voice: output['voice'],
    speed: output['speed'],
    max_response_output_tokens: max_output_tokens,
  };
}

function tellInput(effective: Record<string, unknown>): Record<string, unknown> {
  const { type: _type, audio: _audio, ...rest } = effective;
  return { ...rest, ...tellAudio(effective), modalities: ['audio', 'text'] };
}

function tellAudio({ audio }: Record<string, unknown>): Record<string, unknown> {
  const { input } = audio as { input: Record<string, unknown> };
  return {
    input_audio_format: nameOf(input['format']),
    input_audio_transcription: input['transcription'],
    input_audio_noise_reduction: input['noise_reduction'],
    turn_detection: input['turn_detection'],
  };
}

function nameOf(given: unknown): string {
  const { type } = given as { type: string };
  return Object.entries(FORMATS).find(([, each]) => each.type === type)?.[0] ?? 'pcm16';
}

function defined(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
