import type { FvadModule } from '@echogarden/fvad-wasm';
import { GatewayError } from '../base/errors.ts';
import { levelDbov } from './level.ts';

/** What one frame of 20 ms was. */
export interface Activity {
  /** Speech, as far as one frame tells: both judges agree. No hangover: turn logic has its own. */
  readonly voiced: boolean;
  /** The frame's level in dBov. */
  readonly levelDb: number;
  /** The background noise as estimated so far, in dBov. */
  readonly floorDb: number;
}

/** 160 samples: 20 ms at 8 kHz. */
const FRAME_SAMPLES = 160;
/** The most reluctant mode of libfvad: the others take noise for speech (docs/media.md). */
const FVAD_MODE = 3;

/** Speech must stand out of the noise by this much: 8 dB lost a third of the speech at 10 dB SNR, 5 dB let modulated noise in. */
const ABOVE_FLOOR_DB = 6;
/** Below this nobody speaks, whatever the noise: a quiet talker on a phone is about -45 dBov. */
const QUIETEST_SPEECH_DBOV = -55;
/** The floor before anything was heard and at the lowest: a quiet line. From digital silence it would take too long to climb. */
const LOWEST_FLOOR_DBOV = -65;
/** The floor is the minimum over one to two of these: no sentence goes on for a second without a dip. */
const WINDOW_FRAMES = 50;
/** It rises by at most 10 dB a second, so that a held vowel does not become noise, and falls at once. */
const RISE_DB_PER_FRAME = 0.2;

let module: FvadModule | undefined;
/** One frame in the module's memory, shared by all: process() never gives way to another. */
let scratch = 0;

/** Compiles the detector. Call once, before the first call is accepted; repeated calls cost nothing. */
export async function loadVad(): Promise<void> {
  if (module) return;
  const { default: load } = await import('@echogarden/fvad-wasm');
  const loaded = await load();
  scratch = loaded._malloc(FRAME_SAMPLES * 2);
  module = loaded;
}

/**
 * Voice activity: the WebRTC detector AND energy above an adaptive floor. Each alone is fooled by noise, the two together
 * much less. Must be freed, nothing collects it.
 */
export class VoiceActivity {
  readonly #module: FvadModule;
  readonly #floor = new NoiseFloor();
  #instance: number;

  /** @throws GatewayError ERR_INVALID_STATE before loadVad is done */
  constructor() {
    if (!module) throw new GatewayError('ERR_INVALID_STATE', 'loadVad has not been awaited');
    this.#module = module;
    this.#instance = module._fvad_new();
    if (this.#instance === 0) throw new GatewayError('ERR_INTERNAL', 'no memory for a voice activity detector');
    module._fvad_set_mode(this.#instance, FVAD_MODE);
    module._fvad_set_sample_rate(this.#instance, 8000);
  }

  /** Judges 20 ms at 8 kHz. A frame of another length is never voiced. */
  process(frame: Int16Array): Activity {
    const levelDb = levelDbov(frame);
    const floorDb = this.#floor.track(levelDb);
    const loud = levelDb > Math.max(floorDb + ABOVE_FLOOR_DB, QUIETEST_SPEECH_DBOV);
    // The detector hears every frame, loud or not: it adapts by itself.
    return { voiced: this.#soundsLikeSpeech(frame) && loud, levelDb, floorDb };
  }

  free(): void {
    if (this.#instance === 0) return;
    this.#module._fvad_free(this.#instance);
    this.#instance = 0;
  }

  #soundsLikeSpeech(frame: Int16Array): boolean {
    if (this.#instance === 0 || frame.length !== FRAME_SAMPLES) return false;
    this.#module.HEAP16.set(frame, scratch >> 1);
    return this.#module._fvad_process(this.#instance, scratch, FRAME_SAMPLES) === 1;
  }
}

/** The quietest level of the last one to two seconds, followed slowly upwards. */
class NoiseFloor {
  #floor = LOWEST_FLOOR_DBOV;
  #previousMinimum = 0;
  #minimum = 0;
  #frames = 0;

  track(levelDb: number): number {
    this.#minimum = Math.min(this.#minimum, levelDb);
    this.#frames += 1;
    const target = Math.min(this.#minimum, this.#previousMinimum);
    this.#floor = Math.max(LOWEST_FLOOR_DBOV, Math.min(target, this.#floor + RISE_DB_PER_FRAME));
    if (this.#frames === WINDOW_FRAMES) {
      this.#previousMinimum = this.#minimum;
      this.#minimum = 0;
      this.#frames = 0;
    }
    return this.#floor;
  }
}
