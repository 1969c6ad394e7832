import { MODEL_FRAME_SAMPLES } from '../model.ts';
import type { Session } from '../session.ts';
import { AudioReader, fromBase64 } from './audio-codec.ts';
import type { Fault } from './fault.ts';
import type { AudioFormat } from './session-schema.ts';

/** Audio that waits to be heard: two events of the largest size. A client that sends more has to wait. */
const MOST_QUEUED_BYTES = 24 * 1024 * 1024;

/** Of audio that comes faster than time goes by, a second is heard every 20 ms: other calls of the process are not kept waiting by it. */
const FRAMES_A_PULL = 50;

const HEARD = { concealed: false };

/** Audio of a session without a media leg: from the client's events into the session. */
export class InputAudio {
  readonly #session: Session;
  readonly #reader: AudioReader;
  readonly #frame = new Int16Array(MODEL_FRAME_SAMPLES);
  #budget = FRAMES_A_PULL;

  constructor(session: Session, format: AudioFormat) {
    this.#session = session;
    this.#reader = new AudioReader(format);
  }

  /** @param atOnce nobody listens for turns in it: it costs nothing to take it all */
  append(base64: string, atOnce: boolean, now: number): Fault | undefined {
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
    this.#hear(atOnce ? Number.POSITIVE_INFINITY : this.#budget, now);
    return undefined;
  }

  /** Another 20 ms have gone by. */
  pulled(now: number): void {
    this.#budget = FRAMES_A_PULL;
    if (this.#reader.queuedBytes > 0) this.#hear(this.#budget, now);
  }

  /** All that was sent is heard: it is to be committed. */
  finish(now: number): void {
    this.#hear(Number.POSITIVE_INFINITY, now);
    if (this.#reader.last(this.#frame)) this.#session.handleUplink(this.#frame, HEARD, now);
  }

  clear(): void {
    this.#reader.clear();
  }

  setFormat(format: AudioFormat, now: number): void {
    this.#hear(Number.POSITIVE_INFINITY, now);
    this.#reader.setFormat(format);
  }

  #hear(most: number, now: number): void {
    let heard = 0;
    while (heard < most && this.#reader.next(this.#frame)) {
      this.#session.handleUplink(this.#frame, HEARD, now);
      heard += 1;
    }
    this.#budget = Math.max(0, this.#budget - heard);
  }
}
