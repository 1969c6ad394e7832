import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger };
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Names of log fields that hold secrets: their values never reach a log. */
const SECRET_FIELDS = ['authorization', 'password', 'secret', 'token', 'key', 'icePwd', 'apiKey'];

/** A log of JSON lines. Messages are constant phrases; what varies goes into fields. */
export function createLog(level: LogLevel, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    redact: { paths: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
  };
  return destination ? pino(options, { write: (line) => void destination.write(escapeControls(line)) }) : pino(options);
}

/**
 * JSON escapes C0 controls and leaves what terminals and readers of lines obey as well: DEL and C1 (0x9b begins an escape sequence), the line
 * separators, and the marks that turn the direction of writing. Text of peers is full of what an attacker likes.
 * @param json text in which these can only stand inside strings
 */
export function escapeControls(json: string): string {
  return json.replace(UNSAFE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const UNSAFE = /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Keeps the last four digits of a phone number: enough to find a call, not enough to name a person. */
function maskNumber(user: string): string {
  return user.replace(/\d(?=(?:[-. ()]*\d){4})/g, '*');
}

/** Masks the number in the user part of a SIP or tel URI, and drops its password and parameters. */
export function maskUri(uri: string): string {
  const match = /^([a-z][a-z0-9+.-]*):(?:([^@;?]*)@)?([^;?]*)/i.exec(uri);
  if (!match) return maskNumber(uri);
  const [, scheme, user, rest] = match;
  const name = user === undefined ? '' : `${maskNumber(user.split(':')[0] ?? '')}@`;
  return `${scheme}:${name}${user === undefined ? maskNumber(rest ?? '') : rest}`;
}
