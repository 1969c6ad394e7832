import type { ResponseRequest, ResponseUsage } from '../model.ts';
import type { RecordItem } from '../record-item.ts';
import { formatOf, voiceName } from './effective-session.ts';
import { modalityOf } from './session-config-of.ts';
import type { SessionSettings } from './session-schema.ts';

/** A server event without its id. */
export type ServerEvent = Readonly<Record<string, unknown>> & { readonly type: string };

export interface ResponseState {
  readonly responseId: string;
  readonly request: ResponseRequest | undefined;
  readonly status: 'in_progress' | 'completed' | 'cancelled' | 'failed' | 'incomplete';
  readonly reason?: string | undefined;
  readonly error?: { readonly code: string; readonly message: string } | undefined;
  readonly usage?: ResponseUsage | undefined;
  readonly output: readonly RecordItem[];
}

/** A response as the reference shows it. */
export function responseObject(state: ResponseState, settings: SessionSettings, conversationId: string): Record<string, unknown> {
  const { responseId, request, status, usage, output } = state;
  const session = settings.type === 'realtime' ? settings : undefined;
  const config = request?.config;
  return {
    object: 'realtime.response',
    id: responseId,
    status,
    status_details: statusDetails(state),
    output: output.map((item) => itemObject(item)),
    conversation_id: request?.conversation === 'none' ? null : conversationId,
    output_modalities: [config?.outputModality ?? modalityOf(session?.output_modalities) ?? 'audio'],
    max_output_tokens: config?.maxOutputTokens ?? session?.max_output_tokens ?? 'inf',
    audio: {
      output: { format: formatOf(settings, 'output'), voice: config?.voice ?? voiceName(session?.audio?.output?.voice) ?? 'alloy' },
    },
    ...(usage ? { usage } : {}),
    metadata: request?.metadata ?? null,
  };
}

function statusDetails({ status, reason, error }: ResponseState): Record<string, unknown> | null {
  if (status === 'in_progress' || status === 'completed') return null;
  return {
    type: status,
    ...(reason === undefined ? {} : { reason }),
    ...(error ? { error: { type: 'server_error', code: error.code, message: error.message } } : {}),
  };
}

/** More of a picture is not sent back to everybody; who wants it retrieves the item. */
const MOST_SHOWN_IMAGE = 4096;

/** An item as events show it: without audio and large pictures, which come with `conversation.item.retrieved`. */
export function itemObject(item: RecordItem, whole = false): Record<string, unknown> {
  if (item.type !== 'message' || whole) return { object: 'realtime.item', ...item };
  const content = item.content.map((part) => {
    if (part.type === 'input_image' && part.image_url.length > MOST_SHOWN_IMAGE) return { ...part, image_url: '' };
    if (!('audio' in part)) return part;
    const { audio: _, ...rest } = part;
    return rest;
  });
  return { object: 'realtime.item', ...item, content };
}
