import { z } from 'zod';
import { type ErrorCode, GatewayError } from '../base/errors.ts';
import { callFacts, sentHeaders } from './call-facts.ts';
import type { EndCause, LegOrigin, RejectCause, TransferState } from './leg.ts';
import { TURN_STAGES } from './turn-ledger.ts';

/** The node door's words about legs: from the bridge to the owner of the session, and back. Types and codecs, no I/O. */

/** SDP with every codec and candidate a browser knows stays below 16 kB. */
export const MAX_SDP = 65_536;
/** SIP refuses longer header fields anyway. */
const MAX_URI = 2048;

/** Header fields of an INVITE: a trunk sends some twenty. Those beyond these bounds do not travel. */
const MAX_HEADERS = 100;
const MAX_HEADER_NAME = 128;
const MAX_HEADERS_CHARACTERS = 16_384;

/** The name of a project, as the configuration has it. */
export const project = z.string().max(128);

const legId = z.int().min(1).max(Number.MAX_SAFE_INTEGER);

/** Checked against the union of the contract: a word missing here does not compile. */
function words<Word extends string>(list: Record<Word, true>) {
  return z.enum(Object.keys(list) as [Word, ...Word[]]);
}

/** Why a leg ended. */
export const endCause = words<EndCause>({
  remote_hangup: true,
  agent_hangup: true,
  cancelled: true,
  rejected: true,
  media_timeout: true,
  media_failed: true,
  signalling_failed: true,
  owner_lost: true,
  duration_cap: true,
  shutdown: true,
  internal_error: true,
});

const rejectCause = words<RejectCause>({
  busy: true,
  declined: true,
  not_found: true,
  overloaded: true,
  no_common_codec: true,
  media_failed: true,
  unavailable: true,
  internal_error: true,
});

/** Every code of an error that crosses between processes. */
export const errorCode = words<ErrorCode>({
  ERR_CONFIG: true,
  ERR_PORT_IN_USE: true,
  ERR_NO_PORT: true,
  ERR_INVALID_STATE: true,
  ERR_NOT_FOUND: true,
  ERR_FORBIDDEN: true,
  ERR_OVERLOADED: true,
  ERR_NO_COMMON_CODEC: true,
  ERR_BAD_OFFER: true,
  ERR_BAD_REQUEST: true,
  ERR_TIMEOUT: true,
  ERR_NODE_UNREACHABLE: true,
  ERR_MEDIA_FAILED: true,
  ERR_INTERNAL: true,
});

/** Longer than any number or address we dial. */
const MAX_DESTINATION = 256;

/** The session that a leg is one more of. */
export const joinedSession = z.strictObject({ sessionId: z.string().max(64), leg: z.string().max(64) });

/** Who answers is found out first. */
export const amdOptions = z.strictObject({ onMachine: z.enum(['go_on', 'hang_up', 'leave_message']) });

/** Whom to call. */
export const dialRequest = z.strictObject({
  trunk: z.string().max(64),
  destination: z.string().min(1).max(MAX_DESTINATION),
  from: z.string().max(64).optional(),
  headers: sentHeaders.optional(),
  ringTimeoutMs: z.int().min(1000).max(300_000).optional(),
  joins: joinedSession.optional(),
});

/** Of a response in SIP. */
export const status = z.int().min(100).max(699);

/** Who takes the place of a leg. */
const successor = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('dial'), to: dialRequest }),
  z.strictObject({ type: z.literal('leg'), ...joinedSession.shape }),
  z.strictObject({ type: z.literal('agent') }),
]);

const transferState = words<TransferState>({ accepted: true, progress: true, succeeded: true, failed: true });

/** Header fields of an INVITE. */
export const legHeaders = z
  .array(z.strictObject({ name: z.string().max(MAX_HEADER_NAME), value: z.string().max(MAX_HEADERS_CHARACTERS) }))
  .max(MAX_HEADERS)
  .readonly();

