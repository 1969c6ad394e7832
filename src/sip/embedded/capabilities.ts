/** Methods the user agent serves. ACK has no answer, but it is listed like everywhere (RFC 3261 §20.5). */
export const ALLOWED_METHODS: readonly string[] = [
  'INVITE',
  'ACK',
  'BYE',
  'CANCEL',
  'OPTIONS',
  'UPDATE',
  'INFO',
  'PRACK',
  'REFER',
  'NOTIFY',
];

/** Methods we know and do not serve: 405. What is not even known gets 501 (RFC 3261 §8.2.1, §21.5.2). */
export const KNOWN_METHODS: readonly string[] = [...ALLOWED_METHODS, ...['REGISTER', 'SUBSCRIBE', 'PUBLISH', 'MESSAGE']];

/** Option tags we can honour when a peer requires them. */
export const SUPPORTED_OPTIONS: readonly string[] = ['100rel', 'replaces', 'timer'];

/** As a registrar (RFC 3327, RFC 5626). */
export const REGISTER_OPTIONS: readonly string[] = ['path', 'outbound'];

export const ACCEPTED_TYPE = 'application/sdp';

export const ALLOW = ['Allow', ALLOWED_METHODS.join(', ')] as const;
export const SUPPORTED = ['Supported', SUPPORTED_OPTIONS.join(', ')] as const;
export const ACCEPT = ['Accept', ACCEPTED_TYPE] as const;

/** Seconds we ask a peer to wait when load or draining makes us refuse. Short: another second may have room. */
export const RETRY_AFTER_S = 5;
