import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as elapse } from 'node:timers/promises';
import { tsImport } from 'tsx/esm/api';
import { built } from '../built.mjs';
import { seedsOf } from '../corpus/generate.mjs';
import { Random } from '../corpus/random.mjs';
import { speak } from '../corpus/render.mjs';
import { BACKCHANNELS, INTERRUPTIONS, VOICES } from '../corpus/scripts.mjs';
import { coughOf } from './barge-in.mjs';
import { tapsOf } from './echo-line.mjs';
import { clip } from './end-of-turn.mjs';

const { Decimator } = await built('audio/decimate.js');

const support = (name) => tsImport(`../../test/support/${name}.ts`, import.meta.url);
const { SILENT_BELOW, WireCall, WireModel, audible, isLoud, silenceFrom, soundFrom } = await support('wire-call');
const { findMarker } = await support('chirp');
const { Switchhook } = await support('switchhook');
const { GatewayProcess } = await support('gateway-process');
const { removeFolder, tempFolder } = await support('temp-folder');

/** Of the agent, and of callers. */
const AGENT_DB = -20;
/** No two alike, so that 80 ms of them are found at one place. */
const WORDS = (
  'seven April morning window garden eleven Monday station river yellow August thirty market bicycle November orange Sunday kitchen ' +
  'ninety mountain winter carpet paper Wednesday coffee July summer letter island twenty bottle March engine hundred forest'
).split(' ');

/** Said one after the other without a pause, each word with its place (ms): where the agent goes on can be told to the word. */
export function countingAgent(random, seconds) {
  const voice = random.of(VOICES);
  const pieces = [];
  const words = [];
  const left = [...WORDS];
  let at = 0;
  while (at < seconds * 24_000 && left.length > 0) {
    const [word] = left.splice(Math.floor(random.next() * left.length), 1);
    const sound = squeezed(speak(word, voice, 24_000));
    words.push({ from: at / 24, to: (at + sound.length) / 24 });
    pieces.push(sound);
    at += sound.length;
  }
  const gain = 32768 * 10 ** (AGENT_DB / 20);
  const pcm = new Int16Array(at);
  at = 0;
  for (const piece of pieces) for (const x of piece) pcm[at++] = clip(x * gain);
  // The first packet of it is heard to be the first.
  for (let n = 0; n < 480; n++) pcm[n] = clip(pcm[n] + 2000 * Math.sin((2 * Math.PI * 500 * n) / 24_000));
  return { pcm, words };
}

/** Without its pauses, plosives' too: what is silent on the wire was silenced. */
function squeezed(sound) {
  const out = [];
  const step = 120;
  let quiet = 0;
  for (let at = 0; at + step <= sound.length; at += step) {
    const piece = sound.subarray(at, at + step);
    const loudest = piece.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    quiet = loudest < 0.03 ? quiet + 1 : 0;
    if (quiet < 4) out.push(...piece);
  }
  return Float64Array.from(out);
}

export const WIRE_LINES = [
  ['clean', undefined],
  ['hybrid -15 dB, 120 ms', { kind: 'hybrid', erlDb: -15, delayMs: 120 }],
  ['acoustic -15 dB, 180 ms', { kind: 'acoustic', erlDb: -15, delayMs: 180 }],
];

/** As many calls for each line at a time: more, and the machine is late. */
const SEEDS_AT_ONCE = 4;

/** The built gateway in a process of its own, with a scripted model. */
export async function openWire() {
  const model = await WireModel.start();
  const folder = tempFolder('bench');
  const config = join(folder, 'ringdown.yaml');
  writeFileSync(config, model.config);
  const gateway = await GatewayProcess.start({ run: 'built', flags: ['--config', config, '--max-calls', '50'] });
  const hook = new Switchhook();
  return {
    pid: gateway.pid,
    /** @param sentences what the model will say, 24 kHz; @param echo of the line */
    call: (sentences, echo) => WireCall.open(hook, gateway, model, sentences, echo),
    close: async () => {
      await hook.close();
      await gateway.stop();
      await model.stop();
      removeFolder(folder);
    },
  };
}

