import type { OutputPlace, PartPlace, ResponseNews, SessionEvent } from '../session-event.ts';
import { personEventOf } from './person-event.ts';
import { itemObject, responseObject, type ServerEvent } from './response-object.ts';
import type { SessionSettings } from './session-schema.ts';
import { hostedDelta, listingEventsOf, toolEventsOf } from './tool-event.ts';

/** What of the session an event is told with. */
export interface Telling {
  readonly settings: SessionSettings;
  readonly conversationId: string;
  /** Base64 of a piece of an item's audio, in the session's format; undefined where none goes to clients. */
  readonly audio: (itemId: string, pcm: Int16Array) => string | undefined;
  /** What the format's conversion still holds of the item's audio. */
  readonly lastAudio: (itemId: string) => string | undefined;
  /** Milliseconds of audio an item has. */
  readonly audioMs: (itemId: string) => number;
  /** Unix milliseconds. */
  readonly wallclock: () => number;
}

/** What happened in a session in the reference's words: none, one or several events, in the reference's order. `fault` is told by the surface. */
export function serverEventsOf(event: SessionEvent, telling: Telling): readonly ServerEvent[] {
  switch (event.type) {
    case 'speech_started':
      return [{ type: 'input_audio_buffer.speech_started', audio_start_ms: Math.round(event.startMs), item_id: event.itemId }];
    case 'speech_stopped':
      return [{ type: 'input_audio_buffer.speech_stopped', audio_end_ms: Math.round(event.endMs), item_id: event.itemId }];
    case 'turn_committed':
      return [{ type: 'input_audio_buffer.committed', previous_item_id: event.previousItemId, item_id: event.itemId }];
    case 'input_cleared':
      return [{ type: 'input_audio_buffer.cleared' }];
    case 'idle_timeout':
      return [
        {
          type: 'input_audio_buffer.timeout_triggered',
          audio_start_ms: Math.round(event.startMs),
          audio_end_ms: Math.round(event.endMs),
          item_id: event.itemId,
        },
      ];
    case 'item_added':
      return [{ type: 'conversation.item.added', previous_item_id: event.previousItemId, item: itemObject(event.item) }];
    case 'item_done':
      return [{ type: 'conversation.item.done', previous_item_id: event.previousItemId, item: itemObject(event.item) }];
    case 'item_deleted':
      return [{ type: 'conversation.item.deleted', item_id: event.itemId }];
    case 'item_truncated':
      return [
        {
          type: 'conversation.item.truncated',
          item_id: event.itemId,
          content_index: event.contentIndex,
          audio_end_ms: event.audioEndMs,
        },
      ];
    case 'input_transcript_delta':
      return [{ type: 'conversation.item.input_audio_transcription.delta', item_id: event.itemId, content_index: 0, delta: event.delta }];
    case 'input_transcript':
      return [
        {
          type: 'conversation.item.input_audio_transcription.completed',
          item_id: event.itemId,
          content_index: 0,
          transcript: event.transcript,
          usage: transcriptUsage(event.usage, telling.audioMs(event.itemId)),
        },
      ];
    case 'input_transcript_failed':
      return [
        {
          type: 'conversation.item.input_audio_transcription.failed',
          item_id: event.itemId,
          content_index: 0,
          error: { type: 'transcription_error', code: event.code, message: event.message },
        },
      ];
    case 'playback_started':
      return [{ type: 'output_audio_buffer.started', response_id: event.responseId }];
    case 'playback_stopped':
      return [{ type: 'output_audio_buffer.stopped', response_id: event.responseId }];
    case 'playback_cleared':
      return [{ type: 'output_audio_buffer.cleared', response_id: event.responseId }];
    case 'item_heard':
      return [
        {
          type: 'conversation.item.heard',
          item_id: event.itemId,
          audio_end_ms: Math.floor(event.audioEndMs),
          heard_ms: Math.floor(event.heardMs),
          transcript: event.transcript ?? null,
          estimate: true,
          tolerance_ms: event.toleranceMs,
        },
      ];
    case 'barge_in_rejected':
      return [{ type: 'barge_in.rejected', reason: event.reason }];
    case 'turn_latency':
      return [
        {
          type: 'turn.latency',
          item_id: event.itemId,
          response_id: event.responseId ?? null,
          decided_ms: Math.round(event.decidedMs),
          requested_ms: Math.round(event.requestedMs),
          first_delta_ms: event.firstDeltaMs === undefined ? null : Math.round(event.firstDeltaMs),
          first_packet_ms: Math.round(event.firstPacketMs),
          ear_ms: event.earMs === undefined ? null : Math.round(event.earMs),
        },
      ];
    case 'tool_started':
    case 'tool_progress':
    case 'tool_done':
      return toolEventsOf(event);
    case 'listing_started':
    case 'listing_done':
      return listingEventsOf(event);
    case 'entry_started':
      return [{ type: 'call.digits.started', secure: event.secure }];
    case 'entry_ended':
      return [{ type: 'call.digits.ended', secure: event.secure, count: event.count, ended_by: event.endedBy }];
    case 'filler':
      return [
        { type: 'call.filler', sound: event.sound, after_ms: event.afterMs, ...(event.text === undefined ? {} : { text: event.text }) },
      ];
    case 'rate_limits':
      return [{ type: 'rate_limits.updated', rate_limits: event.limits.filter(({ name }) => name === 'requests' || name === 'tokens') }];
    case 'dtmf':
      return [{ type: DTMF_RECEIVED, event: event.digit, received_at: Math.floor(telling.wallclock() / 1000) }];
    case 'dtmf_sent':
      return [{ type: 'call.dtmf.sent', digits: event.digits }];
    case 'transfer':
      return [{ type: `call.transfer.${event.state}`, ...(event.status === undefined ? {} : { status_code: event.status }) }];
    case 'hold':
      return [{ type: 'call.hold', held: event.held }];
    case 'person_state':
    case 'person_failed':
    case 'person_answered':
    case 'person_ended':
    case 'answered_by':
    case 'person_dtmf':
    case 'caller_held':
      return [personEventOf(event)];
    case 'ended':
      return [{ type: 'call.ended', reason: event.cause }];
    case 'fault':
      return [];
    default:
      return responseEventsOf(event, telling);
  }
}

