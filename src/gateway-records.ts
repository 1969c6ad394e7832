import type { Clock } from './base/clock.ts';
import type { CallReport } from './bridge/call-report.ts';
import type { PhoneFlowSnapshot } from './bridge/phone-flow.ts';
import type { CallRecord } from './control/cdr.ts';
import type { BanStatus } from './control/gateway-control.ts';
import type { WhyRecord } from './control/why-view.ts';
import { TURN_STAGES, type TurnLedger } from './leg/turn-ledger.ts';
import type { StreamAccountSnapshot } from './rtp/stream-account.ts';
import { SCAN_SIGNS, type SourceBan } from './sip/embedded/source-bans.ts';

/** The bridge's report of a call as one flat line of the call records. */
export function recordOf(report: CallReport): CallRecord {
  const { media, session, setup, answeredAt } = report;
  const figures: Record<string, number | string | undefined> = {
    call_id: report.callId,
    trunk: report.facts?.trunk,
    user: report.facts?.user,
    caller: report.facts?.caller,
    called: report.facts?.called,
    original_called: report.facts?.originalCalled,
    diverted_by: report.facts?.diversions?.[0]?.number,
    verstat: report.facts?.stir?.verstat,
    attest: report.facts?.stir?.attest,
    origid: report.facts?.stir?.origid,
    detail: report.detail,
    setup_opened_ms: setup.openedMs,
    setup_connected_ms: setup.connectedMs,
    setup_answered_ms: setup.answeredMs,
    setup_acknowledged_ms: setup.acknowledgedMs,
    setup_first_audio_ms: setup.firstAudioMs,
    figures_age_ms: report.mediaAgeMs,
    packets_in: media?.rtcp.received.packets,
    // RTCP subtracts what came twice (RFC 3550 §6.4.1); a record should not.
    packets_lost: media && media.rtcp.received.lost + media.uplink.reorder.discarded.duplicate,
    jitter_ms: rounded(media?.rtcp.received.jitterMs),
    packets_discarded: media && sum(media.uplink.account.discarded),
    packets_out: media?.rtcp.sent.packets,
    packets_foreign: media?.source.foreign,
    srtp: media?.secure?.srtp,
    srtp_keys: keysOf(media?.secure),
    srtp_dropped: media?.secure?.srtpDropped,
    ice: media?.secure?.ice?.state,
    packets_lost_out: media?.rtcp.remote?.lost,
    jitter_out_ms: rounded(media?.rtcp.remote?.jitterMs),
    rtt_ms: rounded(media?.rtcp.rttMs),
    ...booksOf(media?.uplink.account),
    mos_in: rounded(media?.rating.in.mos),
    mos_out: rounded(media?.rating.out?.mos),
    burst_ratio: rounded(media?.uplink.account.burstRatio),
    concealed_in_frames: session?.concealedFrames,
    concealed_out_frames: media?.downlink.concealedFrames,
    missed_out_frames: media?.downlink.missedFrames,
    turns: session?.turns,
    barge_ins: session?.bargeIns,
    ...ledgerOf(session?.ledger),
    response_p50_ms: rounded(session?.responseLatencyMs?.p50),
    response_p95_ms: rounded(session?.responseLatencyMs?.p95),
  };
  return {
    id: report.sessionId ?? report.callId,
    sipCallId: report.sipCallId,
    from: report.from,
    to: report.to,
    peer: report.source,
    startedAt: report.startedAt,
    ...(answeredAt === undefined ? {} : { answeredAt }),
    endedAt: report.endedAt,
    cause: report.cause,
    ...(report.tried ? { rules: report.tried } : {}),
    sipStatus: report.sipStatus,
    ...(media ? { codec: media.codec } : {}),
    figures: Object.fromEntries(Object.entries(figures).filter((entry): entry is [string, number | string] => entry[1] !== undefined)),
  };
}

/** Why it became what it became. */
export function whyOf({
  callId,
  sessionId,
  sipCallId,
  from,
  to,
  source,
  startedAt,
  cause,
  sipStatus,
  detail,
  tried,
}: CallReport): WhyRecord {
  return {
    ...{ callId, sessionId, sipCallId, from, to, peer: source, at: startedAt },
    end: { cause, sipStatus, detail },
    rules: tried ?? [],
  };
}

/** How the keys of a phone's SRTP were agreed on. */
function keysOf(secure: PhoneFlowSnapshot | undefined): 'sdes' | 'dtls' | undefined {
  if (secure?.srtp === undefined) return undefined;
  return secure.dtls ? 'dtls' : 'sdes';
}

/** `turn_decided_p50_ms` and the like: from the caller's last sound to each stage of the answer. */
function ledgerOf(ledger: TurnLedger | undefined): Record<string, number | undefined> {
  if (!ledger) return {};
  const { answered, continuations, discarded, falseHolds, truncations, stages } = ledger;
  const spreads = TURN_STAGES.flatMap((stage) =>
    Object.entries(stages[stage] ?? {}).map(([which, ms]) => [`turn_${stage}_${which}_ms`, rounded(ms)] as const),
  );
  return {
    turns_answered: answered,
    turns_continued: continuations,
    turns_discarded: discarded,
    false_holds: falseHolds,
    truncations,
    ...Object.fromEntries(spreads),
  };
}

/** Where the phone's packets went: in = out + concealed + beside + waiting + all discarded. A reason that did not occur is left out. */
function booksOf(account: StreamAccountSnapshot | undefined): Record<string, number> {
  if (!account) return {};
  const reasons = Object.entries(account.discarded).filter(([, count]) => count > 0);
  return {
    frames_in: account.framesIn,
    frames_out: account.framesOut,
    frames_concealed: account.concealed,
    frames_beside: account.beside,
    ...(account.waiting > 0 ? { frames_waiting: account.waiting } : {}),
    ...Object.fromEntries(reasons.map(([reason, count]) => [`discarded_${reason}`, count])),
  };
}

function rounded(value: number | undefined): number | undefined {
  return value === undefined ? undefined : Math.round(value * 10) / 10;
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, each) => total + each, 0);
}

/** A ban as people look at it. */
export function shownBan({ source, sign, since, until, times }: SourceBan, clock: Clock): BanStatus {
  const now = clock.now();
  return { source, reason: SCAN_SIGNS[sign], since: clock.wallclock() - (now - since), expiresInS: Math.ceil((until - now) / 1000), times };
}
