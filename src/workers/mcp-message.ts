import { z } from 'zod';

/** The servers of tools as the configuration has them, which has been checked; what opens them comes along. */

const names = z.array(z.string()).readonly();

const common = {
  label: z.string(),
  allowedTools: names.exactOptional(),
  approval: z.union([z.enum(['always', 'never']), z.strictObject({ always: names.exactOptional(), never: names.exactOptional() })]),
  everywhere: z.boolean(),
  projects: names.exactOptional(),
};

const values = z.record(z.string(), z.string());

export const mcpMessage = z.strictObject({
  servers: z
    .array(
      z.discriminatedUnion('type', [
        z.strictObject({
          ...common,
          type: z.literal('stdio'),
          command: z.string(),
          args: names,
          env: values,
          cwd: z.string().exactOptional(),
        }),
        z.strictObject({ ...common, type: z.literal('http'), url: z.string(), headers: values, caFile: z.string().exactOptional() }),
      ]),
    )
    .readonly(),
  allow: z.array(z.strictObject({ address: z.string(), bits: z.number(), port: z.number().exactOptional() })).readonly(),
  sessionServers: z.union([z.enum(['all', 'none']), names]),
  listTimeoutMs: z.number(),
  callTimeoutMs: z.number(),
});
