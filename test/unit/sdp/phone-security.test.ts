import { describe, expect, it } from 'vitest';
import { answerPhoneOffer, type PhoneAnswer } from '../../../src/sdp/phone-answer.ts';
import type { LocalMedia } from '../../../src/sdp/phone-audio.ts';
import { offerPhone, readPhoneAnswer } from '../../../src/sdp/phone-offer.ts';
import type { PhoneTermsPolicy } from '../../../src/sdp/phone-terms.ts';

const OURS = { algorithm: 'sha-256', value: `${'AB:'.repeat(31)}AB` };
const THEIRS = `sha-256 ${'CD:'.repeat(31)}CD`;
const KEY = `inline:${Buffer.alloc(30, 1).toString('base64')}`;
const OTHER_KEY = `inline:${Buffer.alloc(30, 2).toString('base64')}`;
const GCM_KEY = `inline:${Buffer.alloc(28, 3).toString('base64')}`;
const ICE = ['a=ice-ufrag:phon', 'a=ice-pwd:0123456789012345678901', 'a=candidate:1 1 UDP 2130706431 192.0.2.10 20000 typ host'];

const policy: PhoneTermsPolicy = { srtp: 'optional', sdes: true, fingerprint: OURS, farAddress: '192.0.2.10' };

function local(change: Partial<PhoneTermsPolicy> = {}): LocalMedia {
  return { address: '198.51.100.1', rtpPort: 16_384, rtcpPort: 16_385, terms: { ...policy, ...change } };
}

function offer(protocol: string, ...more: string[]): string {
  const head = ['v=0', 'o=phone 1 1 IN IP4 192.0.2.10', 's=-', 'c=IN IP4 192.0.2.10', 't=0 0'];
  return [...head, `m=audio 20000 ${protocol} 0`, ...more, ''].join('\r\n');
}

function answered(text: string, options = local(), previous?: PhoneAnswer): PhoneAnswer {
  const answer = answerPhoneOffer(text, options, previous);
  if ('fault' in answer) throw new Error(answer.fault.detail);
  return answer;
}

function refusal(text: string, options = local(), previous?: PhoneAnswer): string {
  const answer = answerPhoneOffer(text, options, previous);
  if (!('fault' in answer)) throw new Error(`not refused: ${answer.answer}`);
  expect(answer.fault.reason).toBe('no_common_codec');
  return answer.fault.detail;
}

function lines({ answer }: { readonly answer: string }): string[] {
  return answer.split('\r\n');
}

const cryptoOf = (answer: PhoneAnswer) => lines(answer).filter((line) => line.startsWith('a=crypto:'));

