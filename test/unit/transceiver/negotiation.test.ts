import { describe, expect, test } from 'vitest';
import type { GatewayError } from '../../../src/base/errors.ts';
import { deriveNodeKeys, randomClusterKeys } from '../../../src/ownership/cluster-keys.ts';
import { readUfrag } from '../../../src/ownership/ufrag.ts';
import { parseWebRtcAnswer, writeWebRtcOffer } from '../../../src/sdp/webrtc.ts';
import { Negotiation, readOffer } from '../../../src/transceiver/negotiation.ts';
import { createIdentity } from '../../../src/webrtc/dtls/identity.ts';

const keys = deriveNodeKeys(randomClusterKeys());
const identity = createIdentity(0);
const theirs = createIdentity(0);
const SSRC = 77;

function offerOf(ufrag = 'first', { pwd = `${ufrag}-password-of-22-and-more`, fingerprint = theirs.fingerprint, dataChannel = true } = {}) {
  return writeWebRtcOffer({ ufrag, pwd, fingerprint, setup: 'actpass', dataChannel });
}

function negotiate(offer = offerOf()): Negotiation {
  const link = { candidates: [{ address: '192.0.2.9', port: 3478, transport: 'udp' as const }] };
  return new Negotiation({ identity, keys, link }, readOffer(offer), { nodeId: 7 });
}

function faultOf(negotiation: Negotiation, offer: string): string {
  try {
    negotiation.restart(readOffer(offer));
    return 'none';
  } catch (thrown) {
    return `${(thrown as GatewayError).code} ${(thrown as GatewayError).message}`;
  }
}

const line = (sdp: string, start: string) => sdp.split('\r\n').find((each) => each.startsWith(start));

describe('a later offer', () => {
  test('with other credentials has other ones in its answer, of the next generation and the same session', () => {
    const negotiation = negotiate();
    const first = negotiation.answerTo(readOffer(offerOf()), SSRC);
    const later = readOffer(offerOf('second'));
    const before = negotiation.credentials;
    expect(negotiation.restart(later)).toEqual({ local: negotiation.credentials, remoteUfrag: 'second' });
    const answer = negotiation.answerTo(later, SSRC);
    const parsed = parseWebRtcAnswer(answer);
    if ('fault' in parsed) throw new Error(parsed.fault.detail);
    expect(parsed.ice).toMatchObject(negotiation.credentials);
    expect(negotiation.credentials.ufrag).not.toBe(before.ufrag);
    expect(negotiation.credentials.pwd).not.toBe(before.pwd);
    const [was, is] = [readUfrag(before.ufrag, keys), readUfrag(negotiation.credentials.ufrag, keys)];
    expect(is).toEqual({ nodeId: 7, generation: 1, random: was?.random });
    // All else stands there as before, the version of the description aside (RFC 8866 §5.2).
    for (const start of ['a=setup', 'a=fingerprint', 'a=ssrc', 'a=candidate', 'a=group', 'm=audio', 'm=application'])
      expect(line(answer, start)?.replace(/ ufrag .*/, '')).toBe(line(first, start)?.replace(/ ufrag .*/, ''));
    const [, id] = /^o=- (\d+) 1 /.exec(line(first, 'o=') ?? '') ?? [];
    expect(line(answer, 'o=')).toMatch(new RegExp(`^o=- ${id} 2 `));
  });

  test('that is asked a second time is answered the same way and restarts nothing', () => {
    const negotiation = negotiate();
    negotiation.restart(readOffer(offerOf('second')));
    const { credentials } = negotiation;
    expect(negotiation.restart(readOffer(offerOf('second')))).toBeUndefined();
    expect(negotiation.credentials).toBe(credentials);
  });

  test('may have further lines, which are refused', () => {
    const video = 'm=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:2\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n';
    const negotiation = negotiate();
    const later = readOffer(offerOf('second') + video);
    expect(negotiation.restart(later)).toBeDefined();
    expect(negotiation.answerTo(later, SSRC)).toContain('m=video 0 ');
  });

  test.each([
    ['another fingerprint', offerOf('second', { fingerprint: createIdentity(0).fingerprint }), 'the fingerprint is another one'],
    ['fewer media lines', offerOf('second', { dataChannel: false }), 'there are fewer media lines'],
    ['other mids', offerOf('second').replace('a=mid:1', 'a=mid:9').replace('BUNDLE 0 1', 'BUNDLE 0 9'), 'media line 2 is another one'],
    ['a data channel that is refused', offerOf('second').replace('a=sctp-port:5000', 'a=sctp-port:0'), 'media line 2 is another one'],
    ['other payload types', offerOf('second').replaceAll(/\b111\b/g, '109'), 'the audio is coded in another way'],
    ['another port of SCTP', offerOf('second').replace('a=sctp-port:5000', 'a=sctp-port:5001'), 'the data channels are elsewhere'],
    ['our own DTLS role', offerOf('second').replaceAll('a=setup:actpass', 'a=setup:active'), 'the DTLS roles are the other way round'],
  ])('with %s is refused, and everything stays as it was', (_what, offer, fault) => {
    const negotiation = negotiate();
    const { credentials } = negotiation;
    expect(faultOf(negotiation, offer)).toBe(`ERR_BAD_OFFER only ICE can be restarted: ${fault}`);
    expect(negotiation.credentials).toBe(credentials);
  });

  test('with half new credentials is refused', () => {
    const fault = 'ERR_BAD_OFFER a restart changes both ice-ufrag and ice-pwd';
    expect(faultOf(negotiate(), offerOf('first', { pwd: 'another-password-of-22-characters' }))).toBe(fault);
    expect(faultOf(negotiate(), offerOf('second', { pwd: 'first-password-of-22-and-more' }))).toBe(fault);
  });

  test('adds no data channel where there was none', () => {
    expect(faultOf(negotiate(offerOf('first', { dataChannel: false })), offerOf('second'))).toContain('media line 2 is another one');
  });

  test('has credentials of its own however many came before', () => {
    const negotiation = negotiate();
    const seen = new Set([negotiation.credentials.ufrag]);
    for (let n = 0; n < 600; n += 1) {
      negotiation.restart(readOffer(offerOf(`restart${n}`)));
      seen.add(negotiation.credentials.ufrag);
    }
    expect(seen.size).toBe(601);
  });
});
