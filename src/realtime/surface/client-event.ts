import { z } from 'zod';
import { parseJson } from '../safe-json.ts';
import { digitRules } from './digit-rules.ts';
import { type Fault, faultOf } from './fault.ts';
import { id, inputItemSchema, itemSchema, MOST_AUDIO } from './item-schema.ts';
import { personEvents } from './person-event.ts';
import {
  instructions,
  maxOutputTokens,
  outputModalities,
  prompt,
  reasoning,
  responseTools,
  sessionSchema,
  toolChoice,
  voice,
} from './session-schema.ts';

/** The largest event is audio; its frame has room for names around it. */
const MOST_EVENT = MOST_AUDIO + 65_536;

/** Events that a client may name; longer names are not sent back. */
const eventId = z.string().max(512).optional();
const metadata = z.record(z.string().max(64), z.string().max(512)).refine((value) => Object.keys(value).length <= 16);

const responseParams = z.strictObject({
  conversation: z.enum(['auto', 'none']).optional(),
  output_modalities: outputModalities.optional(),
  instructions: instructions.optional(),
  audio: z
    .strictObject({
      output: z.strictObject({ voice: voice.optional(), format: z.looseObject({ type: z.string() }).optional() }).optional(),
    })
    .optional(),
  tools: responseTools.optional(),
  tool_choice: toolChoice.optional(),
  parallel_tool_calls: z.boolean().optional(),
  max_output_tokens: maxOutputTokens.optional(),
  metadata: metadata.nullable().optional(),
  input: z
    .array(z.union([z.strictObject({ type: z.literal('item_reference'), id }), inputItemSchema]))
    .max(1000)
    .optional(),
  prompt: prompt.nullable().optional(),
  reasoning: reasoning.nullable().optional(),
});

const clientEvent = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('session.update'), event_id: eventId, session: sessionSchema }),
  z.strictObject({ type: z.literal('input_audio_buffer.append'), event_id: eventId, audio: z.string().max(MOST_AUDIO) }),
  z.strictObject({ type: z.literal('input_audio_buffer.commit'), event_id: eventId }),
  z.strictObject({ type: z.literal('input_audio_buffer.clear'), event_id: eventId }),
  z.strictObject({ type: z.literal('output_audio_buffer.clear'), event_id: eventId }),
  z.strictObject({
    type: z.literal('conversation.item.create'),
    event_id: eventId,
    item: itemSchema,
    previous_item_id: id.nullable().optional(),
  }),
  z.strictObject({ type: z.literal('conversation.item.retrieve'), event_id: eventId, item_id: id }),
  z.strictObject({ type: z.literal('conversation.item.delete'), event_id: eventId, item_id: id }),
  z.strictObject({
    type: z.literal('conversation.item.truncate'),
    event_id: eventId,
    item_id: id,
    content_index: z.int().min(0).max(1000),
    audio_end_ms: z.int().min(0),
  }),
  z.strictObject({ type: z.literal('response.create'), event_id: eventId, response: responseParams.nullable().optional() }),
  z.strictObject({ type: z.literal('response.cancel'), event_id: eventId, response_id: id.nullable().optional() }),
  z.strictObject({
    type: z.literal('call.dtmf.send'),
    event_id: eventId,
    digits: z
      .string()
      .max(64)
      .regex(/^[0-9A-Da-d*#]+$/),
  }),
  ...personEvents,
  z.strictObject({
    type: z.literal('call.digits.collect'),
    event_id: eventId,
    entry_id: id.optional(),
    ...digitRules,
  }),
  z.strictObject({ type: z.literal('call.digits.stop'), event_id: eventId }),
  z.strictObject({ type: z.literal('call.digits.receive'), event_id: eventId, receive: z.boolean() }),
]);

export type ClientEvent = z.output<typeof clientEvent>;
export type ResponseParams = z.output<typeof responseParams>;

const TYPES: ReadonlySet<string> = new Set(clientEvent.options.flatMap((option) => [...option.shape.type.values]));

/** One client event, checked; or what is wrong with it, with the name the client gave the event. */
export function parseClientEvent(
  textOfEvent: string,
): { readonly event: ClientEvent } | { readonly fault: Fault; readonly eventId: string | undefined } {
  if (textOfEvent.length > MOST_EVENT) {
    return { fault: { message: 'The event is too large.', code: 'event_too_large' }, eventId: undefined };
  }
  const json = parseJson(textOfEvent);
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    return { fault: { message: 'The event is not a JSON object, or nested too deeply.', code: 'invalid_json' }, eventId: undefined };
  }
  const { type, event_id: name } = json as Record<string, unknown>;
  const named = typeof name === 'string' && name.length <= 512 ? name : undefined;
  if (type === undefined) {
    return { fault: { message: "Missing required parameter: 'type'.", code: 'missing_required_parameter', param: 'type' }, eventId: named };
  }
  if (typeof type !== 'string' || !TYPES.has(type)) {
    const shown = typeof type === 'string' ? type.slice(0, 64) : typeof type;
    return { fault: { message: `Invalid value: '${shown}'. No such event.`, code: 'invalid_value', param: 'type' }, eventId: named };
  }
  const parsed = clientEvent.safeParse(json, { reportInput: true });
  return parsed.success ? { event: parsed.data } : { fault: faultOf(parsed.error, ''), eventId: named };
}
