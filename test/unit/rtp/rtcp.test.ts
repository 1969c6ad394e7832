import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseRtp } from '../../../src/rtp/packet.ts';
import { parseRtcp, type RtcpPacket, writeRtcp } from '../../../src/rtp/rtcp.ts';
import { RtcpReporter } from '../../../src/rtp/rtcp-reporter.ts';

const block = {
  ssrc: 0x11111111,
  fractionLost: 64,
  cumulativeLost: -5,
  highestSequence: 0x0001fffe,
  jitter: 33,
  lastSenderReport: 0xaabbccdd,
  delaySinceLastSenderReport: 65536,
};
const compound: Exclude<RtcpPacket, { type: 'other' }>[] = [
  {
    type: 'sender_report',
    ssrc: 0xdeadbeef,
    ntpSeconds: 0xe0000000,
    ntpFraction: 0x80000000,
    rtpTimestamp: 0xfffffff0,
    packetCount: 3,
    octetCount: 480,
    reports: [block],
  },
  { type: 'receiver_report', ssrc: 1, reports: [block, { ...block, cumulativeLost: 0x7fffff }] },
  { type: 'source_description', chunks: [{ ssrc: 1, cname: 'abc' }, { ssrc: 2, cname: 'abcd' }, { ssrc: 3 }] },
  { type: 'goodbye', ssrcs: [1, 2] },
];

function bytes(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex');
}

describe('RTCP', () => {
  it('is read back as it was written, in one compound packet', () => {
    expect(parseRtcp(writeRtcp(compound))).toEqual(compound);
  });

  it('tells other kinds by their number only', () => {
    expect(parseRtcp(bytes('81cd0002 00000001 00000002'))).toEqual([{ type: 'other', packetType: 205 }]);
  });

  it('takes padding at the very end', () => {
    expect(parseRtcp(bytes('a1cb0002 00000009 00000004'))).toEqual([{ type: 'goodbye', ssrcs: [9] }]);
  });

  it.each([
    ['nothing', ''],
    ['half a header', '80c9'],
    ['version 1', '40c90001 00000001'],
    ['a length beyond the end', '80c9ffff 00000001'],
    ['a report without its block', '81c90001 00000001'],
    ['a sender report of one word', '80c80001 00000001'],
    ['a receiver report of no word', '80c90000'],
    ['31 BYEs in two words', '9fcb0001 00000001'],
    ['an SDES item beyond the end', '81ca0002 00000001 01ff6161'],
    ['an SDES chunk without its end', '81ca0002 00000001 01026161'],
    ['an SDES chunk that is not there', '82ca0002 00000001 00000000'],
    ['padding of zero', 'a0c90002 00000001 00000000'],
    ['padding larger than the packet', 'a0c90001 000000ff'],
    ['padding in the middle', 'a0cb0001 00000004 80c90001 00000001'],
    ['rubbish after a good packet', '80c90001 00000001 ff'],
  ])('is refused with %s', (_, hex) => {
    expect(parseRtcp(bytes(hex))).toBeUndefined();
  });

  it('is refused with more packets than a report has', () => {
    expect(parseRtcp(bytes('80cb0000'.repeat(32)))?.length).toBe(32);
    expect(parseRtcp(bytes('80cb0000'.repeat(33)))).toBeUndefined();
  });
});

const samples = process.env['RINGDOWN_TEST_DATA'];
describe.skipIf(!samples)('malformed samples (skipped unless RINGDOWN_TEST_DATA names the outside data)', () => {
  it.each(['rtp', 'rtcp', 'srtp', 'dtls', 'stun'])('of %s never throw', (folder) => {
    for (const name of readdirSync(`${samples}/corpora/${folder}`)) {
      const datagram = readFileSync(`${samples}/corpora/${folder}/${name}`);
      parseRtp(datagram);
      parseRtcp(datagram);
      new RtcpReporter({ ssrc: 1, clockRateHz: 8000 }).handleRtcp(datagram, 0);
    }
  });
});
