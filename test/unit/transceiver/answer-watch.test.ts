import { beforeAll, describe, expect, test } from 'vitest';
import { createOpusEncoder, loadOpus, type OpusEncoder } from '../../../src/audio/opus.ts';
import { loadVad } from '../../../src/audio/vad.ts';
import type { Tick, Ticker } from '../../../src/base/ticker.ts';
import type { AmdOptions, Answered } from '../../../src/leg/answered-by.ts';
import { RtpSender } from '../../../src/rtp/rtp-sender.ts';
import { AnswerWatch } from '../../../src/transceiver/answer-watch.ts';
import { Media } from '../../../src/transceiver/media.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { speech } from '../../support/speech.ts';
import { concat, silence, tone } from '../../support/tones.ts';

beforeAll(async () => {
  await Promise.all([loadOpus(), loadVad()]);
});

const RATE_HZ = 24_000;
/** Speech is known as such after some syllables of it. */
const KNOWN_WITHIN_MS = 300;
const say = (ms: number, seed = 1): Int16Array => speech(ms, { seed, peak: 8000, rateHz: RATE_HZ });
const quiet = (ms: number): Int16Array => silence(ms, RATE_HZ);
const sounds = (hz: number, ms: number): Int16Array => tone(hz, ms, { rateHz: RATE_HZ });

/** A call of ours on its way from the packets of the far end to the verdict, on a clock of the test's. */
class Bench {
  readonly clock = new FakeClock();
  /** With the time since the answer. */
  readonly found: { readonly afterMs: number; readonly answered: Answered }[] = [];
  readonly decided: string[] = [];
  readonly #ticks = new Set<Tick>();
  readonly #sender = new RtpSender({ payloadType: 111 });
  readonly #encoder: OpusEncoder;
  readonly #watch: AnswerWatch;
  #media!: Media;
  #answeredAt = 0;

  private constructor(encoder: OpusEncoder, options: AmdOptions) {
    this.#encoder = encoder;
    this.#watch = new AnswerWatch(this.clock, options, {
      onAnswered: (answered) => this.found.push({ afterMs: this.clock.now() - this.#answeredAt, answered }),
      onDecided: (what) => this.decided.push(what),
    });
  }

  static async open(options: AmdOptions = { onMachine: 'leave_message' }): Promise<Bench> {
    const bench = new Bench(await createOpusEncoder({ sampleRateHz: RATE_HZ, profile: 'interior' }), options);
    const ticker: Ticker = {
      add: (tick) => {
        bench.#ticks.add(tick);
        return () => void bench.#ticks.delete(tick);
      },
      takeWorstLatenessMs: () => 0,
      stop: async () => undefined,
    };
    const session = {
      handleUplink: (pcm: Int16Array, { concealed }: { readonly concealed: boolean }) => bench.#watch.handleFrame(pcm, concealed),
      pullDownlink: () => false,
      handleLegEvent: () => undefined,
    };
    const peer = { sendRtp: () => true, sendRtcp: () => true };
    const audio = { payloadTypes: { opus: 111 } } as Parameters<typeof Media.create>[1]['audio'];
    const deps = { clock: bench.clock, ticker, session, peer };
    bench.#media = await Media.create(deps, { audio, ssrc: 7, profile: 'interior', narrowband: false });
    return bench;
  }

  /** What the far end plays, in real time. */
  hear(...parts: readonly Int16Array[]): this {
    const sound = concat(...parts);
    for (let at = 0; at + 480 <= sound.length; at += 480) {
      this.#media.handleRtp(this.#sender.next(this.#encoder.encode(sound.subarray(at, at + 480)), 960), this.clock.now());
      this.#pass();
    }
    return this;
  }

  /** The far end sends nothing for so long. */
  wait(ms: number): this {
    for (let passed = 0; passed < ms; passed += 20) this.#pass();
    this.#sender.skip((ms / 20) * 960, 'silence');
    return this;
  }

  answer(): this {
    this.#answeredAt = this.clock.now();
    this.#media.start();
    this.#watch.begin();
    return this;
  }

  close(): void {
    this.#watch.end();
    this.#media.close();
    this.#encoder.free();
  }

  get first(): Answered | undefined {
    return this.found[0]?.answered;
  }

