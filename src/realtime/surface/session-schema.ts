import { z } from 'zod';
import { type CallTool, callTool } from './call-tool-schema.ts';
import { type McpToolSettings, mcpTool } from './mcp-schema.ts';

/** The reference's session object as clients may send it: every field optional but `type`, unknown ones refused. */

/** Longer than any prompt a model of this kind takes (128 k tokens). */
const MOST_INSTRUCTIONS = 500_000;
const MOST_TOOLS = 128;
/** Each is a connection or two. */
const MOST_SERVERS = 16;
/** A schema of a tool, as JSON. */
const MOST_PARAMETERS = 65_536;
const MOST_NAME = 256;

const name = z.string().max(MOST_NAME);
const shortText = z.string().max(16_384);
const format = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('audio/pcm'), rate: z.literal(24_000).optional() }),
  // The rate of G.711 is not a choice; some clients name it all the same.
  z.strictObject({ type: z.literal('audio/pcmu'), rate: z.literal(8000).optional() }),
  z.strictObject({ type: z.literal('audio/pcma'), rate: z.literal(8000).optional() }),
]);

const transcription = z.strictObject({
  model: name.optional(),
  language: name.optional(),
  languages: z.array(name).max(32).optional(),
  keywords: z.array(name).max(256).optional(),
  prompt: shortText.optional(),
  delay: z.enum(['minimal', 'low', 'medium', 'high', 'xhigh']).optional(),
});

const noiseReduction = z.strictObject({
  type: z.enum(['near_field', 'far_field']).optional(),
  strength: z.number().min(0).max(1).optional(),
});

const turnDetection = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('server_vad'),
    threshold: z.number().min(0).max(1).optional(),
    prefix_padding_ms: z.int().min(0).max(5000).optional(),
    silence_duration_ms: z.int().min(0).max(10_000).optional(),
    create_response: z.boolean().optional(),
    interrupt_response: z.boolean().optional(),
    idle_timeout_ms: z.int().min(1000).max(300_000).nullable().optional(),
  }),
  z.strictObject({
    type: z.literal('semantic_vad'),
    eagerness: z.enum(['low', 'medium', 'high', 'auto']).optional(),
    create_response: z.boolean().optional(),
    interrupt_response: z.boolean().optional(),
  }),
]);

const input = z.strictObject({
  format: format.optional(),
  transcription: transcription.nullable().optional(),
  noise_reduction: noiseReduction.nullable().optional(),
  turn_detection: turnDetection.nullable().optional(),
});

export const voice = z.union([name.min(1), z.strictObject({ id: name.min(1) })]);
const output = z.strictObject({
  format: format.optional(),
  voice: voice.optional(),
  speed: z.number().min(0.25).max(1.5).optional(),
});

const functionTool = z.strictObject({
  type: z.literal('function').default('function'),
  name: z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/),
  description: shortText.optional(),
  parameters: z
    .record(z.string(), z.unknown())
    .refine((value) => JSON.stringify(value).length <= MOST_PARAMETERS, { params: { code: 'string_above_max_length' } })
    .optional(),
});

/** By its type: a union would tell the faults of all of them. */
const tool = z.unknown().transform((value, context): z.output<typeof functionTool> | McpToolSettings | CallTool => {
  const type = typeof value === 'object' && value !== null && 'type' in value ? value.type : undefined;
  const parsed = (type === 'mcp' ? mcpTool : type === 'call' ? callTool : functionTool).safeParse(value, { reportInput: true });
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues) context.issues.push({ ...issue, input: issue.input } as never);
  return z.NEVER;
});
const tools = z
  .array(tool)
  .max(MOST_TOOLS)
  .superRefine((all, context) => {
    const servers = all.filter(({ type }) => type === 'mcp').length;
    if (servers > MOST_SERVERS) {
      context.addIssue({
        code: 'too_big',
        origin: 'array',
        maximum: MOST_SERVERS,
        inclusive: true,
        input: all,
        message: `No more than ${MOST_SERVERS} servers.`,
      });
    }
    const labels = all.map((each) => (each.type === 'mcp' ? each.server_label : undefined));
    for (const [index, label] of labels.entries()) {
      if (label === undefined || labels.indexOf(label) === index) continue;
      context.addIssue({
        code: 'custom',
        path: [index, 'server_label'],
        message: `Another server has the label '${label}'.`,
        params: { code: 'invalid_value' },
      });
    }
  });

