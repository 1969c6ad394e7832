import { z } from 'zod';
import { callFacts, sentHeaders } from './call-facts.ts';
import { errorCode, MAX_REFUSAL_TEXT, MAX_SDP, project, refusalStatus, sessionJson } from './messages.ts';
import { personCommand, personView } from './person-messages.ts';

/*
 * What a door for programs (HTTP, WebSocket) and the owner of sessions say to each other when they are two processes: the words of
 * session-host.ts. They live as long as one connection: when it is lost, so is every channel, and who asked is told.
 */

/** Numbers are the door's, new for each channel and request of a connection. */
const number = z.int().min(1).max(Number.MAX_SAFE_INTEGER);
const sessionId = z.string().max(64);

/**
 * An event travels in pieces of so many characters. JSON escapes six bytes for one at worst, so a piece always fits a message, and what else
 * travels between the two processes waits for one piece at the most.
 */
export const PIECE_CHARACTERS = 32_768;
const piece = z.string().max(PIECE_CHARACTERS);

/** The longest event either way: 15 MiB of audio, which is the most that the reference takes in one event, in base64. */
export const MAX_EVENT_CHARACTERS = 21 * 1024 * 1024;

/** Calls in one list. */
export const MAX_LISTED = 200;

const access = z.strictObject({ project, ephemeral: z.boolean() });

/** A decision or command on a call. */
export const callCommand = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('accept'), session: sessionJson, agentAway: z.enum(['until_alone', 'for_good']).exactOptional() }),
  z.strictObject({ type: z.literal('reject'), status: refusalStatus }),
  z.strictObject({ type: z.literal('refer'), target: z.string().max(2048), headers: sentHeaders.exactOptional() }),
  z.strictObject({ type: z.literal('person'), command: personCommand }),
  z.strictObject({ type: z.literal('hangup'), headers: sentHeaders.exactOptional() }),
]);

const callView = z.strictObject({
  id: sessionId,
  project,
  kind: z.enum(['phone', 'browser', 'websocket']),
  direction: z.enum(['inbound', 'outbound']),
  state: z.enum(['pending', 'live']),
  startedAt: z.number().min(0),
  facts: callFacts.exactOptional(),
  legs: z.array(personView).max(16).readonly().exactOptional(),
});

const refusal = z.strictObject({
  code: errorCode,
  message: z.string().max(MAX_REFUSAL_TEXT),
  param: z.string().max(MAX_REFUSAL_TEXT).exactOptional(),
});

/** Both ways: a piece of an event, and how much of what came was handed on, which makes room for as much. */
const text = z.strictObject({ type: z.literal('text'), channel: number, piece, last: z.boolean() });
const taken = z.strictObject({
  type: z.literal('taken'),
  channel: number,
  characters: z
    .int()
    .min(1)
    .max(2 * MAX_EVENT_CHARACTERS),
});

/** From the door to the owner. */
export const sessionRequest = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('connect'), channel: number, access, session: sessionJson }),
  z.strictObject({ type: z.literal('attach'), channel: number, access, sessionId }),
  text,
  taken,
  /** The client has gone. */
  z.strictObject({ type: z.literal('leave'), channel: number }),
  z.strictObject({ type: z.literal('command'), request: number, access, sessionId, command: callCommand }),
  z.strictObject({ type: z.literal('restart'), request: number, access, sessionId, offer: z.string().max(MAX_SDP) }),
  z.strictObject({ type: z.literal('list'), request: number, access }),
]);

/** From the owner to the door. */
export const sessionReply = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('opened'), channel: number, sessionId }),
  z.strictObject({ type: z.literal('refused'), channel: number, refusal }),
  text,
  taken,
  z.strictObject({ type: z.literal('closed'), channel: number, code: z.int().min(1000).max(4999), reason: z.string().max(123) }),
  z.strictObject({ type: z.literal('done'), request: number, refusal: refusal.exactOptional() }),
  z.strictObject({ type: z.literal('restarted'), request: number, answer: z.string().max(MAX_SDP) }),
  z.strictObject({ type: z.literal('listed'), request: number, calls: z.array(callView).max(MAX_LISTED).readonly() }),
]);

export type SessionRequest = z.output<typeof sessionRequest>;
export type SessionReply = z.output<typeof sessionReply>;
export type WireRefusal = z.output<typeof refusal>;
