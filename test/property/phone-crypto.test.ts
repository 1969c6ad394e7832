import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { answerPhoneOffer } from '../../src/sdp/phone-answer.ts';
import { CRYPTO_SUITES, makeSdesKey, parseCrypto, writeCrypto } from '../../src/sdp/sdes.ts';

const LINE = '1 AES_CM_128_HMAC_SHA1_80 inline:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB|2^31|1:4 WSH=64';

/** A line with some of its characters changed, doubled or gone. */
const mutated = fc
  .array(fc.record({ at: fc.nat(LINE.length - 1), put: fc.constantFrom('', '|', ':', ';', ' ', '^', '0', '9', '=', 'A', '\u0000', 'é') }), {
    maxLength: 6,
  })
  .map((changes) => changes.reduce((line, { at, put }) => line.slice(0, at) + put + line.slice(at + 1), LINE));

describe('crypto lines', () => {
  it('never throw, and hold a whole key when they are read', () => {
    fc.assert(
      fc.property(fc.oneof(mutated, fc.string({ maxLength: 200 })), (line) => {
        const read = parseCrypto(line);
        if (!read) return;
        expect(read.key.key).toHaveLength(16);
        expect(read.key.salt.length).toBe(read.suite === 'AEAD_AES_128_GCM' ? 12 : 14);
      }),
      { numRuns: 2000 },
    );
  });

  it('come back as they were written', () => {
    fc.assert(
      fc.property(fc.constantFrom(...CRYPTO_SUITES), fc.integer({ min: 0, max: 999_999_999 }), (suite, tag) => {
        const line = { tag, suite, key: makeSdesKey(suite) };
        expect(parseCrypto(writeCrypto(line))).toEqual(line);
      }),
    );
  });

  it('on a line that asks for encryption are answered with encryption or not at all', () => {
    const local = { address: '198.51.100.1', rtpPort: 16_384, rtcpPort: 16_385, terms: { srtp: 'optional', sdes: true } } as const;
    fc.assert(
      fc.property(mutated, fc.constantFrom('RTP/SAVP', 'RTP/SAVPF', 'UDP/TLS/RTP/SAVP'), (line, protocol) => {
        const head = 'v=0\r\no=p 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n';
        const answer = answerPhoneOffer(`${head}m=audio 20000 ${protocol} 0\r\na=crypto:${line}\r\n`, local);
        if ('fault' in answer) return;
        expect(answer.media.security).toBeDefined();
        expect(answer.answer).toContain('a=crypto:');
      }),
      { numRuns: 1000 },
    );
  });
});
