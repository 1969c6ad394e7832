import { describe, expect, it } from 'vitest';
import { parseIceCandidate, writeHostCandidate } from '../../../src/sdp/ice-candidate.ts';
import {
  answerWebRtcOffer,
  parseWebRtcAnswer,
  parseWebRtcOffer,
  type WebRtcDescription,
  type WebRtcFault,
  writeWebRtcOffer,
} from '../../../src/sdp/webrtc.ts';

const fingerprint = { algorithm: 'sha-256', value: Array.from({ length: 32 }, (_, i) => (i + 160).toString(16).toUpperCase()).join(':') };
const answerOptions = {
  ufrag: 'serverUfragOf22Chars00',
  pwd: 'serverPasswordOf22Chars',
  fingerprint,
  setup: 'active',
  candidates: [
    { address: '203.0.113.10', port: 3478 },
    { address: '2001:db8::10', port: 3479 },
  ],
  ssrc: 4242,
  cname: 'agent',
} as const;

const transport = [
  'c=IN IP4 0.0.0.0',
  'a=ice-ufrag:Ab+/',
  'a=ice-pwd:0123456789012345678901',
  'a=ice-options:trickle',
  `a=fingerprint:SHA-256 ${fingerprint.value.toLowerCase()}`,
  'a=setup:actpass',
];
const audio = [
  'm=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126',
  ...transport,
  'a=mid:0',
  'a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level',
  'a=sendrecv',
  'a=msid:- 5d6b',
  'a=rtcp-mux',
  'a=rtpmap:111 opus/48000/2',
  'a=rtcp-fb:111 transport-cc',
  'a=fmtp:111 minptime=10;useinbandfec=1',
  'a=rtpmap:63 red/48000/2',
  'a=fmtp:63 111/111',
  'a=rtpmap:9 G722/8000',
  'a=rtpmap:110 telephone-event/48000',
  'a=rtpmap:126 telephone-event/8000',
  'a=ssrc:1234 cname:abc',
];
const data = ['m=application 9 UDP/DTLS/SCTP webrtc-datachannel', ...transport, 'a=mid:1', 'a=sctp-port:5000', 'a=max-message-size:262144'];
const video = [
  'm=video 9 UDP/TLS/RTP/SAVPF 96 97',
  ...transport.map((line) => line.replace('Ab+/', 'Own1')),
  'a=mid:2',
  'a=recvonly',
  'a=rtcp-mux',
  'a=rtpmap:96 VP8/90000',
  'a=rtpmap:97 rtx/90000',
];

function offer(bundle: string, ...sections: string[][]): string {
  const head = [
    'v=0',
    'o=- 4611 2 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    ...(bundle ? [`a=group:BUNDLE ${bundle}`] : []),
    'a=extmap-allow-mixed',
  ];
  return [...head, ...sections.flat(), ''].join('\r\n');
}

function read(text: string): WebRtcDescription {
  const description = parseWebRtcOffer(text);
  if ('fault' in description) throw new Error(description.fault.detail);
  return description;
}

function refused(text: string, parse = parseWebRtcOffer): WebRtcFault['reason'] | undefined {
  const description = parse(text);
  return 'fault' in description ? description.fault.reason : undefined;
}

function answer(text: string): string[] {
  return answerWebRtcOffer(read(text), answerOptions).split('\r\n');
}

