import { built } from '../built.mjs';
import { seedsOf } from '../corpus/generate.mjs';
import { Random } from '../corpus/random.mjs';
import { resampled, speak } from '../corpus/render.mjs';
import { ANSWERS, BACKCHANNELS, COMMANDS, HESITATIONS, INTERRUPTIONS, VOICES } from '../corpus/scripts.mjs';
import { quantile } from '../figures.mjs';
import { EchoLine } from './echo-line.mjs';
import { clip } from './end-of-turn.mjs';
import { noiseOf } from './noise.mjs';

const { loadVoiceDetectors } = await built('realtime/fvad-detector.js');
const { Session } = await built('realtime/session.js');

const AGENT_DB = -20;
const FRAME_MS = 20;
const GREETING_MS = 600;

export const LINES = [
  ['no echo', { kind: 'none' }],
  ['hybrid -30 dB, 20 ms', { kind: 'hybrid', erlDb: -30, delayMs: 20 }],
  ['hybrid -20 dB, 60 ms', { kind: 'hybrid', erlDb: -20, delayMs: 60 }],
  ['hybrid -15 dB, 120 ms', { kind: 'hybrid', erlDb: -15, delayMs: 120 }],
  ['hybrid -10 dB, 250 ms', { kind: 'hybrid', erlDb: -10, delayMs: 250 }],
  ['acoustic -20 dB, 150 ms', { kind: 'acoustic', erlDb: -20, delayMs: 150 }],
  ['acoustic -15 dB, 180 ms', { kind: 'acoustic', erlDb: -15, delayMs: 180 }],
  ['acoustic -10 dB, 180 ms', { kind: 'acoustic', erlDb: -10, delayMs: 180 }],
  ['acoustic -15 dB, distorted', { kind: 'acoustic', erlDb: -15, delayMs: 180, distorted: true }],
  ['acoustic -10 dB, distorted', { kind: 'acoustic', erlDb: -10, delayMs: 180, distorted: true }],
  ['acoustic -15 dB, +60 ms in the call', { kind: 'acoustic', erlDb: -15, delayMs: 120, jumpMs: 60 }],
];

const createVoiceDetector = await loadVoiceDetectors();

/** A model that says what it is given, and a clock that moves with the frames. */
class Stage {
  now = 0;
  told = [];
  emit;
  #responses = 0;
  #timers = new Set();
  model = {
    name: 'stage',
    connect: (onEvent) => {
      this.emit = onEvent;
      const note =
        (what) =>
        (...rest) =>
          void this.told.push([what, this.now, ...rest]);
      return {
        appendAudio() {},
        start() {},
        speechStarted: note('speechStarted'),
        commitTurn: note('commitTurn'),
        dtmf() {},
        cancelResponse: note('cancelResponse'),
        truncate: note('truncate'),
        close() {},
      };
    },
  };
  clock = {
    now: () => this.now,
    wallclock: () => this.now,
    setTimer: (ms, run) => {
      const timer = { at: this.now + ms, run, cancel: () => this.#timers.delete(timer) };
      this.#timers.add(timer);
      return timer;
    },
  };

  say(pcm, text) {
    this.#responses += 1;
    const responseId = `r${this.#responses}`;
    const itemId = `${responseId}i`;
    this.emit({ type: 'response_started', responseId });
    this.emit({ type: 'transcript', responseId, itemId, contentIndex: 0, delta: text });
    this.emit({ type: 'audio', responseId, itemId, pcm });
    this.emit({ type: 'response_done', responseId, status: 'completed' });
    return itemId;
  }
}

const quiet = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, child: () => quiet };

/** The agent's sentence at 24 kHz. */
function agentAudio(text, voice) {
  const gain = 32768 * 10 ** (AGENT_DB / 20);
  return Int16Array.from(speak(text, voice, 24_000), (x) => clip(x * gain));
}

/**
 * A call of some turns of the agent over a line. `event(random, n)` gives what the caller does in the n-th: undefined, or {sound, atMs, words}.
 * @returns per turn what was seen
 */
