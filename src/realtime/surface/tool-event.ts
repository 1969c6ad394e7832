import type { ListingNews, OutputPlace, SessionEvent, ToolNewsEvent } from '../session-event.ts';
import { itemObject, type ServerEvent } from './response-object.ts';

/** A piece of the arguments of a tool that the gateway runs. Clients insist on `obfuscation`; ours hides nothing. */
export function hostedDelta(event: Extract<SessionEvent, { readonly type: 'arguments' }>): ServerEvent {
  const { responseId, itemId, outputIndex, delta } = event;
  return {
    type: 'response.mcp_call_arguments.delta',
    response_id: responseId,
    item_id: itemId,
    output_index: outputIndex,
    delta,
    obfuscation: '',
  };
}

/** What a tool that the gateway runs does, as the reference tells it of tools that the server runs; progress is ours. */
export function toolEventsOf(event: ToolNewsEvent): readonly ServerEvent[] {
  switch (event.type) {
    case 'tool_started':
      return [{ type: 'response.mcp_call.in_progress', ...placeOf(event) }];
    case 'tool_progress':
      return [{ type: 'call.tool.progress', ...placeOf(event), message: event.message }];
    case 'tool_done':
      return [
        { type: 'conversation.item.done', previous_item_id: event.previousItemId, item: itemObject(event.item) },
        { type: event.item.error ? 'response.mcp_call.failed' : 'response.mcp_call.completed', ...placeOf(event) },
      ];
  }
}

/** What another machine offers. */
export function listingEventsOf({ item, previousItemId, ...event }: ListingNews): readonly ServerEvent[] {
  const shown = { previous_item_id: previousItemId, item: itemObject(item) };
  if (event.type === 'listing_started') {
    return [
      { type: 'conversation.item.added', ...shown },
      { type: 'mcp_list_tools.in_progress', item_id: item.id },
    ];
  }
  return [
    { type: event.failed ? 'mcp_list_tools.failed' : 'mcp_list_tools.completed', item_id: item.id },
    { type: 'conversation.item.done', ...shown },
  ];
}

function placeOf({ itemId, outputIndex }: OutputPlace): Record<string, unknown> {
  return { output_index: outputIndex, item_id: itemId };
}
