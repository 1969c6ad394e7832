/** RTCP compound packets (RFC 3550 §6): the kinds the gateway acts on. */
export type RtcpPacket = WritableRtcp | OtherRtcp;

/** The kinds that the gateway writes, too. */
export type WritableRtcp = SenderReport | ReceiverReport | SourceDescription | Goodbye;

export interface SenderReport {
  readonly type: 'sender_report';
  readonly ssrc: number;
  readonly ntpSeconds: number;
  readonly ntpFraction: number;
  readonly rtpTimestamp: number;
  readonly packetCount: number;
  readonly octetCount: number;
  readonly reports: readonly ReportBlock[];
}

export interface ReceiverReport {
  readonly type: 'receiver_report';
  readonly ssrc: number;
  readonly reports: readonly ReportBlock[];
}

export interface ReportBlock {
  /** Whose packets this is about. */
  readonly ssrc: number;
  /** Of 256. */
  readonly fractionLost: number;
  /** Signed: duplicates make it negative. */
  readonly cumulativeLost: number;
  readonly highestSequence: number;
  /** In RTP clock units. */
  readonly jitter: number;
  /** Middle 32 bits of the NTP time of the last sender report, 0 when there was none. */
  readonly lastSenderReport: number;
  /** In 1/65536 s. */
  readonly delaySinceLastSenderReport: number;
}

export interface SourceDescription {
  readonly type: 'source_description';
  readonly chunks: readonly { readonly ssrc: number; readonly cname?: string }[];
}

export interface Goodbye {
  readonly type: 'goodbye';
  readonly ssrcs: readonly number[];
}

/** Feedback, extended reports, applications' own: well-formed, not looked into. */
export interface OtherRtcp {
  readonly type: 'other';
  readonly packetType: number;
}

const SENDER_REPORT = 200;
const RECEIVER_REPORT = 201;
const SOURCE_DESCRIPTION = 202;
const GOODBYE = 203;
const CNAME = 1;

/** More packets than this in one datagram are nobody's report. */
const MAX_PACKETS = 32;
const REPORT_BYTES = 24;
/** The count field has five bits. */
const MAX_REPORTS = 31;

/** Reads a compound packet (reduced-size ones too, RFC 5506); undefined when any length in it does not fit. */
export function parseRtcp(datagram: Uint8Array): RtcpPacket[] | undefined {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  const packets: RtcpPacket[] = [];
  let at = 0;
  while (at < view.byteLength) {
    if (at + 4 > view.byteLength || packets.length === MAX_PACKETS) return undefined;
    const first = view.getUint8(at);
    const end = at + 4 + 4 * view.getUint16(at + 2);
    if (first >> 6 !== 2 || end > view.byteLength) return undefined;
    let bodyEnd = end;
    if (first & 0x20) {
      // Only the last packet may be padded (§6.4.1), and the padding counts itself.
      const padding = view.getUint8(end - 1);
      if (end !== view.byteLength || padding === 0 || padding > end - at - 4) return undefined;
      bodyEnd -= padding;
    }
    const packet = parseBody(view, first & 0x1f, view.getUint8(at + 1), at + 4, bodyEnd);
    if (!packet) return undefined;
    packets.push(packet);
    at = end;
  }
  return packets.length === 0 ? undefined : packets;
}

function parseBody(view: DataView, count: number, packetType: number, start: number, end: number): RtcpPacket | undefined {
  switch (packetType) {
    case SENDER_REPORT: {
      const reports = start + 24 <= end ? parseReports(view, count, start + 24, end) : undefined;
      return (
        reports && {
          type: 'sender_report',
          ssrc: view.getUint32(start),
          ntpSeconds: view.getUint32(start + 4),
          ntpFraction: view.getUint32(start + 8),
          rtpTimestamp: view.getUint32(start + 12),
          packetCount: view.getUint32(start + 16),
          octetCount: view.getUint32(start + 20),
          reports,
        }
      );
    }
    case RECEIVER_REPORT: {
      const reports = start + 4 <= end ? parseReports(view, count, start + 4, end) : undefined;
      return reports && { type: 'receiver_report', ssrc: view.getUint32(start), reports };
    }
    case SOURCE_DESCRIPTION:
      return parseDescription(view, count, start, end);
    case GOODBYE:
      if (start + 4 * count > end) return undefined;
      return { type: 'goodbye', ssrcs: Array.from({ length: count }, (_, i) => view.getUint32(start + 4 * i)) };
    default:
      return { type: 'other', packetType };
  }
}

function parseReports(view: DataView, count: number, start: number, end: number): ReportBlock[] | undefined {
  if (start + count * REPORT_BYTES > end) return undefined;
  return Array.from({ length: count }, (_, i) => {
    const at = start + i * REPORT_BYTES;
    const lost = view.getUint32(at + 4);
    return {
      ssrc: view.getUint32(at),
      fractionLost: lost >>> 24,
      cumulativeLost: (lost << 8) >> 8,
      highestSequence: view.getUint32(at + 8),
      jitter: view.getUint32(at + 12),
      lastSenderReport: view.getUint32(at + 16),
      delaySinceLastSenderReport: view.getUint32(at + 20),
    };
  });
}

