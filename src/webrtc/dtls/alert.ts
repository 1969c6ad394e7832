import type { DtlsFailure } from './handshake.ts';

/** AlertDescription (RFC 5246 §7.2). */
const CLOSE_NOTIFY = 0;
const WARNING = 1;
const FATAL = 2;

export interface Alert {
  readonly isFatal: boolean;
  readonly isClose: boolean;
  readonly description: number;
}

export function parseAlert(plain: Buffer): Alert | undefined {
  const [level, description] = plain;
  if (plain.length !== 2 || level === undefined || description === undefined) return undefined;
  return { isFatal: level === FATAL, isClose: description === CLOSE_NOTIFY, description };
}

export const CLOSE_ALERT = Buffer.of(WARNING, CLOSE_NOTIFY);

/** What the peer is told; nothing when it gave up itself. */
const DESCRIPTIONS: Record<Exclude<DtlsFailure, 'alert'>, number> = {
  timeout: 40, // handshake_failure
  parameters: 40,
  fingerprint: 42, // bad_certificate
  certificate: 42,
  signature: 51, // decrypt_error
  finished: 51,
};

export function failureAlert(reason: DtlsFailure): Buffer | undefined {
  return reason === 'alert' ? undefined : Buffer.of(FATAL, DESCRIPTIONS[reason]);
}