export async function measureWire({ quick, half }) {
  const wire = await openWire();
  try {
    const seeds = seedsOf(half, quick ? 2 : 16);
    const acts = [];
    for (let from = 0; from < seeds.length; from += SEEDS_AT_ONCE) {
      // All of it before the first call: a phone that stands still while the next one's sentences are made has another echo.
      const plans = WIRE_LINES.flatMap((line) => seeds.slice(from, from + SEEDS_AT_ONCE).map((seed) => planOf(seed, line)));
      const talks = [];
      for (const plan of plans) talks.push((await openTalk(wire, plan))());
      const judges = await Promise.all(talks);
      acts.push(...judges.flatMap((judged) => judged()));
    }
    return acts;
  } finally {
    await wire.close();
  }
}

/** An end that was taken back has used a sentence up. */
const SPARE = 6;

/** Stages of an answer that leave a trace outside the gateway. */
export const MEASURED_STAGES = ['requested', 'first_delta', 'first_packet'];

/** Sentences of the agent in a call, and the last answer after them. */
const TURNS = 8;
const REMARK = 'I see and what else do you need to know from me';

/** What is said in a call, and over which line. */
function planOf(seed, [name, line]) {
  const random = new Random(seed * 131 + 7);
  const sentences = Array.from({ length: TURNS + SPARE }, () => countingAgent(random, 6));
  const echo = line && { delayMs: line.delayMs, taps: tapsOf(line, random) };
  return { name, random, sentences, echo };
}

async function openTalk(wire, { name, random, sentences, echo }) {
  const pcms = sentences.map(({ pcm }) => pcm);
  const call = await wire.call(pcms, echo);
  return () => talk(call, random, sentences, name);
}

async function talk(wire, random, sentences, line) {
  const voice = random.of(VOICES);
  const gain = 32768 * 10 ** (random.between(-26, -20) / 20);
  const say = async (spoken) => {
    const sound = cutLoud(spoken);
    // Ends with its packet: which one is the last with a voice is beyond doubt, whoever judges.
    const lead = (160 - (sound.length % 160)) % 160;
    const said = await wire.say(
      Int16Array.from(sound, (x) => clip(x * gain)),
      lead,
    );
    return { onsetAt: said.startedAt - 20 + lead / 8, onWireAt: said.startedAt, endedAt: said.endedAt };
  };
  const acts = [];
  let { n, first } = await answerAfter(wire, -1);
  for (let turn = 0; turn < TURNS && first; turn++) {
    const kind = random.of(['interruption', 'interruption', 'early', 'backchannel', 'cough']);
    const sound = {
      interruption: () => speak(random.of(INTERRUPTIONS), voice),
      early: () => speak(random.of(INTERRUPTIONS), voice),
      backchannel: () => speak(random.of(BACKCHANNELS), voice),
      cough: () => coughOf(random),
    }[kind]();
    const afterMs = kind === 'early' ? random.between(20, 500) : random.between(1000, 3500);
    await elapse(first.at + afterMs - performance.now());
    const act = {
      line,
      kind,
      n,
      endsInWords: kind !== 'cough',
      firstAt: first.at,
      soundMs: sound.length / 8,
      afterMs,
      ...(await say(sound)),
    };
    acts.push(act);
    if (kind === 'backchannel' || kind === 'cough') {
      // The agent goes on to its end, however late that is on a busy machine; then something is said for it to answer.
      await elapse(first.at + sentences[n].pcm.length / 24 + 2500 - performance.now());
      await agentEnds(wire, act.onWireAt);
      act.remarkAt = performance.now();
      if (wire.spoken.count <= n + 1) Object.assign(act, { endedAt: (await say(speak(REMARK, voice))).endedAt, endsInWords: true });
    }
    ({ n, first } = await answerAfter(wire, n));
    act.answer = n;
  }
  await elapse(300);
  await wire.close();
  // Later, when nobody's packets are made late by it.
  return () => {
    const recorded = wire.media.recording();
    const recording = { ...recorded, heard: audible(recorded.samples) };
    for (const act of acts) Object.assign(act, judgeSilence(wire, recording, act, sentences[act.n]), judgeLedger(wire, act));
    return acts;
  };
}