describe('a browser’s offer', () => {
  it('is read', () => {
    const description = read(offer('0 1', audio, data));
    expect(description.audio).toEqual({
      mid: '0',
      payloadTypes: { opus: 111, pcmu: 0, pcma: 8, telephoneEvent: 110 },
      telephoneEventRateHz: 48_000,
      opus: { fec: true, cbr: false, dtx: false, stereo: false },
      direction: 'sendrecv',
    });
    expect(description.application).toEqual({ mid: '1', sctpPort: 5000, maxMessageSize: 262_144 });
    expect(description.ice).toEqual({ ufrag: 'Ab+/', pwd: '0123456789012345678901', lite: false, options: ['trickle'], candidates: [] });
    expect(description.fingerprints).toEqual([fingerprint]);
    expect(description.setup).toBe('actpass');
    expect(description.bundle).toEqual(['0', '1']);
    expect(description.sections.map(({ kind }) => kind)).toEqual(['audio', 'application']);
  });

  it('may have what concerns all sections said for the session', () => {
    const bare = (section: string[]) => section.filter((line) => !transport.includes(line));
    const text = offer('0', [...transport.slice(1)], bare(audio));
    expect(read(text).ice.ufrag).toBe('Ab+/');
    expect(read(text).fingerprints).toEqual([fingerprint]);
  });

  it('may have G.711 alone, with the keys of its clock', () => {
    const keys = ['a=rtpmap:126 telephone-event/8000'];
    const only = (formats: string) =>
      audio.filter((line) => !line.includes('opus')).map((line) => line.replace(/^(m=audio .* UDP\/TLS\/RTP\/SAVPF).*/, `$1 ${formats}`));
    const text = offer('0', [...only('8 0 126'), ...keys]);
    expect(read(text).audio?.payloadTypes).toEqual({ pcmu: 0, pcma: 8, telephoneEvent: 126 });
    expect(answer(text)).toEqual(expect.arrayContaining(['a=rtpmap:0 PCMU/8000', 'a=rtpmap:126 telephone-event/8000']));
    expect(answer(text).find((line) => line.startsWith('m=audio'))).toMatch(/SAVPF 0 126$/);
    expect(answer(offer('0', only('8'))).find((line) => line.startsWith('m=audio'))).toMatch(/SAVPF 8$/);
  });

  it('may have its data channel first, or nothing else', () => {
    const first = read(offer('1 0', data, audio));
    expect(first.sections.map(({ kind }) => kind)).toEqual(['application', 'audio']);
    const only = read(offer('1', data));
    expect(only.audio).toBeUndefined();
    expect(only.application?.mid).toBe('1');
  });

  it('may have sections without a transport of their own', () => {
    const bundleOnly = data.map((line) => (line.startsWith('m=') ? line.replace(' 9 ', ' 0 ') : line)).concat('a=bundle-only');
    expect(read(offer('0 1', audio, bundleOnly)).application?.mid).toBe('1');
    expect(read(offer('0 1', audio, bundleOnly.slice(0, -1))).application).toBeUndefined();
  });

  it('has its data channel refused when that would need another transport', () => {
    expect(read(offer('0', audio, data)).sections.map(({ kind }) => kind)).toEqual(['audio', 'rejected']);
    expect(read(offer('', audio, data)).sections.map(({ kind }) => kind)).toEqual(['audio', 'rejected']);
  });

  it('has its second audio and its video refused', () => {
    const second = audio.map((line) => (line === 'a=mid:0' ? 'a=mid:3' : line));
    expect(read(offer('2 0 3 1', video, audio, second, data)).sections.map(({ kind, mid }) => [kind, mid])).toEqual([
      ['rejected', '2'],
      ['audio', '0'],
      ['rejected', '3'],
      ['application', '1'],
    ]);
  });

  it('tells its candidates, but for names and what is not understood', () => {
    const candidates = [
      'a=candidate:1 1 udp 2122260223 192.0.2.1 54321 typ host generation 0 ufrag Ab+/ network-id 1',
      'a=candidate:2 1 UDP 1686052607 198.51.100.1 40000 typ srflx raddr 192.0.2.1 rport 54321',
      'a=candidate:3 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active',
      'a=candidate:4 1 udp 2122260223 0f3c1a.local 54321 typ host',
      'a=candidate:5 1 sctp 1 192.0.2.1 1 typ host',
      'a=candidate:nonsense',
      'a=end-of-candidates',
    ];
    expect(read(offer('0', [...audio, ...candidates])).ice.candidates).toEqual([
      {
        foundation: '1',
        component: 1,
        transport: 'udp',
        priority: 2_122_260_223,
        address: '192.0.2.1',
        port: 54_321,
        type: 'host',
        ufrag: 'Ab+/',
      },
      { foundation: '2', component: 1, transport: 'udp', priority: 1_686_052_607, address: '198.51.100.1', port: 40_000, type: 'srflx' },
      {
        foundation: '3',
        component: 1,
        transport: 'tcp',
        priority: 1_518_280_447,
        address: '192.0.2.1',
        port: 9,
        type: 'host',
        tcpType: 'active',
      },
    ]);
  });

  it('has defaults where it is silent', () => {
    expect(
      read(
        offer(
          '1',
          data.filter((line) => !line.startsWith('a=max')),
        ),
      ).application?.maxMessageSize,
    ).toBe(65_536);
    expect(
      read(
        offer(
          '1',
          data.map((line) => (line.startsWith('a=max') ? 'a=max-message-size:0' : line)),
        ),
      ).application?.maxMessageSize,
    ).toBe(Infinity);
    expect(
      read(
        offer(
          '0',
          audio.filter((line) => !line.startsWith('a=setup')),
        ),
      ).setup,
    ).toBe('actpass');
  });

  it.each([
    ['no codec of ours', 'no_common_codec', audio.map((line) => line.replace(/^(m=audio .* UDP\/TLS\/RTP\/SAVPF).*/, '$1 9'))],
    ['no multiplexing', 'no_common_codec', audio.filter((line) => line !== 'a=rtcp-mux')],
    ['no encryption', 'no_common_codec', audio.map((line) => line.replace('UDP/TLS/RTP/SAVPF', 'RTP/AVP'))],
    ['only video', 'no_media', video],
    ['an old data channel', 'no_media', ['m=application 9 DTLS/SCTP 5000', ...transport, 'a=sctpmap:5000 webrtc-datachannel 1024']],
    ['no fingerprint', 'no_transport', audio.filter((line) => !line.includes('fingerprint'))],
    [
      'a weak fingerprint',
      'no_transport',
      audio.map((line) => (line.includes('fingerprint') ? `a=fingerprint:sha-1 ${fingerprint.value.slice(0, 59)}` : line)),
    ],
    ['a short fingerprint', 'no_transport', audio.map((line) => (line.includes('fingerprint') ? 'a=fingerprint:sha-256 AA:BB' : line))],
    ['no ufrag', 'no_transport', audio.filter((line) => !line.includes('ufrag'))],
    ['a short password', 'no_transport', audio.map((line) => (line.includes('pwd') ? 'a=ice-pwd:short' : line))],
    ['holdconn', 'no_transport', audio.map((line) => line.replace('actpass', 'holdconn'))],
  ] as const)('is refused with %s', (_, reason, section) => {
    expect(refused(offer('0 1 2', [...section]))).toBe(reason);
  });

  it('is refused when it is none', () => {
    expect(refused('')).toBe('malformed');
    expect(refused('{}')).toBe('malformed');
    expect(refused('v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n')).toBe('no_media');
  });
});

