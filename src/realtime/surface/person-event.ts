import { z } from 'zod';
import { type ErrorCode, GatewayError } from '../../base/errors.ts';
import { randomText } from '../../base/ids.ts';
import type { PersonCommand, PersonOptions } from '../../leg/person.ts';
import type { PersonNews } from '../session-event.ts';
import type { Fault } from './fault.ts';

/* Persons in the words of clients: our own events, in the shape of the reference's. The door for HTTP takes the same bodies. */

/** As it comes from a client, or as we make it. */
const legId = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);
const otherLeg = legId.refine((id) => id !== 'caller', { message: 'The caller is not somebody who is called.' });
const agent = z.enum(['stay', 'leave']);

/** Stands in place of a trunk for `user:NAME`: a phone that is registered here. */
export const USERS_TRUNK = 'users';

/** Longer than anybody lets a phone ring; SIP itself gives up after five minutes. */
const MOST_RING_S = 300;
const RING_S = 60;

/** Who answers is found out first, and what is done where it is a machine. */
export const amdSchema = z.strictObject({ on_machine: z.enum(['go_on', 'hang_up', 'leave_message']).default('go_on') });

/** Whom to call and what becomes of it. */
export const personDial = z.strictObject({
  leg_id: otherLeg.optional(),
  transport: z
    .strictObject({
      type: z.literal('sip'),
      destination: z.string().min(1).max(256),
      trunk: z.string().min(1).max(64).optional(),
      from: z.string().min(1).max(64).optional(),
    })
    .refine(({ destination, trunk }) => trunk !== undefined || destination.startsWith('user:'), {
      message: "Missing required parameter: 'transport.trunk'.",
      path: ['trunk'],
    }),
  while_ringing: z.enum(['agent', 'music', 'ringback', 'early_media']).default('agent'),
  on_answer: z.enum(['wait', 'whisper', 'connect']).default('connect'),
  agent: agent.default('leave'),
  on_hangup: z.enum(['agent', 'end']).default('agent'),
  ring_seconds: z.int().min(1).max(MOST_RING_S).default(RING_S),
  amd: amdSchema.optional(),
});

/** A browser that comes by itself: its offer is the body, this the query. */
export const personJoin = z.strictObject({
  leg_id: otherLeg.optional(),
  on_answer: z.enum(['wait', 'whisper', 'connect']).default('connect'),
  agent: agent.default('leave'),
  on_hangup: z.enum(['agent', 'end']).default('agent'),
});

export const personConnect = z.strictObject({ agent: agent.default('leave') });
export const personHold = z.strictObject({ held: z.boolean().default(true) });
export const personTransfer = z.strictObject({ mode: z.enum(['bridge', 'refer']).default('bridge') });

const eventId = z.string().max(512).optional();
const named = { event_id: eventId, leg_id: legId };

/** What a client may say of persons. */
export const personEvents = [
  z.strictObject({ type: z.literal('call.leg.create'), event_id: eventId, ...personDial.shape }),
  z.strictObject({ type: z.literal('call.leg.connect'), ...named, ...personConnect.shape }),
  z.strictObject({ type: z.literal('call.leg.whisper'), ...named }),
  z.strictObject({ type: z.literal('call.leg.hold'), ...named, ...personHold.shape }),
  z.strictObject({ type: z.literal('call.leg.swap'), ...named }),
  z.strictObject({ type: z.literal('call.leg.transfer'), ...named, ...personTransfer.shape }),
  z.strictObject({ type: z.literal('call.leg.hangup'), ...named }),
] as const;

export type PersonClientEvent = z.output<(typeof personEvents)[number]>;

export function joinOptions(join: Omit<z.output<typeof personJoin>, 'leg_id'>): PersonOptions {
  return { whileRinging: 'agent', onAnswer: join.on_answer, agent: join.agent, onHangup: join.on_hangup };
}

