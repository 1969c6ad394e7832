import { describe, expect, it } from 'vitest';
import { answerPhoneOffer, type PhoneAnswer } from '../../../src/sdp/phone-answer.ts';
import type { LocalMedia, NegotiatedAudio, PhoneAudioFault } from '../../../src/sdp/phone-audio.ts';
import { offerBrowser, offerPhone, type PhoneOffer, readPhoneAnswer } from '../../../src/sdp/phone-offer.ts';

const local: LocalMedia = { address: '198.51.100.1', rtpPort: 16_384, rtcpPort: 16_385 };

function described(...media: string[]): string {
  return ['v=0', 'o=phone 1 1 IN IP4 192.0.2.10', 's=-', 'c=IN IP4 192.0.2.10', 't=0 0', ...media, ''].join('\r\n');
}

function lines(text: string): string[] {
  return text.split('\r\n');
}

function agreed(answer: string, offer: PhoneOffer = offerPhone(local)): NegotiatedAudio {
  const read = readPhoneAnswer(answer, offer);
  if ('fault' in read) throw new Error(read.fault.detail);
  return read.media;
}

function refused(answer: string, offer: PhoneOffer = offerPhone(local)): PhoneAudioFault {
  const read = readPhoneAnswer(answer, offer);
  if (!('fault' in read)) throw new Error('not refused');
  return read.fault;
}

function answered(text: string, previous?: PhoneAnswer): PhoneAnswer {
  const answer = answerPhoneOffer(text, local, previous);
  if ('fault' in answer) throw new Error(answer.fault.detail);
  return answer;
}

describe('an offer to a browser, at the ports of a phone', () => {
  const fingerprint = { algorithm: 'sha-256', value: 'AB:CD' };
  const answer = (...more: string[]): string =>
    ['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 't=0 0', 'a=group:BUNDLE 0', ...more, 'a=mid:0', 'a=sendrecv', 'a=rtcp-mux', ''].join(
      '\r\n',
    );
  const keys = ['c=IN IP4 0.0.0.0', `a=fingerprint:sha-256 ${Array.from({ length: 32 }, () => 'EF').join(':')}`, 'a=setup:active'];
  const line = ['m=audio 9 UDP/TLS/RTP/SAVPF 96 102', 'a=rtpmap:96 opus/48000/2', 'a=rtpmap:102 telephone-event/48000'];

  it('has all a browser insists on: DTLS-SRTP, ICE, RTCP by the same port', () => {
    const text = offerBrowser(local, fingerprint).offer;
    expect(lines(text).filter((each) => !/^a=(?:rtpmap|fmtp|ice-(?:ufrag|pwd))|^o=/.test(each))).toEqual([
      ...['v=0', 's=-', 'c=IN IP4 198.51.100.1', 't=0 0', 'a=group:BUNDLE 0', 'a=ice-lite'],
      ...['m=audio 16384 UDP/TLS/RTP/SAVPF 96 0 8 101 102', 'a=ptime:20', 'a=sendrecv', 'a=mid:0', 'a=rtcp-mux'],
      ...['a=candidate:1 1 UDP 2130706431 198.51.100.1 16384 typ host', 'a=fingerprint:sha-256 AB:CD', 'a=setup:actpass', ''],
    ]);
    expect(text).toMatch(/a=ice-ufrag:[\w+/]{8}\r\na=ice-pwd:[\w+/]{24}\r\n/);
  });

  it('is answered by one: it checks the way and begins the handshake', () => {
    const offer = offerBrowser(local, fingerprint);
    const ufrag = 'a=ice-ufrag:abcd';
    const media = agreed(answer(...line, ...keys, ufrag, `a=ice-pwd:${'p'.repeat(22)}`), offer);
    expect(media).toMatchObject({ codec: 'opus', payloadType: 96, rtcpMux: true, security: { type: 'dtls', role: 'server' } });
    expect(media.ice).toEqual({ local: offer.ice?.local, remote: { ufrag: 'abcd', pwd: 'p'.repeat(22) } });
  });

  it('is not answered without keys', () => {
    const refusal = refused(
      answer('m=audio 4000 RTP/AVP 0', 'c=IN IP4 192.0.2.10', 'a=rtpmap:0 PCMU/8000'),
      offerBrowser(local, fingerprint),
    );
    expect(refusal).toMatchObject({ reason: 'no_common_codec' });
  });
});

