import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type ProbedCall, ProbeGateway } from '../support/probe-gateway.ts';
import type { Mangle, RtpPhone } from '../support/rtp-phone.ts';
import { speech } from '../support/speech.ts';
import { measureSteadily, needsSteady, type Steadiness, watchSteadiness } from '../support/steady-machine.ts';
import { describeWithTestData } from '../support/test-data.ts';
import { concat, silence } from '../support/tones.ts';
import { Hearing, loadQuality, type QualityTool, toSamples } from '../support/voice-quality.ts';
import { elapse } from '../support/wait.ts';

/* One call whose stream changes in every way there is, and pauses of phones that send nothing while they are silent. */

let gateway: ProbeGateway;
let tool: QualityTool;

/** Something that happens to a call, so long after it began to speak. */
interface Change {
  readonly what: string;
  readonly atMs: number;
  /** How long nothing comes through. */
  readonly goneMs?: number;
  /** In how long the audio is back. */
  readonly backMs: number;
  readonly make: (call: ProbedCall['call']) => unknown;
}

/** The hole begins so many packets before the sequence wraps: 3.2 s are 160 packets. */
const BEFORE_WRAP = 80;

const CHANGES: readonly Change[] = [
  { what: 'another SSRC, marked', atMs: 2000, backMs: 100, make: ({ media }) => restart(media, 0x1_0000 - BEFORE_WRAP - 300) },
  { what: 'a timestamp a minute ahead', atMs: 4000, backMs: 200, make: ({ media }) => jump(media, 480_000) },
  {
    what: 'another codec by re-INVITE',
    atMs: 6000,
    backMs: 200,
    make: (call) => call.reinvite(call.sdp({ codecs: ['PCMA', 'telephone-event'] })),
  },
  { what: 'a hole of 3.2 s over a sequence wrap', atMs: 8000, goneMs: 3200, backMs: 200, make: ({ media }) => hole(media, 3200) },
  { what: 'every packet three times', atMs: 13_000, backMs: 200, make: ({ media }) => triple(media) },
  { what: 'a timestamp an hour back', atMs: 15_000, backMs: 200, make: ({ media }) => jump(media, -28_800_000) },
];
const SPEECH_MS = 17_000;

function jump(media: RtpPhone, ticks: number): void {
  media.timestamp = (media.timestamp + ticks) >>> 0;
}

function restart(media: RtpPhone, sequence: number): void {
  media.ssrc = (media.ssrc + 1) >>> 0;
  media.sequence = sequence;
  jump(media, 1_000_000);
  media.mangle = (packet) => {
    media.mangle = undefined;
    return { ...packet, marker: true };
  };
}

async function hole(media: RtpPhone, ms: number): Promise<void> {
  media.mangle = () => undefined;
  await elapse(ms);
  media.mangle = undefined;
}

async function triple(media: RtpPhone): Promise<void> {
  media.mangle = (packet) => [packet, packet, packet];
  await elapse(1500);
  media.mangle = undefined;
}

interface Outcome {
  readonly backMs: number | undefined;
  /** How much later than before all changes, half a second after the audio is back. */
  readonly laterMs: number | undefined;
}

/**
 * What is found in the audio of a call that is over, once somebody asks: to look for it keeps this process, and so all calls in it, for longer than
 * a packet may wait.
 */
type Findings<T> = () => T;

/** All changes in one call, on a clock that runs fast by 1000 ppm. */
async function changeAll(): Promise<Findings<Map<string, Outcome>>> {
  const probed = await gateway.call({ rtp: { skewPpm: 1000 } });
  await elapse(1000);
  const said = speech(SPEECH_MS);
  const saying = probed.call.media.say(said);
  const startedAt = performance.now();
  const made: { readonly change: Change; readonly at: number }[] = [];
  for (const change of CHANGES) {
    await elapse(startedAt + change.atMs - performance.now());
    made.push({ change, at: performance.now() });
    void change.make(probed.call);
  }
  const when = await saying;
  await elapse(500);
  const frames = [...probed.model.frames];
  await gateway.end(probed);
  return () => {
    const hearing = new Hearing(tool, said, when, frames);
    const before = hearing.delayAfter(startedAt + 1000);
    return new Map(
      made.map(({ change, at }) => {
        const from = at + (change.goneMs ?? 0);
        const backMs = hearing.backAfter(from);
        const after = backMs === undefined ? undefined : hearing.delayAfter(from + backMs + 500);
        return [change.what, { backMs, laterMs: before && after && Math.max(after.lagMs - before.lagMs, after.wallMs - before.wallMs) }];
      }),
    );
  };
}