const legOrigin = z.strictObject({
  kind: z.enum(['phone', 'browser', 'websocket']),
  media: z.literal('browser').exactOptional(),
  from: z.string().max(MAX_URI).optional(),
  to: z.string().max(MAX_URI).optional(),
  sipCallId: z.string().max(MAX_URI).optional(),
  direction: z.enum(['inbound', 'outbound']).optional(),
  callBack: dialRequest.optional(),
  joins: joinedSession.optional(),
  headers: legHeaders.optional(),
  facts: callFacts.optional(),
});

/** Of a session object as JSON text: twice what any model of this kind can keep in mind. */
const MAX_SESSION_CHARACTERS = 256 * 1024;

/** A session object of the API. What stands in it the owner of the session reads; here only its size counts, which the sender checks. */
export const sessionJson = z.record(z.string(), z.unknown()).readonly();

/** Of a final response that refuses, in SIP. */
export const refusalStatus = z.int().min(300).max(699);

/** A program that has not decided in ten minutes never will. */
const MAX_DECISION_MS = 600_000;

/** Whose a session is, and who decides. */
export const legPolicy = z.strictObject({
  project,
  ephemeral: z.boolean().exactOptional(),
  decide: z.discriminatedUnion('by', [
    z.strictObject({ by: z.literal('answer') }),
    z.strictObject({
      by: z.literal('api'),
      withinMs: z.number().min(0).max(MAX_DECISION_MS),
      otherwise: z.discriminatedUnion('type', [
        z.strictObject({ type: z.literal('answer') }),
        z.strictObject({ type: z.literal('reject'), status: refusalStatus }),
      ]),
    }),
  ]),
  session: sessionJson.exactOptional(),
  amd: amdOptions.exactOptional(),
  /** RFC 8831 §6.4: 65535 is none. */
  dataChannelId: z.int().min(0).max(65_534).exactOptional(),
});

/** A minute: a longer round trip is no conversation. */
export const MAX_ROUND_TRIP_MS = 60_000;

const sipUri = z.string().min(1).max(MAX_URI);

