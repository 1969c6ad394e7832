import { type G711, PCMA, PCMU } from '../audio/g711.ts';
import { createOpusDecoder, createOpusEncoder, type OpusProfile } from '../audio/opus.ts';
import { Resampler } from '../audio/resampler.ts';
import { MODEL_RATE_HZ } from '../realtime/model.ts';
import type { WebRtcAudio, WebRtcCodec } from '../sdp/webrtc.ts';

/** Packets to PCM at the model's rate. */
export interface VoiceDecoder {
  readonly sampleRateHz: number;
  /** In a buffer of the caller's own; undefined when the packet is none of this codec. */
  decode(packet: Uint8Array): Int16Array | undefined;
  /** 20 ms in place of a lost packet. Absent where packets have nothing to do with each other. */
  conceal?(): Int16Array;
  /** The 20 ms before this packet, from what the packet says of it (in-band FEC) where it says something. Comes with `conceal`. */
  recover?(packet: Uint8Array): Int16Array;
  free(): void;
}

/** PCM at the model's rate, 20 ms at a time, to packets. */
export interface VoiceEncoder {
  /** Not to be modified, and good until the next one. */
  encode(pcm: Int16Array): Uint8Array;
  /** What the far end loses. Absent where nothing can be done about it. */
  setPacketLossPercent?(percent: number): void;
  free(): void;
}

export interface VoiceCodec {
  readonly decoder: VoiceDecoder;
  readonly encoder: VoiceEncoder;
}

export interface VoiceCodecOptions {
  /** How the audio towards the person is coded (profileFor). */
  readonly profile: OpusProfile;
  /** The person listens through a G.711 phone: no bit is spent above 4 kHz. */
  readonly narrowband: boolean;
  /** The most bits a second that the person's device takes, and whether all packets have one size: as it has said. */
  readonly maxBitrate?: number;
  readonly cbr?: boolean;
}

/**
 * A browser hears us over a network that loses packets. So does a phone that speaks Opus, whose bridge then asks for FEC in its stead and sends on
 * what it gets; any other bridge decodes what comes over a network that loses nothing.
 */
export function profileFor(kind: string, { opus }: Pick<WebRtcAudio, 'opus'>): OpusProfile {
  return kind === 'browser' || opus?.fec ? 'edge' : 'interior';
}

/** Both directions of one peer's audio. @throws GatewayError; nothing is left open then */
export async function createVoiceCodec(
  { name }: WebRtcCodec,
  { profile, narrowband, maxBitrate, cbr }: VoiceCodecOptions,
): Promise<VoiceCodec> {
  if (name !== 'opus') {
    const law = name === 'PCMU' ? PCMU : PCMA;
    return { decoder: new G711Decoder(law), encoder: new G711Encoder(law) };
  }
  const decoder = await createOpusDecoder({ sampleRateHz: MODEL_RATE_HZ });
  const limits = { ...(maxBitrate === undefined ? {} : { maxBitrate }), ...(cbr ? { cbr } : {}) };
  const encoder = await createOpusEncoder({ sampleRateHz: MODEL_RATE_HZ, profile, narrowband, ...limits }).catch((thrown: unknown) => {
    decoder.free();
    throw thrown;
  });
  return { decoder, encoder };
}

const G711_RATE_HZ = 8000;
const FRAME_BYTES = G711_RATE_HZ / 50;
/** RFC 3551 §4.5: no packet of a telephone is longer than 200 ms. */
const MOST_BYTES = G711_RATE_HZ / 5;

class G711Decoder implements VoiceDecoder {
  readonly sampleRateHz = MODEL_RATE_HZ;
  readonly #law: G711;
  readonly #up = new Resampler(G711_RATE_HZ, MODEL_RATE_HZ);
  readonly #pcm = new Int16Array(MOST_BYTES);

  constructor(law: G711) {
    this.#law = law;
    // The filter looks ahead: a frame of silence before the first keeps every later one as long as it is.
    this.#up.process(new Int16Array(FRAME_BYTES));
  }

  decode(packet: Uint8Array): Int16Array | undefined {
    if (packet.length === 0 || packet.length > MOST_BYTES) return undefined;
    const samples = this.#law.decode(packet, this.#pcm);
    return this.#up.process(this.#pcm.subarray(0, samples));
  }

  free(): void {
    // Nothing is held outside the heap.
  }
}

class G711Encoder implements VoiceEncoder {
  readonly #law: G711;
  readonly #down = new Resampler(MODEL_RATE_HZ, G711_RATE_HZ);
  readonly #payload = new Uint8Array(FRAME_BYTES);

  constructor(law: G711) {
    this.#law = law;
    this.#down.process(new Int16Array(MODEL_RATE_HZ / 50));
  }

  encode(pcm: Int16Array): Uint8Array {
    this.#law.encode(this.#down.process(pcm), this.#payload);
    return this.#payload;
  }

  free(): void {
    // Nothing is held outside the heap.
  }
}
