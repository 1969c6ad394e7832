import { GatewayError } from '../base/errors.ts';
import { parseWebRtcAnswer } from '../sdp/webrtc.ts';
import { type AudioOffer, readOffer } from './negotiation.ts';

/** Payload types as Chromium numbers them; both sides use ours. */
const OPUS = 111;
const KEYS = 110;

/** Says who, and is nobody: the answer names the one that counts. */
const NOBODY = Array.from({ length: 32 }, () => '00').join(':');

/**
 * What a browser would offer if it called us: the answer to that is a good offer of ours, of an ICE-lite host that is the DTLS server. So there is one
 * way to describe ourselves.
 */
export function mirroredOffer(): AudioOffer {
  return readOffer(
    [
      'v=0',
      'o=- 0 0 IN IP4 127.0.0.1',
      's=-',
      't=0 0',
      'a=group:BUNDLE 0',
      `m=audio 9 UDP/TLS/RTP/SAVPF ${OPUS} ${KEYS}`,
      'c=IN IP4 0.0.0.0',
      'a=ice-ufrag:none',
      `a=ice-pwd:${'-'.repeat(22)}`,
      `a=fingerprint:sha-256 ${NOBODY}`,
      'a=setup:active',
      'a=mid:0',
      'a=sendrecv',
      'a=rtcp-mux',
      `a=rtpmap:${OPUS} opus/48000/2`,
      `a=fmtp:${OPUS} minptime=10;useinbandfec=1`,
      `a=rtpmap:${KEYS} telephone-event/48000`,
      '',
    ].join('\r\n'),
  );
}

/** The answer to such an offer. @throws GatewayError ERR_BAD_OFFER, ERR_NO_COMMON_CODEC */
export function readAnswer(text: string): AudioOffer {
  const answer = parseWebRtcAnswer(text);
  if ('fault' in answer) {
    const { reason, detail } = answer.fault;
    throw new GatewayError(reason === 'no_common_codec' ? 'ERR_NO_COMMON_CODEC' : 'ERR_BAD_OFFER', detail);
  }
  const { audio, setup } = answer;
  if (!audio) throw new GatewayError('ERR_BAD_OFFER', 'the answer has no audio');
  if (audio.payloadTypes.opus !== OPUS) throw new GatewayError('ERR_NO_COMMON_CODEC', 'the answer has no Opus');
  if (setup !== 'active') throw new GatewayError('ERR_BAD_OFFER', 'the answer takes the DTLS role that is ours');
  return { ...answer, audio };
}
