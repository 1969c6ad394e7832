/** What people need to know of a TLS connection that did not come up, by the code Node.js gives its error. Nothing of what was sent is in it. */
const REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  CERT_REVOKED: 'its certificate was revoked',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is signed by itself and is not trusted here',
  SELF_SIGNED_CERT_IN_CHAIN: 'its authority is not trusted here',
  UNABLE_TO_GET_ISSUER_CERT: 'its authority is not trusted here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its authority is not trusted here',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its authority is not trusted here, or it does not send the certificates in between',
  INVALID_CA: 'its authority may sign no certificates',
  INVALID_PURPOSE: 'its certificate is not made for this side of a connection',
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: 'it showed no certificate',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'it wants a certificate of ours',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'it does not trust the authority of our certificate',
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: 'it does not take our certificate',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: 'it says that our certificate has expired',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: 'it does not take our certificate',
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: 'nothing in common: no cipher, or it wants a certificate of ours',
  ERR_SSL_NO_SHARED_CIPHER: 'no cipher in common',
  ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM: 'no signature algorithm in common',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'no TLS version in common: 1.2 is the oldest taken',
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'no TLS version in common: 1.2 is the oldest taken',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS',
  ERR_SSL_HTTP_REQUEST: 'it does not speak TLS',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it does not speak TLS',
  ERR_TLS_HANDSHAKE_TIMEOUT: 'the handshake took too long',
  ECONNRESET: 'it cut the connection',
  ECONNREFUSED: 'the connection was refused',
  ETIMEDOUT: 'no answer',
  EHOSTUNREACH: 'no way there',
  ENETUNREACH: 'no way there',
  EPIPE: 'it cut the connection',
};

/** The reason in words; an unknown one by its code. */
export function tlsFailure(error: { readonly code?: string | undefined; readonly message?: string | undefined }): string {
  const { code = '', message = '' } = error;
  const known = REASONS[code] ?? (code === 'ERR_TLS_CERT_ALTNAME_INVALID' ? message : undefined);
  return known ?? (/^[A-Z0-9_]{1,64}$/.test(code) ? code : 'it failed');
}
