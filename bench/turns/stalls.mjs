import { setTimeout as elapse } from 'node:timers/promises';
import { Random } from '../corpus/random.mjs';
import { tapsOf } from './echo-line.mjs';
import { countingAgent, openWire, WIRE_LINES } from './wire.mjs';

/** For how long the gateway stands still, in milliseconds: what neighbours, snapshots and the collector do to it. */
const STALLS_MS = [0, 40, 60, 80, 120, 200, 400];

/** Of the agent, without a pause. */
const SPEECH_S = 24;
/** The line is known by then; what happens before is the cold half second of the other tables. */
const WARM_MS = 4000;
/** The callers say nothing: whoever is heard was not there. */
const HOLDS = new Set(['barge_in.rejected', 'input_audio_buffer.speech_started']);
/** Whatever a stall does is done by then. */
const BETWEEN_MS = 2500;

/**
 * Calls whose callers say nothing, on lines with an echo; the process of the gateway is stopped again and again while the agent speaks.
 * @returns for each length: how often a call was stopped, and how often its agent fell silent for it
 */
export async function measureStalls({ quick }) {
  const wire = await openWire();
  const random = new Random(11);
  const rows = [];
  try {
    for (const stallMs of STALLS_MS)
      rows.push({ stallMs, ...(await stop(wire, random, stallMs, quick ? { calls: 4, times: 2 } : { calls: 8, times: 6 })) });
  } finally {
    await wire.close();
  }
  return rows;
}

async function stop(wire, random, stallMs, { calls, times }) {
  const lines = WIRE_LINES.filter(([, line]) => line);
  const talks = [];
  for (let n = 0; n < calls; n++) {
    const [, line] = lines[n % lines.length];
    const echo = { delayMs: line.delayMs, taps: tapsOf(line, random) };
    talks.push(await wire.call([countingAgent(random, SPEECH_S).pcm], echo));
  }
  await elapse(WARM_MS);
  const holds = (from) => talks.filter(({ told }) => told.all.some(({ at, type }) => at >= from && HOLDS.has(type))).length;
  let held = 0;
  for (let n = 0; n < times; n++) {
    const from = performance.now();
    if (stallMs > 0) {
      process.kill(wire.pid, 'SIGSTOP');
      await elapse(stallMs);
      process.kill(wire.pid, 'SIGCONT');
    }
    await elapse(BETWEEN_MS);
    held += holds(from);
  }
  for (const talk of talks) await talk.close();
  return { stopped: calls * times, held };
}
