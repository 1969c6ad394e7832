import { built } from '../built.mjs';
import { callerOf, seedsOf } from '../corpus/generate.mjs';
import { Random } from '../corpus/random.mjs';
import { speak } from '../corpus/render.mjs';
import { quantile } from '../figures.mjs';
import { noiseOf } from './noise.mjs';

const { PCMU } = await built('audio/g711.js');
const { NetworkPool } = await built('audio/network-pool.js');
const { VoiceActivity } = await built('audio/vad.js');
const { askedBy } = await built('realtime/caller-words.js');
const { loadVoiceDetectors } = await built('realtime/fvad-detector.js');
const { TurnMachine } = await built('realtime/turn-machine.js');
const { DEFAULT_TURN_OPTIONS } = await built('realtime/turn-options.js');

const FRAME = 160;
const LEAD_MS = 600;
const TAIL_MS = 4000;
/** A streaming transcript knows a word so long after it was said. */
const WORDS_LAG_MS = 300;
const MODEL_LATENCIES_MS = [0, 300, 600];

const fixed = (waitMs) => ({ endOfTurn: { type: 'fixed', waitMs } });
const adaptive = (z) => ({ endOfTurn: { type: 'pause_adaptive', z } });

export const POLICIES = [
  ['VAD alone, 200 ms', fixed(200)],
  ['fixed 500', fixed(500)],
  ['fixed 800', fixed(800)],
  ['pause_adaptive, high (0.7)', adaptive(0.7)],
  ['pause_adaptive, auto (1)', adaptive(1)],
  ['pause_adaptive, low (1.6)', adaptive(1.6)],
  ['with words, high (0.7)', { ...adaptive(0.7), words: true }],
  ['with words, auto (1)', { ...adaptive(1), words: true }],
];
export const NOISE_POLICIES = POLICIES.filter(([name]) => name === 'fixed 500' || name.includes('auto'));
export const CURVE = Array.from({ length: 15 }, (_, n) => [`fixed ${200 + 100 * n}`, fixed(200 + 100 * n)]);

/** Callers of a half of the seeds, heard by the first detector over hiss: frames and labels. */
export function hearCallers(half, { callers, turns, snrDb }) {
  return seedsOf(half, callers).map((seed) => {
    const caller = callerOf(seed, turns);
    const random = new Random(seed + 17);
    const detector = new VoiceActivity();
    const heard = caller.turns.map((turn) => hear(turn, caller, { detector, noise: () => random.normal(), snrDb }));
    detector.free();
    return { ...caller, heard };
  });
}

const networks = new NetworkPool();
const createVoiceDetector = await loadVoiceDetectors(networks);

/** The same over any noise, heard as a session hears, and by the first detector alone. */
export async function hearInNoise(half, { callers, turns, kind, snrDb }) {
  await networks.load();
  return seedsOf(half, callers).map((seed) => {
    const caller = callerOf(seed, turns);
    const behind = noiseOf(kind, new Random(seed + 17));
    let at = 0;
    const noise = () => behind[at++ % behind.length];
    const detector = withBoth(createVoiceDetector());
    const both = caller.turns.map((turn) => hear(turn, caller, { detector, noise, snrDb }));
    detector.free();
    const pick = (which) => both.map((turn) => ({ ...turn, frames: turn.frames.map((frame) => ({ ...frame, voiced: frame[which] })) }));
    return { first: { ...caller, heard: pick('first') }, both: { ...caller, heard: pick('voiced') } };
  });
}

/** A session's detector on what a telephone gives, and what its first half would have said. */
function withBoth(detector) {
  const activity = new VoiceActivity();
  const wide = new Int16Array(3 * FRAME);
  let last = 0;
  return {
    process(frame) {
      for (const [n, x] of frame.entries()) {
        wide[3 * n] = last + (x - last) / 3;
        wide[3 * n + 1] = last + (2 * (x - last)) / 3;
        wide[3 * n + 2] = x;
        last = x;
      }
      const { voiced, levelDb, floorDb } = detector.process(wide);
      return { voiced, levelDb, floorDb, first: activity.process(frame).voiced };
    },
    free() {
      activity.free();
      detector.free();
    },
  };
}

