import { z } from 'zod';
import { amdOptions, dialRequest } from './messages.ts';
import type { PersonCommand, PersonView } from './person.ts';

/** What is asked of persons, between a door for programs and the owner of the session. */

const leg = z.string().min(1).max(64);
const agent = z.enum(['stay', 'leave']);

const options = z.strictObject({
  whileRinging: z.enum(['agent', 'music', 'ringback', 'early_media']),
  onAnswer: z.enum(['wait', 'whisper', 'connect']),
  agent,
  onHangup: z.enum(['agent', 'end']),
  amd: amdOptions.optional(),
});

export const personCommand = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('dial'),
    leg,
    to: dialRequest,
    options,
  }),
  z.strictObject({ type: z.literal('expect'), leg, options }),
  z.strictObject({ type: z.literal('connect'), leg, agent }),
  z.strictObject({ type: z.literal('whisper'), leg }),
  z.strictObject({ type: z.literal('hold'), leg, held: z.boolean() }),
  z.strictObject({ type: z.literal('swap'), leg }),
  z.strictObject({ type: z.literal('transfer'), leg, mode: z.enum(['bridge', 'refer']) }),
  z.strictObject({ type: z.literal('hangup'), leg }),
]) satisfies z.ZodType<PersonCommand>;

export const personView = z.strictObject({
  leg,
  state: z.enum(['dialling', 'ringing', 'waiting', 'whispering', 'connected', 'held']),
}) satisfies z.ZodType<PersonView>;
