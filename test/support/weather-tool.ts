import { tool } from '@openai/agents-realtime';

/** A tool of an application on the Agents SDK: it is always sunny. @param onAsked with what the model has written */
export function weatherTool(onAsked: (input: unknown) => void) {
  return tool({
    name: 'weather',
    description: 'Tells the weather of a city.',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: true } as const,
    strict: false,
    execute: (input) => {
      onAsked(input);
      return 'sunny';
    },
  });
}
