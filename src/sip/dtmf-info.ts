import type { CallInfo } from './engine.ts';

/** A key that came by INFO. */
export interface InfoDigit {
  /** 0-9, A-D, star or hash. */
  readonly digit: string;
  readonly durationMs: number;
}

/** What phones send that do not say how long; also what is made of a nonsense. */
const USUAL_MS = 160;

/** RFC 4733 events end after 5 s in practice, too. */
const LONGEST_MS = 5000;

/** The two that mean a key: 10 is star and 11 is hash, as in RFC 4733 §3.2. */
const NUMBERED: Readonly<Record<string, string>> = { '10': '*', '11': '#', '12': 'A', '13': 'B', '14': 'C', '15': 'D' };

/**
 * Reads a key from the body of an INFO: `application/dtmf-relay` (Signal= and Duration= lines) or `application/dtmf` (the key
 * alone). Undefined for anything else.
 */
export function digitOfInfo({ contentType, body }: CallInfo): InfoDigit | undefined {
  const type = /^[^;\s]+/.exec(contentType)?.[0]?.toLowerCase();
  if (body.length > 200) return undefined; // no key takes more
  if (type === 'application/dtmf') return digitOf(body.trim(), undefined);
  if (type !== 'application/dtmf-relay') return undefined;
  const lines = new Map<string, string>();
  for (const line of body.split(/\r?\n/)) {
    const equals = line.indexOf('=');
    if (equals > 0) lines.set(line.slice(0, equals).trim().toLowerCase(), line.slice(equals + 1).trim());
  }
  return digitOf(lines.get('signal') ?? '', lines.get('duration'));
}

function digitOf(signal: string, duration: string | undefined): InfoDigit | undefined {
  const digit = NUMBERED[signal] ?? signal.toUpperCase();
  if (!/^[0-9A-D*#]$/.test(digit)) return undefined;
  const durationMs = /^\d{1,6}$/.test(duration ?? '') ? Number(duration) : USUAL_MS;
  return { digit, durationMs: durationMs === 0 ? USUAL_MS : Math.min(durationMs, LONGEST_MS) };
}
