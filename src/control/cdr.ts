import { escapeControls } from '../base/log.ts';
import type { RuleTried } from '../base/rule-tried.ts';
import type { EndCause } from '../leg/leg.ts';

/**
 * A call data record: what one INVITE came to, for billing and for questions later. It keeps numbers in full, since a
 * record without them says nothing; the file is for its owner's eyes only.
 */
export interface CallRecord {
  /** Our id of the session, `rtc_…`, or of the call when no session was made. */
  readonly id: string;
  readonly sipCallId?: string;
  readonly from?: string;
  readonly to?: string;
  /** The peer's signalling address, `192.0.2.1:5060`. */
  readonly peer?: string;
  /** Unix milliseconds. */
  readonly startedAt: number;
  /** Unix milliseconds; missing when the call was never answered. */
  readonly answeredAt?: number;
  /** Unix milliseconds. */
  readonly endedAt: number;
  readonly cause: EndCause;
  /** The final response to the INVITE. */
  readonly sipStatus?: number;
  readonly codec?: string;
  /** The rules that were looked at to decide about it. */
  readonly rules?: readonly RuleTried[];
  /** What stages measured: loss, jitter, concealment, turns. Plain numbers and short words by name. */
  readonly figures?: Readonly<Record<string, number | string>>;
}

/** Longer than any real address; a forged one must not fill the disk. */
const MAX_TEXT = 512;

/** The record as one line of JSON with times in ISO 8601. No character in it can move a terminal's cursor. */
export function formatRecord(record: CallRecord): string {
  const { startedAt, answeredAt, endedAt } = record;
  const line = JSON.stringify({
    id: clip(record.id),
    sip_call_id: clip(record.sipCallId),
    from: clip(record.from),
    to: clip(record.to),
    peer: clip(record.peer),
    started_at: isoTime(startedAt),
    answered_at: answeredAt === undefined ? undefined : isoTime(answeredAt),
    ended_at: isoTime(endedAt),
    duration_s: answeredAt === undefined ? 0 : Math.max(0, endedAt - answeredAt) / 1000,
    cause: record.cause,
    sip_status: record.sipStatus,
    codec: clip(record.codec),
    ...record.figures,
    rules: record.rules,
  });
  return `${escapeControls(line)}\n`;
}

function clip(text: string | undefined): string | undefined {
  return text === undefined || text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}…`;
}

function isoTime(unixMs: number): string {
  // biome-ignore lint/style/noRestrictedGlobals: formats a time it is given; the clock stays the only source of time
  return new Date(unixMs).toISOString();
}
