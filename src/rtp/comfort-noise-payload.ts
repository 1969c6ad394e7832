/** The payload of RFC 3389 §3: silence, and what it sounds like. */
export interface ComfortNoisePayload {
  /** Level of the noise in dBov, 0 to -127. */
  readonly levelDbov: number;
  /** Quantized reflection coefficients of its spectrum, one byte each. Read for whoever wants them: our noise has one colour. */
  readonly reflections: Uint8Array;
}

/** RFC 3389 §3.3 knows no bound; ten coefficients are what G.711 Appendix II sends at most. */
const MAX_REFLECTIONS = 32;

/** Undefined when there is no level. The coefficients are a view into the payload, not a copy. */
export function parseComfortNoise(payload: Uint8Array): ComfortNoisePayload | undefined {
  if (payload.length === 0) return undefined;
  // The most significant bit is unused and must be ignored.
  return { levelDbov: 0 - ((payload[0] as number) & 0x7f), reflections: payload.subarray(1, 1 + MAX_REFLECTIONS) };
}

/** One byte: the level alone, which makes white noise (RFC 3389 §3.1). */
export function writeComfortNoise(levelDbov: number): Uint8Array {
  return Uint8Array.of(Math.max(0, Math.min(127, Math.round(-levelDbov))));
}
