import { randomText } from '../../base/ids.ts';
import type { FunctionTool, ModelConfig, ResponseRequest } from '../model.ts';
import type { RecordItem } from '../record-item.ts';
import type { Session } from '../session.ts';
import type { CommandFault } from '../session-event.ts';
import type { ClientEvent, ResponseParams } from './client-event.ts';
import { voiceName } from './effective-session.ts';
import type { Fault } from './fault.ts';
import { approvalFrom, itemFrom } from './item-schema.ts';
import { modalityOf, toolChoiceOf } from './session-config-of.ts';

type ItemEvent = Extract<
  ClientEvent,
  {
    readonly type:
      | 'conversation.item.create'
      | 'conversation.item.retrieve'
      | 'conversation.item.delete'
      | 'conversation.item.truncate'
      | 'response.create'
      | 'response.cancel';
  }
>;

/** Whom to answer, and what with. */
export interface Reply {
  /** The item that was asked for. */
  readonly retrieved: (item: RecordItem) => void;
  /** The response of this request, or its fault, belongs to this event. */
  readonly expect: (name: string) => void;
  /** Parts of a request that this client may not choose are left out. */
  readonly restrict: (config: Partial<ModelConfig>) => Partial<ModelConfig>;
}

/** Carries out what a client asks of items and responses. */
export function commandConversation(session: Session, event: ItemEvent, reply: Reply): Fault | undefined {
  const { commands } = session;
  switch (event.type) {
    case 'conversation.item.create': {
      if (event.item.type === 'mcp_approval_response') {
        const fault = commands.answerApproval(approvalFrom(event.item), event.previous_item_id ?? undefined);
        return withParam(fault, { missing: 'item.approval_request_id', invalid: 'item.id' });
      }
      const item = itemFrom(event.item);
      reply.expect(item.id);
      return withParam(commands.addItem(item, event.previous_item_id ?? undefined), { missing: 'previous_item_id', invalid: 'item.id' });
    }
    case 'conversation.item.retrieve': {
      const item = commands.item(event.item_id);
      if (!item) return { message: `Item with id '${event.item_id.slice(0, 64)}' not found.`, code: 'item_not_found', param: 'item_id' };
      reply.retrieved(item);
      return undefined;
    }
    case 'conversation.item.delete':
      return withParam(commands.removeItem(event.item_id), { missing: 'item_id' });
    case 'conversation.item.truncate':
      return withParam(commands.truncateItem(event.item_id, event.content_index, event.audio_end_ms), {
        missing: 'item_id',
        invalid: 'audio_end_ms',
      });
    case 'response.create': {
      const request = requestFrom(event.response ?? {}, reply);
      reply.expect(request.requestId);
      return withParam(commands.respond(request), { missing: 'response.input' });
    }
    case 'response.cancel':
      return withParam(commands.cancelResponse(event.response_id ?? undefined), {});
  }
}

/** Names the parameter that a fault is about: an item that is not there, or a value that cannot be. */
function withParam(fault: CommandFault | undefined, params: { readonly missing?: string; readonly invalid?: string }): Fault | undefined {
  if (!fault) return undefined;
  if (fault.code === 'item_not_found') return { ...fault, param: params.missing };
  return fault.code === 'invalid_value' || fault.code === 'item_already_exists' ? { ...fault, param: params.invalid } : fault;
}

function requestFrom(params: ResponseParams, reply: Reply): ResponseRequest {
  const config = reply.restrict(configFrom(params));
  return {
    requestId: `req_${randomText(16)}`,
    conversation: params.conversation ?? 'auto',
    ...(Object.keys(config).length > 0 ? { config } : {}),
    ...(params.input ? { input: params.input.map((each) => (each.type === 'item_reference' ? each : itemFrom(each))) } : {}),
    metadata: params.metadata ?? null,
  };
}

function configFrom(params: ResponseParams): Partial<ModelConfig> {
  const voice = voiceName(params.audio?.output?.voice);
  const outputModality = modalityOf(params.output_modalities);
  return {
    ...(outputModality ? { outputModality } : {}),
    ...(params.instructions === undefined ? {} : { instructions: params.instructions }),
    ...(voice === undefined ? {} : { voice }),
    ...(params.tools ? { tools: params.tools as readonly FunctionTool[] } : {}),
    ...(params.tool_choice ? { toolChoice: toolChoiceOf(params.tool_choice) } : {}),
    ...(params.parallel_tool_calls === undefined ? {} : { parallelToolCalls: params.parallel_tool_calls }),
    ...(params.max_output_tokens === undefined ? {} : { maxOutputTokens: params.max_output_tokens }),
    ...(params.reasoning?.effort ? { reasoningEffort: params.reasoning.effort } : {}),
    ...(params.prompt ? { extra: { prompt: params.prompt } } : {}),
  };
}
