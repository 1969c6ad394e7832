import { Decimator } from '../audio/decimate.ts';
import { loadVad, VoiceActivity } from '../audio/vad.ts';
import { EchoGuard } from './echo-guard.ts';
import { MODEL_FRAME_SAMPLES } from './model.ts';
import type { VoiceDetector, VoiceFrame } from './voice-detector.ts';

/** The voice detector of every call: 24 kHz down to 8 kHz, then audio/vad.ts, and beside it the guard against our own echo. */
class FvadDetector implements VoiceDetector {
  readonly #decimator = new Decimator();
  readonly #activity = new VoiceActivity();
  readonly #playedDecimator = new Decimator();
  readonly #guard = new EchoGuard();
  readonly #narrow = new Int16Array(MODEL_FRAME_SAMPLES / 3);
  // One object for all frames: a call has 50 a second.
  readonly #heard = { voiced: false, levelDb: 0, floorDb: 0, near: undefined as boolean | undefined };

  process(pcm: Int16Array): VoiceFrame {
    this.#decimator.process(pcm, this.#narrow);
    const { voiced, levelDb, floorDb } = this.#activity.process(this.#narrow);
    const heard = this.#heard;
    heard.voiced = voiced;
    heard.levelDb = levelDb;
    heard.floorDb = floorDb;
    heard.near = this.#guard.isNear(this.#narrow);
    return heard;
  }

  playing(pcm: Int16Array | undefined): void {
    if (pcm) this.#playedDecimator.process(pcm, this.#narrow);
    this.#guard.playing(pcm && this.#narrow);
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
