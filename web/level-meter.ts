/** Below this a room is silent, above it somebody speaks: full scale is 1. */
const VOICE_RMS = 0.012;

/** What a meter shows of it: 0 to 1 over the 48 dB in which voices live. */
const RANGE_DB = 48;

/** Follows the level of a stream. */
export class LevelMeter {
  readonly #analyser: AnalyserNode;
  readonly #source: MediaStreamAudioSourceNode;
  readonly #samples: Float32Array<ArrayBuffer>;

  constructor(context: AudioContext, stream: MediaStream) {
    this.#source = context.createMediaStreamSource(stream);
    this.#analyser = context.createAnalyser();
    this.#analyser.fftSize = 1024; // 21 ms at 48 kHz: about a frame of a screen
    this.#samples = new Float32Array(this.#analyser.fftSize);
    this.#source.connect(this.#analyser);
  }

  read(): { readonly shown: number; readonly voiced: boolean } {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    let sum = 0;
    for (const sample of this.#samples) sum += sample * sample;
    const rms = Math.sqrt(sum / this.#samples.length);
    const db = 20 * Math.log10(Math.max(rms, 1e-6));
    return { shown: Math.min(1, Math.max(0, 1 + (db + 6) / RANGE_DB)), voiced: rms > VOICE_RMS };
  }

  close(): void {
    this.#source.disconnect();
  }
}
