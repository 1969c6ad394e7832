import type { CallReport } from './bridge/call-report.ts';
import type { CallRecord } from './control/cdr.ts';

/** The bridge's report of a call as one flat line of the call records. */
export function recordOf(report: CallReport): CallRecord {
  const { media, session, setup, answeredAt } = report;
  const figures: Record<string, number | string | undefined> = {
    call_id: report.callId,
    detail: report.detail,
    setup_opened_ms: setup.openedMs,
    setup_connected_ms: setup.connectedMs,
    setup_answered_ms: setup.answeredMs,
    setup_acknowledged_ms: setup.acknowledgedMs,
    setup_first_audio_ms: setup.firstAudioMs,
    packets_in: media?.rtcp.received.packets,
    // RTCP subtracts what came twice (RFC 3550 §6.4.1); a record should not.
    packets_lost: media && media.rtcp.received.lost + media.uplink.reorder.discarded.duplicate,
    jitter_ms: rounded(media?.rtcp.received.jitterMs),
    packets_discarded: media && sum(media.uplink.reorder.discarded),
    packets_out: media?.rtcp.sent.packets,
    packets_foreign: media?.source.foreign,
    rtt_ms: rounded(media?.rtcp.rttMs),
    mos_in: rounded(media?.rating.in.mos),
    mos_out: rounded(media?.rating.out?.mos),
    burst_ratio: rounded(media?.uplink.account.burstRatio),
    concealed_in_frames: session?.concealedFrames,
    concealed_out_frames: media?.downlink.concealedFrames,
    missed_out_frames: media?.downlink.missedFrames,
    turns: session?.turns,
    barge_ins: session?.bargeIns,
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
    sipStatus: report.sipStatus,
    ...(media ? { codec: media.codec } : {}),
    figures: Object.fromEntries(Object.entries(figures).filter((entry): entry is [string, number | string] => entry[1] !== undefined)),
  };
}

function rounded(value: number | undefined): number | undefined {
  return value === undefined ? undefined : Math.round(value * 10) / 10;
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, each) => total + each, 0);
}
