import { type G711, g711 } from './g711.ts';
import { G722Decoder, G722Encoder } from './g722.ts';
import { decodeL16, encodeL16 } from './l16.ts';

export type PhoneCodecName = 'PCMU' | 'PCMA' | 'G722' | 'L16/16000' | 'L16/8000';

/**
 * What a phone speaks, both ways, where every packet is as long as its payload says. G.711 and G.722 make one byte for each tick of an RTP clock
 * of 8 kHz: that of G.722 is half its sample rate by an old mistake that stayed (RFC 3551 §4.5.2). L16 makes two for each sample.
 */
export interface PhoneCodec {
  readonly name: PhoneCodecName;
  /** Of the PCM. */
  readonly sampleRateHz: 8000 | 16_000;
  readonly rtpClockHz: 8000 | 16_000;
  readonly bytesPerTick: 1 | 2;
  /** @returns how many bytes of `out` were written */
  encode(pcm: Int16Array, out: Uint8Array): number;
  /** @returns how many samples of `out` were written */
  decode(payload: Uint8Array, out: Int16Array): number;
  /** Fills `out` with what the far end hears as silence. */
  silence(out: Uint8Array): void;
}

/** A codec for one call: G.722 remembers what it coded, so nobody else may use the same one. Nothing needs to be freed. */
export function createPhoneCodec(name: PhoneCodecName): PhoneCodec {
  return name === 'G722' ? new G722Codec() : STATELESS[name];
}

function stateless(law: G711): PhoneCodec {
  return {
    name: law.name,
    sampleRateHz: 8000,
    rtpClockHz: 8000,
    bytesPerTick: 1,
    encode: law.encode,
    decode: law.decode,
    silence: (out) => out.fill(law.silence),
  };
}

function linear(name: 'L16/16000' | 'L16/8000', rateHz: 8000 | 16_000): PhoneCodec {
  return {
    name,
    sampleRateHz: rateHz,
    rtpClockHz: rateHz,
    bytesPerTick: 2,
    encode: encodeL16,
    decode: decodeL16,
    silence: (out) => out.fill(0),
  };
}

const STATELESS = {
  PCMU: stateless(g711('PCMU')),
  PCMA: stateless(g711('PCMA')),
  'L16/16000': linear('L16/16000', 16_000),
  'L16/8000': linear('L16/8000', 8000),
} as const;

/** What is encoded at a time for silence. */
const ZEROS = new Int16Array(320);

class G722Codec implements PhoneCodec {
  readonly name = 'G722';
  readonly sampleRateHz = 16_000;
  readonly rtpClockHz = 8000;
  readonly bytesPerTick = 1;
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
