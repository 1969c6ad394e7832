import { setTimeout as elapse } from 'node:timers/promises';
import { built } from './built.mjs';
import { Child } from './child.mjs';
import { quantile, short, table } from './figures.mjs';
import { withYardstick } from './yardstick.mjs';

const { systemClock: clock } = await built('base/clock.js');
const { createLog } = await built('base/log.js');
const { PipelineModel } = await built('realtime/pipeline/pipeline-model.js');
const { loadPrompts, textOf } = await built('realtime/embedded/prompts.js');

const FRAME = Int16Array.from({ length: 480 }, (_, n) => Math.round(8000 * Math.sin(n / 7)));
const TURN_MS = 1000;

/** A model of services in a row: what it adds to their own times, and what callers hear when they fail. */
export async function benchPipeline({ quick }) {
  const count = quick ? 10 : 40;
  const turns = quick ? 4 : 12;
  const { value, yardMs } = await withYardstick(async () => [
    await talks({ count: 1, turns: quick ? 8 : 25, failEvery: 0 }),
    await talks({ count, turns, failEvery: 0 }),
    await talks({ count, turns, failEvery: 100 }),
    await talks({ count, turns, failEvery: 20 }),
  ]);
  const columns = [
    'calls',
    'requests that fail',
    'turns',
    'sound there → event, p50 / p95 / p99 ms',
    'end of turn → first sound, p50 / p95 / max ms (services alone: 430)',
    'worst dead air of a turn, p50 / p99 / max ms',
    'turns answered otherwise',
    'cancel → requests gone, max ms',
    '% of a core a call',
  ];
  return {
    title: `Services in a row: transcription 100 ms, chat 150 ms, speech 100 ms (fixed calculation ${short(yardMs)} ms)`,
    text: table(columns, value),
  };
}

async function talks({ count, turns, failEvery }) {
  const services = new Child('pipeline-child.mjs', { args: [JSON.stringify({ hearMs: 100, thinkMs: 150, speakMs: 100, failEvery })] });
  const { port } = await services.ask({});
  const service = { url: `http://127.0.0.1:${port}/v1`, model: 'bench' };
  const { sorry, transfer } = await loadPrompts();
  const spare = (pcm) => ({ text: textOf(pcm), pcm });
  const model = new PipelineModel(
    { clock, log: createLog('silent'), prompts: { fallback: spare(sorry), patience: spare(transfer) } },
    { transcription: service, chat: service, speech: { ...service, voice: 'v' } },
  );
  const figures = { lags: [], firsts: [], dead: [], failed: 0, cancels: [] };
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: count }, (_, n) => talk(model, turns, n * 7, figures)));
  const { user, system } = process.cpuUsage(cpuBefore);
  const share = (user + system) / 10 / (performance.now() - startedAt) / count;
  model.close();
  await services.stop();
  const of = (values, ...qs) => qs.map((q) => short(quantile(values, q))).join(' / ');
  return [
    String(count),
    failEvery === 0 ? 'none' : `1 in ${failEvery}`,
    String(count * turns),
    of(figures.lags, 0.5, 0.95, 0.99),
    of(figures.firsts, 0.5, 0.95, 1),
    of(figures.dead, 0.5, 0.99, 1),
    String(figures.failed),
    of(figures.cancels, 1),
    short(share),
  ];
}

async function talk(model, turns, delayMs, figures) {
  await elapse(delayMs);
  let heardMs = 0;
  let turn;
  const connection = model.connect((event) => {
    const now = performance.now();
    if (event.type === 'response_started') turn.responseId = event.responseId;
    if (event.type === 'response_done') turn.done(event.status);
    if (event.type !== 'audio') return;
    if (event.pcm.length === 4800) {
      const sentAt = Buffer.from(event.pcm.buffer, event.pcm.byteOffset, 8).readDoubleLE(0);
      const lag = performance.timeOrigin + now - sentAt;
      // Of sentences that are fetched ahead the sound waits for its turn.
      if (turn.firstAt === undefined && lag >= 0 && lag < 10_000) figures.lags.push(lag);
    }
    turn.firstAt ??= now;
    turn.deadMs = Math.max(turn.deadMs, now - turn.playedBy);
    turn.playedBy = Math.max(turn.playedBy, now) + event.pcm.length / 24;
  });
  for (let n = 0; n < turns; n++) {
    connection.speechStarted(heardMs);
    for (let at = 0; at < TURN_MS; at += 20) connection.appendAudio(FRAME);
    const from = performance.now();
    const over = new Promise((done) => {
      turn = { from, playedBy: from, deadMs: 0, firstAt: undefined, responseId: undefined, done };
    });
    connection.commitTurn({ startMs: heardMs, endMs: heardMs + TURN_MS });
    heardMs += TURN_MS;
    const status = await over;
    if (status !== 'completed') figures.failed += 1;
    if (turn.firstAt !== undefined) figures.firsts.push(turn.firstAt - from);
    figures.dead.push(turn.deadMs);
  }
  figures.cancels.push(cancelling(connection, heardMs, () => turn.responseId));
  connection.close();
}

/** How long a cancellation takes here: all its requests are destroyed when it returns. */
function cancelling(connection, heardMs, responseId) {
  connection.speechStarted(heardMs);
  for (let at = 0; at < TURN_MS; at += 20) connection.appendAudio(FRAME);
  connection.commitTurn({ startMs: heardMs, endMs: heardMs + TURN_MS });
  const from = performance.now();
  connection.cancelResponse(responseId());
  return performance.now() - from;
}