describe('an offer to a phone', () => {
  it('names what we speak, in our order, and telephone events', () => {
    const [v, o, ...rest] = lines(offerPhone(local).offer);
    expect(v).toBe('v=0');
    expect(o).toMatch(/^o=- \d+ 1 IN IP4 198\.51\.100\.1$/);
    expect(rest).toEqual([
      's=-',
      'c=IN IP4 198.51.100.1',
      't=0 0',
      'm=audio 16384 RTP/AVP 0 8 9 96 101 102',
      'a=rtpmap:0 PCMU/8000',
      'a=rtpmap:8 PCMA/8000',
      'a=rtpmap:9 G722/8000',
      'a=rtpmap:96 opus/48000/2',
      'a=fmtp:96 maxplaybackrate=24000;stereo=0;sprop-stereo=0;useinbandfec=1',
      'a=rtpmap:101 telephone-event/8000',
      'a=fmtp:101 0-15',
      'a=rtpmap:102 telephone-event/48000',
      'a=fmtp:102 0-15',
      'a=ptime:20',
      'a=sendrecv',
      'a=rtcp:16385',
      'a=rtcp-mux',
      '',
    ]);
    expect(lines(offerPhone({ ...local, codecs: ['G722', 'PCMA'] }).offer)).toContain('m=audio 16384 RTP/AVP 9 8 101');
  });

  it('is understood by our own answers', () => {
    const answer = answered(offerPhone(local, { direction: 'sendonly' }).offer);
    expect(answer.media).toMatchObject({ codec: 'PCMU', telephoneEventPayloadType: 101, direction: 'recvonly' });
  });
});

describe('the answer to it', () => {
  it('says what was agreed', () => {
    expect(
      agreed(described('m=audio 20000 RTP/AVP 9 101', 'a=rtpmap:9 G722/8000', 'a=rtpmap:101 telephone-event/8000', 'a=ptime:30')),
    ).toEqual({
      codec: 'G722',
      payloadType: 9,
      sampleRateHz: 16_000,
      alternatives: [],
      telephoneEventPayloadType: 101,
      remote: { address: '192.0.2.10', port: 20_000 },
      remoteRtcp: { address: '192.0.2.10', port: 20_001 },
      direction: 'sendrecv',
      ptimeMs: 30,
    });
  });

  it('that names several codecs lets the phone change between them', () => {
    expect(agreed(described('m=audio 20000 RTP/AVP 8 18 0'))).toMatchObject({
      codec: 'PCMA',
      payloadType: 8,
      alternatives: [{ codec: 'PCMU', payloadType: 0 }],
    });
  });

  it('may hold us, by direction and by an address of zeros, but never take more than was offered', () => {
    expect(agreed(described('m=audio 20000 RTP/AVP 0', 'a=sendonly')).direction).toBe('recvonly');
    expect(agreed(described('m=audio 20000 RTP/AVP 0', 'c=IN IP4 0.0.0.0')).direction).toBe('recvonly');
    const hold = offerPhone(local, { direction: 'sendonly' });
    expect(agreed(described('m=audio 20000 RTP/AVP 0', 'a=recvonly'), hold).direction).toBe('sendonly');
    expect(agreed(described('m=audio 20000 RTP/AVP 0', 'a=sendrecv'), hold).direction).toBe('sendonly');
    expect(agreed(described('m=audio 20000 RTP/AVP 0', 'a=inactive'), hold).direction).toBe('inactive');
    const away = offerPhone(local, { direction: 'inactive' });
    expect(agreed(described('m=audio 20000 RTP/AVP 0'), away).direction).toBe('inactive');
  });

  it.each([
    ['garbage', 'hello', 'malformed'],
    ['no lines', described(), 'malformed'],
    ['another kind of line', described('m=video 20000 RTP/AVP 0'), 'malformed'],
    ['a refused line', described('m=audio 0 RTP/AVP 0'), 'no_common_codec'],
    ['a codec nobody offered', described('m=audio 20000 RTP/AVP 18'), 'no_common_codec'],
    ['encryption nobody offered', described('m=audio 20000 RTP/SAVP 0'), 'no_common_codec'],
    ['a target that is none', described('m=audio 20000 RTP/AVP 0', 'c=IN IP4 224.0.0.1'), 'bad_target'],
  ])('with %s is a fault', (_, answer, reason) => {
    expect(refused(answer).reason).toBe(reason);
  });

  it('with a codec we left out of the offer is a fault', () => {
    expect(refused(described('m=audio 20000 RTP/AVP 0'), offerPhone({ ...local, codecs: ['PCMA'] })).reason).toBe('no_common_codec');
  });
});

