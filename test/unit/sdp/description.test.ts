import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { attributeOf, attributesOf, parseDescription, type SessionDescription, writeDescription } from '../../../src/sdp/description.ts';
import { answerPhoneOffer } from '../../../src/sdp/phone-answer.ts';
import { answerWebRtcOffer, parseWebRtcOffer } from '../../../src/sdp/webrtc.ts';

const text = [
  'v=0',
  'o=alice 2890844526 18446744073709551615 IN IP4 host.example.com',
  's=a call',
  'i=what it is about',
  'c=IN IP4 192.0.2.1/127',
  'b=AS:64',
  't=0 0',
  'a=group:BUNDLE a b',
  'a=x-unknown:with: colons',
  'm=audio 49170/2 RTP/AVP 0 97',
  'c=IN IP6 2001:db8::1',
  'a=rtpmap:97 iLBC/8000',
  'a=sendonly',
  'm=video 0 RTP/AVP 31',
  '',
].join('\r\n');

function parsed(source: string): SessionDescription {
  const description = parseDescription(source);
  if ('fault' in description) throw new Error(description.fault.detail);
  return description;
}

function fault(source: string): string {
  const description = parseDescription(source);
  return 'fault' in description ? description.fault.detail : 'none';
}

describe('a session description', () => {
  it('is read line by line', () => {
    const description = parsed(text);
    expect(description.origin).toEqual({
      username: 'alice',
      sessionId: '2890844526',
      sessionVersion: '18446744073709551615',
      addressType: 'IP4',
      address: 'host.example.com',
    });
    expect(description.connection).toEqual({ addressType: 'IP4', address: '192.0.2.1' });
    expect(attributeOf(description, 'x-unknown')).toBe('with: colons');
    const [audio, video] = description.media;
    expect(audio).toMatchObject({
      type: 'audio',
      port: 49170,
      protocol: 'RTP/AVP',
      formats: ['0', '97'],
      connection: { address: '2001:db8::1' },
    });
    expect(attributeOf(audio!, 'sendonly')).toBe('');
    expect(attributeOf(audio!, 'sendrecv')).toBeUndefined();
    expect(attributesOf(audio!, 'rtpmap')).toEqual(['97 iLBC/8000']);
    expect(video).toMatchObject({ type: 'video', port: 0 });
  });

  it('is written as it was read, but for what counts and TTLs say', () => {
    const expected = text.replace('/127', '').replace('49170/2', '49170');
    expect(writeDescription(parsed(text))).toBe(expected);
    expect(writeDescription(parsed(expected))).toBe(expected);
  });

  it('may have bare line feeds, blank lines at its end, and neither name nor times', () => {
    const lax = 'v=0\no=- 1 1 IN IP4 192.0.2.1\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0\n\n  \n';
    expect(parsed(lax).media[0]?.port).toBe(4000);
    expect(parsed(lax).name).toBe('-');
  });

  it.each([
    ['', 'session description does not begin with v=0'],
    ['o=- 1 1 IN IP4 192.0.2.1', 'session description does not begin with v=0'],
    ['v=0\r\nm=audio 1 RTP/AVP 0', 'session description without an origin (o=)'],
    ['v=0\r\no=- 1 1 IN IP4', 'line 2: bad origin: "o=- 1 1 IN IP4"'],
    ['v=0\r\no=- x 1 IN IP4 192.0.2.1', 'line 2: bad origin: "o=- x 1 IN IP4 192.0.2.1"'],
    ['v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nwhat is this', 'line 3: not a line of a session description: "what is this"'],
    ['v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n\r\nt=0 0', 'line 3: not a line of a session description: ""'],
    ['v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=IP4 192.0.2.1', 'line 3: bad connection: "c=IP4 192.0.2.1"'],
    ['v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=audio 99999 RTP/AVP 0', 'line 3: bad media line: "m=audio 99999 RTP/AVP 0"'],
    ['v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=audio 1 RTP/AVP', 'line 3: bad media line: "m=audio 1 RTP/AVP"'],
    ['v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nv=0', 'line 3: second description: "v=0"'],
    ['v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\no=- 1 1 IN IP4 192.0.2.1', 'line 3: misplaced origin: "o=- 1 1 IN IP4 192.0.2.1"'],
  ])('is refused with the line that is wrong: %j', (source, detail) => {
    expect(fault(source)).toBe(detail);
  });

  it('has bounds', () => {
    const head = 'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n';
    expect(fault(head + 'a=x\r\n'.repeat(256))).toBe('none');
    expect(fault(head + 'a=x\r\n'.repeat(257))).toBe('line 259: too many attributes: "a=x"');
    expect(fault(head + 'm=audio 1 RTP/AVP 0\r\n'.repeat(32))).toBe('none');
    expect(fault(head + 'm=audio 1 RTP/AVP 0\r\n'.repeat(33))).toContain('too many media lines');
    expect(fault(`${head}m=audio 1 RTP/AVP${' 0'.repeat(129)}`)).toContain('bad media line');
    expect(fault(head + 'b=AS:1\r\n'.repeat(100))).toContain('too many lines');
    expect(fault(head + 'a=x\r\n'.repeat(20_000))).toContain('longer than 65536');
  });

  it('never puts a control character or a long line into a fault', () => {
    const detail = fault(`v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n\u001b[31m${'x'.repeat(1000)}`);
    expect(detail.length).toBeLessThan(120);
    expect(detail).not.toContain('\u001b');
  });
});

const samples = process.env['RINGDOWN_TEST_DATA'];
describe.skipIf(!samples)('malformed samples (skipped unless RINGDOWN_TEST_DATA names the outside data)', () => {
  it('never throw', () => {
    for (const folder of ['sdp', 'sip', 'uri', 'rtp']) {
      for (const name of readdirSync(`${samples}/corpora/${folder}`)) {
        const bytes = readFileSync(`${samples}/corpora/${folder}/${name}`);
        for (const source of [bytes.toString('utf8'), bytes.toString('latin1')]) {
          const description = parseDescription(source);
          if (!('fault' in description)) expect(parsed(writeDescription(description))).toEqual(description);
          answerPhoneOffer(source, { address: '192.0.2.1', rtpPort: 4000, rtcpPort: 4001 });
          const offer = parseWebRtcOffer(source);
          if ('fault' in offer) continue;
          answerWebRtcOffer(offer, {
            ufrag: 'abcd',
            pwd: 'p'.repeat(22),
            fingerprint: { algorithm: 'sha-256', value: 'AA' },
            setup: 'active',
            candidates: [{ address: '192.0.2.1', port: 3478 }],
          });
        }
      }
    }
  });
});
