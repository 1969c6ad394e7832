import { afterAll, beforeAll, expect, test } from 'vitest';
import { Chromium } from '../support/chromium.ts';
import { WebPage, type WebPageOptions } from '../support/chromium-page.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { describePeer } from '../support/peers.ts';
import { silence } from '../support/tones.ts';
import { elapse, eventually } from '../support/wait.ts';

const TABS = 20;

/** Two words of the greeting. */
const LOUD_MS = 600;

/** A firewall that lets no UDP out. */
const WITHOUT_UDP = [['^a=candidate:\\S+ 1 udp .*\\r\\n', '']] as const;

const GREETING = /^Agent: Hello\. This is Ringdown\./;

describePeer('chromium', 'the page finds its way', () => {
  let gateway: GatewayProcess;
  let chromium: Chromium;

  beforeAll(async () => {
    [gateway, chromium] = await Promise.all([
      // Chromium's twenty tabs make the gateway late, too: that it would then refuse some of them is another test's business.
      GatewayProcess.start({ flags: ['--max-calls', '100'] }),
      // Few processes: twenty of them would wait for each other more than for the gateway.
      Chromium.start({
        microphone: { samples: silence(1000, 16_000), rateHz: 16_000 },
        without: ['--use-fake-ui'],
        flags: ['--renderer-process-limit=4'],
      }),
    ]);
  });
  afterAll(async () => {
    await chromium?.close();
    await gateway?.stop();
  });

  const open = (options: WebPageOptions = {}): Promise<WebPage> =>
    WebPage.open(chromium, `http://127.0.0.1:${gateway.http.port}/`, options);

  const sessions = async (): Promise<number> => (await gateway.metrics()).value('ringdown_sessions');

  /** Twenty microphones with their echo cancellers are more than two cores have for one browser: these tabs listen. */
  async function listen(page: WebPage): Promise<void> {
    await page.press('Talk');
    await page.press('Go on without a microphone');
    // A gateway whose audio is late lets nobody else in for a moment.
    for (;;) {
      await page.page.locator('body[data-state="live"], #problem:not([hidden])').first().waitFor({ timeout: 30_000 });
      if (await page.page.locator('#problem').isHidden()) return;
      expect(await page.problem()).toBe('All lines are busy');
      await elapse(2000);
      await page.press('Talk');
      await page.press('Go on without a microphone');
    }
  }

  test('over TCP alone, and says so', async () => {
    const page = await open({ answer: WITHOUT_UDP, permissions: ['microphone'] });
    await page.talk();
    await expect.poll(() => page.loudMs(), { timeout: 15_000, interval: 500 }).toBeGreaterThan(LOUD_MS);
    expect((await page.turns())[0]?.text).toMatch(GREETING);
    await expect.poll(() => page.text('#route'), { timeout: 10_000 }).toMatch(/^\d+ ms by TCP$/);
    expect((await gateway.metrics()).value('ringdown_relay_tcp_connections')).toBeGreaterThan(0);
    await page.press('Hang up');
    await eventually(async () => (await sessions()) === 0, 10_000, 'the session to end');
    await page.close();
  });

  test(`${TABS} tabs at once: all of them hear the greeting`, async () => {
    const first = await open({ permissions: [] });
    const pages = [first, ...(await Promise.all(Array.from({ length: TABS - 1 }, () => open({ beside: first }))))];
    await Promise.all(pages.map(listen));
    expect(await sessions()).toBe(TABS);
    await Promise.all(pages.map((page) => expect.poll(() => page.loudMs(), { timeout: 40_000, interval: 1000 }).toBeGreaterThan(LOUD_MS)));
    const firsts = await Promise.all(pages.map(async (page) => (await page.turns())[0]?.text));
    for (const text of firsts) expect(text).toMatch(GREETING);
    for (const page of pages) expect(page.faults).toEqual([]);
    await first.close();
    await eventually(async () => (await sessions()) === 0, 10_000, 'all sessions to end');
  });
});
