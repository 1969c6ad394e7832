import { z } from 'zod';

/* Tools of type `call` in a session object: those by which a model moves the call it is in. An extension of the reference's. */

const MOST_TARGETS = 32;

/** What is heard while the tool runs. */
const filler = z.strictObject({
  sound: z.enum(['none', 'tone', 'typing', 'phrase']),
  after_ms: z.int().min(0).max(10_000).optional(),
  text: z.string().min(1).max(500).optional(),
});

const target = z.strictObject({
  name: z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/),
  description: z.string().max(500).optional(),
  uri: z.string().regex(/^(?:sip|tel):[!#-;=?-~]{1,250}$/),
});

const type = z.literal('call');

/** Whom a caller may be sent to stands here, with the one who made the session, and not with the model. */
export const callTool = z.discriminatedUnion('name', [
  z.strictObject({
    type,
    name: z.literal('transfer'),
    targets: z
      .array(target)
      .min(1)
      .max(MOST_TARGETS)
      .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, { message: 'Two targets have the same name.' }),
    filler: filler.optional(),
  }),
  z.strictObject({ type, name: z.literal('hang_up') }),
  z.strictObject({
    type,
    name: z.literal('send_dtmf'),
    allow: z
      .string()
      .regex(/^[0-9A-D*#]{1,16}$/)
      .optional(),
    most: z.int().min(1).max(64).optional(),
  }),
  z.strictObject({ type, name: z.literal('hold_music'), most_seconds: z.int().min(1).max(3600).optional() }),
  z.strictObject({
    type,
    name: z.literal('collect_digits'),
    secure: z.boolean().optional(),
    most: z.int().min(1).max(64).optional(),
  }),
]);

export type CallTool = z.output<typeof callTool>;
