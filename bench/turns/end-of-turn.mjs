import { built } from '../built.mjs';
import { callerOf, seedsOf } from '../corpus/generate.mjs';
import { Random } from '../corpus/random.mjs';
import { speak } from '../corpus/render.mjs';
import { quantile } from '../figures.mjs';

const { PCMU } = await built('audio/g711.js');
const { VoiceActivity } = await built('audio/vad.js');
const { askedBy } = await built('realtime/caller-words.js');
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
export const CURVE = Array.from({ length: 15 }, (_, n) => [`fixed ${200 + 100 * n}`, fixed(200 + 100 * n)]);

/** Callers of a half of the seeds, heard by the detector: frames and labels. */
export function hearCallers(half, { callers, turns, snrDb }) {
  return seedsOf(half, callers).map((seed) => {
    const caller = callerOf(seed, turns);
    const random = new Random(seed + 17);
    const detector = new VoiceActivity();
    const heard = caller.turns.map((turn) => hear(turn, caller, { detector, random, snrDb }));
    detector.free();
    return { ...caller, heard };
  });
}

function hear(turn, { voice, levelDb }, { detector, random, snrDb }) {
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
  const noise = gain * 10 ** (-snrDb / 20);
  const sound = new Float64Array(length);
  for (const [n, piece] of pieces.entries()) for (let k = 0; k < piece.length; k++) sound[spans[n].from + k] = piece[k] * gain;
  for (let n = 0; n < length; n++) pcm[n] = clip(sound[n] + noise * random.normal());
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