/** Nothing of the agent is left to be heard. @param since what is told from then on says so */
async function agentEnds(wire, since) {
  const isOver = () => {
    const types = wire.told.all.filter(({ at }) => at >= since).map(({ type }) => type);
    const over = Math.max(types.lastIndexOf('output_audio_buffer.stopped'), types.lastIndexOf('output_audio_buffer.cleared'));
    return over > types.lastIndexOf('output_audio_buffer.started');
  };
  for (const until = performance.now() + 10_000; performance.now() < until && !isOver(); ) await elapse(20);
}

/** The first answer after the n-th that is heard: one that was taken back never is. */
async function answerAfter(wire, after) {
  for (const until = performance.now() + 12_000; performance.now() < until; await elapse(20)) {
    const n = wire.spoken.count - 1;
    if (n <= after) continue;
    const { saidAt } = wire.spoken.all[n];
    const first = wire.media.arrivals.all.find((each) => each.at >= saidAt && isLoud(each));
    if (first) return { n, first };
  }
  return { n: after, first: undefined };
}

/** Ends in the middle of a voice: everybody agrees on which packet is the last. */
function cutLoud(sound) {
  const isLoud = (from) => sound.subarray(from, from + 40).reduce((most, x) => Math.max(most, Math.abs(x)), 0) > 0.3;
  for (let end = sound.length; end > 400; end -= 40) {
    if ([160, 120, 80, 40].every((back) => isLoud(end - back))) return sound.subarray(0, end);
  }
  return sound;
}

/** When a sample was played by a phone that plays each packet as it comes. The recording begins with a packet, and all have 160 samples. */
const playedAt = (recording, sample) => recording.arrivedAt(sample) + (sample % 160) / 8;

/** When the agent fell silent, what the model was told of it, and where it went on: all from what came to the phone. */
function judgeSilence(wire, recording, { onsetAt, onWireAt, firstAt, remarkAt = Number.POSITIVE_INFINITY, n }, { pcm, words }) {
  const { samples, heard } = recording;
  let from = 0;
  while (from < samples.length && !(recording.arrivedAt(from) >= onsetAt)) from += 160;
  const silent = silenceFrom(heard, from - 160);
  if (silent === undefined) return {};
  const last = silent - 1;
  const silentAt = playedAt(recording, last);
  const found = { silentMs: silentAt - onsetAt, wireMs: recording.arrivedAt(last) - onWireAt };
  const original = narrowed(pcm);
  const endMs = endOf(samples, last, original, silentAt - firstAt);
  if (endMs === undefined) return found;
  found.fadeStep = fadeStepOf(samples, last, original, endMs);
  const { itemId } = wire.spoken.all[n];
  // What is said for the agent to answer may interrupt it: that is none of the sound's doing.
  const cut = wire.asked.all.find(
    ({ at, event }) => at < remarkAt && event.type === 'conversation.item.truncate' && event.item_id === itemId,
  );
  found.committed = cut !== undefined;
  if (cut) found.truncationErrorMs = truncationErrorOf(recording, cut, original);
  const next = soundFrom(heard, silent);
  // What comes after an interruption is another sentence.
  if (next === undefined || found.committed) return found;
  const leadMs = leadOf(samples, () => next + 80, original, endMs);
  if (leadMs !== undefined) {
    const after = leadMs + (next + 80) / 8;
    found.gapMs = playedAt(recording, next) - silentAt;
    found.repeatedMs = endMs - 10 - (after - 10);
    found.words = found.repeatedMs > 0 ? wordsBetween(words, after - 10, endMs - 10) : -wordsBetween(words, endMs - 10, after - 10);
  }
  return found;
}

