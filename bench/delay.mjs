import { setTimeout as elapse } from 'node:timers/promises';
import { short, spread, table } from './figures.mjs';
import { Gateway } from './gateway.mjs';
import { Phones } from './phone.mjs';
import { withWatch } from './watch.mjs';
import { yardstickMs } from './yardstick.mjs';

const UP = [
  ['phone → bridge (kernel, wake-up)', 'sent0', 'received'],
  ['source check, reorder, G.711', 'received', 'encoding'],
  ['Opus encode', 'encoding', 'encoded'],
  ['SRTP, hand-over', 'encoded', 'sent'],
  ['hop to the relay', 'sent', 'relayed'],
  ['relay → transceiver', 'relayed', 'arrived'],
  ['SRTP, reorder', 'arrived', 'decoding'],
  ['Opus decode', 'decoding', 'decoded'],
  ['session', 'decoded', 'model'],
  ['**phone → model**', 'sent0', 'model'],
];

const DOWN = [
  ['wait for the beat (first frame of a response)', 'said', 'pulled'],
  ['Opus encode', 'pulled', 'encoded'],
  ['SRTP, relay, hand-over', 'encoded', 'sent'],
  ['hop to the bridge', 'sent', 'arrived'],
  ['SRTP, reorder, Opus decode', 'arrived', 'decoded'],
  ['G.711, send', 'decoded', 'out'],
  ['bridge → phone (kernel, wake-up)', 'out', 'heard'],
  ['beat → phone, every frame', 'pulled', 'heard'],
  ['**model → phone, first frame of a response**', 'said', 'heard'],
];

/** Greetings whose first frame is followed. */
const GREETINGS = 100;

/** Delay that the gateway adds, split by stage, beyond the 20 ms of packetisation. */
export async function benchDelay({ quick }) {
  const loads = quick ? [5] : [1, 20, 50];
  const frames = [];
  for (const calls of loads) {
    const { value, floor } = await withWatch(() => measure(calls, quick));
    frames.push({ ...value, floor });
  }
  const rows = (stages, way) => stages.map(([name, from, to]) => [name, ...frames.map((each) => spread(between(each[way], from, to)))]);
  const floors = ['meanwhile an idle process was late by, p50 / p99 / p99.9', ...frames.map(({ floor }) => floor)];
  const header = ['stage', ...loads.map((calls) => `${calls} call${calls > 1 ? 's' : ''}`)];
  return {
    title: `Added delay (ms, p50 / p95; targets 15 ms p95 to the model, 30 ms p95 to the phone; fixed calculation ${short(yardstickMs())} ms)`,
    text: `${table(header, rows(UP, 'up'))}\n\n${table(header, [...rows(DOWN, 'down'), floors])}`,
  };
}

function between(frames, from, to) {
  return frames.filter((frame) => frame[from] !== undefined && frame[to] !== undefined).map((frame) => frame[to] - frame[from]);
}

async function measure(count, quick) {
  const gateway = await Gateway.start({ probe: true });
  const phones = await Phones.open(gateway.sip, { oneSocket: true });
  const calls = [];
  const sentAt = new Map();
  for (let n = 0; n < count; n++) {
    const call = await phones.call({ onPacket: (sequence, at) => sentAt.set(`${call?.ssrc}/${sequence}`, at) });
    call.noteSequences = true;
    calls.push(call);
    await elapse(37);
  }
  // Everybody speaks and hears himself: audio in every frame, both ways.
  for (const call of calls) call.press('2');
  await elapse(5000);
  await gateway.forgetProbed();
  await elapse(quick ? 3000 : 10_000);
  const steady = await gateway.probed();
  // Then new callers, who come at any moment of the beat: the first frame of each greeting counts.
  await gateway.forgetProbed();
  const greeted = [];
  for (let n = 0; n < (quick ? 10 : GREETINGS); n++) {
    const call = await phones.call({ talk: false });
    call.noteSequences = true;
    greeted.push(call);
    await elapse(200 + 40 * Math.random());
    await phones.hangUp(call);
  }
  const responses = await gateway.probed();
  const heardAt = new Map(
    [...calls, ...greeted].flatMap(({ remoteSsrc, sequences, arrivals }) =>
      sequences.map((each, n) => [`${remoteSsrc}/${each}`, arrivals[n]]),
    ),
  );
  await phones.close();
  await gateway.stop();
  const up = steady.up.map((frame) => ({ ...frame, sent0: sentAt.get(`${frame.ssrc}/${frame.sequence}`) }));
  const all = [...steady.down.map((frame) => ({ ...frame, said: undefined })), ...responses.down.filter(({ said }) => said !== undefined)];
  return { up, down: all.map((frame) => ({ ...frame, heard: heardAt.get(`${frame.ssrc}/${frame.sequence}`) })) };
}
