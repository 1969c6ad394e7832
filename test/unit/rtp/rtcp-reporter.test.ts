import { describe, expect, it } from 'vitest';
import { ReceiveStatistics } from '../../../src/rtp/receive-statistics.ts';
import { parseRtcp, type ReceiverReport, type SenderReport, writeRtcp } from '../../../src/rtp/rtcp.ts';
import { RtcpReporter } from '../../../src/rtp/rtcp-reporter.ts';

const WALLCLOCK = 1_700_000_000_500;

function reporter(ssrc = 100): RtcpReporter {
  return new RtcpReporter({ ssrc, clockRateHz: 8000, cname: 'me', random: () => 0.5 });
}

function first(report: Buffer | undefined): SenderReport | ReceiverReport {
  return parseRtcp(report!)![0] as SenderReport | ReceiverReport;
}

describe('reports', () => {
  it('begin with the media, for the round trip to be known soon; then they come every five seconds', () => {
    const rtcp = reporter();
    expect(rtcp.nextTimeout()).toBeUndefined();
    expect(rtcp.poll(1000, WALLCLOCK)).toBeUndefined();
    rtcp.handleRtp({ ssrc: 7, sequenceNumber: 1, timestamp: 0 }, 1000);
    expect(rtcp.nextTimeout()).toBe(1000);
    expect(rtcp.poll(1000, WALLCLOCK)).toBeDefined();
    expect(rtcp.nextTimeout()).toBe(6000);
    expect(rtcp.poll(5999, WALLCLOCK)).toBeUndefined();
  });

  it('are spread by half an interval to either side', () => {
    const at = (random: number) => {
      const rtcp = new RtcpReporter({ ssrc: 1, clockRateHz: 8000, random: () => random });
      rtcp.handleSent(0, 160, 0);
      rtcp.poll(rtcp.nextTimeout()!, WALLCLOCK);
      return rtcp.nextTimeout()!;
    };
    expect(at(0)).toBe(2500);
    expect(at(1)).toBe(7500);
  });

  it('are sender reports while we send, with the clock of our stream, and receiver reports when we do not', () => {
    const rtcp = reporter();
    rtcp.handleSent(0xffffff00, 160, 0);
    rtcp.handleSent(0xffffffa0, 160, 20);
    const report = first(rtcp.poll(2500, WALLCLOCK)) as SenderReport;
    expect(report).toMatchObject({ type: 'sender_report', ssrc: 100, packetCount: 2, octetCount: 320, ntpFraction: 0x80000000 });
    expect(report.rtpTimestamp).toBe((0xffffffa0 + 2480 * 8) % 2 ** 32);
    expect(first(rtcp.poll(7500, WALLCLOCK)).type).toBe('receiver_report');
  });

  it('carry loss of the interval, loss in all, the highest number and jitter', () => {
    const rtcp = reporter();
    let sequence = 65_500;
    for (let i = 0; i < 100; i += 1, sequence += 1) {
      if (i % 4 === 1) continue;
      rtcp.handleRtp({ ssrc: 7, sequenceNumber: sequence & 0xffff, timestamp: (i * 160) >>> 0 }, i * 20);
    }
    const [block] = first(rtcp.poll(2500, WALLCLOCK)).reports;
    expect(block).toMatchObject({ ssrc: 7, fractionLost: 64, cumulativeLost: 25, highestSequence: 65_599, jitter: 0, lastSenderReport: 0 });
    const [later] = first(rtcp.poll(7500, WALLCLOCK)).reports;
    expect(later).toMatchObject({ fractionLost: 0, cumulativeLost: 25 });
    expect(rtcp.snapshot().received).toEqual({ packets: 75, lost: 25, jitterMs: 0 });
  });

  it('end with a BYE', () => {
    const rtcp = reporter();
    rtcp.handleSent(0, 160, 0);
    expect(parseRtcp(rtcp.goodbye(100, WALLCLOCK))!.map((packet) => packet.type)).toEqual([
      'sender_report',
      'source_description',
      'goodbye',
    ]);
  });
});