describe('keys in descriptions', () => {
  it('are agreed on by the first line that can be used, with a fresh key of ours', () => {
    const answer = answered(
      offer(
        'RTP/SAVP',
        `a=crypto:1 F8_128_HMAC_SHA1_80 ${KEY}`,
        `a=crypto:2 AES_CM_128_HMAC_SHA1_32 ${KEY}|2^31`,
        `a=crypto:3 AEAD_AES_128_GCM ${GCM_KEY}`,
      ),
    );
    expect(lines(answer)).toContain('m=audio 16384 RTP/SAVP 0');
    expect(cryptoOf(answer)).toEqual([expect.stringMatching(/^a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:[A-Za-z0-9+/]{40}$/)]);
    expect(answer.media.security).toMatchObject({ type: 'sdes', tag: 2, suite: 'AES_CM_128_HMAC_SHA1_32' });
    expect(cryptoOf(answered(offer('RTP/SAVP', `a=crypto:1 AES_CM_128_HMAC_SHA1_80 ${KEY}`)))).not.toEqual(
      cryptoOf(answered(offer('RTP/SAVP', `a=crypto:1 AES_CM_128_HMAC_SHA1_80 ${KEY}`))),
    );
  });

  it('beside plain RTP are taken, and answered on the same kind of line', () => {
    const answer = answered(offer('RTP/AVP', `a=crypto:1 AES_CM_128_HMAC_SHA1_80 ${KEY}`));
    expect(lines(answer)).toContain('m=audio 16384 RTP/AVP 0');
    expect(answer.media.security?.type).toBe('sdes');
    expect(lines(answered(offer('RTP/SAVPF', `a=crypto:1 AES_CM_128_HMAC_SHA1_80 ${KEY}`)))).toContain('m=audio 16384 RTP/SAVPF 0');
  });

  it.each([
    ['another suite', `1 AES_256_CM_HMAC_SHA1_80 ${KEY}`],
    ['a short key', '1 AES_CM_128_HMAC_SHA1_80 inline:AAAA'],
    ['two keys', `1 AES_CM_128_HMAC_SHA1_80 ${KEY}|2^20|1:4;${KEY}|2^20|2:4`],
    ['a lifetime shorter than a call', `1 AES_CM_128_HMAC_SHA1_80 ${KEY}|2^10`],
    ['an MKI that does not fit', `1 AES_CM_128_HMAC_SHA1_80 ${KEY}|2^31|300:1`],
    ['a session parameter', `1 AES_CM_128_HMAC_SHA1_80 ${KEY} UNENCRYPTED_SRTP`],
  ])('with %s are passed over', (_, value) => {
    expect(refusal(offer('RTP/SAVP', `a=crypto:${value}`))).toContain('no crypto line can be used');
    expect(answered(offer('RTP/SAVP', `a=crypto:${value}`, `a=crypto:7 AES_CM_128_HMAC_SHA1_80 ${KEY}`)).media.security).toMatchObject({
      tag: 7,
    });
  });

  it('with an MKI are read with it', () => {
    const answer = answered(offer('RTP/SAVP', `a=crypto:1 AES_CM_128_HMAC_SHA1_80 ${KEY}|2^31|1:4 WSH=128`));
    expect(answer.media.security).toMatchObject({ remote: { mki: Buffer.from([0, 0, 0, 1]) } });
    expect(cryptoOf(answer)[0]).not.toContain('|');
  });

  it('are not taken over signalling that others read, and never answered in plaintext', () => {
    const refused = 'keys in signalling that is not encrypted are not taken (sdes-over-plain: refuse); use TLS, or DTLS-SRTP';
    const crypto = `a=crypto:1 AES_CM_128_HMAC_SHA1_80 ${KEY}`;
    expect(refusal(offer('RTP/SAVP', crypto), local({ sdes: false }))).toBe(refused);
    expect(refusal(offer('RTP/AVP', crypto), local({ sdes: false, srtp: 'required' }))).toBe(refused);
    expect(answered(offer('RTP/AVP', crypto), local({ sdes: false })).media.security).toBeUndefined();
    expect(refusal(offer('RTP/SAVP'))).toBe('RTP/SAVP without keys');
    expect(refusal(offer('RTP/SAVP', crypto), local({ srtp: 'off' }))).toBe('RTP/SAVP is not spoken here, only RTP/AVP');
    expect(refusal(offer('RTP/AVP'), local({ srtp: 'required' }))).toBe('only encrypted media is taken here (srtp: required)');
  });

  it('stay as they are in a re-INVITE that keeps them, and are both new in one that does not', () => {
    const first = answered(offer('RTP/SAVP', `a=crypto:1 AES_CM_128_HMAC_SHA1_80 ${KEY}`));
    const held = answered(offer('RTP/SAVP', `a=crypto:1 AES_CM_128_HMAC_SHA1_80 ${KEY}`, 'a=sendonly'), local(), first);
    expect(cryptoOf(held)).toEqual(cryptoOf(first));
    const rekeyed = answered(offer('RTP/SAVP', `a=crypto:1 AES_CM_128_HMAC_SHA1_80 ${OTHER_KEY}`), local(), first);
    expect(cryptoOf(rekeyed)).not.toEqual(cryptoOf(first));
  });

  it('cannot be offered away in a re-INVITE', () => {
    const first = answered(offer('RTP/AVP', `a=crypto:1 AES_CM_128_HMAC_SHA1_80 ${KEY}`));
    expect(refusal(offer('RTP/AVP'), local(), first)).toBe('the call is encrypted and stays so');
  });

  it('of an encrypted line come before a plain one that is offered first', () => {
    const answer = answered(offer('RTP/AVP', 'm=audio 20002 RTP/SAVP 0', `a=crypto:1 AES_CM_128_HMAC_SHA1_80 ${KEY}`));
    expect(lines(answer).filter((line) => line.startsWith('m='))).toEqual(['m=audio 0 RTP/AVP 0', 'm=audio 16384 RTP/SAVP 0']);
  });
});

