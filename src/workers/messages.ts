import { z } from 'zod';
import type { InnerEnd } from '../bridge/inner-connection.ts';
import type { PhoneMediaSnapshot } from '../bridge/phone-media.ts';
import { callFacts } from '../leg/call-facts.ts';
import {
  bridgeMessage,
  dialRequest,
  endCause,
  errorCode,
  hostMessage,
  joinedSession,
  legCommand,
  legEvent,
  legHeaders,
  legPolicy,
  status,
} from '../leg/messages.ts';
import { sessionReply, sessionRequest } from '../leg/session-messages.ts';
import { mcpMessage } from './mcp-message.ts';
import { fingerprint, innerVoice, phoneTerms } from './phone-terms.ts';

/*
 * The words between the front process and its workers, over the pipe that a parent has to its child. Types and codecs, no I/O. Both ends are
 * one build, so a message that does not fit is a fault of ours: it is dropped and logged, and ends nobody's calls.
 */

const callId = z.int().min(1).max(Number.MAX_SAFE_INTEGER);
const port = z.int().min(0).max(65_535);
const count = z.int().min(0);

/** Longest URI of a call that a worker hears of; it only shows them. */
const MAX_URI = 2048;
const uri = z.string().max(MAX_URI);

/** Longest reason of a refusal. */
export const MAX_REASON = 512;

const range = z.strictObject({ first: port, last: port });
/** HMAC keys; the pipe is nobody's but ours, and the command line and the environment, which others can read, hold none. */
const clusterKey = z.strictObject({ id: z.int().min(0).max(15), secret: z.instanceof(Buffer) });

const endpoint = z.strictObject({ address: z.string().max(64), port });
const codec = z.enum(['PCMU', 'PCMA', 'G722', 'opus', 'L16/16000', 'L16/8000']);
const rate = z.union([z.literal(8000), z.literal(16_000), z.literal(48_000)]);
const opus = z.strictObject({
  maxPlaybackRateHz: z.int().exactOptional(),
  maxAverageBitrate: z.int().exactOptional(),
  fec: z.boolean(),
  cbr: z.boolean(),
  dtx: z.boolean(),
  stereo: z.boolean(),
});
const payloadType = z.int().min(0).max(127);

const audio = z.strictObject({
  codec,
  payloadType,
  opus: opus.exactOptional(),
  sampleRateHz: rate,
  alternatives: z
    .array(z.strictObject({ codec, payloadType, opus: opus.exactOptional() }))
    .max(16)
    .readonly(),
  telephoneEventPayloadType: payloadType.exactOptional(),
  telephoneEventRateHz: rate.exactOptional(),
  comfortNoisePayloadType: payloadType.exactOptional(),
  remote: endpoint,
  remoteRtcp: endpoint,
  direction: z.enum(['sendrecv', 'sendonly', 'recvonly', 'inactive']),
  ptimeMs: z.int().min(1).max(200),
  ...phoneTerms,
});

const origin = z.strictObject({
  kind: z.enum(['phone', 'browser', 'websocket']),
  from: uri.exactOptional(),
  to: uri.exactOptional(),
  sipCallId: uri.exactOptional(),
  direction: z.enum(['inbound', 'outbound']).exactOptional(),
  callBack: dialRequest.exactOptional(),
  joins: joinedSession.exactOptional(),
  headers: legHeaders.exactOptional(),
  facts: callFacts.exactOptional(),
});

const service = {
  url: z.string(),
  model: z.string(),
  key: z.string().exactOptional(),
  timeoutMs: z.number().exactOptional(),
  extra: z.record(z.string(), z.unknown()).exactOptional(),
};

/** As the configuration has it, which has been checked; its keys come along. */
const model = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('embedded') }),
  z.strictObject({
    type: z.literal('realtime'),
    profile: z.enum(['openai', 'azure', 'generic', 'generic-beta']),
    url: z.string(),
    model: z.string().exactOptional(),
    key: z.string().exactOptional(),
    caFile: z.string().exactOptional(),
    voice: z.string().exactOptional(),
    instructions: z.string().exactOptional(),
    greet: z.union([z.boolean(), z.string()]),
    capMinutes: z.number().exactOptional(),
    turns: z.enum(['gateway', 'upstream']),
    uplinkWhileSpeaking: z.enum(['auto', 'gated', 'through', 'duck']).exactOptional(),
  }),
  z.strictObject({
    type: z.literal('pipeline'),
    transcription: z.strictObject({
      ...service,
      language: z.string().exactOptional(),
      prompt: z.string().exactOptional(),
      stream: z.boolean(),
    }),
    chat: z.strictObject(service),
    speech: z.strictObject({
      ...service,
      voice: z.string(),
      speed: z.number().exactOptional(),
      format: z.enum(['pcm', 'wav']),
      rateHz: z.number(),
    }),
    instructions: z.string().exactOptional(),
    greeting: z.string().exactOptional(),
    fallback: z.string().exactOptional(),
    patience: z.string().exactOptional(),
    patienceMs: z.number(),
  }),
]);

/** What a worker is told first, and once. */
const workerStart = z.strictObject({
  type: z.literal('start'),
  /** Also its node id: the front is node 0. */
  worker: z.int().min(1).max(64),
  key: clusterKey,
  bind: z.string().max(64),
  rtpPorts: z.union([z.literal('any'), range]),
  maxCalls: count,
  mediaTimeoutMs: z.number().min(0),
  sessionMinutes: z.int().min(1),
  agent: z.strictObject({ transferTarget: uri.exactOptional(), callbackTrunk: z.string().max(256).exactOptional() }),
  model,
  mcp: mcpMessage,
  /** As the configuration has it, which has been checked. */
  tools: z.looseObject({ hangUp: z.boolean() }),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']),
});

