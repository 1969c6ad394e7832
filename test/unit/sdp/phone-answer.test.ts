import { describe, expect, it } from 'vitest';
import { answerPhoneOffer, type PhoneAnswer } from '../../../src/sdp/phone-answer.ts';
import type { LocalMedia, PhoneAudioFault } from '../../../src/sdp/phone-audio.ts';

const local: LocalMedia = { address: '198.51.100.1', rtpPort: 16_384, rtcpPort: 16_385 };

function offer(...media: string[]): string {
  return ['v=0', 'o=phone 1 1 IN IP4 192.0.2.10', 's=-', 'c=IN IP4 192.0.2.10', 't=0 0', ...media, ''].join('\r\n');
}

function answered(text: string, options: LocalMedia = local, previous?: PhoneAnswer): PhoneAnswer {
  const answer = answerPhoneOffer(text, options, previous);
  if ('fault' in answer) throw new Error(answer.fault.detail);
  return answer;
}

function refused(text: string, options: LocalMedia = local): PhoneAudioFault {
  const answer = answerPhoneOffer(text, options);
  if (!('fault' in answer)) throw new Error(`not refused: ${answer.answer}`);
  return answer.fault;
}

function lines({ answer }: PhoneAnswer): string[] {
  return answer.split('\r\n');
}