describe('a handshake', () => {
  const dtls = (...more: string[]) => offer('UDP/TLS/RTP/SAVP', `a=fingerprint:${THEIRS}`, ...more);

  it('is begun by us, unless the phone may be behind a NAT or wants to begin itself', () => {
    const answer = answered(dtls('a=setup:actpass', 'a=tls-id:0123456789abcdefghij'));
    expect(lines(answer)).toEqual(
      expect.arrayContaining([
        'm=audio 16384 UDP/TLS/RTP/SAVP 0',
        `a=fingerprint:sha-256 ${OURS.value}`,
        'a=setup:active',
        expect.stringMatching(/^a=tls-id:.{24}$/),
      ]),
    );
    expect(answer.media.security).toMatchObject({ type: 'dtls', role: 'client' });
    expect(lines(answered(dtls('a=setup:actpass'), local({ farAddress: '203.0.113.9' })))).toContain('a=setup:passive');
    expect(lines(answered(dtls('a=setup:active')))).toContain('a=setup:passive');
    expect(lines(answered(dtls('a=setup:passive')))).toContain('a=setup:active');
  });

  it('is wanted rather than keys in descriptions, which pass through proxies', () => {
    const answer = answered(offer('RTP/AVP', `a=fingerprint:${THEIRS}`, 'a=setup:actpass', `a=crypto:1 AES_CM_128_HMAC_SHA1_80 ${KEY}`));
    expect(answer.media.security?.type).toBe('dtls');
    expect(cryptoOf(answer)).toEqual([]);
  });

  it('that was made goes on under the same fingerprint, in the same roles', () => {
    const first = answered(dtls('a=setup:active', 'a=tls-id:0123456789abcdefghij'));
    const again = answered(dtls('a=setup:actpass', 'a=tls-id:0123456789abcdefghij', 'a=sendonly'), local(), first);
    expect(again.media.security).toEqual(first.media.security);
    expect(refusal(offer('RTP/AVP'), local(), first)).toBe('the call is encrypted and stays so');
  });

  it('without a hash that counts is refused', () => {
    expect(refusal(offer('UDP/TLS/RTP/SAVPF', 'a=fingerprint:sha-1 AA:BB', 'a=setup:actpass'))).toBe('no usable fingerprint and setup');
  });
});

describe('ICE', () => {
  it('is answered as by a server: its credentials, candidates for each port, no checks', () => {
    const answer = answered(offer('RTP/AVP', ...ICE));
    const said = lines(answer);
    expect(said).toContain('a=ice-lite');
    expect(said.indexOf('a=ice-lite')).toBeLessThan(said.findIndex((line) => line.startsWith('m=')));
    expect(said.filter((line) => line.startsWith('a=candidate:'))).toEqual([
      'a=candidate:1 1 UDP 2130706431 198.51.100.1 16384 typ host',
      'a=candidate:1 2 UDP 2130706430 198.51.100.1 16385 typ host',
    ]);
    expect(answer.media.ice?.remote).toEqual({ ufrag: 'phon', pwd: '0123456789012345678901' });
    expect(lines(answered(offer('RTP/AVP', ...ICE, 'a=rtcp-mux'))).filter((line) => line.startsWith('a=candidate:'))).toHaveLength(1);
  });

  it('keeps our credentials until the phone restarts it', () => {
    const first = answered(offer('RTP/AVP', ...ICE));
    expect(answered(offer('RTP/AVP', ...ICE, 'a=sendonly'), local(), first).media.ice).toEqual(first.media.ice);
    const restart = answered(offer('RTP/AVP', 'a=ice-ufrag:next', 'a=ice-pwd:9876543210987654321098', ICE[2] as string), local(), first);
    expect(restart.media.ice?.local.ufrag).not.toBe(first.media.ice?.local.ufrag);
  });

  it('whose candidates somebody on the way has not changed with the address is a mismatch', () => {
    const changed = offer('RTP/AVP', ...ICE).replace('c=IN IP4 192.0.2.10', 'c=IN IP4 203.0.113.77');
    const answer = answered(changed);
    expect(lines(answer)).toContain('a=ice-mismatch');
    expect(answer.media.ice).toBeUndefined();
    expect(answer.media.remote.address).toBe('203.0.113.77');
  });

  it('of a phone that does not check either is left alone', () => {
    const lite = offer('RTP/AVP', ...ICE).replace('s=-', 's=-\r\na=ice-lite');
    expect(answered(lite).media.ice).toBeUndefined();
  });
});