/** The delay is told in samples of an eighth of a millisecond, at both ends. */
const RESOLUTION_MS = 0.5;

const TALK_MS = 2000;
const PAUSE_MS = 5000;

/** How a phone sends nothing, or next to nothing, from frame `first` to `last` after it was set. */
const PAUSES: readonly { readonly how: string; readonly silent: (from: number, to: number) => Mangle }[] = [
  {
    how: 'sends nothing while it is silent',
    silent: (from, to) => {
      const counter = counting();
      return (packet) => {
        const n = counter();
        if (n >= from && n < to) return undefined;
        return n === to ? { ...packet, marker: true } : packet;
      };
    },
  },
  {
    how: 'sends comfort noise five times a second while it is silent',
    silent: (from, to) => {
      const counter = counting();
      return (packet) => {
        const n = counter();
        if (n < from || n >= to) return n === to ? { ...packet, marker: true } : packet;
        return (n - from) % 10 === 0 ? { ...packet, payloadType: 13, payload: Buffer.of(70) } : undefined;
      };
    },
  },
  {
    how: 'sends nothing while it is silent, stops its clock and marks nothing',
    silent: (from, to) => {
      const counter = counting();
      return (packet) => {
        const n = counter();
        if (n < from) return packet;
        if (n < to) return undefined;
        return { ...packet, timestamp: (packet.timestamp - (to - from) * 160) >>> 0 };
      };
    },
  },
];

/** Packets as they are numbered when none is left out. */
function counting(): () => number {
  let n = 0;
  return () => n++;
}

interface PauseOutcome {
  /** Where the second half lies in what was heard, against the first. */
  readonly shiftMs: number;
  /** Frames in the busiest 100 ms after the pause. */
  readonly mostAtOnce: number;
  /** How many frames were heard in the whole, against the time it took. */
  readonly surplusMs: number;
}

async function pauseOnce({ silent }: (typeof PAUSES)[number]): Promise<Findings<PauseOutcome>> {
  const probed = await gateway.call({ offer: { codecs: ['PCMU', 'CN', 'telephone-event'] } });
  const { media } = probed.call;
  await elapse(1000);
  const said = concat(speech(TALK_MS), silence(PAUSE_MS), speech(TALK_MS, { seed: 2 }));
  // Sequence numbers of a phone that leaves packets out have no gap.
  let left = 0;
  const mangle = silent(TALK_MS / 20, (TALK_MS + PAUSE_MS) / 20);
  media.mangle = (packet, frame) => {
    const changed = mangle({ ...packet, sequence: (packet.sequence - left) & 0xffff }, frame);
    if (changed === undefined) left += 1;
    return changed;
  };
  const when = await media.say(said);
  await elapse(300);
  const frames = [...probed.model.frames];
  await gateway.end(probed);
  const resumedAt = when.sentAt((TALK_MS + PAUSE_MS) * 8);
  const since = frames.map(({ at }) => at).filter((at) => at >= resumedAt);
  const heard = frames.filter(({ at }) => at >= when.startedAt);
  const tookMs = (heard.at(-1)?.at ?? 0) - (heard[0]?.at ?? 0);
  return () => {
    const hearing = new Hearing(tool, said, when, frames);
    const first = hearing.find(500, 500);
    const second = hearing.find(TALK_MS + PAUSE_MS + 500, 500);
    return {
      shiftMs: first && second ? second.lagMs - first.lagMs : Number.NaN,
      mostAtOnce: Math.max(...since.map((at, n) => since.slice(n).filter((each) => each < at + 100).length)),
      surplusMs: (heard.length - 1) * 20 - tookMs,
    };
  };
}

