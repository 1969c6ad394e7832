import { afterAll, beforeAll, expect, test } from 'vitest';
import { Chromium } from '../support/chromium.ts';
import { WebPage, type WebPageOptions } from '../support/chromium-page.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { describePeer } from '../support/peers.ts';
import { silence } from '../support/tones.ts';

const KEY = 'sk-page-0123456789';
const PHONE = { width: 390, height: 844 };

/** Nobody speaks: a caller would interrupt what the tests listen to. */
const MICROPHONE = { samples: silence(1000, 16_000), rateHz: 16_000 };

/** Where nobody listens. */
const NO_PATH = [['^(a=candidate:\\S+ 1 (?:udp|tcp) \\d+ \\S+) \\d+', '$1 9']] as const;

describePeer('chromium', 'the page says what is wrong', () => {
  let chromium: Chromium;
  let bare: Chromium;
  /** Open to this machine. */
  let gateway: GatewayProcess;
  /** Wants a key, and takes one call at a time. */
  let strict: GatewayProcess;

  beforeAll(async () => {
    [gateway, strict, chromium, bare] = await Promise.all([
      GatewayProcess.start(),
      GatewayProcess.start({ flags: ['--api-key', KEY, '--max-calls', '1'] }),
      Chromium.start({
        microphone: MICROPHONE,
        without: ['--use-fake-ui'],
        flags: ['--host-resolver-rules=MAP gateway.test 127.0.0.1, EXCLUDE localhost'],
      }),
      Chromium.start({ without: ['--use-fake-'] }),
    ]);
  });
  afterAll(async () => {
    await Promise.all([chromium?.close(), bare?.close()]);
    await Promise.all([gateway?.stop(), strict?.stop()]);
  });

  const open = (at: GatewayProcess, options: WebPageOptions = {}, browser = chromium): Promise<WebPage> =>
    WebPage.open(browser, `http://127.0.0.1:${at.http.port}/`, { permissions: ['microphone'], ...options });

  // These two wait longest, so they begin: five run at a time.
  test.concurrent('no packet comes through, neither by UDP nor by TCP', async ({ expect }) => {
    const page = await open(gateway, { answer: NO_PATH });
    await page.press('Talk');
    expect(await page.problem(40_000)).toBe('No way for the audio');
    await page.state('idle');
    expect(await page.shortcomings()).toEqual([]);
    await page.shoot('no-path-desktop');
    await page.close();
  });

  test.concurrent('the gateway ends properly, or is gone, in the middle of a call', async ({ expect }) => {
    const [shut, killed] = await Promise.all([GatewayProcess.start(), GatewayProcess.start()]);
    const [polite, sudden] = await Promise.all([open(shut), open(killed, { viewport: PHONE })]);
    await Promise.all([polite.talk(), sudden.talk()]);
    await Promise.all([shut.stop(), killed.kill()]);
    await polite.state('idle');
    expect(await polite.text('#status')).toBe('The gateway is shutting down');
    await sudden.page.getByText('The connection is interrupted').first().waitFor();
    expect(await sudden.problem(40_000)).toBe('The gateway is gone');
    await sudden.state('idle');
    expect(await sudden.shortcomings()).toEqual([]);
    await sudden.shoot('gone-phone');
    // And again, without the page being loaded anew.
    await sudden.press('Talk');
    await sudden.page.getByText('The gateway does not answer').waitFor();
    await killed.restart();
    await sudden.talk();
    await Promise.all([polite.close(), sudden.close()]);
    await killed.stop();
  });

  test.concurrent('by http from elsewhere: the https address is offered, and works', async ({ expect }) => {
    const { port } = gateway.http;
    const page = await WebPage.open(chromium, `http://gateway.test:${port}/`, {
      trusting: true,
      viewport: PHONE,
      permissions: ['microphone'],
    });
    expect(await page.problem()).toBe('Browsers give the microphone to secure pages only');
    expect(await page.page.getByRole('button', { name: 'Talk' }).isDisabled()).toBe(true);
    expect(await page.page.getByLabel('API key').isHidden()).toBe(true);
    expect(await page.shortcomings()).toEqual([]);
    await page.shoot('insecure-phone');
    await page.page.getByRole('link', { name: `https://gateway.test:${port}/` }).click();
    await page.page.waitForURL(/^https:/);
    expect(await page.page.getByRole('button', { name: 'Talk' }).isEnabled()).toBe(true);
    // From another machine's point of view nobody is let in without a key.
    await page.press('Talk');
    expect(await page.problem()).toBe('The gateway asks for a key');
    expect(page.faults).toEqual([]);
    await page.close();
  });

  test.concurrent('the microphone is denied: one can listen all the same', async ({ expect }) => {
    const page = await open(gateway, { permissions: [], scheme: 'dark', viewport: PHONE });
    await page.press('Talk');
    expect(await page.problem()).toBe('The microphone is blocked');
    await page.state('idle');
    expect(await page.shortcomings()).toEqual([]);
    await page.shoot('blocked-phone-dark');
    await page.press('Go on without a microphone');
    await page.state('live');
    await page.event('output_audio_buffer.started');
    expect(await page.page.getByRole('button', { name: 'Mute' }).isDisabled()).toBe(true);
    expect(await page.page.getByRole('button', { name: 'Keypad' }).isDisabled()).toBe(true);
    expect(await page.page.locator('#problem').isHidden()).toBe(true);
    await page.close();
  });

  test.concurrent('there is no microphone', async ({ expect }) => {
    const page = await open(gateway, {}, bare);
    await page.press('Talk');
    expect(await page.problem()).toBe('No microphone was found');
    await page.state('idle');
    expect(await page.page.getByRole('button', { name: 'Go on without a microphone' }).isVisible()).toBe(true);
    await page.close();
  });

  test.concurrent('a key is asked for; a wrong one is, too; the right one lets in, and the second caller finds the line busy', async ({
    expect,
  }) => {
    const page = await open(strict);
    await page.press('Talk');
    expect(await page.problem()).toBe('The gateway asks for a key');
    expect(await page.focused()).toBe('API key');
    expect(await page.shortcomings()).toEqual([]);
    await page.shoot('key-desktop');
    const enter = async (key: string): Promise<void> => {
      await page.page.getByLabel('API key').fill(key);
      await page.page.keyboard.press('Enter');
    };
    await enter('sk-wrong-0123456789');
    await page.page.getByText('is not one of this gateway').waitFor();
    await enter(KEY);
    await page.state('live');
    expect(await page.page.locator('#problem').isHidden()).toBe(true);

    const second = await open(strict, { scheme: 'dark' });
    await second.press('Talk');
    await second.problem();
    await second.page.getByLabel('API key').fill(KEY);
    await second.press('Use this key');
    await second.page.getByText('All lines are busy').waitFor();
    expect(await second.text('#problem-text')).toMatch(/Try again in \d+ s\.$/);
    await second.shoot('busy-desktop-dark');
    expect(await second.shortcomings()).toEqual([]);
    await page.press('Hang up');
    await strict.logged('session ended');
    await second.talk();
    await Promise.all([page.close(), second.close()]);
  });

  test.concurrent('all of it can be done with the keyboard, in an order that makes sense', async ({ expect }) => {
    const page = await open(gateway, { scheme: 'dark' });
    const { keyboard } = page.page;
    /** What was passed on the way. */
    const tabTo = async (name: string): Promise<string[]> => {
      const passed: string[] = [];
      for (let n = 0; n < 20; n++) {
        await keyboard.press('Tab');
        const focused = await page.focused();
        if (focused.startsWith(name)) return passed;
        passed.push(focused);
      }
      throw new Error(`no ${name} among ${passed.join(', ')}`);
    };
    expect(await page.shortcomings()).toEqual([]);
    await page.shoot('idle-desktop-dark');
    expect(await tabTo('Talk')).toEqual(['Skip to the transcript']);
    await keyboard.press('Enter');
    await page.state('live');
    expect(await page.focused()).toBe('Hang up');
    expect(await page.shortcomings()).toEqual([]);

    expect(await tabTo('Mute')).toEqual([]);
    await keyboard.press('Space');
    expect(await page.page.getByRole('button', { name: 'Mute', pressed: true }).count()).toBe(1);
    expect(await tabTo('Keypad')).toEqual(['Interrupt']);
    await keyboard.press('Enter');
    expect(await page.page.getByRole('button', { name: 'Keypad', expanded: true }).count()).toBe(1);
    await keyboard.press('0');
    expect(await page.focused()).toBe('Key 0');
    await page.event('input_audio_buffer.dtmf_event_received');
    expect(await page.shortcomings()).toEqual([]);
    expect(await tabTo('Devices')).toEqual(['Key hash']);
    await keyboard.press('Enter');
    expect(await tabTo('Write to the agent')).toEqual([
      expect.stringMatching(/^Microphone/),
      expect.stringMatching(/^Speaker/),
      'Conversation',
    ]);
    await keyboard.type('123');
    await keyboard.press('Enter');
    await page.page.getByText('You: 123').first().waitFor({ state: 'attached' });
    expect(await tabTo('Events')).toEqual(['Send']);
    await keyboard.press('Enter');
    expect(await page.page.locator('#events > li').first().isVisible()).toBe(true);
    await page.close();
  });

  test('what happens is told to a screen reader, once', async () => {
    const page = await open(gateway);
    const region = page.page.locator('#announcer');
    expect(await region.getAttribute('role')).toBe('log');
    expect(await region.getAttribute('aria-live')).toBe('polite');
    expect(await page.page.locator('#problem').getAttribute('role')).toBe('alert');
    await page.talk();
    await page.page.getByText('This is Ringdown').first().waitFor();
    await page.press('Interrupt');
    await page.event('conversation.item.truncated');
    await page.press('Hang up');
    const told = await region.locator('p').allTextContents();
    expect(told[0]).toBe('Connected');
    expect(told.filter((line) => line.startsWith('Agent: '))).toHaveLength(1);
    expect(told.at(-1)).toBe('The call is over');
    expect(page.faults).toEqual([]);
    await page.close();
  });
});