describe('round trip', () => {
  it('comes from the echo of our sender report', () => {
    const ours = reporter(100);
    const theirs = reporter(200);
    ours.handleSent(0, 160, 0);
    theirs.handleSent(0, 160, 0);
    const senderReport = ours.poll(2500, WALLCLOCK)!;
    // The path takes 30 ms each way; they answer a second later.
    theirs.handleRtp({ ssrc: 100, sequenceNumber: 1, timestamp: 0 }, 30);
    theirs.handleRtcp(senderReport, 2530);
    theirs.handleSent(160, 160, 3000);
    const answer = theirs.poll(3530, WALLCLOCK + 77)!;
    ours.handleRtcp(answer, 3560);
    expect(ours.snapshot().rttMs).toBeCloseTo(60, 0);
    expect(ours.snapshot().remote).toEqual({ lost: 0, fractionLost: 0, jitterMs: 0 });
  });

  it('is not believed from reports we never sent, nor from delays longer than have passed', () => {
    const rtcp = reporter();
    rtcp.handleSent(0, 160, 0);
    const report = first(rtcp.poll(2500, WALLCLOCK)) as SenderReport;
    const middle = ((report.ntpSeconds << 16) | (report.ntpFraction >>> 16)) >>> 0;
    const block = {
      ssrc: 100,
      fractionLost: 255,
      cumulativeLost: 9,
      highestSequence: 1,
      jitter: 80,
      lastSenderReport: 0,
      delaySinceLastSenderReport: 0,
    };
    const lie = (change: Partial<typeof block>) => {
      rtcp.handleRtcp(writeRtcp([{ type: 'receiver_report', ssrc: 9, reports: [{ ...block, ...change }] }]), 2600);
      return rtcp.snapshot().rttMs;
    };
    expect(lie({ lastSenderReport: middle + 1 })).toBeUndefined();
    expect(lie({ lastSenderReport: middle, delaySinceLastSenderReport: 10 * 65536 })).toBeUndefined();
    expect(lie({ ssrc: 101, lastSenderReport: middle })).toBeUndefined();
    expect(lie({ lastSenderReport: middle })).toBe(100);
    expect(rtcp.snapshot().remote).toEqual({ lost: 9, fractionLost: 255 / 256, jitterMs: 10 });
  });
});

describe('receive statistics', () => {
  it('follow jitter as RFC 3550 A.8 does', () => {
    const statistics = new ReceiveStatistics(8000);
    // 10 ms early and late in turn: the difference between neighbours is 20 ms, to which the estimate converges.
    for (let i = 0; i < 400; i += 1) statistics.handle(i, i * 160, i * 20 + (i % 2) * 20);
    expect(statistics.jitterMs).toBeCloseTo(20, 0);
  });

  it('do not take a held key for jitter: its packets repeat one timestamp', () => {
    const statistics = new ReceiveStatistics(8000);
    let sequence = 0;
    for (let n = 0; n < 100; n++) {
      const held = n >= 40 && n < 60;
      // RFC 4733 §2.5.1.4: the last packet is sent three times.
      for (let copy = n === 59 ? 3 : 1; copy > 0; copy--) statistics.handle(sequence++, (held ? 40 : n) * 160, n * 20);
    }
    expect(statistics.jitterMs).toBe(0);
    expect(statistics.lost).toBe(0);
  });

  it('do not take a new clock for jitter', () => {
    const statistics = new ReceiveStatistics(8000);
    for (let i = 0; i < 50; i += 1) statistics.handle(i, i * 160, i * 20);
    for (let i = 50; i < 100; i += 1) statistics.handle(i, 3_000_000_000 + i * 160, i * 20);
    expect(statistics.jitterMs).toBe(0);
  });

  it.each([0, 1, 127, 32767, 32768, 65534, 65535])('count no loss in an unbroken stream from %i over two wraps', (start) => {
    const statistics = new ReceiveStatistics(8000);
    for (let i = 0; i < 140_000; i += 1) statistics.handle((start + i) & 0xffff, (i * 160) >>> 0, i * 20);
    expect([statistics.received, statistics.lost, statistics.highestSequence]).toEqual([140_000, 0, start + 139_999]);
  });

  it('begin anew with another numbering and keep what was counted', () => {
    const statistics = new ReceiveStatistics(8000);
    for (let i = 0; i < 100; i += 1) if (i !== 50) statistics.handle(i, i * 160, i * 20);
    for (let i = 0; i < 100; i += 1) if (i !== 50) statistics.handle(30_000 + i, (100 + i) * 160, (100 + i) * 20);
    expect([statistics.received, statistics.lost]).toEqual([198, 2]);
  });

  it('count a single wild packet for nothing', () => {
    const statistics = new ReceiveStatistics(8000);
    for (let i = 0; i < 100; i += 1) {
      if (i === 50) statistics.handle(40_000, 0, 1000);
      statistics.handle(i, i * 160, i * 20);
    }
    expect([statistics.received, statistics.lost, statistics.highestSequence]).toEqual([100, 0, 99]);
  });

  it('go below zero when packets come twice', () => {
    const statistics = new ReceiveStatistics(8000);
    for (const i of [0, 0, 1, 1]) statistics.handle(i, i * 160, i * 20);
    expect(statistics.lost).toBe(-2);
    expect(statistics.takeFractionLost()).toBe(0);
  });

  it('of many SSRCs are bounded and still add up', () => {
    const rtcp = reporter();
    for (let ssrc = 0; ssrc < 1000; ssrc += 1) {
      rtcp.handleRtp({ ssrc, sequenceNumber: 0, timestamp: 0 }, ssrc);
      rtcp.handleRtp({ ssrc, sequenceNumber: 2, timestamp: 320 }, ssrc);
    }
    expect(rtcp.snapshot().received).toMatchObject({ packets: 2000, lost: 1000 });
    expect(first(rtcp.poll(10_000, WALLCLOCK)).reports.length).toBe(2);
  });
});