describe('a browser’s offer', () => {
  const CHROMIUM = [
    'v=0',
    'o=- 4611731400430051336 2 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    'a=group:BUNDLE 0',
    'a=extmap-allow-mixed',
    'a=msid-semantic: WMS stream',
    'm=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126',
    'c=IN IP4 0.0.0.0',
    'a=rtcp:9 IN IP4 0.0.0.0',
    'a=ice-ufrag:Ab+/',
    'a=ice-pwd:0123456789012345678901ab',
    'a=ice-options:trickle',
    `a=fingerprint:${THEIRS}`,
    'a=setup:actpass',
    'a=mid:0',
    'a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level',
    'a=sendrecv',
    'a=rtcp-mux',
    'a=rtcp-rsize',
    'a=rtpmap:111 opus/48000/2',
    'a=rtcp-fb:111 transport-cc',
    'a=fmtp:111 minptime=10;useinbandfec=1',
    'a=rtpmap:63 red/48000/2',
    'a=rtpmap:9 G722/8000',
    'a=rtpmap:0 PCMU/8000',
    'a=rtpmap:8 PCMA/8000',
    'a=rtpmap:13 CN/8000',
    'a=rtpmap:110 telephone-event/48000',
    'a=rtpmap:126 telephone-event/8000',
    '',
  ].join('\r\n');

  it('that comes by SIP is answered in kind', () => {
    const answer = answered(CHROMIUM, local({ sdes: false }));
    expect(answer.media).toMatchObject({
      codec: 'opus',
      payloadType: 111,
      direction: 'sendrecv',
      rtcpMux: true,
      telephoneEventPayloadType: 110,
      telephoneEventRateHz: 48_000,
      opus: { fec: true },
      ice: { remote: { ufrag: 'Ab+/' } },
    });
    const { ufrag, pwd } = answer.media.ice?.local ?? { ufrag: '', pwd: '' };
    expect(lines(answer).slice(2)).toEqual([
      's=-',
      'c=IN IP4 198.51.100.1',
      't=0 0',
      'a=group:BUNDLE 0',
      'a=ice-lite',
      'm=audio 16384 UDP/TLS/RTP/SAVPF 111 110',
      'a=rtpmap:111 opus/48000/2',
      'a=fmtp:111 maxplaybackrate=24000;stereo=0;sprop-stereo=0;useinbandfec=1',
      'a=rtpmap:110 telephone-event/48000',
      'a=fmtp:110 0-15',
      'a=ptime:20',
      'a=sendrecv',
      'a=mid:0',
      'a=rtcp-mux',
      `a=ice-ufrag:${ufrag}`,
      `a=ice-pwd:${pwd}`,
      'a=candidate:1 1 UDP 2130706431 198.51.100.1 16384 typ host',
      `a=fingerprint:sha-256 ${OURS.value}`,
      'a=setup:passive',
      '',
    ]);
  });
});

