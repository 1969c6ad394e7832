import { formatEndpoint } from '../base/addresses.ts';
import { randomText } from '../base/ids.ts';
import { keptRules, type RuleTried } from '../base/rule-tried.ts';
import type { CallFacts } from '../leg/call-facts.ts';
import type { EndCause, SessionSummary } from '../leg/leg.ts';
import type { InboundCall } from '../sip/engine.ts';
import type { PhoneMediaSnapshot } from './phone-media.ts';

/** One line of the call detail records: every INVITE that reached the bridge ends in exactly one. Times are Unix milliseconds. */
export interface CallReport {
  readonly callId: string;
  readonly sipCallId: string;
  readonly sessionId: string | undefined;
  readonly from: string;
  readonly to: string;
  /** Where the INVITE really came from: `udp:192.0.2.1:5060`. */
  readonly source: string;
  readonly startedAt: number;
  readonly answeredAt: number | undefined;
  readonly endedAt: number;
  /** From answer to end; 0 when never answered. */
  readonly durationMs: number;
  readonly cause: EndCause;
  /** The final SIP status of the INVITE; 487 for a cancelled one. */
  readonly sipStatus: number;
  /** Why the call was refused, where it was. */
  readonly detail: string | undefined;
  readonly setup: SetupTimes;
  readonly media: PhoneMediaSnapshot | undefined;
  /** How much older than the end of the call `media` is; undefined when it holds all of the call. */
  readonly mediaAgeMs: number | undefined;
  readonly session: SessionSummary | undefined;
  /** The rules that were looked at to decide about it, in their order. */
  readonly tried?: readonly RuleTried[];
  /** What the INVITE said of it. */
  readonly facts?: CallFacts;
}

/** Milliseconds since the INVITE reached the bridge; undefined where it did not come to that. */
export interface SetupTimes {
  /** The owner has answered the inner offer. */
  openedMs?: number;
  /** ICE and DTLS of the inner leg are up. */
  connectedMs?: number;
  /** A call of ours rings. */
  ringingMs?: number;
  /** 200 OK was sent, or came. */
  answeredMs?: number;
  /** The ACK came. */
  acknowledgedMs?: number;
  /** The first packet of the agent's voice left for the phone. */
  firstAudioMs?: number;
}

/** A new call's id: what log, record and metrics call it. */
export function makeCallId(): string {
  return `call_${randomText(16)}`;
}

/** `udp:192.0.2.1:5060` */
export function formatSource({ source }: Pick<InboundCall, 'source'>): string {
  return `${source.transport}:${formatEndpoint(source)}`;
}

/** The record of an INVITE that was turned away at the door, or left it. */
export function refusedReport(
  invite: Pick<InboundCall, 'sipCallId' | 'from' | 'requestUri' | 'source'>,
  now: number,
  sipStatus: number,
  detail: string,
  tried: readonly RuleTried[] = [],
  {
    cause = 'rejected',
    facts,
    startedAt = now,
  }: { readonly cause?: EndCause; readonly facts?: CallFacts; readonly startedAt?: number } = {},
): CallReport {
  return {
    callId: makeCallId(),
    sipCallId: invite.sipCallId,
    sessionId: undefined,
    from: invite.from,
    to: invite.requestUri,
    source: formatSource(invite),
    startedAt,
    answeredAt: undefined,
    endedAt: now,
    durationMs: 0,
    cause,
    sipStatus,
    detail,
    setup: {},
    media: undefined,
    mediaAgeMs: undefined,
    session: undefined,
    ...(tried.length > 0 ? { tried: keptRules(tried) } : {}),
    ...(facts && { facts }),
  };
}
