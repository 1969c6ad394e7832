import { randomText } from '../base/ids.ts';
import type { RtpPacket } from './packet.ts';
import { ReceiveStatistics } from './receive-statistics.ts';
import {
  parseRtcp,
  type ReceiverReport,
  type ReportBlock,
  type RtcpPacket,
  type SenderReport,
  type SourceDescription,
  writeRtcp,
} from './rtcp.ts';

export interface RtcpReporterOptions {
  /** Of the stream we send. */
  readonly ssrc: number;
  readonly clockRateHz: number;
  /** Who we are, the same for all streams of a session and telling nothing (RFC 7022). Random when absent. */
  readonly cname?: string;
  /** 0 to 1, for the spread of intervals. */
  readonly random?: () => number;
}

export interface RtcpSnapshot {
  readonly received: { readonly packets: number; readonly lost: number; readonly jitterMs: number };
  readonly sent: { readonly packets: number; readonly octets: number };
  /** What the peer says it gets of us; undefined until it has said so. */
  readonly remote: { readonly lost: number; readonly fractionLost: number; readonly jitterMs: number } | undefined;
  readonly rttMs: number | undefined;
}

/** RFC 3550 §6.2: five seconds, spread by half to either side. The first goes at once, as it may between two: only from its echo is the round trip known. */
const INTERVAL_MS = 5000;
/** Sender reports remembered to recognise what a peer echoes: a minute's worth is not needed. */
const REMEMBERED_REPORTS = 4;
/** SSRCs reported on: the current one and one just replaced. */
const MAX_SOURCES = 2;
/** Seconds between the epochs of NTP (1900) and Unix (1970). */
const NTP_EPOCH_S = 2_208_988_800;

/** RTCP of one pair of streams: counts what comes and goes, writes the reports and reads the peer's. Without I/O. */
export class RtcpReporter {
  readonly #options: RtcpReporterOptions;
  readonly #cname: string;
  readonly #random: () => number;
  readonly #sources = new Map<number, ReceiveStatistics>();
  /** Packets and losses of SSRCs that have been dropped from the map. */
  #pastReceived = 0;
  #pastLost = 0;
  #newest: ReceiveStatistics | undefined;
  #sentPackets = 0;
  #sentOctets = 0;
  #lastSent: { timestamp: number; at: number } | undefined;
  #sentAtLastReport = 0;
  #remoteSenderReport: { ssrc: number; middle: number; at: number } | undefined;
  readonly #ourReports: { middle: number; at: number }[] = [];
  #remote: RtcpSnapshot['remote'];
  #rttMs: number | undefined;
  #nextAt: number | undefined;

  constructor(options: RtcpReporterOptions) {
    this.#options = options;
    this.#cname = options.cname ?? randomText(16);
    this.#random = options.random ?? Math.random;
  }