/** What has changed of it while it runs; holds for the conversations that come. */
const workerConfigure = z.strictObject({
  type: z.literal('configure'),
  ...workerStart.pick({ agent: true, model: true, logLevel: true }).shape,
});

export type WorkerConfigure = z.output<typeof workerConfigure>;

/** What the front says of a call. `call` is its number for the media half, new for each. */
const callOrder = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('open'), call: callId, voice: innerVoice }),
  z.strictObject({
    type: z.literal('connect'),
    call: callId,
    origin,
    audio,
    policy: legPolicy.exactOptional(),
    signallingAddress: z.string().max(64),
  }),
  z.strictObject({ type: z.literal('acknowledged'), call: callId }),
  z.strictObject({ type: z.literal('renegotiate'), call: callId, audio }),
  z.strictObject({ type: z.literal('tell'), call: callId, event: legEvent }),
  z.strictObject({ type: z.literal('keys'), call: callId, digits: z.string().min(1).max(64) }),
  z.strictObject({ type: z.literal('end'), call: callId, cause: endCause, status: status.exactOptional() }),
]);

const refusal = z.strictObject({ code: errorCode, message: z.string().max(MAX_REASON) });

export const toWorker = z.discriminatedUnion('type', [
  workerStart,
  callOrder,
  workerConfigure,
  z.strictObject({ type: z.literal('drain') }),
  z.strictObject({ type: z.literal('measure'), request: count }),
  /** What came of `dial`. */
  z.strictObject({ type: z.literal('dialled'), request: count, refusal: refusal.exactOptional() }),
  /** Of legs that have no media half: browsers, which come to the front and whose media goes straight to the worker. */
  z.strictObject({ type: z.literal('leg'), message: bridgeMessage }),
  /** Of programs that came to the door of the front. */
  z.strictObject({ type: z.literal('session'), message: sessionRequest }),
]);

const innerEnd = z.string().max(MAX_REASON) as unknown as z.ZodType<InnerEnd>;

/** Numbers, words and flags in a tree: what it says is checked by the compiler on both sides, here only that it is nothing else. */
const MAX_LEAVES = 512;
function isFigures(value: unknown): boolean {
  let leaves = 0;
  const fits = (part: unknown): boolean => {
    leaves += 1;
    if (leaves > MAX_LEAVES) return false;
    if (typeof part === 'object' && part !== null) return Object.values(part).every(fits);
    return part === undefined || typeof part === 'number' || typeof part === 'boolean' || (typeof part === 'string' && part.length <= 128);
  };
  return typeof value === 'object' && value !== null && fits(value);
}

const callReport = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('ports'), call: callId, rtpPort: port, rtcpPort: port, fingerprint }),
  z.strictObject({ type: z.literal('opened'), call: callId, sessionId: z.string().max(64) }),
  z.strictObject({ type: z.literal('connecting'), call: callId }),
  z.strictObject({ type: z.literal('failed'), call: callId, code: errorCode, message: z.string().max(MAX_REASON) }),
  z.strictObject({ type: z.literal('connected'), call: callId }),
  z.strictObject({ type: z.literal('lost'), call: callId, reason: innerEnd }),
  z.strictObject({ type: z.literal('key'), call: callId }),
  z.strictObject({ type: z.literal('timeout'), call: callId }),
  z.strictObject({ type: z.literal('first_audio'), call: callId }),
  z.strictObject({ type: z.literal('command'), call: callId, command: legCommand }),
  /** Every few seconds, and when the call ends: `last` says that nothing was measured after these. */
  z.strictObject({ type: z.literal('figures'), call: callId, figures: z.custom<PhoneMediaSnapshot>(isFigures), last: z.boolean() }),
  /** The last word about a call. */
  z.strictObject({ type: z.literal('closed'), call: callId }),
]);

export const fromWorker = z.discriminatedUnion('type', [
  callReport,
  /** Its transceiver listens for the relay. */
  z.strictObject({ type: z.literal('listening'), innerPort: port }),
  /** On every beat (worker.ts), and when it changes. The front counts its calls itself, so the load is what a worker has beside them. */
  z.strictObject({
    type: z.literal('status'),
    ready: z.boolean(),
    draining: z.boolean(),
    /** Its audio leaves so late that it refuses calls. */
    overloaded: z.boolean(),
    otherSessions: count,
  }),
  /** A session wants somebody to be called: answered by `dialled`, and by a call that is opened. */
  z.strictObject({ type: z.literal('dial'), request: count, to: dialRequest }),
  z.strictObject({ type: z.literal('measured'), request: count, text: z.string().max(1 << 20) }),
  z.strictObject({ type: z.literal('leg'), message: hostMessage }),
  z.strictObject({ type: z.literal('session'), message: sessionReply }),
]);

export type WorkerStart = z.output<typeof workerStart>;
export type CallOrder = z.output<typeof callOrder>;
export type ToWorker = z.output<typeof toWorker>;
export type CallNews = z.output<typeof callReport>;
export type FromWorker = z.output<typeof fromWorker>;

const ORDERS: ReadonlySet<string> = new Set(callOrder.options.map((each) => each.shape.type.value));
const NEWS: ReadonlySet<string> = new Set(callReport.options.map((each) => each.shape.type.value));

export function isCallOrder(message: ToWorker): message is CallOrder {
  return ORDERS.has(message.type);
}

export function isCallNews(message: FromWorker): message is CallNews {
  return NEWS.has(message.type);
}
