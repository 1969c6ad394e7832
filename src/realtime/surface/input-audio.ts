import { MODEL_FRAME_SAMPLES } from '../model.ts';
import type { Session } from '../session.ts';
import { AudioReader, fromBase64 } from './audio-codec.ts';
import type { Fault } from './fault.ts';
import type { AudioFormat } from './session-schema.ts';

/** Audio that waits to be heard: two events of the largest size. A client that sends more has to wait. */
const MOST_QUEUED_BYTES = 24 * 1024 * 1024;

/**
 * Of audio that comes faster than time goes by, so much is heard every 20 ms that other calls of the process are not kept waiting by it (5 ms at most):
 * a second where turns are listened for, two of G.711, which is resampled, ten of PCM, which is only passed on.
 */
const LISTENED_FRAMES = 50;
const RESAMPLED_FRAMES = 100;
const PASSED_FRAMES = 500;

const HEARD = { concealed: false };

/** Audio of a session without a media leg: from the client's events into the session. */
export class InputAudio {
  readonly #session: Session;
  readonly #reader: AudioReader;
  readonly #frame = new Int16Array(MODEL_FRAME_SAMPLES);
  #framesAPull = LISTENED_FRAMES;
  #budget = LISTENED_FRAMES;

  constructor(session: Session, format: AudioFormat) {
    this.#session = session;
    this.#reader = new AudioReader(format);
  }

  /** Is there audio that was sent and is not heard yet? */
  get isBehind(): boolean {
    return this.#reader.queuedBytes > 1; // half a sample waits for its other half
  }

  append(base64: string, now: number): Fault | undefined {
    const bytes = fromBase64(base64);
    if (!bytes) return { message: "Invalid 'audio'. Expected base64-encoded audio bytes.", code: 'invalid_value', param: 'audio' };
    if (this.#reader.queuedBytes + bytes.length > MOST_QUEUED_BYTES) {
      return {
        message: 'The input audio buffer is full: audio comes faster than it can be heard.',
        code: 'input_audio_buffer_full',
        param: 'audio',
      };
    }
    this.#reader.push(bytes);
    this.#hear(now);
    return undefined;
  }

  /** Another 20 ms have gone by. */
  pulled(now: number): void {
    this.#budget = this.#framesAPull;
    if (this.isBehind) this.#hear(now);
  }

  /** All that was sent is to be committed; nothing is behind. */
  finish(now: number): void {
    if (this.#reader.last(this.#frame)) this.#session.handleUplink(this.#frame, HEARD, now);
  }

  clear(): void {
    this.#reader.clear();
  }

  /** How what follows is written, and whether turns are listened for in it; nothing is behind. */
  configure(format: AudioFormat, listened: boolean): void {
    this.#reader.setFormat(format);
    if (listened) this.#framesAPull = LISTENED_FRAMES;
    else this.#framesAPull = format.type === 'audio/pcm' ? PASSED_FRAMES : RESAMPLED_FRAMES;
    this.#budget = this.#framesAPull;
  }

  #hear(now: number): void {
    while (this.#budget > 0 && this.#reader.next(this.#frame)) {
      this.#session.handleUplink(this.#frame, HEARD, now);
      this.#budget -= 1;
    }
  }
}