  /** An RTP packet has arrived, in whatever order. */
  handleRtp(packet: Pick<RtpPacket, 'ssrc' | 'sequenceNumber' | 'timestamp'>, now: number): void {
    this.#start(now);
    let source = this.#sources.get(packet.ssrc);
    if (!source) {
      source = new ReceiveStatistics(this.#options.clockRateHz);
      this.#sources.set(packet.ssrc, source);
      if (this.#sources.size > MAX_SOURCES) this.#forgetOldest();
    }
    this.#newest = source;
    source.handle(packet.sequenceNumber, packet.timestamp, now);
  }

  /** An RTP packet has been sent. */
  handleSent(timestamp: number, payloadBytes: number, now: number): void {
    this.#start(now);
    this.#sentPackets += 1;
    this.#sentOctets += payloadBytes;
    if (this.#lastSent) {
      this.#lastSent.timestamp = timestamp;
      this.#lastSent.at = now;
    } else {
      this.#lastSent = { timestamp, at: now };
    }
  }

  /** An RTCP datagram has arrived; undefined when it is none. What it says is believed only where it can be checked. */
  handleRtcp(datagram: Uint8Array, now: number): readonly RtcpPacket[] | undefined {
    const packets = parseRtcp(datagram);
    for (const packet of packets ?? []) {
      if (packet.type === 'sender_report') {
        const middle = ((packet.ntpSeconds << 16) | (packet.ntpFraction >>> 16)) >>> 0;
        this.#remoteSenderReport = { ssrc: packet.ssrc, middle, at: now };
      }
      if (packet.type !== 'sender_report' && packet.type !== 'receiver_report') continue;
      for (const report of packet.reports) if (report.ssrc === this.#options.ssrc) this.#handleReport(report, now);
    }
    return packets;
  }

  /** When the next report is due; undefined until a packet has come or gone. */
  nextTimeout(): number | undefined {
    return this.#nextAt;
  }

  /** The report that is due now, or undefined. `wallclock` is Unix milliseconds. */
  poll(now: number, wallclock: number): Buffer | undefined {
    if (this.#nextAt === undefined || now < this.#nextAt) return undefined;
    this.#nextAt = now + this.#interval(INTERVAL_MS);
    return writeRtcp(this.#report(now, wallclock));
  }

  /** The last report of the stream, with its BYE. */
  goodbye(now: number, wallclock: number): Buffer {
    return writeRtcp([...this.#report(now, wallclock), { type: 'goodbye', ssrcs: [this.#options.ssrc] }]);
  }

  /** As the far end's newest report tells it; undefined before the first. */
  get rttMs(): number | undefined {
    return this.#rttMs;
  }

  snapshot(): RtcpSnapshot {
    let packets = this.#pastReceived;
    let lost = this.#pastLost;
    for (const source of this.#sources.values()) {
      packets += source.received;
      lost += Math.max(0, source.lost);
    }
    return {
      received: { packets, lost, jitterMs: this.#newest?.jitterMs ?? 0 },
      sent: { packets: this.#sentPackets, octets: this.#sentOctets },
      remote: this.#remote,
      rttMs: this.#rttMs,
    };
  }

  #start(now: number): void {
    if (this.#nextAt === undefined) this.#nextAt = now;
  }

  #interval(ms: number): number {
    return ms * (0.5 + this.#random());
  }

  #forgetOldest(): void {
    const [oldest] = this.#sources;
    if (!oldest) return;
    const [ssrc, source] = oldest;
    this.#pastReceived += source.received;
    this.#pastLost += Math.max(0, source.lost);
    this.#sources.delete(ssrc);
  }

  #handleReport(report: ReportBlock, now: number): void {
    this.#remote = {
      lost: report.cumulativeLost,
      fractionLost: report.fractionLost / 256,
      jitterMs: (report.jitter * 1000) / this.#options.clockRateHz,
    };
    // Only an echo of a report that we did send says anything of the round trip (§6.4.1).
    const echoed = this.#ourReports.find((sent) => sent.middle === report.lastSenderReport);
    if (!echoed) return;
    const rttMs = now - echoed.at - (report.delaySinceLastSenderReport * 1000) / 65536;
    // A delay of up to a millisecond more than passed is rounding; more is a lie.
    if (rttMs >= -1) this.#rttMs = Math.max(0, rttMs);
  }

  #report(now: number, wallclock: number): [SenderReport | ReceiverReport, SourceDescription] {
    const { ssrc } = this.#options;
    const reports = [...this.#sources].map(([source, statistics]) => this.#block(source, statistics, now));
    const description = { type: 'source_description', chunks: [{ ssrc, cname: this.#cname }] } as const;
    const sentSince = this.#sentPackets - this.#sentAtLastReport;
    this.#sentAtLastReport = this.#sentPackets;
    if (!this.#lastSent || sentSince === 0) return [{ type: 'receiver_report', ssrc, reports }, description];
    const ntpSeconds = (Math.floor(wallclock / 1000) + NTP_EPOCH_S) >>> 0;
    const ntpFraction = Math.floor(((wallclock % 1000) / 1000) * 0x1_0000_0000) >>> 0;
    this.#ourReports.push({ middle: ((ntpSeconds << 16) | (ntpFraction >>> 16)) >>> 0, at: now });
    if (this.#ourReports.length > REMEMBERED_REPORTS) this.#ourReports.shift();
    const ticksSince = Math.round(((now - this.#lastSent.at) * this.#options.clockRateHz) / 1000);
    const senderReport: SenderReport = {
      type: 'sender_report',
      ssrc,
      ntpSeconds,
      ntpFraction,
      rtpTimestamp: (this.#lastSent.timestamp + ticksSince) >>> 0,
      packetCount: this.#sentPackets,
      octetCount: this.#sentOctets,
      reports,
    };
    return [senderReport, description];
  }

  #block(ssrc: number, statistics: ReceiveStatistics, now: number): ReportBlock {
    const last = this.#remoteSenderReport?.ssrc === ssrc ? this.#remoteSenderReport : undefined;
    return {
      ssrc,
      fractionLost: statistics.takeFractionLost(),
      cumulativeLost: statistics.lost,
      highestSequence: statistics.highestSequence,
      jitter: Math.round(statistics.jitter),
      lastSenderReport: last?.middle ?? 0,
      delaySinceLastSenderReport: last ? Math.round(((now - last.at) * 65536) / 1000) : 0,
    };
  }
}
