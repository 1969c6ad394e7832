import { afterAll, beforeAll, expect, test } from 'vitest';
import { LongReport, scaled } from '../support/long-run.ts';
import { type ProbedCall, ProbeGateway } from '../support/probe-gateway.ts';
import type { Mangle, RtpPhone } from '../support/rtp-phone.ts';
import { speech } from '../support/speech.ts';
import { concat, silence } from '../support/tones.ts';
import { elapse } from '../support/wait.ts';

/* Phones whose clocks run fast or slow for ten minutes, and one that falls silent for half a minute again and again. */

const MINUTES_MS = scaled(600_000, 60_000);
const SKEWS_PPM = [-1000, -200, 200, 1000] as const;
/** Long enough to meet a packet that nothing has held up. */
const WINDOW_MS = 5000;
/** What counts as in step. */
const FIRST_MS = 10_000;
const TALK_MS = 10_000;
const PAUSE_MS = 30_000;

/** A process that stands still for so long takes that for silence, and puts it right in the next seconds: they say nothing about clocks. */
const STALL_MS = 150;
const AFTERMATH_MS = 15_000;

let gateway: ProbeGateway;

/** When this process stood still, phones and gateway with it. */
class Stalls {
  readonly #timer = setInterval(() => this.#look(), 20);
  #lookedAt = performance.now();
  #lastAt = Number.NEGATIVE_INFINITY;
  longestMs = 0;
  totalMs = 0;

  /** Was there one in the seconds before? */
  get lately(): boolean {
    this.#look();
    return performance.now() - this.#lastAt < AFTERMATH_MS;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    const stoodMs = now - this.#lookedAt;
    this.#lookedAt = now;
    this.longestMs = Math.max(this.longestMs, stoodMs);
    if (stoodMs < STALL_MS) return;
    this.#lastAt = now;
    this.totalMs += stoodMs;
  }
}

beforeAll(async () => {
  gateway = await ProbeGateway.start();
});

afterAll(async () => {
  await gateway.stop();
});

/** How much further than the clock on the wall the model's audio is, in each window: of its least delayed frame. */
class Lead {
  readonly #startedAt: number;
  readonly windows: number[] = [];
  #frames = 0;
  #most = Number.NEGATIVE_INFINITY;
  #windowEndsAt: number;
  #all = 0;

  constructor({ model }: ProbedCall, stalls: Stalls) {
    this.#startedAt = performance.now();
    this.#windowEndsAt = this.#startedAt + FIRST_MS;
    model.onFrame = (at) => {
      this.#frames += 1;
      this.#most = Math.max(this.#most, this.#frames * 20 - (at - this.#startedAt));
      if (at < this.#windowEndsAt) return;
      this.#all += 1;
      if (!stalls.lately) this.windows.push(this.#most);
      this.#most = Number.NEGATIVE_INFINITY;
      this.#windowEndsAt = at + WINDOW_MS;
    };
  }

  /** Share of the windows that count. */
  get counted(): string {
    return `${this.windows.length} of ${this.#all}`;
  }

  /** Behind (below 0) and ahead of the clock at most, against the first window. */
  get range(): { readonly low: number; readonly high: number } {
    const [first = Number.NaN, ...others] = this.windows;
    const offs = others.map((each) => each - first);
    return { low: Math.min(0, ...offs), high: Math.max(0, ...offs) };
  }
}

/** Speech with pauses as people make them. */
function talk(): Int16Array {
  return concat(...Array.from({ length: 8 }, (_, n) => concat(speech(1500, { seed: n + 1 }), silence(400))));
}

async function skewed(skewPpm: number, stalls: Stalls): Promise<{ lead: Lead; probed: ProbedCall }> {
  const probed = await gateway.call({ rtp: { skewPpm }, offer: { codecs: ['PCMU', 'CN', 'telephone-event'] } });
  probed.call.media.background(talk());
  await elapse(1000);
  return { lead: new Lead(probed, stalls), probed };
}

/** One packet a second, as phones that suppress silence send (RFC 3389); their numbers have no gap, their timestamps go on. */
function comfortNoise(media: RtpPhone): Mangle {
  return (packet, frame) => {
    if (frame % 50 === 0) return { ...packet, payloadType: 13, payload: Buffer.of(70) };
    media.sequence = packet.sequence;
    return undefined;
  };
}

function inStep(report: LongReport, who: string, { range: { low, high }, counted }: Lead): void {
  report.row(`${who}: off the clock (${counted} looks)`, `${low.toFixed(0)} to +${high.toFixed(0)} ms`, '±40 ms', low >= -40 && high <= 40);
}

test('what the model hears keeps step with the clock for ten minutes', async () => {
  const minutes = MINUTES_MS / 60_000;
  const report = new LongReport(
    'skew',
    'Clock skew and pauses',
    `Five calls of ${minutes.toFixed(1)} minutes at the same time, phones and gateway in one process: four phones with a clock that is off, one that sends comfort noise once a second and ` +
      `nothing else for 30 s after every 10 s. What is measured is how far the audio at the model is from the clock on the wall, by its least delayed frame in every 5 s.`,
  );
  const stalls = new Stalls();
  const calls: { readonly ppm: number; readonly lead: Lead; readonly probed: ProbedCall }[] = [];
  for (const ppm of SKEWS_PPM) calls.push({ ppm, ...(await skewed(ppm, stalls)) });
  const pausing = await skewed(0, stalls);
  const until = performance.now() + MINUTES_MS;
  const { media } = pausing.probed.call;
  while (performance.now() < until) {
    await elapse(TALK_MS);
    media.mangle = comfortNoise(media);
    await elapse(Math.min(PAUSE_MS, Math.max(0, until - performance.now())));
    media.mangle = undefined;
  }
  await elapse(1000);
  const uplinks = gateway.uplinks();
  const ended = pausing.probed.call.over;
  calls.forEach(({ ppm, lead }, n) => {
    const { addedFrames = Number.NaN, droppedFrames = Number.NaN } = uplinks[n] ?? {};
    const corrections = addedFrames + droppedFrames;
    inStep(report, `${ppm} ppm`, lead);
    // What a stall was taken for is taken out again, frame by frame.
    const allowed = Math.ceil(Math.max(minutes, (Math.abs(ppm) * MINUTES_MS) / 20_000_000) + stalls.totalMs / 20);
    report.row(`${ppm} ppm: frames put in or taken out`, `${corrections}`, `≤ ${allowed}, of 20 ms each`, corrections <= allowed);
  });
  stalls.stop();
  report.note(
    `This process stood still for ${stalls.longestMs.toFixed(0)} ms at most; looks in the ${AFTERMATH_MS / 1000} s after ${STALL_MS} ms and more do not count.`,
  );
  inStep(report, '30 s pauses', pausing.lead);
  report.row('30 s pauses: the call goes on', ended ? 'no' : 'yes', 'yes', !ended);
  for (const { probed } of [...calls, pausing]) {
    const { media } = await gateway.end(probed);
    const { concealed, framesIn, unaccounted } = media?.uplink.account ?? {};
    report.note(`${framesIn} packets, ${concealed} concealed, ${unaccounted} unaccounted for.`);
  }
  report.write();
  expect(report.missed).toEqual([]);
});