/** What the model was told beside what had come to the phone by then. Of a fade the first half counts. */
function truncationErrorOf({ samples, heard, arrivedAt }, { at, event }, original) {
  let last = samples.length - 1;
  while (last > 0 && !(arrivedAt(last) <= at + 40)) last -= 160;
  while (last > 0 && Math.abs(heard[last]) < SILENT_BELOW) last -= 1;
  const endMs = endOf(samples, last, original, event.audio_end_ms);
  return endMs === undefined ? undefined : event.audio_end_ms - (endMs - 10);
}

/** The codec gives back the end of a packet up to 7 ms late. */
const OVERHANG = 56;

/** How much of a recording is looked for in the original, in samples: 80 ms of speech have a double now and then, 300 have none, but are not always there. */
const PROBES = [2400, 640];

/** By how many ms the original is ahead of the recording where this piece of it is; looked for a second and a half around. @param startOf of a piece so long */
function leadOf(samples, startOf, original, aboutMs) {
  for (const length of PROBES) {
    const at = startOf(length);
    if (at < 0 || at + length > samples.length) continue;
    const found = findMarker(original, samples.subarray(at, at + length), {
      fromMs: aboutMs - 1500,
      toMs: aboutMs + 1500,
      minLikeness: 0.6,
    });
    if (found) return found.atMs - at / 8;
  }
  return undefined;
}

/** Up to where the original was sent, in ms, when this is its last sample that is heard: its last packet is the fade. */
function endOf(samples, last, original, aboutMs) {
  const leadMs = leadOf(samples, (length) => last - 160 - length, original, aboutMs);
  return leadMs === undefined ? undefined : leadMs + (Math.ceil((last - OVERHANG) / 160) * 160) / 8;
}

/** Words of which the middle is in between. */
const wordsBetween = (words, fromMs, toMs) => words.filter(({ from, to }) => (from + to) / 2 >= fromMs && (from + to) / 2 < toMs).length;

/** In its last 5 ms the fade is at a quarter at the most: how much steeper it is there than a quarter of the sentence itself. What was cut off is. */
function fadeStepOf(samples, last, original, endMs) {
  const end = Math.round(endMs * 8);
  return Math.max(0, Math.round(steepest(samples, last - 40, last + 8) - steepest(original, end - 240, end + 48) / 4));
}

function steepest(samples, from, to) {
  let most = 0;
  for (let n = Math.max(1, from); n < Math.min(samples.length, to); n++) most = Math.max(most, Math.abs(samples[n] - samples[n - 1]));
  return most;
}

function narrowed(pcm) {
  const out = new Int16Array(160);
  const decimator = new Decimator();
  const all = new Int16Array(Math.floor(pcm.length / 480) * 160);
  for (let at = 0; at + 480 <= pcm.length; at += 480) {
    decimator.process(pcm.subarray(at, at + 480), out);
    all.set(out, at / 3);
  }
  return all;
}

/** What the event says of a turn beside what was seen: each stage that leaves a trace outside, in ms too late. */
function judgeLedger(wire, { endedAt, endsInWords, answer }) {
  if (!endsInWords) return {};
  const item = wire.spoken.all[answer];
  if (!item) return {};
  const [first] = wire.media.arrivals.all.filter((each) => each.at >= item.saidAt && isLoud(each));
  const event = wire.told.all.find(({ type, at }) => type === 'turn.latency' && at >= item.saidAt);
  if (!first || !event) return {};
  return {
    ledger: {
      requested: event.requested_ms - (item.askedAt - endedAt),
      first_delta: event.first_delta_ms - (item.saidAt - endedAt),
      first_packet: event.first_packet_ms - (first.at - endedAt),
      ear: event.ear_ms,
    },
  };
}