/** What a leg tells the owner of its session, its end excepted. */
export const legEvent = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('answered') }),
  z.strictObject({ type: z.literal('ringing') }),
  z.strictObject({ type: z.literal('replaces'), uri: sipUri }),
  z.strictObject({ type: z.literal('round_trip'), ms: z.number().min(0).max(MAX_ROUND_TRIP_MS) }),
  z.strictObject({ type: z.literal('hold'), held: z.boolean() }),
  z.strictObject({ type: z.literal('transfer'), state: transferState, status: status.optional() }),
  z.strictObject({ type: z.literal('refer'), to: successor }),
  // A key held for a minute is a stuck key.
  z.strictObject({ type: z.literal('dtmf'), digit: z.string().regex(/^[0-9A-D*#]$/), durationMs: z.number().min(0).max(60_000) }),
]);

const count = z.int().min(0);
const latencyMs = z.number().min(0);

const turnLedger = z.strictObject({
  answered: count,
  continuations: count,
  discarded: count,
  falseHolds: count,
  truncations: count,
  stages: z.partialRecord(z.enum(TURN_STAGES), z.strictObject({ p50: latencyMs, p95: latencyMs, max: latencyMs })),
});

const summary = z.strictObject({
  turns: count,
  bargeIns: count,
  responseLatencyMs: z.strictObject({ p50: latencyMs, p95: latencyMs }).optional(),
  concealedFrames: count,
  uplinkFrames: count,
  ledger: turnLedger,
});

/** What the owner of a session asks of its leg. */
export const legCommand = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('answer') }),
  z.strictObject({ type: z.literal('reject'), cause: rejectCause, status: refusalStatus.optional() }),
  z.strictObject({ type: z.literal('hangup'), cause: endCause, headers: sentHeaders.optional() }),
  z.strictObject({ type: z.literal('refer'), target: z.string().min(1).max(MAX_URI), headers: sentHeaders.optional() }),
  z.strictObject({ type: z.literal('refer_to_call'), sipCallId: z.string().min(1).max(MAX_URI), uri: sipUri.optional() }),
  z.strictObject({ type: z.literal('referred'), status }),
  z.strictObject({ type: z.literal('dtmf'), digits: z.string().regex(/^[0-9A-D*#]{1,64}$/) }),
  z.strictObject({ type: z.literal('report'), summary }),
]);

/** Longest message of a refusal on the wire; what is longer is cut by the sender. */
export const MAX_REFUSAL_TEXT = 512;
const refusal = z.strictObject({ code: errorCode, message: z.string().max(MAX_REFUSAL_TEXT) });

const sdp = z.string().max(MAX_SDP);

/** What a bridge says to the host of sessions. `leg` is the bridge's number for it, new for each leg of a connection. */
export const bridgeMessage = z.discriminatedUnion('type', [
  /** Without an offer it is the host that makes one. */
  z.strictObject({ type: z.literal('open'), leg: legId, origin: legOrigin, offer: sdp.optional(), policy: legPolicy.optional() }),
  /** A description that comes after the first one: the answer to the host's offer, or another offer. Answered by `described` with the same `ask`. */
  z.strictObject({ type: z.literal('describe'), leg: legId, ask: legId, kind: z.enum(['answer', 'offer']), sdp }),
  z.strictObject({ type: z.literal('event'), leg: legId, event: legEvent }),
  z.strictObject({ type: z.literal('ended'), leg: legId, cause: endCause, status: status.optional() }),
  z.strictObject({ type: z.literal('dialled'), dial: legId, refusal: refusal.optional() }),
]);

/** What the host says to the bridge. */
export const hostMessage = z.discriminatedUnion('type', [
  /** With the answer to its offer, or the offer that was asked for. */
  z.strictObject({ type: z.literal('opened'), leg: legId, sessionId: z.string().max(64), sdp }),
  /** With an answer where there was an offer. */
  z.strictObject({ type: z.literal('described'), leg: legId, ask: legId, sdp: sdp.optional(), refusal: refusal.optional() }),
  z.strictObject({ type: z.literal('refused'), leg: legId, ...refusal.shape }),
  z.strictObject({ type: z.literal('command'), leg: legId, command: legCommand }),
  /** Call somebody: answered by `dialled`, and by a leg that is opened. `dial` is the host's number for it. */
  z.strictObject({ type: z.literal('dial'), dial: legId, request: dialRequest }),
]);

export type BridgeMessage = z.output<typeof bridgeMessage>;
export type HostMessage = z.output<typeof hostMessage>;
export type LegCommand = z.output<typeof legCommand>;

/** @throws GatewayError ERR_BAD_REQUEST when it is too large to travel */
export function checkSessionSize(session: Readonly<Record<string, unknown>> | undefined): void {
  if (session && JSON.stringify(session).length > MAX_SESSION_CHARACTERS)
    throw new GatewayError('ERR_BAD_REQUEST', 'the session object is too large', { param: 'session' });
}

/** What is claimed of a caller, cut to what travels. Absent fields stay absent. */
export function cutOrigin({ from, to, sipCallId, headers, ...origin }: LegOrigin): LegOrigin {
  return {
    ...origin,
    ...(from === undefined ? {} : { from: from.slice(0, MAX_URI) }),
    ...(to === undefined ? {} : { to: to.slice(0, MAX_URI) }),
    ...(sipCallId === undefined ? {} : { sipCallId: sipCallId.slice(0, MAX_URI) }),
    ...(headers === undefined ? {} : { headers: cutHeaders(headers) }),
  };
}

function cutHeaders(headers: NonNullable<LegOrigin['headers']>): NonNullable<LegOrigin['headers']> {
  let left = MAX_HEADERS_CHARACTERS;
  return headers.slice(0, MAX_HEADERS).filter(({ name, value }) => {
    if (name.length > MAX_HEADER_NAME || name.length + value.length > left) return false;
    left -= name.length + value.length;
    return true;
  });
}
