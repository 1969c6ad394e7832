import { GatewayError } from '../base/errors.ts';
import { answerPhoneOffer, type PhoneAnswer } from '../sdp/phone-answer.ts';
import type { LocalMedia } from '../sdp/phone-audio.ts';
import type { PhoneCodecName } from '../sdp/phone-format.ts';
import type { Fingerprint } from '../sdp/transport.ts';
import type { SipSource } from '../sip/engine.ts';

/** For a look at an offer before there is anybody to carry it. */
const NO_FINGERPRINT = { algorithm: 'sha-256', value: '00' } as const;

/**
 * Answers a phone's offer, or says in an error why it cannot be answered.
 * @param previous what was agreed before, for a re-INVITE
 * @throws GatewayError ERR_NO_COMMON_CODEC, ERR_BAD_OFFER
 */
export function agreeMedia(offer: string, local: LocalMedia, previous?: PhoneAnswer): PhoneAnswer {
  const answer = answerPhoneOffer(offer, local, previous);
  if (!('fault' in answer)) return answer;
  const { reason, detail } = answer.fault;
  throw new GatewayError(reason === 'no_common_codec' ? 'ERR_NO_COMMON_CODEC' : 'ERR_BAD_OFFER', detail);
}

/** How the media of a call may be carried: as its trunk, its user or the gateway says. */
export interface PhoneMediaPolicy {
  /** The preferred first; all, in the order of the phone, when absent. */
  readonly codecs?: readonly PhoneCodecName[];
  readonly srtp: 'off' | 'optional' | 'required';
  /** Keys in descriptions that come without TLS. */
  readonly sdesOverPlain: 'refuse' | 'allow';
}

/**
 * What may be agreed on with this phone, and how it is protected.
 * @param fingerprint of whoever will carry the media; any for a look at an offer
 */
export function termsOf(
  { codecs, srtp, sdesOverPlain }: PhoneMediaPolicy,
  { transport, address }: SipSource,
  fingerprint: Fingerprint = NO_FINGERPRINT,
): Pick<LocalMedia, 'codecs' | 'terms'> {
  const isHidden = transport === 'tls' || transport === 'wss';
  const terms = { srtp, sdes: isHidden || sdesOverPlain === 'allow', fingerprint, farAddress: address };
  return { ...(codecs && { codecs }), terms };
}
