import type { GatewayError } from '../base/errors.ts';
import type { RejectCause } from '../leg/leg.ts';

/** How an error of a call's set-up is told to the caller. */
export function refusalCause({ code }: GatewayError): RejectCause {
  switch (code) {
    case 'ERR_NO_COMMON_CODEC':
    case 'ERR_BAD_OFFER':
      return 'no_common_codec';
    case 'ERR_OVERLOADED':
      return 'overloaded';
    case 'ERR_NO_PORT':
    case 'ERR_NODE_UNREACHABLE':
    case 'ERR_TIMEOUT':
    case 'ERR_MEDIA_FAILED':
      return 'media_failed';
    default:
      return 'internal_error';
  }
}