describe('our answer', () => {
  it('has every section in its place, all candidates in the first, and no more than was asked', () => {
    const [v, o, ...rest] = answer(offer('2 0 1', video, audio, data));
    expect(v).toBe('v=0');
    expect(o).toMatch(/^o=- \d+ 1 IN IP4 127\.0\.0\.1$/);
    const ours = [
      'a=ice-ufrag:serverUfragOf22Chars00',
      'a=ice-pwd:serverPasswordOf22Chars',
      `a=fingerprint:sha-256 ${fingerprint.value}`,
      'a=setup:active',
    ];
    expect(rest).toEqual([
      's=-',
      't=0 0',
      'a=ice-lite',
      'a=group:BUNDLE 0 1',
      'm=video 0 UDP/TLS/RTP/SAVPF 96',
      'c=IN IP4 0.0.0.0',
      'a=inactive',
      'a=mid:2',
      'a=rtpmap:96 VP8/90000',
      'm=audio 3478 UDP/TLS/RTP/SAVPF 111 110',
      'c=IN IP4 203.0.113.10',
      'a=mid:0',
      ...ours,
      'a=sendrecv',
      'a=rtcp-mux',
      'a=rtpmap:111 opus/48000/2',
      'a=fmtp:111 minptime=10;useinbandfec=1',
      'a=rtpmap:110 telephone-event/48000',
      'a=msid:ringdown audio',
      'a=ssrc:4242 cname:agent',
      'a=candidate:1 1 udp 2130706431 203.0.113.10 3478 typ host ufrag serverUfragOf22Chars00',
      'a=candidate:2 1 udp 2130706175 2001:db8::10 3479 typ host ufrag serverUfragOf22Chars00',
      'a=end-of-candidates',
      'm=application 3478 UDP/DTLS/SCTP webrtc-datachannel',
      'c=IN IP4 203.0.113.10',
      'a=mid:1',
      ...ours,
      'a=sctp-port:5000',
      'a=max-message-size:262144',
      '',
    ]);
  });

  it.each([
    ['sendonly', 'recvonly', false],
    ['recvonly', 'sendonly', true],
    ['inactive', 'inactive', false],
  ])('to %s is %s', (said, expected, sends) => {
    const lines = answer(
      offer(
        '0',
        audio.map((line) => (line === 'a=sendrecv' ? `a=${said}` : line)),
      ),
    );
    expect(lines).toContain(`a=${expected}`);
    expect(lines.includes('a=ssrc:4242 cname:agent')).toBe(sends);
  });

  it('keeps the first section of a max-bundle offer, inactive, because the others live on its transport', () => {
    const bundleOnly = (section: string[]) =>
      section.map((line) => (line.startsWith('m=') ? line.replace(' 9 ', ' 0 ') : line)).concat('a=bundle-only');
    const shared = video.map((line) => line.replace('Own1', 'Ab+/'));
    expect(answer(offer('2 0 1', shared, audio, data))).toContain('a=group:BUNDLE 2 0 1');
    const lines = answer(offer('2 0 1', video, bundleOnly(audio), bundleOnly(data)));
    expect(lines).toContain('a=group:BUNDLE 2 0 1');
    const first = lines.slice(lines.indexOf('m=video 3478 UDP/TLS/RTP/SAVPF 96'), lines.indexOf('m=audio 3478 UDP/TLS/RTP/SAVPF 111 110'));
    expect(first).toEqual(
      expect.arrayContaining(['a=mid:2', 'a=inactive', 'a=rtcp-mux', 'a=rtpmap:96 VP8/90000', 'a=end-of-candidates', 'a=setup:active']),
    );
    expect(lines.filter((line) => line === 'a=end-of-candidates').length).toBe(1);
  });

  it('has no group when none was offered, and no mid where none was given', () => {
    const lines = answer(
      offer(
        '',
        audio.filter((line) => line !== 'a=mid:0'),
      ),
    );
    expect(lines.some((line) => /^a=(group|mid)/.test(line))).toBe(false);
    expect(lines).toContain('a=end-of-candidates');
  });

  it('is understood by ourselves', () => {
    const description = parseWebRtcAnswer(answerWebRtcOffer(read(offer('0 1', audio, data)), answerOptions));
    if ('fault' in description) throw new Error(description.fault.detail);
    expect(description).toMatchObject({
      setup: 'active',
      ice: { ufrag: answerOptions.ufrag, pwd: answerOptions.pwd, lite: true },
      audio: { mid: '0', direction: 'sendrecv' },
      application: { mid: '1' },
    });
    expect(description.ice.candidates.map(({ address, port }) => ({ address, port }))).toEqual(answerOptions.candidates);
  });
});