function runCall(seed, { line, noiseDb = -62, callerDb, turns = 4, event, babbleDb, guard = true }) {
  const random = new Random(seed * 31 + 5);
  const stage = new Stage();
  const session = new Session(
    { clock: stage.clock, log: quiet, model: stage.model, createVoiceDetector: guard ? createVoiceDetector : unguarded },
    {},
  );
  const events = [];
  session.observe((each) => events.push([stage.now, each]));
  session.attach({ answer() {}, reject() {}, hangup() {}, report() {} });
  session.start();
  session.handleLegEvent({ type: 'answered' });
  // Its own numbers: on every line the callers do the same.
  const path = new EchoLine(line, new Random(seed + 99));
  const level = callerDb ?? random.between(-26, -20);
  const voices = { agent: random.of(VOICES), caller: random.of(VOICES) };
  const seen = [];
  const out = new Int16Array(480);
  const near = new Float64Array(160);
  const gain = 32768 * 10 ** (level / 20);
  const noise = 32768 * 10 ** (noiseDb / 20);
  const babble = babbleDb === undefined ? undefined : babbleOf(random, babbleDb);
  let heardFrames = 0;
  const step = (sound, offset) => {
    stage.now += FRAME_MS;
    near.fill(0);
    if (sound) for (let n = 0; n < 160; n++) near[n] = (sound[offset + n] ?? 0) * gain;
    if (babble) for (let n = 0; n < 160; n++) near[n] += babble[(heardFrames * 160 + n) % babble.length];
    heardFrames += 1;
    // What was pulled a packet ago is on its way; the frame is whole at its end.
    session.handleUplink(path.pass(out, near, noise), { concealed: false }, stage.now);
    return session.pullDownlink(out, stage.now);
  };
  for (let n = 0; n < GREETING_MS / FRAME_MS; n++) step();
  for (let turn = 0; turn < turns; turn++) {
    if (turn === 2) path.jump();
    const text = random.of(ANSWERS);
    const audio = agentAudio(text, voices.agent);
    const act = event?.(random, turn, voices.caller, audio.length / 24);
    events.length = 0;
    stage.told.length = 0;
    const itemId = stage.say(audio, text);
    seen.push(watch({ stage, session, step, act, audio, events, itemId, out, turn }));
    settle(session, step);
    // A caller who is known: something to say between the agent's sentences.
    const remark = speak('I see and what else do you need to know from me', voices.caller);
    for (let n = 0; n * 160 < remark.length; n++) step(remark, n * 160);
    settle(session, step);
  }
  session.end('shutdown');
  return seen;
}

/** The built-in detector without the guard. */
function unguarded() {
  const detector = createVoiceDetector();
  return {
    process: (pcm) => {
      const { voiced, levelDb, floorDb } = detector.process(pcm);
      return { voiced, levelDb, floorDb };
    },
    free: () => detector.free(),
  };
}

function settle(session, step) {
  for (let n = 0; n < 400; n++) {
    step();
    if (n > 60 && ['idle', 'waiting'].includes(session.snapshot().state) && session.snapshot().playoutQueueMs === 0) return;
  }
}

/** One sentence of the agent, and what becomes of it. */
function watch({ stage, session, step, act, audio, events, itemId, out, turn }) {
  const start = stage.now;
  const actFrom = act ? Math.round(act.atMs / FRAME_MS) : 0;
  const seen = { turn, holds: 0, falseHolds: 0, heldMs: 0, resumed: false, committed: false };
  const frames = Math.ceil(audio.length / 480) + 150;
  let sounding = 0;
  let held = false;
  let lastSoundedAt = 0;
  for (let n = 0; n < frames; n++) {
    const k = n - actFrom;
    const inAct = act && k >= 0 && k * 160 < act.sound.length;
    if (act?.words && k === Math.ceil(act.sound.length / 160) + 15) stage.emit({ type: 'caller_words', words: act.words });
    const sounded = step(inAct ? act.sound : undefined, k * 160);
    if (sounded) {
      sounding += 1;
      lastSoundedAt = stage.now;
    }
    const state = session.snapshot().state;
    if (state === 'held' && !held) {
      held = true;
      seen.holds += 1;
      const since = act ? stage.now - (start + act.atMs) : -1;
      if (!act || since < 0) seen.falseHolds += 1;
      else if (seen.silentMs === undefined) {
        // The fade is in the packet pulled now, which is played for 20 ms.
        seen.silentMs = since + FRAME_MS;
        seen.holdAt = stage.now;
        // After a hold before it the place in the sentence is another.
        if (seen.holds === 1)
          seen.fadeStep = fadeStepOf(out, audio, session.snapshot().items.find((item) => item.itemId === itemId)?.sentMs);
      }
    } else if (state !== 'held') {
      if (held && sounded && seen.resumeAt === undefined && seen.holdAt) {
        seen.resumeAt = stage.now;
        seen.gapMs = stage.now - seen.holdAt;
        seen.resumeMs = stage.now - (start + act.atMs + act.sound.length / 8);
      }
      held = false;
    }
    if (seen.committed) continue;
    const cut = stage.told.find(([what, , id]) => what === 'truncate' && id === itemId);
    if (cut) {
      seen.committed = true;
      seen.truncateErrorMs =
        seen.resumeAt === undefined && seen.falseHolds === 0 ? Math.abs(cut[3] - (sounding * FRAME_MS - 10)) : undefined;
    }
  }
  seen.rejected = events.filter(([, each]) => each.type === 'barge_in_rejected').map(([, each]) => each.reason);
  seen.turnTaken = stage.told.some(([what]) => what === 'commitTurn');
  seen.endedAt = lastSoundedAt;
  return seen;
}