function parseDescription(view: DataView, count: number, start: number, end: number): SourceDescription | undefined {
  const chunks: { ssrc: number; cname?: string }[] = [];
  let at = start;
  for (let i = 0; i < count; i += 1) {
    if (at + 4 > end) return undefined;
    const chunk: { ssrc: number; cname?: string } = { ssrc: view.getUint32(at) };
    at += 4;
    for (;;) {
      if (at >= end) return undefined;
      const item = view.getUint8(at);
      if (item === 0) break;
      if (at + 2 > end) return undefined;
      const length = view.getUint8(at + 1);
      if (at + 2 + length > end) return undefined;
      if (item === CNAME) chunk.cname = Buffer.from(view.buffer, view.byteOffset + at + 2, length).toString('utf8');
      at += 2 + length;
    }
    // The list ends with at least one zero and fills its last word.
    at = start + ((at - start) & ~3) + 4;
    chunks.push(chunk);
  }
  return at > end ? undefined : { type: 'source_description', chunks };
}

/** Writes a compound packet. A report carries at most 31 blocks; a CNAME is cut at 255 bytes. */
export function writeRtcp(packets: readonly WritableRtcp[]): Buffer {
  return Buffer.concat(packets.map(writeOne));
}

function writeOne(packet: WritableRtcp): Buffer {
  switch (packet.type) {
    case 'sender_report': {
      const reports = packet.reports.slice(0, MAX_REPORTS);
      const out = header(SENDER_REPORT, reports.length, 24 + reports.length * REPORT_BYTES);
      out.writeUInt32BE(packet.ssrc, 4);
      out.writeUInt32BE(packet.ntpSeconds, 8);
      out.writeUInt32BE(packet.ntpFraction, 12);
      out.writeUInt32BE(packet.rtpTimestamp, 16);
      out.writeUInt32BE(packet.packetCount >>> 0, 20);
      out.writeUInt32BE(packet.octetCount >>> 0, 24);
      writeReports(out, reports, 28);
      return out;
    }
    case 'receiver_report': {
      const reports = packet.reports.slice(0, MAX_REPORTS);
      const out = header(RECEIVER_REPORT, reports.length, 4 + reports.length * REPORT_BYTES);
      out.writeUInt32BE(packet.ssrc, 4);
      writeReports(out, reports, 8);
      return out;
    }
    case 'source_description': {
      const chunks = packet.chunks.slice(0, MAX_REPORTS).map(writeChunk);
      const body = Buffer.concat(chunks);
      return Buffer.concat([header(SOURCE_DESCRIPTION, chunks.length, body.length).subarray(0, 4), body]);
    }
    case 'goodbye': {
      const ssrcs = packet.ssrcs.slice(0, MAX_REPORTS);
      const out = header(GOODBYE, ssrcs.length, 4 * ssrcs.length);
      ssrcs.forEach((ssrc, i) => {
        out.writeUInt32BE(ssrc, 4 + 4 * i);
      });
      return out;
    }
  }
}

function header(packetType: number, count: number, bodyBytes: number): Buffer {
  const out = Buffer.alloc(4 + bodyBytes);
  out[0] = 0x80 | count;
  out[1] = packetType;
  out.writeUInt16BE(bodyBytes / 4, 2);
  return out;
}

function writeReports(out: Buffer, reports: readonly ReportBlock[], start: number): void {
  reports.forEach((report, i) => {
    const at = start + i * REPORT_BYTES;
    const lost = Math.max(-0x800000, Math.min(0x7fffff, report.cumulativeLost)) & 0xffffff;
    out.writeUInt32BE(report.ssrc, at);
    out.writeUInt32BE(((report.fractionLost << 24) | lost) >>> 0, at + 4);
    out.writeUInt32BE(report.highestSequence >>> 0, at + 8);
    out.writeUInt32BE(report.jitter >>> 0, at + 12);
    out.writeUInt32BE(report.lastSenderReport, at + 16);
    out.writeUInt32BE(report.delaySinceLastSenderReport >>> 0, at + 20);
  });
}

function writeChunk({ ssrc, cname }: { readonly ssrc: number; readonly cname?: string }): Buffer {
  const name = Buffer.from(cname ?? '', 'utf8').subarray(0, 255);
  const items = cname === undefined ? 0 : 2 + name.length;
  const out = Buffer.alloc(4 + ((items + 4) & ~3));
  out.writeUInt32BE(ssrc, 0);
  if (cname !== undefined) {
    out[4] = CNAME;
    out[5] = name.length;
    name.copy(out, 6);
  }
  return out;
}
