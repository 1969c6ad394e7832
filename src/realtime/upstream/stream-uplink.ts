import { amplitudeOf } from '../../audio/level.ts';
import { toSample } from '../../audio/sample.ts';
import { MODEL_RATE_HZ, type Uplink } from '../model.ts';
import { AudioEncoder } from './audio-format.ts';
import type { UpstreamProfile } from './profile.ts';

/** What was kept back and is heard after all: a voice is believed 60 to 200 ms after it began, and servers want some silence before it. */
const AGAIN_SAMPLES = 0.4 * MODEL_RATE_HZ;

/** 12 dB. */
const DUCKED = 0.25;

/** A quiet line, where nobody knows how loud its own noise is; and no noise is louder than this. */
const QUIETEST_DB = -70;
const LOUDEST_DB = -45;

/** What has to be sent at once goes in messages of 2 s. */
const CHUNK_SAMPLES = 2 * MODEL_RATE_HZ;

/** Each time something is sent again the server's clock moves against the call's; the last ones are remembered. */
const MOST_STRETCHES = 32;

/** From this sample on that the server got, it is this one of the caller's. */
interface Stretch {
  readonly sent: number;
  readonly heard: number;
}

/**
 * The caller's audio on its way to a server that takes the turns: all the time, silence included. While we speak, on a line that echoes, comfort noise
 * goes in its place. Knows which moment of the call the server means by its own milliseconds.
 */
export class StreamUplink {
  readonly #profile: UpstreamProfile;
  readonly #send: (message: string) => void;
  readonly #batch: Int16Array;
  readonly #lately = new Int16Array(AGAIN_SAMPLES);
  readonly #stretches: Stretch[] = [];
  #encoder: AudioEncoder;
  #how: Uplink = 'through';
  #noise = 0;
  #seed = 1;
  #batched = 0;
  #heard = 0;
  /** What came since then was kept back. */
  #keptFrom = 0;
  #sent = 0;
  #started = false;

  constructor(profile: UpstreamProfile, batchMs: number, send: (message: string) => void) {
    this.#profile = profile;
    this.#send = send;
    this.#batch = new Int16Array((batchMs * MODEL_RATE_HZ) / 1000);
    this.#encoder = new AudioEncoder(profile.input);
  }

  append(pcm: Int16Array): void {
    this.#remember(pcm);
    this.#heard += pcm.length;
    if (!this.#started) return;
    for (let n = 0; n < pcm.length; n++) {
      this.#batch[this.#batched] = this.#shaped(pcm[n] as number);
      this.#batched += 1;
      if (this.#batched === this.#batch.length) this.flush();
    }
  }

  /** @param again what was kept back lately is heard first */
  listen(how: Uplink, floorDb: number, again: boolean): void {
    const kept = this.#how !== 'through';
    if (!kept) this.#keptFrom = this.#heard;
    this.#how = how;
    this.#noise = amplitudeOf(Math.min(LOUDEST_DB, Math.max(QUIETEST_DB, floorDb))) * Math.sqrt(3);
    if (!again || !kept || !this.#started) return;
    this.flush();
    const from = Math.max(this.#keptFrom, this.#heard - AGAIN_SAMPLES);
    this.#begin(from);
    this.#give(this.#since(from));
  }

  /** The server hears from here on, and first of all this: the turn that is being spoken. */
  start(spoken: Int16Array): void {
    this.#started = true;
    this.#batched = 0;
    this.#encoder = new AudioEncoder(this.#profile.input);
    this.#begin(this.#heard - spoken.length);
    this.#give(spoken);
  }

  /** Does the server get all there is? */
  get isStarted(): boolean {
    return this.#started;
  }

  /** Turns are committed by hand from here on. */
  pause(): void {
    this.#started = false;
  }

  /** The connection is gone: the next one counts from its own beginning. */
  stop(): void {
    this.#started = false;
    this.#sent = 0;
    this.#stretches.length = 0;
  }

  /** Something else was sent: turns that are committed by hand, or of before to a session that does not know them. */
  skip(samples: number): void {
    this.#sent += samples;
  }

  /** All that came is sent. */
  flush(): void {
    const samples = this.#batched;
    this.#batched = 0;
    if (samples > 0) this.#give(this.#batch.subarray(0, samples));
  }

  /** Milliseconds of the caller's audio that the server means. */
  toCallMs(serverMs: number): number {
    const at = (serverMs * MODEL_RATE_HZ) / 1000;
    const stretch = this.#stretches.findLast(({ sent }) => sent <= at) ?? this.#stretches[0];
    const heard = stretch ? stretch.heard + Math.max(0, at - stretch.sent) : this.#heard;
    return (Math.min(heard, this.#heard) * 1000) / MODEL_RATE_HZ;
  }

  #begin(heard: number): void {
    this.#stretches.push({ sent: this.#sent, heard });
    if (this.#stretches.length > MOST_STRETCHES) this.#stretches.shift();
  }

  #shaped(sample: number): number {
    if (this.#how === 'through') return sample;
    if (this.#how === 'duck') return sample * DUCKED;
    // Noise need not be good, but cheap, and never digital silence: that would be a line that is gone.
    this.#seed = (Math.imul(this.#seed, 1_664_525) + 1_013_904_223) | 0;
    return toSample((this.#seed / 2_147_483_648) * this.#noise);
  }

  #remember(pcm: Int16Array): void {
    const last = pcm.length > AGAIN_SAMPLES ? pcm.subarray(pcm.length - AGAIN_SAMPLES) : pcm;
    this.#lately.copyWithin(0, last.length);
    this.#lately.set(last, AGAIN_SAMPLES - last.length);
  }

  #since(from: number): Int16Array {
    return this.#lately.slice(AGAIN_SAMPLES - (this.#heard - from));
  }

  #give(pcm: Int16Array): void {
    for (let at = 0; at < pcm.length; at += CHUNK_SAMPLES) {
      const audio = this.#encoder.encode(pcm.subarray(at, at + CHUNK_SAMPLES));
      if (audio !== '') this.#send(`{"type":"input_audio_buffer.append","audio":"${audio}"}`);
    }
    this.#sent += pcm.length;
  }
}
