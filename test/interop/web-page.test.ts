import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Chromium } from '../support/chromium.ts';
import { WebPage, type WebPageOptions } from '../support/chromium-page.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { Lateness } from '../support/lateness.ts';
import { describePeer } from '../support/peers.ts';
import { findSound, promptSound } from '../support/prompt-sound.ts';
import { speech } from '../support/speech.ts';
import { concat, findTone, rms, silence } from '../support/tones.ts';
import { elapse, eventually } from '../support/wait.ts';

const MICROPHONE_HZ = 16_000;
const SAID_MS = 1200;
/** What the fake microphone hears over and over: time for the greeting, somebody who speaks, and time for the answer. */
const SAID = speech(SAID_MS, { rateHz: MICROPHONE_HZ });
const LOOP_MS = 8000;
const LOOP = concat(silence(3500, MICROPHONE_HZ), SAID, silence(LOOP_MS - 3500 - SAID_MS, MICROPHONE_HZ));

/** Browsers stretch time, so pieces are short; and they take noise out of a microphone, so that not every piece stays alike. */
const ALIKE = { rateHz: MICROPHONE_HZ, pieceMs: 60 };

/** Louder than what a codec leaves of silence. */
const AUDIBLE = 150;

describePeer('chromium', 'the page', () => {
  let gateway: GatewayProcess;
  let chromium: Chromium;
  let late: Lateness;

  beforeAll(async () => {
    [gateway, chromium] = await Promise.all([
      GatewayProcess.start(),
      Chromium.start({ microphone: { samples: LOOP, rateHz: MICROPHONE_HZ } }),
    ]);
    late = new Lateness(gateway);
  });
  afterAll(async () => {
    late?.stop();
    await chromium?.close();
    await gateway?.stop();
  });

  const open = (options: WebPageOptions = {}): Promise<WebPage> =>
    WebPage.open(chromium, `http://127.0.0.1:${gateway.http.port}/`, options);

  const sessions = async (): Promise<number> => (await gateway.metrics()).value('ringdown_sessions');

  describe('talks', () => {
    let page: WebPage;
    beforeAll(async () => {
      page = await open();
      await page.talk();
    });
    afterAll(() => page?.close());

    test('the agent greets, in sound and in writing, though it began before the channel was open', async () => {
      await eventually(async () => (await page.heard()).samples.length > 2 * MICROPHONE_HZ, 10_000, 'two seconds of sound');
      const { samples, rateHz } = await page.heard();
      const hello = promptSound('hello', rateHz).subarray(0, 1.2 * rateHz);
      expect(findSound(samples, hello, ALIKE).share).toBeGreaterThan(0.6);
      const [first] = await page.turns();
      expect(first).toMatchObject({ who: 'agent', text: expect.stringMatching(/^Agent: Hello\. This is Ringdown\./) });
      const types = (await page.events()).map(({ type }) => type);
      expect(types.slice(0, 3)).toEqual(['session.created', 'conversation.created', 'response.created']);
    });

    test('and says back what it heard; the turn has its bar', async () => {
      const done = await page.event('output_audio_buffer.stopped');
      const { at: from } = await page.event('input_audio_buffer.committed');
      const { samples, startedAt } = await page.heard();
      const origin = (await page.page.evaluate('performance.timeOrigin')) as number;
      // Times of the tab as places in the recording.
      const place = (at: number): number => origin + at - performance.timeOrigin - startedAt;
      const answer = { fromMs: place(from), toMs: place(done.at) + 200, rateHz: MICROPHONE_HZ };
      const heard = samples.subarray((answer.fromMs * 16) | 0, (answer.toMs * 16) | 0);
      const loudMs = Array.from({ length: Math.floor(heard.length / 320) }, (_, n) => rms(heard.subarray(n * 320, n * 320 + 320))).filter(
        (level) => level > AUDIBLE,
      ).length * 20;
      expect(loudMs).toBeGreaterThan(0.6 * SAID_MS);
      expect(findSound(heard, SAID, ALIKE).share).toBeGreaterThan(0.2);

      const turns = await page.turns();
      expect(turns.find(({ who }) => who === 'caller')?.text).toMatch(/^You: spoke \d\.\d s$/);
      const answered = turns.at(-1);
      expect(answered?.who).toBe('agent');
      expect(answered?.latencyMs).toBeGreaterThan(200);
      expect(answered?.latencyMs).toBeLessThan(2000 + (await late.soFar()));
      expect(Number(await page.text('#events-count'))).toBeGreaterThan(10);
    });
  });
});