  #pass(): void {
    this.clock.advance(20);
    for (const tick of this.#ticks) tick(this.clock.now());
  }
}

describe('who has answered is found out from the answer on', () => {
  test('a phone that sends nothing is silence 4 s after the answer, however long it rang', async () => {
    const bench = await Bench.open();
    bench.wait(30_000).answer().wait(3900);
    expect(bench.found).toEqual([]);
    bench.wait(300);
    expect(bench.found).toMatchObject([{ answered: { by: 'silence', atMs: 4000, silenceMs: 4000 } }]);
    expect(bench.found[0]?.afterMs).toBeLessThanOrEqual(4060);
    expect(bench.decided).toEqual(['go_on']);
    bench.close();
  });

  test('the silence between early media and the answer does not count', async () => {
    const bench = await Bench.open();
    bench.hear(sounds(425, 1000)).wait(4000).hear(sounds(425, 1000)).wait(3000).answer().wait(3900);
    expect(bench.found).toEqual([]);
    bench.wait(300);
    expect(bench.first).toMatchObject({ by: 'silence', atMs: 4000 });
    expect(bench.found[0]?.afterMs).toBeGreaterThanOrEqual(4000);
    bench.close();
  });

  test('neither speech nor tones before the answer count, nor what is left of them after it', async () => {
    for (const early of [say(6000, 3), sounds(1400, 400), concat(...[950, 1400, 1800].map((hz) => sounds(hz, 330))), sounds(2100, 3000)]) {
      const bench = await Bench.open();
      // 120 ms of it are still on their way.
      const cut = early.length - 24 * 120;
      bench.hear(early.subarray(0, cut)).answer().hear(early.subarray(cut)).hear(quiet(500), say(400), quiet(2000));
      expect(bench.first).toMatchObject({ by: 'human', words: 1 });
      expect(Math.abs((bench.first?.silenceMs ?? 0) - 620)).toBeLessThanOrEqual(KNOWN_WITHIN_MS);
      bench.close();
    }
  });

  test('the silence before the first packet after the answer counts, be it short or long', async () => {
    const behindMs: number[] = [];
    for (const silentMs of [60, 200, 300, 1000, 2000]) {
      const bench = await Bench.open();
      bench.wait(500).answer().wait(silentMs).hear(say(500), quiet(2500));
      expect(bench.first).toMatchObject({ by: 'human' });
      behindMs.push((bench.first?.silenceMs ?? 0) - silentMs);
      expect(Math.abs((bench.found[0]?.afterMs ?? 0) - (bench.first?.atMs ?? 0)), 'the time of the verdict').toBeLessThanOrEqual(40);
      bench.close();
    }
    expect(Math.max(...behindMs) - Math.min(...behindMs), behindMs.join()).toBeLessThanOrEqual(60);
    expect(Math.max(...behindMs)).toBeLessThanOrEqual(KNOWN_WITHIN_MS);
  });

  test('who speaks at the moment of the answer is heard, with and without early media before', async () => {
    for (const early of [quiet(1000), concat(sounds(425, 500), quiet(160))]) {
      const bench = await Bench.open();
      bench.hear(early).answer().hear(say(600), quiet(2500));
      expect(bench.first).toMatchObject({ by: 'human' });
      expect(bench.first?.silenceMs).toBeLessThanOrEqual(KNOWN_WITHIN_MS);
      expect(bench.first?.speechMs).toBeGreaterThan(300);
      bench.close();
    }
  });

  test('music that does not stop at the answer is heard after a fifth of a second', async () => {
    const bench = await Bench.open({ onMachine: 'hang_up' });
    bench.hear(say(3000, 8)).answer().hear(say(5000, 9));
    expect(bench.found).toMatchObject([{ answered: { by: 'machine_greeting' } }]);
    expect(bench.decided).toEqual(['hang_up']);
    bench.close();
  });

  test('nothing is found out of a call that ended before it was answered, or while it is listened to', async () => {
    const bench = await Bench.open();
    bench.hear(say(500));
    bench.close();
    const other = await Bench.open();
    other.answer().hear(say(200));
    other.close();
    other.close();
    expect([bench.found, other.found]).toEqual([[], []]);
  });
});
