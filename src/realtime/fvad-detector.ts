import { Decimator } from '../audio/decimate.ts';
import { loadVad, VoiceActivity } from '../audio/vad.ts';
import { MODEL_FRAME_SAMPLES } from './model.ts';
import type { VoiceDetector, VoiceFrame } from './voice-detector.ts';

/** The voice detector of every call without a better one: 24 kHz down to 8 kHz, then audio/vad.ts. */
class FvadDetector implements VoiceDetector {
  readonly #decimator = new Decimator();
  readonly #activity = new VoiceActivity();
  readonly #narrow = new Int16Array(MODEL_FRAME_SAMPLES / 3);

  process(pcm: Int16Array): VoiceFrame {
    this.#decimator.process(pcm, this.#narrow);
    return this.#activity.process(this.#narrow);
  }

  free(): void {
    this.#activity.free();
  }
}

/** Compiles the detector once; then one is made for each session. */
export async function loadVoiceDetectors(): Promise<() => VoiceDetector> {
  await loadVad();
  return () => new FvadDetector();
}
