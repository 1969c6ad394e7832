import wrtc from '@roamhq/wrtc';
import { vi } from 'vitest';
import { rms, SILENCE_RMS } from './tones.ts';
import { EventLog } from './wait.ts';

/** libwebrtc speaks and hears in pieces of 10 ms. */
const RATE_HZ = 48_000;
const PIECE_MS = 10;
const PIECE_SAMPLES = (RATE_HZ * PIECE_MS) / 1000;

export interface Track {
  stop(): void;
}
export interface Stream {
  getAudioTracks(): Track[];
}
interface Connection {
  close(): void;
}
interface AudioData {
  readonly samples: Int16Array;
  readonly sampleRate: number;
  readonly numberOfFrames: number;
}
/** As much of the package as is used: its own types need those of a browser. */
const { MediaStream, RTCPeerConnection, nonstandard } = wrtc as unknown as {
  readonly MediaStream: new (tracks: Track[]) => Stream;
  readonly RTCPeerConnection: new () => Connection;
  readonly nonstandard: {
    readonly RTCAudioSource: new () => { createTrack(): Track; onData(data: object): void };
    readonly RTCAudioSink: new (track: Track) => { ondata: ((data: AudioData) => void) | null; stop(): void };
  };
};

/** 10 ms that were heard. */
export interface HeardPiece {
  readonly at: number;
  readonly samples: Int16Array;
  readonly rateHz: number;
}

/**
 * What a page gives the Agents SDK, without a browser: real libwebrtc, a microphone that says what the test says, and an audio element that
 * keeps what it plays. One page at a time has the globals.
 */
export class WrtcPage {
  readonly heard = new EventLog<HeardPiece>();
  /** What getUserMedia gives. */
  readonly microphone: Stream;
  readonly #source = new nonstandard.RTCAudioSource();
  readonly #sinks: { stop(): void }[] = [];
  readonly #connections: Connection[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #startAt = performance.now();
  #pieces = 0;
  #saying: { readonly samples: Int16Array; at: number; done(endedAt: number): void } | undefined;

  constructor() {
    const connections = this.#connections;
    const listen = (stream: Stream): void => this.listen(stream);
    const microphone = new MediaStream([this.#source.createTrack()]);
    this.microphone = microphone;
    vi.stubGlobal(
      'RTCPeerConnection',
      class extends RTCPeerConnection {
        constructor() {
          super();
          connections.push(this);
        }
      },
    );
    vi.stubGlobal('navigator', { mediaDevices: { getUserMedia: async () => microphone } });
    vi.stubGlobal('document', {
      createElement: () => ({
        set srcObject(stream: Stream) {
          listen(stream);
        },
      }),
    });
    this.#timer = setInterval(() => this.#beat(), PIECE_MS);
  }

  /** Keeps what comes by this stream; an audio element does it by itself. */
  listen(stream: Stream): void {
    for (const track of stream.getAudioTracks()) {
      const sink = new nonstandard.RTCAudioSink(track);
      sink.ondata = ({ samples, sampleRate }) => this.heard.push({ at: performance.now(), samples: samples.slice(), rateHz: sampleRate });
      this.#sinks.push(sink);
    }
  }

  /** @param samples at 48 kHz @returns when the last of it went into the microphone (performance.now() ms) */
  say(samples: Int16Array): Promise<number> {
    return new Promise((done) => {
      this.#saying = { samples, at: 0, done };
    });
  }

  /** Waits for something to hear from now on. */
  nextSound(deadlineMs = 10_000): Promise<HeardPiece> {
    return this.heard.next(({ samples }) => rms(samples) > SILENCE_RMS, deadlineMs, 'something to hear');
  }

  /** What was heard since `from`, as one recording of 48 kHz. */
  recording(from = 0): Int16Array {
    const pieces = this.heard.all.filter(({ at, rateHz }) => at >= from && rateHz === RATE_HZ);
    const whole = new Int16Array(pieces.length * PIECE_SAMPLES);
    for (const [n, { samples }] of pieces.entries()) whole.set(samples.subarray(0, PIECE_SAMPLES), n * PIECE_SAMPLES);
    return whole;
  }

  close(): void {
    clearInterval(this.#timer);
    for (const sink of this.#sinks) sink.stop();
    for (const connection of this.#connections) connection.close();
    vi.unstubAllGlobals();
  }

  /** As many pieces as are due: timers are late. */
  #beat(): void {
    const due = (performance.now() - this.#startAt) / PIECE_MS;
    // More than a second behind is a machine that stood still: nobody speaks faster for it.
    if (due - this.#pieces > 100) this.#pieces = due - 1;
    for (; this.#pieces < due; this.#pieces++) {
      const samples = new Int16Array(PIECE_SAMPLES);
      const saying = this.#saying;
      if (saying) {
        samples.set(saying.samples.subarray(saying.at, saying.at + PIECE_SAMPLES));
        saying.at += PIECE_SAMPLES;
        if (saying.at >= saying.samples.length) {
          this.#saying = undefined;
          saying.done(performance.now());
        }
      }
      this.#source.onData({ samples, sampleRate: RATE_HZ, bitsPerSample: 16, channelCount: 1, numberOfFrames: PIECE_SAMPLES });
    }
  }
}
