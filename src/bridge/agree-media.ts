import { GatewayError } from '../base/errors.ts';
import { answerPhoneOffer, type PhoneAnswer } from '../sdp/phone-answer.ts';
import type { LocalMedia } from '../sdp/phone-audio.ts';

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