/** @param leg the name that the person will have */
export function dialOf(dial: z.output<typeof personDial>, leg: string): PersonCommand {
  const { destination, trunk = USERS_TRUNK, from } = dial.transport;
  return {
    type: 'dial',
    leg,
    to: { destination, trunk, ringTimeoutMs: dial.ring_seconds * 1000, ...(from === undefined ? {} : { from }) },
    options: {
      ...{ whileRinging: dial.while_ringing, onAnswer: dial.on_answer, agent: dial.agent, onHangup: dial.on_hangup },
      ...(dial.amd && { amd: { onMachine: dial.amd.on_machine } }),
    },
  };
}

/** @param makeId for a person who has no name yet */
export function personCommandOf(event: PersonClientEvent, makeId: () => string): PersonCommand {
  switch (event.type) {
    case 'call.leg.create':
      return dialOf(event, event.leg_id ?? makeId());
    case 'call.leg.connect':
      return { type: 'connect', leg: event.leg_id, agent: event.agent };
    case 'call.leg.whisper':
      return { type: 'whisper', leg: event.leg_id };
    case 'call.leg.hold':
      return { type: 'hold', leg: event.leg_id, held: event.held };
    case 'call.leg.swap':
      return { type: 'swap', leg: event.leg_id };
    case 'call.leg.transfer':
      return { type: 'transfer', leg: event.leg_id, mode: event.mode };
    case 'call.leg.hangup':
      return { type: 'hangup', leg: event.leg_id };
  }
}

/** 96 bits. */
export function makeLegId(): string {
  return `leg_${randomText(16)}`;
}

const FAULT_CODES: Readonly<Partial<Record<ErrorCode, string>>> = {
  ERR_NOT_FOUND: 'leg_not_found',
  ERR_INVALID_STATE: 'invalid_state',
  ERR_FORBIDDEN: 'forbidden',
  ERR_OVERLOADED: 'overloaded',
  ERR_NODE_UNREACHABLE: 'unavailable',
  ERR_TIMEOUT: 'timeout',
  ERR_BAD_REQUEST: 'invalid_value',
};

/** Why a command was not carried out, for the client that gave it. */
export function personFault(thrown: unknown): Fault {
  const { code, message, param } = GatewayError.from(thrown);
  const told = FAULT_CODES[code];
  if (told === undefined)
    return { message: 'The server had an error while handling the event.', code: 'internal_error', type: 'server_error' };
  return { message, code: told, param };
}

const STATES = {
  dialling: 'created',
  ringing: 'ringing',
  waiting: 'waiting',
  whispering: 'whispering',
  connected: 'connected',
  held: 'held',
} as const;

/** What happened to a person, without the event's id. */
export function personEventOf(news: PersonNews): { readonly type: string } & Readonly<Record<string, unknown>> {
  switch (news.type) {
    case 'person_state':
      return { type: `call.leg.${STATES[news.state]}`, leg_id: news.leg, ...(news.agent === undefined ? {} : { agent: news.agent }) };
    case 'person_failed':
      return { type: 'call.leg.failed', leg_id: news.leg, reason: news.reason, status_code: news.status ?? null };
    case 'person_answered':
      return { type: 'call.leg.answered', leg_id: news.leg };
    case 'person_ended':
      return { type: 'call.leg.ended', leg_id: news.leg, reason: news.cause };
    case 'answered_by':
      return {
        type: 'call.answered_by',
        leg_id: news.leg,
        by: news.by,
        at_ms: news.atMs,
        speech_ms: news.speechMs,
        words: news.words,
        silence_ms: news.silenceMs,
        beep: news.beep ? { frequency_hz: news.beep.hz, duration_ms: news.beep.ms } : null,
        greeting_over: news.greetingOver ?? false,
      };
    case 'person_dtmf':
      return { type: 'call.leg.dtmf', leg_id: news.leg, event: news.digit };
    case 'caller_held':
      return { type: news.held ? 'call.leg.held' : 'call.leg.connected', leg_id: 'caller' };
  }
}
