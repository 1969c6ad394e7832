import type { ContentPart, Item, ModelConfig } from '../model.ts';
import { parseFields } from './parse-fields.ts';
import type { ServiceOptions } from './pipeline-options.ts';
import type { StageRequest } from './service-call.ts';

type Message = Record<string, unknown>;

/** What a tool gave that has not given anything yet: a chat service wants each call answered before it goes on. */
const NO_RESULT_YET = '(no result yet)';

/** A request for what is to be said after these items. @param plain without what not every service knows */
export function chatRequest(service: ServiceOptions, config: ModelConfig, items: readonly Item[], plain: boolean): StageRequest {
  const { tools, toolChoice, parallelToolCalls, maxOutputTokens, reasoningEffort } = config;
  const body = {
    model: service.model,
    messages: chatMessages(config.instructions, items),
    stream: true,
    ...(plain ? {} : { stream_options: { include_usage: true } }),
    ...(tools.length === 0 ? {} : { tools: tools.map(wireTool), tool_choice: wireChoice(toolChoice) }),
    ...(plain || tools.length === 0 || parallelToolCalls === undefined ? {} : { parallel_tool_calls: parallelToolCalls }),
    ...(maxOutputTokens === 'inf' ? {} : { [tokenField(service.url)]: maxOutputTokens }),
    ...(plain || reasoningEffort === undefined ? {} : { reasoning_effort: reasoningEffort }),
    ...service.extra,
  };
  return { contentType: 'application/json', body: JSON.stringify(body) };
}

/** The reference has a new name for it, and its newer models know no other; most of the rest know the old one only. */
function tokenField(url: string): string {
  return new URL(url).hostname === 'api.openai.com' ? 'max_completion_tokens' : 'max_tokens';
}

function wireTool({ name, description, parameters }: ModelConfig['tools'][number]): Message {
  return {
    type: 'function',
    function: { name, ...(description === undefined ? {} : { description }), ...(parameters === undefined ? {} : { parameters }) },
  };
}

function wireChoice(choice: ModelConfig['toolChoice']): unknown {
  return typeof choice === 'string' ? choice : { type: 'function', function: { name: choice.name } };
}

/**
 * Items as messages of a chat. Results follow the calls they are of, whatever came between; calls without one get a
 * placeholder, results without a call are left out.
 */
function chatMessages(instructions: string | undefined, items: readonly Item[]): Message[] {
  const messages: Message[] = instructions ? [{ role: 'system', content: instructions }] : [];
  const outputs = new Map<string, string>();
  for (const item of items) if (item.type === 'function_call_output') outputs.set(item.call_id, item.output);
  let open: { message: Message; calls: Message[] } | undefined;
  const results: Message[] = [];
  const close = (): void => {
    messages.push(...results.splice(0));
    open = undefined;
  };
  for (const item of items) {
    if (item.type === 'function_call_output') {
      // The next call is of a later answer.
      if (open) close();
      continue;
    }
    if (item.type === 'function_call') {
      if (!open) {
        const last = messages.at(-1);
        const calls: Message[] = [];
        const message = last?.['role'] === 'assistant' ? last : { role: 'assistant', content: null };
        if (message !== last) messages.push(message);
        message['tool_calls'] = calls;
        open = { message, calls };
      }
      open.calls.push({
        id: item.call_id,
        type: 'function',
        function: { name: item.name, arguments: parseFields(item.arguments) ? item.arguments : '{}' },
      });
      results.push({ role: 'tool', tool_call_id: item.call_id, content: outputs.get(item.call_id) ?? NO_RESULT_YET });
      continue;
    }
    close();
    const content = wireContent(item.content, item.role);
    if (content !== undefined) messages.push({ role: item.role, content });
  }
  close();
  return messages;
}

function wireContent(parts: readonly ContentPart[], role: string): string | Message[] | undefined {
  const wired = parts.flatMap((part): Message[] => {
    if (part.type === 'input_image') {
      const image = { url: part.image_url, ...(part.detail === undefined ? {} : { detail: part.detail }) };
      return role === 'user' ? [{ type: 'image_url', image_url: image }] : [];
    }
    const text = 'text' in part ? part.text : part.transcript;
    return text ? [{ type: 'text', text }] : [];
  });
  if (wired.length === 0) return undefined;
  if (wired.some(({ type }) => type !== 'text')) return wired;
  return wired.map(({ text }) => String(text)).join('\n');
}