/** A response takes functions; servers take longer to ask for their tools than a response waits. */
export const responseTools = tools.superRefine((all, context) => {
  const at = all.findIndex(({ type }) => type !== 'function');
  if (at < 0) return;
  const message = 'Tools that the gateway runs are named by the session, not by a response.';
  context.addIssue({ code: 'custom', path: [at, 'type'], message, params: { code: 'unsupported_tool' } });
});

export const toolChoice = z.union([
  z.enum(['auto', 'none', 'required']),
  z.strictObject({ type: z.literal('function'), name: z.string().min(1).max(64) }),
  z.strictObject({
    type: z.literal('mcp'),
    server_label: z.string().min(1).max(64),
    name: z.string().min(1).max(128).nullable().optional(),
  }),
]);
export const maxOutputTokens = z.union([z.int().min(1).max(4096), z.literal('inf')]);
export const outputModalities = z
  .array(z.enum(['audio', 'text']))
  .min(1)
  .max(2);
export const reasoning = z.strictObject({ effort: z.enum(['minimal', 'low', 'medium', 'high', 'xhigh']).optional() });
export const prompt = z.strictObject({
  id: name,
  version: name.nullable().optional(),
  variables: z.record(z.string().max(MOST_NAME), z.unknown()).nullable().optional(),
});
export const instructions = z.string().max(MOST_INSTRUCTIONS);

const truncation = z.union([
  z.enum(['auto', 'disabled']),
  z.strictObject({
    type: z.literal('retention_ratio'),
    retention_ratio: z.number().min(0).max(1),
    token_limits: z.strictObject({ post_instructions: z.int().min(0).optional() }).optional(),
  }),
]);
const tracing = z.union([
  z.literal('auto'),
  z.strictObject({ workflow_name: name.optional(), group_id: name.optional(), metadata: z.unknown().optional() }),
]);
const include = z.array(z.literal('item.input_audio_transcription.logprobs')).max(1);

const realtimeSession = z.strictObject({
  type: z.literal('realtime'),
  model: name.min(1).optional(),
  instructions: instructions.nullable().optional(),
  output_modalities: outputModalities.optional(),
  audio: z.strictObject({ input: input.optional(), output: output.optional() }).optional(),
  tools: tools.nullable().optional(),
  tool_choice: toolChoice.optional(),
  parallel_tool_calls: z.boolean().optional(),
  reasoning: reasoning.nullable().optional(),
  max_output_tokens: maxOutputTokens.optional(),
  truncation: truncation.optional(),
  tracing: tracing.nullable().optional(),
  prompt: prompt.nullable().optional(),
  include: include.nullable().optional(),
});

const transcriptionSession = z.strictObject({
  type: z.literal('transcription'),
  audio: z.strictObject({ input: input.optional() }).optional(),
  include: include.nullable().optional(),
});

export const sessionSchema = z.discriminatedUnion('type', [realtimeSession, transcriptionSession]);

/** A session object that was checked. What is absent has its default. */
export type SessionSettings = z.output<typeof sessionSchema>;
export type RealtimeSettings = z.output<typeof realtimeSession>;
export type TranscriptionSettings = z.output<typeof transcriptionSession>;
export type AudioFormat = z.output<typeof format>;
export type TurnDetection = z.output<typeof turnDetection>;
export type TranscriptionConfig = z.output<typeof transcription>;
