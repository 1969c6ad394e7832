import { z } from 'zod';
import { bridgeMessage, hostMessage } from './messages.ts';
import { sessionReply, sessionRequest } from './session-messages.ts';

/** What the node door puts around the words of legs.ts: the handshake, and the envelopes of an authenticated connection. */

export const DOOR_VERSION = 2;

const nodeId = z.int().min(0).max(0xff_ffff);
const incarnation = z.int().min(1).max(0xffff_ffff);
const keyId = z.int().min(0).max(15);
/** 32 bytes in base64url. */
const secretText = z.string().regex(/^[A-Za-z0-9_-]{43}$/);
const sequence = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

/** The first word of the node that dials. */
export const doorHello = z.strictObject({
  version: z.literal(DOOR_VERSION),
  nodeId,
  incarnation,
  nonce: secretText,
  /** Keys it holds, its current one first. */
  keyIds: z.array(keyId).min(1).max(2),
});

/** The answer of the node that was dialled, with the proof that it holds the key. */
export const doorWelcome = z.strictObject({
  version: z.literal(DOOR_VERSION),
  nodeId,
  incarnation,
  nonce: secretText,
  keyId,
  proof: secretText,
});

/** The dialler's proof. */
export const doorProof = z.strictObject({ proof: secretText });

const nodeStatus = z.strictObject({
  roles: z
    .array(z.enum(['sip', 'relay', 'transceiver', 'control']))
    .max(4)
    .readonly(),
  draining: z.boolean(),
  load: z.number().min(0).max(1000),
});

function envelopes<Message extends z.ZodType, Aside extends z.ZodType>(message: Message, aside: Aside) {
  return z.discriminatedUnion('type', [
    /** The dialler goes on with a link, or begins a fresh one. */
    z.strictObject({ type: z.literal('resume'), link: sequence, fresh: z.boolean(), received: sequence }),
    /** The listener's answer; not known: begin a fresh one. */
    z.strictObject({ type: z.literal('resumed'), known: z.boolean(), received: sequence }),
    z.strictObject({ type: z.literal('message'), sequence, received: sequence, message }),
    z.strictObject({ type: z.literal('beat'), received: sequence, status: nodeStatus }),
    /** For this connection only: never sent again, lost with it. */
    z.strictObject({ type: z.literal('aside'), aside }),
  ]);
}

/** Envelopes that the owner of sessions receives, and those that a bridge receives. */
export const envelopeFromBridge = envelopes(bridgeMessage, sessionRequest);
export const envelopeFromHost = envelopes(hostMessage, sessionReply);

export type DoorHello = z.output<typeof doorHello>;
export type DoorWelcome = z.output<typeof doorWelcome>;
export type DoorProof = z.output<typeof doorProof>;
export type DoorStatus = z.output<typeof nodeStatus>;

/** An envelope that carries messages of one direction. */
export type DoorEnvelope<Message, Aside = never> =
  | { readonly type: 'resume'; readonly link: number; readonly fresh: boolean; readonly received: number }
  | { readonly type: 'resumed'; readonly known: boolean; readonly received: number }
  | { readonly type: 'message'; readonly sequence: number; readonly received: number; readonly message: Message }
  | { readonly type: 'beat'; readonly received: number; readonly status: DoorStatus }
  | { readonly type: 'aside'; readonly aside: Aside };

/** Reads JSON text that must have exactly this shape; undefined for anything else. */
export function decode<Schema extends z.ZodType>(schema: Schema, text: string): z.output<Schema> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const result = schema.safeParse(value);
  return result.success ? result.data : undefined;
}
