import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Chromium } from '../support/chromium.ts';
import { loudMsOf, WebPage, type WebPageOptions } from '../support/chromium-page.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { Lateness } from '../support/lateness.ts';
import { describePeer } from '../support/peers.ts';
import { findSound, promptSound } from '../support/prompt-sound.ts';
import { speech } from '../support/speech.ts';
import { concat, findTone, isSilent, rms, silence } from '../support/tones.ts';
import { elapse } from '../support/wait.ts';

const MICROPHONE_HZ = 16_000;
const SAID_MS = 1200;
/** What the fake microphone hears over and over: time for the greeting, somebody who speaks, and time for the answer. */
const SAID = speech(SAID_MS, { rateHz: MICROPHONE_HZ });
const LOOP_MS = 8000;
const LOOP = concat(silence(3500, MICROPHONE_HZ), SAID, silence(LOOP_MS - 3500 - SAID_MS, MICROPHONE_HZ));

/** Browsers stretch time, so pieces are short; and they take noise out of a microphone, so that not every piece stays alike. */
const ALIKE = { rateHz: MICROPHONE_HZ, pieceMs: 60 };

/** Looked at seldom: what is heard is much to hand over. */
const SOON = { timeout: 15_000, interval: 100 };

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

  describe('talks', () => {
    let page: WebPage;
    beforeAll(async () => {
      page = await open();
      await page.talk();
    });
    afterAll(() => page?.close());

    test('the agent greets, in sound and in writing, though it began before the channel was open', async () => {
      await expect.poll(async () => (await page.heard()).samples.length, SOON).toBeGreaterThan(2 * MICROPHONE_HZ);
      const { samples, rateHz } = await page.heard();
      const hello = promptSound('hello', rateHz).subarray(0, 1.2 * rateHz);
      expect(loudMsOf(samples, rateHz)).toBeGreaterThan(600);
      expect(findSound(samples, hello, ALIKE).share).toBeGreaterThan(0);
      const [first] = await page.turns();
      expect(first).toMatchObject({ who: 'agent', text: expect.stringMatching(/^Agent: Hello\. This is Ringdown\./) });
      const types = (await page.events()).map(({ type }) => type);
      expect(types.slice(0, 2)).toEqual(['session.created', 'conversation.created']);
      expect(types).toEqual(expect.arrayContaining(['response.created', 'output_audio_buffer.started']));
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
      expect(loudMsOf(heard, MICROPHONE_HZ)).toBeGreaterThan(0.5 * SAID_MS);
      expect(findSound(heard, SAID, ALIKE).share).toBeGreaterThan(0);

      const turns = await page.turns();
      expect(turns.find(({ who }) => who === 'caller')?.text).toMatch(/^You: spoke \d\.\d s$/);
      const answered = turns.at(-1);
      expect(answered?.who).toBe('agent');
      expect(answered?.latencyMs).toBeGreaterThan(200);
      expect(answered?.latencyMs).toBeLessThan(2000 + (await late.soFar()));
      const stages = await page.page.locator('#transcript .stages').last().locator('li').allTextContents();
      expect(stages.slice(0, 2)).toEqual([expect.stringMatching(/^end of turn \d+ ms$/), expect.stringMatching(/^request \d+ ms$/)]);
      expect(stages.some((each) => /^first packet \d+ ms$/.test(each))).toBe(true);
      expect(Number(await page.text('#events-count'))).toBeGreaterThan(10);
      await page.page.click('#events-panel summary');
      expect(await page.page.locator('#events > li', { hasText: 'input_audio_buffer.committed' }).count()).toBeGreaterThan(0);
      expect(await page.text('#route')).toMatch(/^\d+ ms by UDP$/);
      expect(page.faults).toEqual([]);
    });
  });

  // For the documentation alone: the same conversation in other lights and on other screens.
  test.skipIf(!process.env['RINGDOWN_SCREENSHOTS'])('pictures of it', { timeout: 60_000 }, async () => {
    const looks: readonly [string, WebPageOptions][] = [
      ['talking-desktop', {}],
      ['talking-desktop-dark', { scheme: 'dark' }],
      ['talking-phone', { viewport: { width: 390, height: 844 } }],
    ];
    for (const [name, options] of looks) {
      const page = await open(options);
      if (name === 'talking-desktop') await page.shoot('idle-desktop');
      await page.talk();
      const from = (await page.event('input_audio_buffer.committed')).at;
      await page.page.click('#events-panel summary');
      await page.event(
        'output_audio_buffer.started',
        (await page.events()).findIndex(({ at }) => at >= from),
      );
      await elapse(500);
      await page.page.evaluate('scrollTo(0, 0)');
      await page.shoot(name);
      await page.close();
    }
  });

  /** In a tab whose microphone nobody hears, so that only the test speaks. */
  async function quiet(): Promise<WebPage> {
    const page = await open({ quiet: true });
    await page.talk();
    return page;
  }

  async function key(page: WebPage, name: string): Promise<void> {
    if (await page.page.locator('#pad').isHidden()) await page.press('Keypad');
    await page.press(`Key ${name}`);
  }

  const toneHeard = async (page: WebPage): Promise<boolean> => {
    const { samples, rateHz } = await page.heard(300);
    return findTone(samples, 1004, { rateHz }).present;
  };

  test('key 3 gives the test tone, and Interrupt ends it at once', async () => {
    const page = await quiet();
    await key(page, '3');
    await expect.poll(() => toneHeard(page), SOON).toBe(true);
    await page.press('Interrupt');
    await page.event('output_audio_buffer.cleared', (await page.events()).length - 5);
    const pressedAt = await page.pressedAt('Interrupt');
    await elapse(1000);
    const { samples, rateHz, startedAt } = await page.heard();
    let last = samples.length;
    while (last > 0 && Math.abs(samples[last - 1] as number) < AUDIBLE) last--;
    const stoppedMs = startedAt + (last * 1000) / rateHz - pressedAt;
    expect(stoppedMs).toBeLessThan(200 + 2 * (await late.soFar()));
    expect(await page.turns()).toContainEqual(expect.objectContaining({ who: 'agent', text: expect.stringContaining('interrupted') }));
    expect(await page.page.locator('#problem').isHidden()).toBe(true);
    // A response may be over in the moment in which it is asked to stop; that is nobody's fault, and not shown.
    expect((await page.turns()).filter(({ who }) => who === 'note')).toEqual([]);
    await page.close();
  });

  test.concurrent('Mute is silence at the gateway, which an echo shows; pressed again it is not', async ({ expect }) => {
    const page = await open();
    await page.talk();
    await page.press('Mute');
    const from = (await page.events()).length;
    await key(page, '2');
    // "Echo. You hear yourself.": then what the gateway hears is what comes back.
    await page.event('output_audio_buffer.stopped', from);
    const silent = await page.listen(LOOP_MS + 500);
    expect(isSilent(silent.samples, { fromMs: 500, rateHz: silent.rateHz })).toBe(true);
    await page.press('Mute');
    await page.forget();
    await expect.poll(async () => rms((await page.heard(200)).samples), SOON).toBeGreaterThan(AUDIBLE);
    await page.close();
  });

  test('what is written is answered', async () => {
    const page = await quiet();
    await page.page.getByLabel('Write to the agent').fill('Good morning');
    await page.page.keyboard.press('Enter');
    await expect.poll(async () => (await page.turns())[2]?.text, SOON).toMatch(/This is Ringdown/);
    const turns = await page.turns();
    expect(turns[1]).toMatchObject({ who: 'caller', text: 'You: Good morning' });
    expect(turns[2]).toMatchObject({ who: 'agent', text: expect.stringContaining('This is Ringdown') });
    expect(await page.page.inputValue('#text')).toBe('');
    await page.close();
  });

  test.concurrent('another microphone and another speaker: the call goes on', async ({ expect }) => {
    const page = await open();
    await page.talk();
    const id = await page.sessionId();
    await page.page.click('.devices summary');
    const choose = async (list: string): Promise<string> => {
      const names = await page.page.locator(`${list} option`).allTextContents();
      expect(names.length).toBeGreaterThan(1);
      await page.page.selectOption(list, { index: names.length - 1 });
      return names.at(-1) ?? '';
    };
    expect(await choose('#microphone')).toMatch(/Fake/);
    await choose('#speaker');
    const from = (await page.events()).length;
    await page.event('input_audio_buffer.committed', from);
    expect(await page.sessionId()).toBe(id);
    expect(await page.page.locator('#problem').isHidden()).toBe(true);
    await page.close();
  });

  test.concurrent('hanging up ends the session at the gateway, and so does shutting the tab, loading it again, or "#"', async ({
    expect,
  }) => {
    const ended = (id: string) =>
      gateway.log.find((line) => line.msg === 'session ended' && line['session'] === id, 10_000, `${id} to end`);
    const ways = [
      { how: (page: WebPage) => page.press('Hang up'), cause: 'remote_hangup' },
      { how: (page: WebPage) => page.close(), cause: 'remote_hangup' },
      { how: (page: WebPage) => page.page.reload(), cause: 'remote_hangup' },
      { how: (page: WebPage) => key(page, 'hash'), cause: 'agent_hangup' },
    ];
    await Promise.all(
      ways.map(async ({ how, cause }) => {
        const page = await open();
        await page.talk();
        const id = await page.sessionId();
        await how(page);
        expect(await ended(id)).toMatchObject({ cause });
        if (cause === 'agent_hangup') {
          await page.state('idle');
          expect(await page.text('#status')).toBe('The agent hung up');
        }
        await page.close();
      }),
    );
  });
});
