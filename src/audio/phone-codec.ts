import { type G711, g711 } from './g711.ts';
import { G722Decoder, G722Encoder } from './g722.ts';

export type PhoneCodecName = 'PCMU' | 'PCMA' | 'G722';

/**
 * What a phone speaks, both ways. Each of these makes one byte for each tick of an RTP clock of 8 kHz, G.722 too: its clock in RTP
 * is half its sample rate by an old mistake that stayed (RFC 3551 §4.5.2).
 */
export interface PhoneCodec {
  readonly name: PhoneCodecName;
  /** Static RTP payload type (RFC 3551 §6). */
  readonly payloadType: 0 | 8 | 9;
  /** Of the PCM. */
  readonly sampleRateHz: 8000 | 16_000;
  readonly rtpClockHz: 8000;
  /** @returns how many bytes of `out` were written */
  encode(pcm: Int16Array, out: Uint8Array): number;
  /** @returns how many samples of `out` were written */
  decode(payload: Uint8Array, out: Int16Array): number;
  /** Fills `out` with what the far end hears as silence. */
  silence(out: Uint8Array): void;
}

/** A codec for one call: G.722 remembers what it coded, so nobody else may use the same one. Nothing needs to be freed. */
export function createPhoneCodec(name: PhoneCodecName): PhoneCodec {
  return name === 'G722' ? new G722Codec() : G711_CODECS[name];
}

function stateless(law: G711): PhoneCodec {
  return {
    name: law.name,
    payloadType: law.payloadType,
    sampleRateHz: 8000,
    rtpClockHz: 8000,
    encode: law.encode,
    decode: law.decode,
    silence: (out) => out.fill(law.silence),
  };
}

const G711_CODECS = { PCMU: stateless(g711('PCMU')), PCMA: stateless(g711('PCMA')) } as const;

/** What is encoded at a time for silence. */
const ZEROS = new Int16Array(320);

class G722Codec implements PhoneCodec {
  readonly name = 'G722';
  readonly payloadType = 9;
  readonly sampleRateHz = 16_000;
  readonly rtpClockHz = 8000;
  readonly #encoder = new G722Encoder();
  readonly #decoder = new G722Decoder();

  encode(pcm: Int16Array, out: Uint8Array): number {
    return this.#encoder.encode(pcm, out);
  }

  decode(payload: Uint8Array, out: Int16Array): number {
    return this.#decoder.decode(payload, out);
  }

  /** Its silence depends on what came before. */
  silence(out: Uint8Array): void {
    for (let at = 0; at < out.length; ) at += this.#encoder.encode(ZEROS, out.subarray(at));
  }
}
