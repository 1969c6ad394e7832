import { setTimeout as elapse } from 'node:timers/promises';
import { built } from './built.mjs';
import { Child } from './child.mjs';
import { quantile, short, table } from './figures.mjs';
import { microseconds } from './micro-loop.mjs';
import { withYardstick } from './yardstick.mjs';

const { systemClock: clock } = await built('base/clock.js');
const { createLog } = await built('base/log.js');
const { upstreamProfile } = await built('realtime/upstream/profile.js');
const { UpstreamConversation } = await built('realtime/upstream/upstream-conversation.js');
const { UpstreamModel } = await built('realtime/upstream/upstream-model.js');
const { DEFAULT_LINK_OPTIONS } = await built('realtime/upstream/link-keeper.js');

const PROFILE = upstreamProfile('openai');
const PLAIN = { outputModality: 'audio', tools: [], toolChoice: 'auto', maxOutputTokens: 'inf', transcription: null };
const FRAME = Int16Array.from({ length: 480 }, (_, n) => Math.round(8000 * Math.sin(n / 7)));

/** What a model behind a WebSocket costs a call: each way by itself, then whole calls over sockets. */
export async function benchUpstream({ quick }) {
  const { value, yardMs } = await withYardstick(async () => [parts(), await calls(quick ? 20 : 50, quick ? 3000 : 10_000)]);
  const [partRows, callRows] = value;
  return {
    title: `A model behind a WebSocket (fixed calculation ${short(yardMs)} ms)`,
    text: [
      table(['part, without sockets', 'µs of CPU', 'per'], partRows),
      table(['calls', 'what', '% of a core a call', 'delta in → event out, p50 / p95 / p99 ms'], callRows),
    ].join('\n\n'),
  };
}

function conversation(profile, appendMs) {
  const links = { ...DEFAULT_LINK_OPTIONS, capMs: undefined };
  const machine = new UpstreamConversation({ profile, links, config: PLAIN, appendMs, greeting: undefined, random: () => 0 });
  machine.start(0);
  machine.handleMessage(1, '{"type":"session.created"}', 0, 0);
  drain(machine);
  return machine;
}

function drain(machine) {
  let last;
  for (let output = machine.pollOutput(); output; output = machine.pollOutput()) last = output;
  return last;
}

function parts() {
  const rows = [['silence', silent(), '20 ms of audio']];
  const pcmu = upstreamProfile('generic', { input: { encoding: 'pcmu', rateHz: 8000 }, output: { encoding: 'pcmu', rateHz: 8000 } });
  const wide = upstreamProfile('generic', { input: { encoding: 'pcm', rateHz: 16_000 } });
  for (const ms of [20, 40, 100]) rows.push([`the caller speaks, ${ms} ms a message`, speaking(PROFILE, ms), '20 ms of audio']);
  rows.push(['the caller speaks, 16 kHz, 40 ms a message', speaking(wide, 40), '20 ms of audio']);
  rows.push(['the caller speaks, G.711, 40 ms a message', speaking(pcmu, 40), '20 ms of audio']);
  for (const ms of [20, 50, 200]) rows.push([`the model speaks, ${ms} ms a message`, (listening(PROFILE, ms) * 20) / ms, '20 ms of audio']);
  rows.push(['the model speaks, G.711, 50 ms a message', (listening(pcmu, 50) * 20) / 50, '20 ms of audio']);
  return rows;
}

function silent() {
  const machine = conversation(PROFILE, 40);
  return microseconds(() => machine.appendAudio(FRAME));
}

function speaking(profile, appendMs) {
  const machine = conversation(profile, appendMs);
  let heardMs = 0;
  return microseconds(() => {
    // A turn of ten seconds after the other.
    if (heardMs % 10_000 === 0) machine.speechStarted(heardMs, heardMs);
    heardMs += 20;
    machine.appendAudio(FRAME);
    return drain(machine);
  });
}

function listening(profile, pieceMs) {
  const machine = conversation(profile, 40);
  machine.handleMessage(1, '{"type":"response.created","response":{"id":"r"}}', 0, 0);
  const bytes = Buffer.alloc((pieceMs * profile.output.rateHz * (profile.output.encoding === 'pcm' ? 2 : 1)) / 1000, 7);
  const place = { response_id: 'r', item_id: 'i', output_index: 0, content_index: 0, event_id: 'event_000000000000' };
  const message = JSON.stringify({ type: 'response.output_audio.delta', ...place, delta: bytes.toString('base64') });
  let now = 0;
  return microseconds(() => {
    now += pieceMs;
    machine.handleMessage(1, message, now, 0);
    return drain(machine);
  });
}

async function calls(count, ms) {
  const server = new Child('upstream-child.mjs', { args: [JSON.stringify({ pieceMs: 50 })] });
  const { port } = await server.ask({});
  const model = new UpstreamModel(
    { clock, log: createLog('silent') },
    { url: `ws://127.0.0.1:${port}/v1`, profile: PROFILE, model: 'bench', greet: true },
  );
  const delays = [];
  let said = 0;
  const connections = Array.from({ length: count }, () =>
    model.connect((event) => {
      if (event.type !== 'audio') return;
      said += 1;
      const sentAt = Buffer.from(event.pcm.buffer, event.pcm.byteOffset, 8).readDoubleLE(0);
      delays.push(performance.timeOrigin + performance.now() - sentAt);
    }),
  );
  await elapse(500);
  const rows = [await load('the caller is silent', connections, ms, () => {})];
  for (const connection of connections) connection.speechStarted(0);
  rows.push(await load('the caller speaks', connections, ms, () => {}));
  for (const connection of connections) connection.dtmf('1');
  for (const connection of connections) connection.start();
  await elapse(200);
  delays.length = 0;
  rows.push(await load('the model speaks, 50 ms a message', connections, ms, () => delays));
  if (said === 0) throw new Error('the model said nothing');
  for (const connection of connections) connection.close();
  await server.stop();
  return rows;
}

/** Every call hears 20 ms every 20 ms, as from the pacer: all of them in one go. */
async function load(what, connections, ms, delaysOf) {
  const before = process.cpuUsage();
  const startedAt = performance.now();
  for (let frames = 0; performance.now() - startedAt < ms; await elapse(5)) {
    for (; frames * 20 < performance.now() - startedAt; frames += 1) for (const connection of connections) connection.appendAudio(FRAME);
  }
  const { user, system } = process.cpuUsage(before);
  const share = (user + system) / 10 / (performance.now() - startedAt) / connections.length;
  const delays = delaysOf();
  const delay = delays ? [0.5, 0.95, 0.99].map((q) => short(quantile(delays, q))).join(' / ') : '–';
  return [String(connections.length), what, share, delay];
}