describe('a later offer in the same dialog', () => {
  const origin = (text: string) => lines(text)[1]?.split(' ').slice(1, 3);

  it('holds and resumes with the codec that was agreed, one version up each time', () => {
    const first = offerPhone(local);
    const current = agreed(described('m=audio 20000 RTP/AVP 8 101', 'a=rtpmap:101 telephone-event/8000'), first);
    const hold = offerPhone(local, { direction: 'sendonly', previous: first, current });
    expect(lines(hold.offer)).toContain('m=audio 16384 RTP/AVP 8 101');
    expect(lines(hold.offer)).toContain('a=sendonly');
    const resume = offerPhone(local, { previous: hold, current });
    const refresh = offerPhone(local, { previous: resume, current });
    const [id] = origin(first.offer) ?? [];
    expect([first, hold, resume, refresh].map(({ offer }) => origin(offer))).toEqual([
      [id, '1'],
      [id, '2'],
      [id, '3'],
      [id, '3'],
    ]);
    expect(refresh.offer).toBe(resume.offer);
  });

  it('goes on from our answer when the phone had offered first: its lines, its numbers, its version', () => {
    const answer = answered(
      described(
        'm=image 20004 udptl t38',
        'm=audio 20000 RTP/AVPF 96 97 13',
        'a=rtpmap:96 PCMA/8000',
        'a=rtpmap:97 telephone-event/8000',
        'm=video 20006 RTP/AVP 99',
      ),
    );
    const hold = offerPhone(local, { direction: 'inactive', previous: answer, current: answer.media });
    expect(lines(hold.offer).filter((line) => /^(?:m=|a=rtpmap|a=inactive)/.test(line))).toEqual([
      'm=image 0 udptl t38',
      'm=audio 16384 RTP/AVPF 96 97 13',
      'a=rtpmap:96 PCMA/8000',
      'a=rtpmap:97 telephone-event/8000',
      'a=rtpmap:13 CN/8000',
      'a=inactive',
      'm=video 0 RTP/AVP 99',
    ]);
    expect(origin(hold.offer)).toEqual([origin(answer.answer)?.[0], '2']);
    const back = described('m=image 0 udptl t38', 'm=audio 20000 RTP/AVPF 96', 'a=rtpmap:96 PCMA/8000', 'm=video 0 RTP/AVP 99');
    expect(agreed(back, hold)).toMatchObject({ codec: 'PCMA', payloadType: 96, direction: 'inactive' });
    expect(refused(described('m=audio 20000 RTP/AVP 8'), hold).reason).toBe('malformed');
  });

  it('is followed by an answer of ours one version up', () => {
    const first = offerPhone(local);
    const answer = answerPhoneOffer(described('m=audio 20000 RTP/AVP 0'), local, first);
    if ('fault' in answer) throw new Error(answer.fault.detail);
    expect(origin(answer.answer)).toEqual([origin(first.offer)?.[0], '2']);
  });
});
