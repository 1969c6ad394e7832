import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDescription, writeDescription } from '../../src/sdp/description.ts';
import { answerPhoneOffer } from '../../src/sdp/phone-answer.ts';
import { offerPhone, readPhoneAnswer } from '../../src/sdp/phone-offer.ts';
import { answerWebRtcOffer, parseWebRtcOffer } from '../../src/sdp/webrtc.ts';

const word = fc.stringMatching(/^[!-9;-~]{1,12}$/);
const line = fc.oneof(
  fc.constantFrom(
    'v=0',
    'o=- 1 1 IN IP4 192.0.2.1',
    's=-',
    'c=IN IP4 192.0.2.1',
    'c=IN IP4 224.0.0.1/1',
    't=0 0',
    'a=group:BUNDLE 0 1',
    'm=audio 9 UDP/TLS/RTP/SAVPF 111 0',
    'm=audio 4000 RTP/AVP 0 8 101',
    'm=audio 4000 RTP/AVP 9 13',
    'a=ptime:60',
    'a=maxptime:30',
    'a=sendonly',
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    'm=video 0 RTP/AVP 31',
    'a=mid:0',
    'a=mid:1',
    'a=rtcp-mux',
    'a=rtpmap:111 opus/48000/2',
    'a=rtpmap:101 telephone-event/8000',
    'a=ice-ufrag:abcd',
    'a=ice-pwd:0123456789012345678901',
    `a=fingerprint:sha-256 ${'AA:'.repeat(31)}AA`,
    'a=setup:actpass',
    'a=sctp-port:5000',
    'a=bundle-only',
  ),
  fc.tuple(fc.constantFrom('a', 'b', 'c', 'i', 'm', 'o', 's', 't', 'x'), fc.string()).map(([type, value]) => `${type}=${value}`),
  fc.string(),
);
const local = { address: '198.51.100.1', rtpPort: 16_384, rtcpPort: 16_385 };
const ours = {
  ufrag: 'abcd',
  pwd: 'p'.repeat(22),
  fingerprint: { algorithm: 'sha-256', value: 'AA' },
  setup: 'active',
  candidates: [{ address: '203.0.113.1', port: 3478 }],
} as const;

function mediaTypes(text: string): string[] {
  return text.split('\r\n').flatMap((each) => (each.startsWith('m=') ? [each.slice(2).split(' ')[0] as string] : []));
}

describe('descriptions', () => {
  it('of any lines never throw, and what is read is written and read again the same', () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 40 }), fc.boolean(), (lines, proper) => {
        const text = [...(proper ? ['v=0', 'o=- 1 1 IN IP4 192.0.2.1'] : []), ...lines].join('\r\n');
        const description = parseDescription(text);
        if (!('fault' in description)) expect(parseDescription(writeDescription(description))).toEqual(description);
      }),
      { numRuns: 3000 },
    );
  });

  it('get answers with a line for every line of the offer, in its order', () => {
    fc.assert(
      fc.property(
        fc.array(
          line.filter((each) => /^[acm]=/.test(each)),
          { maxLength: 40 },
        ),
        (lines) => {
          const text = ['v=0', 'o=- 1 1 IN IP4 192.0.2.1', ...lines].join('\r\n');
          const description = parseDescription(text);
          if ('fault' in description) return;
          const offered = description.media.map(({ type }) => type);
          const phone = answerPhoneOffer(text, local);
          if (!('fault' in phone)) expect(mediaTypes(phone.answer)).toEqual(offered);
          const browser = parseWebRtcOffer(text);
          if (!('fault' in browser)) expect(mediaTypes(answerWebRtcOffer(browser, ours))).toEqual(offered);
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('as answers of phones never throw, and give no more than was offered', () => {
    const offered = offerPhone(local, { direction: 'sendonly' });
    fc.assert(
      fc.property(fc.array(line, { maxLength: 40 }), (lines) => {
        const read = readPhoneAnswer(['v=0', 'o=- 1 1 IN IP4 192.0.2.1', ...lines].join('\r\n'), offered);
        if ('fault' in read) return;
        expect(['sendonly', 'inactive']).toContain(read.media.direction);
        expect(offered.formats.map(({ codec }) => codec)).toContain(read.media.codec);
        expect([10, 20, 30, 40, 50, 60]).toContain(read.media.ptimeMs);
        const again = offerPhone(local, { previous: offered, current: read.media });
        expect(mediaTypes(again.offer)).toEqual(['audio']);
      }),
      { numRuns: 3000 },
    );
  });

  it('keep unknown attributes and their order', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(word, fc.option(word)), { maxLength: 30 }), (attributes) => {
        const lines = attributes.map(([name, value]) => (value === null ? `a=${name}` : `a=${name}:${value}`));
        const text = ['v=0', 'o=- 1 1 IN IP4 192.0.2.1', 's=-', 't=0 0', ...lines, ''].join('\r\n');
        const description = parseDescription(text);
        if ('fault' in description) throw new Error(description.fault.detail);
        expect(writeDescription(description)).toBe(text);
      }),
    );
  });
});