describeWithTestData('what a phone hears of the model', () => {
  beforeAll(async () => {
    gateway = await ProbeGateway.start();
    tool = await loadQuality();
  });

  afterAll(async () => {
    await gateway.stop();
  });

  test('leaves on a steady beat, numbered without a break, and is what was said', async (context) => {
    const said = tool.artificialSpeech(5);
    // Each sample three times is 24 kHz; what that adds above 4 kHz no phone hears.
    const speaking = Int16Array.from({ length: said.length * 3 }, (_, n) => Math.round((said[Math.floor(n / 3)] as number) * 32_767));
    const hear = async () => {
      const probed = await gateway.call();
      const { media } = probed.call;
      const watched = watchSteadiness();
      await elapse(500);
      const first = media.arrivals.count;
      probed.model.say(speaking);
      await elapse(5500);
      const steadiness = await watched();
      const arrivals = media.arrivals.all.slice(first);
      const { samples } = media.recording(first);
      await gateway.end(probed);
      return { steadiness, arrivals, samples };
    };
    const { steadiness, arrivals, samples } = await measureSteadily(hear);
    needsSteady(context, steadiness);
    const { slackMs, stoodMs } = steadiness;
    const gaps = arrivals.slice(1).map(({ at }, n) => at - (arrivals[n]?.at ?? 0));
    const steps = arrivals
      .slice(1)
      .map((packet, n) => [
        (packet.sequence - (arrivals[n]?.sequence ?? 0)) & 0xffff,
        ((packet.timestamp - (arrivals[n]?.timestamp ?? 0)) | 0) / 160,
      ]);
    const beats = gaps.map((gap) => Math.abs(gap - 20)).sort((a, b) => a - b);
    const { stoiNB, deadActivePct } = tool.score(toSamples(said), samples);
    const p99 = beats[Math.floor(beats.length * 0.99)] ?? Number.NaN;
    console.log(`beat: off by p99 ${p99.toFixed(1)} ms, longest gap ${Math.max(...gaps).toFixed(1)} ms, STOI ${stoiNB}`);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(60 + slackMs);
    // What a process that stands still is late with is left out, so as to stay live: a stall of 60 ms is three frames.
    const missing = Math.floor(stoodMs / 20);
    expect(stoiNB).toBeGreaterThan(0.98 - Math.min(0.2, missing * 0.01));
    expect(deadActivePct).toBeLessThanOrEqual(missing);
    if (slackMs < 50) {
      expect(arrivals.length).toBeGreaterThanOrEqual(270);
      for (const step of steps) expect(step).toEqual([1, 1]);
    }
  });
});

describeWithTestData('a phone whose stream changes', () => {
  let changes: Map<string, Outcome>;
  let pauses: PauseOutcome[];
  let steadiness: Steadiness;
  let slackMs: number;

  async function callAll() {
    const watched = watchSteadiness();
    const changing = changeAll();
    await elapse(500);
    // One after the other until each has dialled; then all of them speak at the same time.
    const pausing: Promise<Findings<PauseOutcome>>[] = [];
    for (const pause of PAUSES) {
      pausing.push(pauseOnce(pause));
      await elapse(300);
    }
    const paused = await Promise.all(pausing);
    const changed = await changing;
    const steadiness = await watched();
    return { steadiness, changes: changed(), pauses: paused.map((findings) => findings()) };
  }

  beforeAll(async () => {
    gateway = await ProbeGateway.start();
    tool = await loadQuality();
    ({ steadiness, changes, pauses } = await measureSteadily(callAll));
    ({ slackMs } = steadiness);
    for (const [what, { backMs, laterMs }] of changes) {
      console.log(`${what}: heard again after ${backMs?.toFixed(0)} ms, then ${laterMs?.toFixed(0)} ms later than at first`);
    }
    pauses.forEach(({ shiftMs, surplusMs, mostAtOnce }, n) => {
      const figures = `shifted by ${shiftMs.toFixed(0)} ms, surplus ${surplusMs.toFixed(0)} ms, ${mostAtOnce} frames in 100 ms at most`;
      console.log(`${PAUSES[n]?.how}: ${figures}`);
    });
  }, 120_000);

  beforeEach((context) => needsSteady(context, steadiness));

  afterAll(async () => {
    await gateway.stop();
  });

  test.each(CHANGES)('to $what is heard again within $backMs ms, and no later than before', ({ what, backMs }) => {
    const outcome = changes.get(what);
    expect(outcome?.backMs).toBeLessThanOrEqual(backMs + slackMs);
    expect(outcome?.laterMs).toBeLessThanOrEqual(60 + slackMs);
  });

  test.each(PAUSES.map(({ how }, n) => ({ how, n })))('and $how is heard in time again, without a burst', ({ n }) => {
    const outcome = pauses[n];
    // A phone that is late with its first word is heard that much later, in frames.
    expect(Math.abs(outcome?.shiftMs ?? Number.NaN)).toBeLessThanOrEqual(20 + RESOLUTION_MS + slackMs);
    expect(Math.abs(outcome?.surplusMs ?? Number.NaN)).toBeLessThanOrEqual(40 + slackMs);
    // Five that are due, one on either side, and one of silence that was held back; a machine that stood still catches up.
    expect(outcome?.mostAtOnce).toBeLessThanOrEqual(8 + slackMs / 10);
  });
});