describe('an answer to a phone', () => {
  it('takes one codec and telephone events, and says where we are', () => {
    const answer = answered(
      offer(
        'm=audio 20000 RTP/AVP 8 0 101',
        'a=rtpmap:8 PCMA/8000',
        'a=rtpmap:0 PCMU/8000',
        'a=rtpmap:101 telephone-event/8000',
        'a=fmtp:101 0-16',
        'a=ptime:30',
      ),
    );
    expect(answer.media).toEqual({
      codec: 'PCMA',
      payloadType: 8,
      sampleRateHz: 8000,
      alternatives: [],
      telephoneEventPayloadType: 101,
      remote: { address: '192.0.2.10', port: 20_000 },
      remoteRtcp: { address: '192.0.2.10', port: 20_001 },
      direction: 'sendrecv',
      ptimeMs: 30,
    });
    const [v, o, ...rest] = lines(answer);
    expect(v).toBe('v=0');
    expect(o).toMatch(/^o=- \d+ 1 IN IP4 198\.51\.100\.1$/);
    expect(rest).toEqual([
      's=-',
      'c=IN IP4 198.51.100.1',
      't=0 0',
      'm=audio 16384 RTP/AVP 8 101',
      'a=rtpmap:8 PCMA/8000',
      'a=rtpmap:101 telephone-event/8000',
      'a=fmtp:101 0-15',
      'a=ptime:20',
      'a=sendrecv',
      'a=rtcp:16385',
      '',
    ]);
  });

  it('knows the static payload types without their maps, and maps over them', () => {
    expect(answered(offer('m=audio 20000 RTP/AVP 0')).media).toMatchObject({ codec: 'PCMU', payloadType: 0 });
    expect(answered(offer('m=audio 20000 RTP/AVP 18 3 8')).media).toMatchObject({ codec: 'PCMA', payloadType: 8 });
    expect(answered(offer('m=audio 20000 RTP/AVP 0 8', 'a=rtpmap:0 x-other/8000')).media).toMatchObject({ codec: 'PCMA' });
    expect(answered(offer('m=audio 20000 RTP/AVP 96', 'a=rtpmap:96 pcmu/8000/1')).media).toMatchObject({ codec: 'PCMU', payloadType: 96 });
    expect(
      answered(offer('m=audio 20000 RTP/AVP 0 96', 'a=rtpmap:96 telephone-event/16000')).media.telephoneEventPayloadType,
    ).toBeUndefined();
  });

  it('follows the order of the offerer among the codecs that are allowed', () => {
    const text = offer('m=audio 20000 RTP/AVP 0 8');
    expect(answered(text).media.codec).toBe('PCMU');
    expect(answered(text, { ...local, codecs: ['PCMA'] }).media.codec).toBe('PCMA');
    expect(refused(offer('m=audio 20000 RTP/AVP 0'), { ...local, codecs: ['PCMA'] }).reason).toBe('no_common_codec');
  });

  it('keeps the profile with feedback when that is what was offered', () => {
    expect(lines(answered(offer('m=audio 20000 RTP/AVPF 0')))).toContain('m=audio 16384 RTP/AVPF 0');
  });

  it.each([
    ['sendrecv', 'sendrecv'],
    ['sendonly', 'recvonly'],
    ['recvonly', 'sendonly'],
    ['inactive', 'inactive'],
  ])('answers %s by %s, said for the line or for all', (said, expected) => {
    expect(answered(offer('m=audio 20000 RTP/AVP 0', `a=${said}`)).media.direction).toBe(expected);
    expect(answered(offer(`a=${said}`, 'm=audio 20000 RTP/AVP 0')).media.direction).toBe(expected);
    expect(answered(offer('a=inactive', 'm=audio 20000 RTP/AVP 0', `a=${said}`)).media.direction).toBe(expected);
  });

  it.each([
    ['sendrecv', 'recvonly'],
    ['sendonly', 'recvonly'],
    ['recvonly', 'inactive'],
    ['inactive', 'inactive'],
  ])('takes an address of zeros with %s for hold: %s', (said, expected) => {
    for (const zeros of ['IP4 0.0.0.0', 'IP6 ::']) {
      const { media } = answered(offer('m=audio 20000 RTP/AVP 0', `c=IN ${zeros}`, `a=${said}`));
      expect(media.direction).toBe(expected);
    }
  });

  it('sends media where the line says, before where the session says', () => {
    const { media } = answered(offer('m=audio 20000 RTP/AVP 0', 'c=IN IP4 192.0.2.77'));
    expect(media.remote).toEqual({ address: '192.0.2.77', port: 20_000 });
  });

  it('sends RTCP to the port that a=rtcp names, but never to another machine', () => {
    const rtcp = (value: string) => answered(offer('m=audio 20000 RTP/AVP 0', `a=rtcp:${value}`)).media.remoteRtcp;
    expect(rtcp('30001')).toEqual({ address: '192.0.2.10', port: 30_001 });
    expect(rtcp('30001 IN IP4 192.0.2.10')).toEqual({ address: '192.0.2.10', port: 30_001 });
    expect(rtcp('30001 IN IP4 203.0.113.5')).toEqual({ address: '192.0.2.10', port: 20_001 });
    expect(rtcp('53')).toEqual({ address: '192.0.2.10', port: 20_001 });
    expect(rtcp('x')).toEqual({ address: '192.0.2.10', port: 20_001 });
  });

  it('speaks IPv6', () => {
    const answer = answered(offer('m=audio 20000 RTP/AVP 0', 'c=IN IP6 2001:db8::10'), { ...local, address: '2001:db8::1' });
    expect(answer.media.remote).toEqual({ address: '2001:db8::10', port: 20_000 });
    expect(lines(answer)).toContain('c=IN IP6 2001:db8::1');
    expect(lines(answer).find((line) => line.startsWith('o='))).toMatch(/ IN IP6 2001:db8::1$/);
  });

  it('knows an IPv6 address in any spelling, as sockets show it', () => {
    const text = offer('m=audio 20000 RTP/AVP 0\r\na=rtcp:20009 IN IP6 2001:DB8:0:0::10', 'c=IN IP6 2001:DB8:0::0010');
    const { media } = answered(text, { ...local, address: '2001:db8::1' });
    expect([media.remote, media.remoteRtcp]).toEqual([
      { address: '2001:db8::10', port: 20_000 },
      { address: '2001:db8::10', port: 20_009 },
    ]);
    const mapped = answered(offer('m=audio 20000 RTP/AVP 0', 'c=IN IP6 ::ffff:198.51.100.7'), local);
    expect(mapped.media.remote.address).toBe('198.51.100.7');
  });

  it('answers media of the other family with an address of that family, where there is one', () => {
    const addressTowards = (remote: string) => (remote === '2001:db8::10' ? '2001:db8::1' : undefined);
    const answer = answered(offer('m=audio 20000 RTP/AVP 0', 'c=IN IP6 2001:db8::10'), { ...local, addressTowards });
    expect(lines(answer)).toContain('c=IN IP6 2001:db8::1');
    expect(refused(offer('m=audio 20000 RTP/AVP 0', 'c=IN IP6 2001:db8::11'), { ...local, addressTowards }).reason).toBe('bad_target');
    expect(refused(offer('m=audio 20000 RTP/AVP 0', 'c=IN IP4 198.51.100.7'), { ...local, address: '2001:db8::1' }).reason).toBe(
      'bad_target',
    );
  });

  it('refuses every other line in its place', () => {
    const answer = answered(
      offer(
        'm=image 20004 udptl t38',
        'm=audio 20002 RTP/SAVP 0',
        'm=audio 0 RTP/AVP 0',
        'm=audio 20000 RTP/AVP 0 8',
        'm=video 20006 RTP/AVP 99 31',
        'a=rtpmap:99 H264/90000',
        'm=audio 20008 RTP/AVP 8',
        'm=application 9 UDP/BFCP *',
      ),
    );
    expect(lines(answer).filter((line) => line.startsWith('m='))).toEqual([
      'm=image 0 udptl t38',
      'm=audio 0 RTP/SAVP 0',
      'm=audio 0 RTP/AVP 0',
      'm=audio 16384 RTP/AVP 0',
      'm=video 0 RTP/AVP 99 31',
      'm=audio 0 RTP/AVP 8',
      'm=application 0 UDP/BFCP *',
    ]);
  });

  it.each(['', 'x', '0', '1000000', '-20'])('takes 20 ms for a ptime of %j', (ptime) => {
    expect(answered(offer('m=audio 20000 RTP/AVP 0', `a=ptime:${ptime}`)).media.ptimeMs).toBe(20);
  });

  it.each([
    [['a=ptime:10'], 10],
    [['a=ptime:5'], 10],
    [['a=ptime:35'], 30],
    [['a=ptime:60'], 60],
    [['a=ptime:120'], 60],
    [['a=maxptime:150'], 20],
    [['a=maxptime:10'], 10],
    [['a=ptime:60', 'a=maxptime:40'], 40],
    [['a=ptime:30', 'a=maxptime:20'], 20],
  ])('to a phone that says %j sends packets of %i ms, and asks for its own 20', (attributes, expected) => {
    const answer = answered(offer('m=audio 20000 RTP/AVP 0', ...attributes));
    expect(answer.media.ptimeMs).toBe(expected);
    expect(lines(answer)).toContain('a=ptime:20');
  });

  it('takes G.722 when the phone prefers it, with its clock that is half its rate', () => {
    const answer = answered(offer('m=audio 20000 RTP/AVP 18 9 0 101', 'a=rtpmap:101 telephone-event/8000'));
    expect(answer.media).toMatchObject({ codec: 'G722', payloadType: 9, sampleRateHz: 16_000, telephoneEventPayloadType: 101 });
    expect(lines(answer)).toContain('m=audio 16384 RTP/AVP 9 101');
    expect(lines(answer)).toContain('a=rtpmap:9 G722/8000');
    expect(answered(offer('m=audio 20000 RTP/AVP 0 9')).media.codec).toBe('PCMU');
    expect(answered(offer('m=audio 20000 RTP/AVP 9 0', 'a=rtpmap:9 G722/16000')).media.codec).toBe('PCMU');
    expect(answered(offer('m=audio 20000 RTP/AVP 9 0'), { ...local, codecs: ['PCMU', 'PCMA'] }).media.codec).toBe('PCMU');
  });

  it('agrees to comfort noise where it is offered', () => {
    const answer = answered(offer('m=audio 20000 RTP/AVP 8 13'));
    expect(answer.media.comfortNoisePayloadType).toBe(13);
    expect(lines(answer)).toContain('m=audio 16384 RTP/AVP 8 13');
    expect(lines(answer)).toContain('a=rtpmap:13 CN/8000');
    const mapped = answered(offer('m=audio 20000 RTP/AVP 8 98', 'a=rtpmap:98 CN/16000'));
    expect(mapped.media.comfortNoisePayloadType).toBeUndefined();
    expect(refused(offer('m=audio 20000 RTP/AVP 13')).reason).toBe('no_common_codec');
  });
});

