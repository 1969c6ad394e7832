import { afterAll, beforeAll, expect, test } from 'vitest';
import { resample } from '../../src/audio/resampler.ts';
import { type BrowserPeer, Chromium } from '../support/chromium.ts';
import { Lateness } from '../support/lateness.ts';
import { describePeer } from '../support/peers.ts';
import { type ResponseAsk, ScriptedUpstream, type UpstreamSession } from '../support/scripted-upstream.ts';
import { speech } from '../support/speech.ts';
import { PROJECTS, SHOP_KEY, StockGateway } from '../support/stock-gateway.ts';
import { PHONE_RATE_HZ, rms, SILENCE_RMS, tone, toneRuns, toneShare } from '../support/tones.ts';
import { eventually } from '../support/wait.ts';

const DEADLINE_MS = 15_000;
const AFTER_MS = 300;
/** Between two keys of somebody who types there is never more. */
const LONGEST_REST_MS = 560;
/** Of 5 ms with something to hear in them: four or five keys. */
const ENOUGH_KEYS = 25;
/** From a voice in the page to silence in it: to the gateway, 60 ms of evidence, back, and the browser's buffer, which is 100 ms and more. */
const STOPS_WITHIN_MS = 450;

type Step = (session: UpstreamSession, ask: ResponseAsk) => void;

/** A voice as soft as typing: what is laid under it is found. */
const says =
  (freqHz: number, ms: number): Step =>
  (session, ask) =>
    session.say(ask, { pcm: tone(freqHz, ms, { rateHz: 24_000, amplitude: 500 }), transcript: `${freqHz}` });

describePeer('chromium', 'what Chromium hears while a tool runs', () => {
  const plan: Step[] = [];
  let chromium: Chromium;
  let upstream: ScriptedUpstream;
  let gateway: StockGateway;

  beforeAll(async () => {
    upstream = await ScriptedUpstream.start({ respond: (session, ask) => plan.shift()?.(session, ask) });
    const model = `model: {type: realtime, profile: generic, url: "${upstream.url}", greet: true}`;
    gateway = await StockGateway.start(`${PROJECTS}${model}\ntools: {filler: {sound: typing, after-ms: ${AFTER_MS}}}\n`);
    chromium = await Chromium.start();
  });
  afterAll(async () => {
    await chromium?.close();
    await gateway?.stop();
    await upstream?.stop();
  });

  async function called(): Promise<BrowserPeer> {
    const browser = await chromium.peer();
    const response = await fetch(`${gateway.baseURL}/realtime/calls?model=any`, {
      method: 'POST',
      headers: { authorization: `Bearer ${SHOP_KEY}`, 'content-type': 'application/sdp' },
      body: await browser.offer(),
    });
    expect(response.status).toBe(201);
    await browser.accept(await response.text());
    await browser.channelOpen();
    return browser;
  }

  test('is somebody who types, who stops at once for the user and for the agent, and goes on in between', async () => {
    plan.push(says(440, 300));
    const browser = await called();
    const late = new Lateness(gateway.process);
    const send = (event: object): Promise<void> => browser.send(JSON.stringify(event));
    const heard = async () => {
      const { samples, rateHz, startedAt } = await browser.heard();
      return { samples: resample(samples, rateHz, PHONE_RATE_HZ), startedAt };
    };
    const runOf = (samples: Int16Array, freqHz: number, leastMs = 150) =>
      toneRuns(samples, freqHz).find(({ fromMs, toMs }) => toMs - fromMs > leastMs);
    const hears = (freqHz: number, ms: number) =>
      eventually(async () => runOf((await heard()).samples, freqHz, ms), DEADLINE_MS, `${freqHz} Hz`);
    /** After the agent has said this. */
    const typesAfter = (freqHz: number) =>
      eventually(
        async () => {
          const { samples } = await heard();
          const said = runOf(samples, freqHz)?.toMs ?? Number.POSITIVE_INFINITY;
          return loudAt(samples).filter((ms) => ms > said + 100).length > ENOUGH_KEYS;
        },
        DEADLINE_MS,
        `typing after ${freqHz} Hz`,
      );
    await hears(440, 150);
    const slow = { type: 'function', name: 'slow', parameters: { type: 'object' } };
    await send({ type: 'session.update', session: { type: 'realtime', tools: [slow] } });
    plan.push((session, ask) => session.callFunction(ask, 'slow', '{}'), says(550, 300), says(330, 1000));
    await send({ type: 'response.create' });
    const done = JSON.parse(await browser.message((text) => text.includes('"response.function_call_arguments.done"'), DEADLINE_MS));
    await typesAfter(440);

    const saidAt = await browser.say(speech(1800));
    await typesAfter(550);
    await send({ type: 'conversation.item.create', item: { type: 'function_call_output', call_id: done.call_id, output: 'found' } });
    await send({ type: 'response.create' });
    await hears(330, 750);
    const slackMs = 2 * (await late.soFar());
    late.stop();
    const { samples, startedAt } = await heard();
    await browser.close();

    // The user speaks: not a key more, until the agent has answered.
    const from = saidAt - startedAt;
    const [answer, last] = [runOf(samples, 550), runOf(samples, 330)];
    if (!answer || !last) throw new Error('no answers');
    const loud = loudAt(samples);
    const keys = loud.filter((ms) => ms > from && ms < answer.fromMs - 20);
    console.info(`typing stopped ${((keys.at(-1) ?? from) - from).toFixed(0)} ms after the voice began, slack ${slackMs.toFixed(0)} ms`);
    expect((keys.at(-1) ?? from) - from).toBeLessThan(STOPS_WITHIN_MS + slackMs);
    // Another key would have come in that time.
    expect(answer.fromMs - from - STOPS_WITHIN_MS).toBeGreaterThan(LONGEST_REST_MS);
    // Nothing is laid under what the agent says.
    const pieces = Array.from({ length: 16 }, (_, n) => last.fromMs + 40 + 40 * n).map((ms) =>
      toneShare(samples, 330, { fromMs: ms, toMs: ms + 40 }),
    );
    // What a busy machine breaks is a piece or two; keys would spoil every other one.
    expect(pieces.filter((share) => share > 0.95).length).toBeGreaterThanOrEqual(12);
  });
});

/** Milliseconds of the recording, each 5, in which something sounds. */
function loudAt(samples: Int16Array): number[] {
  const step = PHONE_RATE_HZ / 200;
  const found: number[] = [];
  for (let at = 0; at + step <= samples.length; at += step) if (rms(samples.subarray(at, at + step)) > SILENCE_RMS) found.push(at / 8);
  return found;
}
