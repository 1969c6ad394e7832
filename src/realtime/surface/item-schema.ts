import { z } from 'zod';
import { randomText } from '../../base/ids.ts';
import type { Item } from '../model.ts';
import type { ApprovalResponseItem } from '../record-item.ts';
import { newItemId } from '../turn-record.ts';

/** The reference's own ids have 25 characters; a client may choose longer ones, within reason. */
const MOST_ID = 128;

/** Base64 of fifteen mebibytes: what the reference takes in one event. */
export const MOST_AUDIO = 15 * 1024 * 1024;

const MOST_PARTS = 128;
const MOST_TEXT = 1_000_000;
/** Of a refusal; the model reads it. */
const MOST_REASON = 1000;

export const id = z.string().min(1).max(MOST_ID);
const text = z.string().max(MOST_TEXT);
const status = z.enum(['completed', 'incomplete', 'in_progress']).optional();
const object = z.literal('realtime.item').optional();

const inputText = z.strictObject({ type: z.literal('input_text'), text });
const inputAudio = z.strictObject({
  type: z.literal('input_audio'),
  audio: z.string().max(MOST_AUDIO).optional(),
  transcript: text.nullable().optional(),
});
const inputImage = z.strictObject({
  type: z.literal('input_image'),
  image_url: z
    .string()
    .max(MOST_AUDIO)
    .refine((url) => /^data:image\/(png|jpe?g);base64,/.test(url), { message: 'Images must be data URIs of PNG or JPEG.' }),
  detail: z.enum(['auto', 'low', 'high']).optional(),
});
const outputText = z.strictObject({ type: z.literal('output_text'), text });
const outputAudio = z.strictObject({
  type: z.literal('output_audio'),
  audio: z.undefined({ error: 'Audio of the assistant cannot be created.' }).optional(),
  transcript: text.nullable().optional(),
});

const message = z.discriminatedUnion('role', [
  z.strictObject({
    type: z.literal('message'),
    role: z.literal('user'),
    id: id.optional(),
    object,
    status,
    content: z.array(z.discriminatedUnion('type', [inputText, inputAudio, inputImage])).max(MOST_PARTS),
  }),
  z.strictObject({
    type: z.literal('message'),
    role: z.literal('assistant'),
    id: id.optional(),
    object,
    status,
    content: z.array(z.discriminatedUnion('type', [outputText, outputAudio])).max(MOST_PARTS),
  }),
  z.strictObject({
    type: z.literal('message'),
    role: z.literal('system'),
    id: id.optional(),
    object,
    status,
    content: z.array(inputText).max(MOST_PARTS),
  }),
]);

const functionCall = z.strictObject({
  type: z.literal('function_call'),
  id: id.optional(),
  object,
  status,
  call_id: id.optional(),
  name: z.string().min(1).max(64),
  arguments: text,
});
const functionCallOutput = z.strictObject({
  type: z.literal('function_call_output'),
  id: id.optional(),
  object,
  status,
  call_id: id,
  output: text,
});

/** A word on a call of a server's tool. */
const approval = z.strictObject({
  type: z.literal('mcp_approval_response'),
  id: id.optional(),
  object,
  status,
  approval_request_id: id,
  approve: z.boolean(),
  reason: z.string().max(MOST_REASON).nullable().optional(),
});

export const itemSchema = z.discriminatedUnion('type', [message, functionCall, functionCallOutput, approval]);

/** Of a response's input: approvals are items of the conversation. */
export const inputItemSchema = z.discriminatedUnion('type', [message, functionCall, functionCallOutput]);

/** Makes an item of what a client sent: with a name, and whole. */
export function itemFrom(given: z.output<typeof inputItemSchema>): Item {
  const { object: _, ...rest } = given as Record<string, unknown>;
  const item = { ...rest, id: rest['id'] ?? newItemId(), status: 'completed' };
  if (given.type === 'function_call') return { ...item, call_id: given['call_id'] ?? `call_${randomText(16)}` } as Item;
  return item as unknown as Item;
}

export function approvalFrom({ id: given, approval_request_id, approve, reason }: z.output<typeof approval>): ApprovalResponseItem {
  return { type: 'mcp_approval_response', id: given ?? newItemId(), approval_request_id, approve, ...(reason ? { reason } : {}) };
}