describe('codecs', () => {
  const opus = ['a=rtpmap:96 opus/48000/2', 'a=fmtp:96 maxplaybackrate=16000; maxaveragebitrate=20000;cbr=1;useinbandfec=1;usedtx=1'];
  const many = (ptime: string) =>
    offer(
      'RTP/AVP',
      ...opus,
      'a=rtpmap:97 L16/16000',
      'a=rtpmap:98 telephone-event/48000',
      'a=rtpmap:99 telephone-event/8000',
      ptime,
    ).replace('RTP/AVP 0', 'RTP/AVP 96 97 0 98 99');

  it('are those of the phone’s order, or of ours where there is one', () => {
    expect(answered(many('a=ptime:20')).media).toMatchObject({
      codec: 'opus',
      opus: { maxPlaybackRateHz: 16_000, maxAverageBitrate: 20_000, cbr: true, fec: true, dtx: true, stereo: false },
      telephoneEventPayloadType: 98,
    });
    expect(answered(many('a=ptime:20'), { ...local(), codecs: ['L16/16000', 'opus'] }).media).toMatchObject({
      codec: 'L16/16000',
      sampleRateHz: 16_000,
      telephoneEventPayloadType: 99,
    });
    expect(answered(many('a=ptime:20'), { ...local(), codecs: ['PCMU', 'opus'] }).media.codec).toBe('PCMU');
  });

  it('leave Opus out for a phone whose packets are shorter than ours', () => {
    expect(answered(many('a=maxptime:10')).media.codec).toBe('L16/16000');
  });
});

describe('an offer of ours', () => {
  it('has keys where the signalling hides them: beside plain RTP, or alone where encryption is required', () => {
    const { offer: text } = offerPhone(local());
    expect(text).toContain('m=audio 16384 RTP/AVP ');
    expect(text.match(/a=crypto:\d \S+/g)).toEqual([
      'a=crypto:1 AES_CM_128_HMAC_SHA1_80',
      'a=crypto:2 AEAD_AES_128_GCM',
      'a=crypto:3 AES_CM_128_HMAC_SHA1_32',
    ]);
    expect(offerPhone(local({ srtp: 'required' })).offer).toContain('m=audio 16384 RTP/SAVP ');
    expect(offerPhone(local({ srtp: 'off' })).offer).not.toContain('a=crypto');
  });

  it('has a fingerprint where it does not, and encryption is required', () => {
    expect(offerPhone(local({ sdes: false })).offer).not.toMatch(/crypto|fingerprint/);
    const { offer: text } = offerPhone(local({ sdes: false, srtp: 'required' }));
    expect(text).toContain('m=audio 16384 UDP/TLS/RTP/SAVP ');
    expect(text).toContain('a=setup:actpass');
    expect(text).not.toContain('a=crypto');
  });

  it('is agreed to by an answer with one of its keys, by one without where it may, and by no other', () => {
    const ours = offerPhone(local());
    const read = (text: string, to = ours) => readPhoneAnswer(text, to);
    const secured = read(offer('RTP/AVP', `a=crypto:2 AEAD_AES_128_GCM ${GCM_KEY}`, 'a=rtcp-mux'));
    expect(secured).toMatchObject({ media: { rtcpMux: true, security: { type: 'sdes', tag: 2, suite: 'AEAD_AES_128_GCM' } } });
    expect(read(offer('RTP/AVP'))).toMatchObject({ media: { codec: 'PCMU' } });
    expect('fault' in read(offer('RTP/AVP', `a=crypto:1 AEAD_AES_128_GCM ${GCM_KEY}`))).toBe(true);
    const required = offerPhone(local({ srtp: 'required' }));
    expect('fault' in read(offer('RTP/SAVP'), required)).toBe(true);
    expect('fault' in read(offer('RTP/AVP'), required)).toBe(true);
    const dtls = offerPhone(local({ sdes: false, srtp: 'required' }));
    expect(read(offer('UDP/TLS/RTP/SAVP', `a=fingerprint:${THEIRS}`, 'a=setup:active'), dtls)).toMatchObject({
      media: { security: { role: 'server' } },
    });
    expect('fault' in read(offer('UDP/TLS/RTP/SAVP'), dtls)).toBe(true);
  });

  it('in an encrypted call is encrypted again, with the same key', () => {
    const first = answered(offer('RTP/SAVP', `a=crypto:4 AES_CM_128_HMAC_SHA1_80 ${KEY}`));
    const { offer: text } = offerPhone(local(), { previous: first, current: first.media });
    expect(text).toContain('m=audio 16384 RTP/SAVP 0');
    expect(text).toContain(cryptoOf(first)[0] as string);
  });
});