/** The one event of the reference that has no id. */
export const DTMF_RECEIVED = 'input_audio_buffer.dtmf_event_received';

function responseEventsOf(event: ResponseNews, telling: Telling): readonly ServerEvent[] {
  const { settings, conversationId } = telling;
  switch (event.type) {
    case 'response_started':
      return [
        {
          type: 'response.created',
          response: responseObject({ ...event, request: event.request, status: 'in_progress', output: [] }, settings, conversationId),
        },
      ];
    case 'output_started':
      return [
        {
          type: 'response.output_item.added',
          response_id: event.responseId,
          output_index: event.outputIndex,
          item: itemObject(event.item),
        },
        ...(event.inConversation
          ? [{ type: 'conversation.item.added', previous_item_id: event.previousItemId, item: itemObject(event.item) }]
          : []),
      ];
    case 'part_started':
      return [
        {
          type: 'response.content_part.added',
          ...partPlace(event),
          part: event.part === 'audio' ? { type: 'audio', transcript: '' } : { type: 'text', text: '' },
        },
      ];
    case 'text':
      return [{ type: 'response.output_text.delta', ...partPlace(event), delta: event.delta }];
    case 'transcript':
      return [{ type: 'response.output_audio_transcript.delta', ...partPlace(event), delta: event.delta }];
    case 'audio': {
      const delta = telling.audio(event.itemId, event.pcm);
      return delta === undefined || delta === '' ? [] : [{ type: 'response.output_audio.delta', ...partPlace(event), delta }];
    }
    case 'arguments':
      if (event.callId === undefined) return [hostedDelta(event)];
      return [{ type: 'response.function_call_arguments.delta', ...outputPlace(event), call_id: event.callId, delta: event.delta }];
    case 'part_done':
      return event.part === 'audio' ? audioDone(event, telling) : textDone(event);
    case 'output_done':
      return outputDone(event);
    case 'response_done':
      return [{ type: 'response.done', response: responseObject({ ...event, request: event.request }, settings, conversationId) }];
  }
}

function audioDone(event: Extract<ResponseNews, { readonly type: 'part_done' }>, telling: Telling): ServerEvent[] {
  const place = partPlace(event);
  const { text } = event;
  const last = telling.lastAudio(event.itemId);
  return [
    ...(last ? [{ type: 'response.output_audio.delta', ...place, delta: last }] : []),
    { type: 'response.output_audio.done', ...place },
    ...(text === undefined ? [] : [{ type: 'response.output_audio_transcript.done', ...place, transcript: text }]),
    { type: 'response.content_part.done', ...place, part: { type: 'audio', ...(text === undefined ? {} : { transcript: text }) } },
  ];
}

function textDone(event: Extract<ResponseNews, { readonly type: 'part_done' }>): ServerEvent[] {
  const place = partPlace(event);
  const text = event.text ?? '';
  return [
    { type: 'response.output_text.done', ...place, text },
    { type: 'response.content_part.done', ...place, part: { type: 'text', text } },
  ];
}

function outputDone(event: Extract<ResponseNews, { readonly type: 'output_done' }>): ServerEvent[] {
  const { item, inConversation, previousItemId } = event;
  const shown = itemObject(item);
  if (item.type === 'mcp_call') {
    // As an item of the conversation it is done when it has its result.
    return [
      { type: 'response.mcp_call_arguments.done', ...outputPlace(event), arguments: item.arguments },
      { type: 'response.output_item.done', response_id: event.responseId, output_index: event.outputIndex, item: shown },
    ];
  }
  return [
    ...(item.type === 'function_call'
      ? [
          {
            type: 'response.function_call_arguments.done',
            ...outputPlace(event),
            call_id: item.call_id,
            name: item.name,
            arguments: item.arguments,
          },
        ]
      : []),
    ...(inConversation ? [{ type: 'conversation.item.done', previous_item_id: previousItemId, item: shown }] : []),
    { type: 'response.output_item.done', response_id: event.responseId, output_index: event.outputIndex, item: shown },
  ];
}

function outputPlace({ responseId, itemId, outputIndex }: OutputPlace): Record<string, unknown> {
  return { response_id: responseId, item_id: itemId, output_index: outputIndex };
}

function partPlace(place: PartPlace): Record<string, unknown> {
  return { ...outputPlace(place), content_index: place.contentIndex };
}

/** Clients refuse usage that is not whole; how long the audio was is always known. */
function transcriptUsage(usage: unknown, audioMs: number): unknown {
  const given = usage as { type?: unknown; input_token_details?: { text_tokens?: unknown; audio_tokens?: unknown } } | undefined | null;
  const details = given?.input_token_details;
  if (given?.type === 'tokens' && typeof details?.text_tokens === 'number' && typeof details.audio_tokens === 'number') return given;
  if (given?.type === 'duration') return given;
  return { type: 'duration', seconds: Math.round(audioMs) / 1000 };
}