describe('a refusal', () => {
  it.each([
    ['no codec of ours', 'm=audio 20000 RTP/AVP 18', 'no common codec; spoken here: PCMU, PCMA, G722, opus, L16/16000, L16/8000'],
    ['only encrypted audio', 'm=audio 20000 RTP/SAVP 0', 'RTP/SAVP is not spoken here, only RTP/AVP'],
    ['only a fax', 'm=image 20000 udptl t38', 'no audio is offered'],
    ['only audio that is switched off', 'm=audio 0 RTP/AVP 0', 'no audio is offered'],
    [
      'G.711 at another rate',
      'm=audio 20000 RTP/AVP 96\r\na=rtpmap:96 PCMU/16000',
      'no common codec; spoken here: PCMU, PCMA, G722, opus, L16/16000, L16/8000',
    ],
  ])('for %s says so', (_, media, detail) => {
    expect(refused(offer(media))).toEqual({ reason: 'no_common_codec', detail });
  });

  it.each([
    '224.0.0.1',
    '224.2.1.1/127',
    '255.255.255.255',
    '240.0.0.1',
    '0.1.2.3',
    'phone.example.com',
    'ff02::1',
    '2001:db8::1',
    '127.1',
  ])('for media to %s names the target', (address) => {
    expect(refused(offer('m=audio 20000 RTP/AVP 0', `c=IN IP4 ${address}`)).reason).toBe('bad_target');
  });

  it.each([1, 53, 1023])('for media to port %i names the target', (port) => {
    expect(refused(offer(`m=audio ${port} RTP/AVP 0`)).reason).toBe('bad_target');
  });

  it('tells of the bad target rather than of another line it could not take', () => {
    expect(refused(offer('m=audio 53 RTP/AVP 0', 'm=audio 20000 RTP/AVP 18')).reason).toBe('bad_target');
  });

  it('for garbage names the line', () => {
    expect(refused('hello')).toEqual({ reason: 'malformed', detail: 'session description does not begin with v=0' });
    expect(refused('v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=audio 20000 RTP/AVP 0')).toEqual({
      reason: 'malformed',
      detail: 'no connection address (c=) for the audio',
    });
  });
});

describe('another answer in the same dialog', () => {
  const origin = (answer: PhoneAnswer) => lines(answer)[1]?.split(' ');

  it('keeps its version when nothing changed, and counts it up when something did', () => {
    const first = answered(offer('m=audio 20000 RTP/AVP 0'));
    const same = answered(offer('m=audio 20002 RTP/AVP 0'), local, first);
    expect(same.answer).toBe(first.answer);
    expect(same.media.remote.port).toBe(20_002);
    const held = answered(offer('m=audio 20000 RTP/AVP 0', 'a=sendonly'), local, same);
    expect(origin(held)).toEqual([origin(first)?.[0], origin(first)?.[1], '2', 'IN', 'IP4', '198.51.100.1']);
    const resumed = answered(offer('m=audio 20000 RTP/AVP 0'), local, held);
    expect(origin(resumed)?.[2]).toBe('3');
  });

  it('belongs to another session in another dialog', () => {
    const text = offer('m=audio 20000 RTP/AVP 0');
    expect(origin(answered(text))?.[1]).not.toBe(origin(answered(text))?.[1]);
  });
});