/** How much larger the fade makes a step from sample to sample than it was in the sentence itself. */
function fadeStepOf(out, audio, sentMs) {
  if (sentMs === undefined) return undefined;
  const from = Math.round(sentMs * 24) - 240;
  let most = 0;
  for (let n = 1; n < 480; n++) {
    const before = Math.abs((audio[from + n] ?? 0) - (audio[from + n - 1] ?? 0));
    most = Math.max(most, Math.abs(out[n] - out[n - 1]) - before);
  }
  return most;
}

function babbleOf(random, babbleDb) {
  return noiseOf('babble', random).map((x) => x * 32768 * 10 ** (babbleDb / 20));
}

const PLACE = (random, ms) => random.between(Math.min(1200, ms / 3), ms - 2500);

/** What a caller does over the agent's speech. */
export const EVENTS = {
  silent: () => undefined,
  interruption: (random, _n, voice, ms) => ({ sound: speak(random.of(INTERRUPTIONS), voice), atMs: PLACE(random, ms) }),
  early: (random, _n, voice) => ({ sound: speak(random.of(INTERRUPTIONS), voice), atMs: random.between(60, 500) }),
  backchannel: (random, _n, voice, ms) => ({ sound: speak(random.of(BACKCHANNELS), voice), atMs: PLACE(random, ms) }),
  /** Begins, breathes, goes on: pauses as in turns. */
  hesitation: (random, _n, voice, ms) => {
    const pauseMs = Math.max(100, Math.min(1500, 300 * Math.exp(0.52 * random.normal())));
    const [first, rest] = [speak(random.of(HESITATIONS), voice), speak(random.of(INTERRUPTIONS), voice)];
    const sound = new Float64Array(first.length + Math.round(pauseMs * 8) + rest.length);
    sound.set(first);
    sound.set(rest, sound.length - rest.length);
    return { sound, atMs: PLACE(random, ms) };
  },
  cough: (random, _n, _voice, ms) => ({ sound: coughOf(random), atMs: PLACE(random, ms) }),
  command: (random, _n, voice, ms) => ({ sound: speak(random.of(COMMANDS), voice), atMs: PLACE(random, ms) }),
  spokenCommand: (random, _n, voice, ms) => {
    const words = random.of(COMMANDS.filter((each) => each !== 'hello'));
    return { sound: speak(words, voice), words, atMs: PLACE(random, ms) };
  },
  spokenBackchannel: (random, _n, voice, ms) => {
    const words = random.of(BACKCHANNELS);
    return { sound: speak(words, voice), words, atMs: PLACE(random, ms) };
  },
};

/** A burst of noise with a voice's colour. */
export function coughOf(random) {
  const length = Math.floor(random.between(90, 310) * 8);
  const raw = Float64Array.from({ length: Math.ceil(length / 2) }, () => random.normal());
  const sound = resampled(raw, 4000, 8000);
  return sound.map((x, n) => 1.4 * x * Math.min(1, n / 80) * Math.exp((-3 * n) / length));
}

/** Calls over one line. */
export function runCalls(half, n, options) {
  return seedsOf(half, n).flatMap((seed) => runCall(seed, options));
}

export const percent = (list, test) => (list.length === 0 ? Number.NaN : (100 * list.filter(test).length) / list.length);
export const spreadOf = (list, pick) => {
  const values = list.map(pick).filter((value) => value !== undefined);
  return [quantile(values, 0.5), quantile(values, 0.95)];
};