function hear(turn, { voice, levelDb }, { detector, noise, snrDb }) {
  const pieces = turn.segments.map((text) => speak(text, voice));
  const spans = [];
  let at = LEAD_MS * 8;
  for (const [n, piece] of pieces.entries()) {
    spans.push({ from: at, to: at + piece.length });
    at += piece.length + (turn.pausesMs[n] ?? 0) * 8;
  }
  const end = spans.at(-1).to;
  const length = Math.ceil((end + TAIL_MS * 8) / FRAME) * FRAME;
  const pcm = new Int16Array(length);
  const gain = 32768 * 10 ** (levelDb / 20);
  const level = gain * 10 ** (-snrDb / 20);
  const sound = new Float64Array(length);
  for (const [n, piece] of pieces.entries()) for (let k = 0; k < piece.length; k++) sound[spans[n].from + k] = piece[k] * gain;
  for (let n = 0; n < length; n++) pcm[n] = clip(sound[n] + level * noise());
  const code = new Uint8Array(FRAME);
  const frames = [];
  const frame = new Int16Array(FRAME);
  for (let n = 0; n < length; n += FRAME) {
    PCMU.encode(pcm.subarray(n, n + FRAME), code);
    PCMU.decode(code, frame);
    frames.push({ ...detector.process(frame) });
  }
  return { frames, spans: spans.map(({ from, to }) => ({ from: from / 8, to: to / 8 })), ask: turn.ask, segments: turn.segments };
}

export const clip = (x) => Math.max(-32768, Math.min(32767, Math.round(x)));

/** One policy over all callers. */
export function judge(callers, { words = false, ...options }) {
  const results = callers.map((caller) => judgeCaller(caller, options, words));
  const turns = results.flat();
  const slow = callers.map((caller, n) => [caller.slowness, n]).sort(([a], [b]) => b - a);
  const slowest = slow.slice(0, Math.floor(callers.length / 3)).flatMap(([, n]) => results[n]);
  return { ...figures(turns), slowest: figures(slowest) };
}

function figures(turns) {
  const delays = turns.flatMap(({ delayMs }) => (delayMs === undefined ? [] : [delayMs]));
  const pauses = turns.reduce((sum, turn) => sum + turn.pauses, 0);
  const early = turns.flatMap((turn) => turn.early);
  return {
    cut: share(turns.filter((turn) => turn.early.length > 0).length, turns.length),
    perPause: share(early.length, pauses),
    audible: MODEL_LATENCIES_MS.map((ms) => share(early.filter((untilNextMs) => untilNextMs > ms).length, turns.length)),
    p50: quantile(delays, 0.5),
    p95: quantile(delays, 0.95),
    missed: turns.length - delays.length,
  };
}

const share = (n, of) => (100 * n) / Math.max(1, of);

function judgeCaller(caller, options, words) {
  let asked = askedBy('');
  const agent = { remainingMs: () => Number.POSITIVE_INFINITY, asked: () => asked, playedShare: () => 0 };
  const machine = new TurnMachine(agent, { ...DEFAULT_TURN_OPTIONS, ...options });
  machine.handle('turns_on', 0);
  let now = 0;
  return caller.heard.map((turn) => {
    asked = askedBy(turn.ask);
    const result = judgeTurn(machine, turn, now, words);
    now += turn.frames.length * 20;
    return result;
  });
}

function judgeTurn(machine, { frames, spans, segments }, start, words) {
  const early = [];
  let delayMs;
  let known = 0;
  const end = spans.at(-1).to;
  for (const [n, frame] of frames.entries()) {
    const at = (n + 1) * 20;
    const now = start + at;
    if (words && known < spans.length && at >= spans[known].to + WORDS_LAG_MS) {
      known += 1;
      machine.handleWords(segments.slice(0, known).join(' '), now);
    }
    machine.handleFrame({ ...frame, concealed: false, heardMs: now }, now);
    for (let output = machine.pollOutput(); output; output = machine.pollOutput()) {
      if (output.type !== 'turn_committed') continue;
      if (at >= end) delayMs ??= at - end;
      else early.push((spans.find(({ from }) => from >= at)?.from ?? at) - at);
    }
  }
  // The agent says its answer, and the caller begins again.
  machine.handle('audio_started', start + frames.length * 20);
  machine.handle('audio_ended', start + frames.length * 20);
  return { early, delayMs, pauses: spans.length - 1 };
}