describe('our offer', () => {
  const options = { ufrag: 'abcd', pwd: 'p'.repeat(22), fingerprint, setup: 'actpass', ssrc: 7, dataChannel: false } as const;

  it('is understood by ourselves, with and without a data channel', () => {
    const both = read(writeWebRtcOffer({ ...options, dataChannel: true }));
    expect(both).toMatchObject({
      audio: { mid: '0', payloadTypes: { opus: 111 }, direction: 'sendrecv' },
      application: { mid: '1', sctpPort: 5000 },
      bundle: ['0', '1'],
      setup: 'actpass',
      fingerprints: [fingerprint],
    });
    const one = read(writeWebRtcOffer(options));
    expect(one.application).toBeUndefined();
    expect(one.sections.length).toBe(1);
  });

  it('is answered by an actpass that we do not take', () => {
    expect(refused(writeWebRtcOffer(options), parseWebRtcAnswer)).toBe('no_transport');
  });

  it('says what the inner leg wants', () => {
    expect(writeWebRtcOffer(options)).toContain('a=fmtp:111 minptime=10;useinbandfec=0\r\n');
    expect(writeWebRtcOffer({ ...options, inbandFec: true })).toContain('useinbandfec=1');
    const narrow = parseWebRtcOffer(writeWebRtcOffer({ ...options, maxPlaybackRateHz: 8000 }));
    if ('fault' in narrow) throw new Error(narrow.fault.detail);
    expect(narrow.audio?.maxPlaybackRateHz).toBe(8000);
    expect(writeWebRtcOffer(options)).toMatch(/a=ssrc:7 cname:[\w-]{16}\r\n/);
  });
});

describe('a candidate of ours', () => {
  it('is read back', () => {
    const candidate = parseIceCandidate(writeHostCandidate({ address: '2001:db8::1', port: 3478 }, 1, 'u+/f'));
    expect(candidate).toMatchObject({ address: '2001:db8::1', port: 3478, type: 'host', transport: 'udp', component: 1, ufrag: 'u+/f' });
    expect(candidate?.priority).toBeLessThan(
      parseIceCandidate(writeHostCandidate({ address: '192.0.2.1', port: 1 }, 0, 'u'))?.priority ?? 0,
    );
  });

  it('over TCP is passive, and stands below every one over UDP (RFC 6544)', () => {
    const text = writeHostCandidate({ address: '192.0.2.1', port: 3478, transport: 'tcp' }, 1, 'u');
    expect(text).toBe('2 1 tcp 1520434943 192.0.2.1 3478 typ host tcptype passive ufrag u');
    const overTcp = parseIceCandidate(text);
    expect(overTcp).toMatchObject({ transport: 'tcp', tcpType: 'passive', port: 3478, ufrag: 'u' });
    const lastUdp = parseIceCandidate(writeHostCandidate({ address: '192.0.2.1', port: 3478 }, 63, 'u'));
    expect(overTcp?.priority).toBeLessThan(lastUdp?.priority ?? 0);
    const nextTcp = parseIceCandidate(writeHostCandidate({ address: '192.0.2.2', port: 3478, transport: 'tcp' }, 2, 'u'));
    expect(nextTcp?.priority).toBeLessThan(overTcp?.priority ?? 0);
  });
});
