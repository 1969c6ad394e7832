import { createOpusDecoder, createOpusEncoder, loadOpus, type OpusDecoder, type OpusEncoder } from '../../src/audio/opus.ts';
import { FRAME_MS } from '../../src/base/ticker.ts';
import { parseRtp } from '../../src/rtp/packet.ts';
import { RtpSender } from '../../src/rtp/rtp-sender.ts';
import { concat, silence, tone } from './tones.ts';

const RATE_HZ = 24_000;
const FRAME_SAMPLES = (RATE_HZ * FRAME_MS) / 1000;
/** RFC 7587 §4.1: 20 ms at 48 kHz. */
const FRAME_TICKS = 960;

/** A mouth and ears of real Opus for WebRTC stacks that only carry RTP. 24 kHz. */
export class OpusVoice {
  readonly #encoder: OpusEncoder;
  readonly #decoder: OpusDecoder;
  readonly #sender: RtpSender;
  readonly #heard: Int16Array[] = [];
  #queue: Int16Array = new Int16Array();
  #timer: NodeJS.Timeout | undefined;
  #sentFrames = 0;
  #closed = false;
  /** Packets that were no Opus. */
  undecodable = 0;

  private constructor(encoder: OpusEncoder, decoder: OpusDecoder, sender: RtpSender) {
    this.#encoder = encoder;
    this.#decoder = decoder;
    this.#sender = sender;
  }

  /** `edge`, as browsers code: with in-band FEC. */
  static async create({ ssrc, payloadType = 111 }: { readonly ssrc: number; readonly payloadType?: number }): Promise<OpusVoice> {
    await loadOpus();
    const encoder = await createOpusEncoder({ sampleRateHz: RATE_HZ, profile: 'edge' });
    const decoder = await createOpusDecoder({ sampleRateHz: RATE_HZ });
    return new OpusVoice(encoder, decoder, new RtpSender({ ssrc, payloadType }));
  }

  /** Sends a packet every 20 ms from now on: silence, or what it is told to hum. */
  start(send: (packet: Buffer) => void): void {
    const startedAt = performance.now();
    this.#timer = setInterval(() => {
      // Behind time it sends several, as a stack does that was held up.
      while (this.#sentFrames * FRAME_MS <= performance.now() - startedAt) {
        this.#sentFrames += 1;
        send(this.#sender.next(Buffer.from(this.#encoder.encode(this.#nextFrame())), FRAME_TICKS));
      }
    }, FRAME_MS / 2);
  }

  hum(freqHz: number, ms: number): void {
    this.#queue = tone(freqHz, ms, { rateHz: RATE_HZ });
  }

  /** Takes an RTP packet of the far side. */
  hear(packet: Buffer): void {
    if (this.#closed) return;
    const payload = parseRtp(packet)?.payload;
    const pcm = payload && this.#decoder.decode(payload);
    if (pcm) this.#heard.push(pcm.slice());
    else this.undecodable += 1;
  }

  /** The last `lastMs` of what came, packets back to back. */
  heard(lastMs: number): Int16Array {
    return concat(...this.#heard.slice(-Math.round(lastMs / FRAME_MS)));
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#encoder.free();
    this.#decoder.free();
  }

  #nextFrame(): Int16Array {
    const frame = this.#queue.subarray(0, FRAME_SAMPLES);
    this.#queue = this.#queue.subarray(frame.length);
    return frame.length === FRAME_SAMPLES ? frame : concat(frame, silence(FRAME_MS, RATE_HZ)).subarray(0, FRAME_SAMPLES);
  }
}
