import type { RtcpSnapshot } from '../rtp/rtcp-reporter.ts';
import type { StreamAccountSnapshot } from '../rtp/stream-account.ts';
import type { PhoneDownlinkSnapshot } from './phone-downlink.ts';
import type { PhoneUplinkSnapshot } from './phone-uplink.ts';

/** What is known of a line so far. */
export interface LineFigures {
  readonly uplink: PhoneUplinkSnapshot;
  readonly downlink: PhoneDownlinkSnapshot;
  readonly rtcp: RtcpSnapshot;
}

/** The figures of a call whose codec has changed its kind: counts of both lines, and what is not a count of the later one. */
export function joinFigures(before: LineFigures, now: LineFigures): LineFigures {
  return {
    uplink: {
      ...now.uplink,
      reorder: sum(before.uplink.reorder, now.uplink.reorder),
      account: joinAccounts(before.uplink.account, now.uplink.account),
      frames: before.uplink.frames + now.uplink.frames,
      digits: before.uplink.digits + now.uplink.digits,
    },
    downlink: { ...sum(before.downlink, now.downlink), account: joinAccounts(before.downlink.account, now.downlink.account) },
    rtcp: {
      ...now.rtcp,
      received: { ...sum(before.rtcp.received, now.rtcp.received), jitterMs: now.rtcp.received.jitterMs },
      sent: sum(before.rtcp.sent, now.rtcp.sent),
    },
  };
}

function joinAccounts(before: StreamAccountSnapshot, now: StreamAccountSnapshot): StreamAccountSnapshot {
  const joined = sum(before, now);
  const heard = joined.framesOut + joined.concealed;
  return {
    ...joined,
    lossPercent: heard === 0 ? 0 : (100 * joined.concealed) / heard,
    burstRatio: Math.max(before.burstRatio, now.burstRatio),
  };
}

/** Number by number; anything else is of the second. */
function sum<Figures extends object>(a: Figures, b: Figures): Figures {
  const entries = Object.entries(b).map(([name, value]: [string, unknown]) => {
    const other = (a as Record<string, unknown>)[name];
    if (typeof value === 'number' && typeof other === 'number') return [name, other + value];
    return [name, typeof value === 'object' && value !== null && typeof other === 'object' && other !== null ? sum(other, value) : value];
  });
  return Object.fromEntries(entries) as Figures;
}
