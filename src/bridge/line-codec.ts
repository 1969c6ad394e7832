import { createPhoneCodec, type PhoneCodec } from '../audio/phone-codec.ts';
import { GatewayError } from '../base/errors.ts';
import type { PhoneCodecName } from '../sdp/phone-format.ts';

/**
 * The codec of a line whose sound is decoded here. Opus goes through as it is, by a line of its own (opus-uplink.ts).
 * @throws GatewayError ERR_INTERNAL for Opus
 */
export function lineCodec(codec: PhoneCodecName): PhoneCodec {
  if (codec === 'opus') throw new GatewayError('ERR_INTERNAL', 'Opus has a line of its own');
  return createPhoneCodec(codec);
}
