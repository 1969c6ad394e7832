import { readFileSync } from 'node:fs';
import type { BrowserContext, Page } from 'playwright-core';
import type { BrowserRecording, BrowserStat, Chromium } from './chromium.ts';
import { rms, SILENCE_RMS } from './tones.ts';
import { elapse, within } from './wait.ts';

const TAP = readFileSync(new URL('browser/page-tap.js', import.meta.url), 'utf8');

const AUDIT = readFileSync(new URL('browser/page-audit.js', import.meta.url), 'utf8');

/** Chromium, two cores, and everybody else on them. */
const DEADLINE_MS = 20_000;

/** On the way: `[regular expression, replacement]`, each for the whole description. */
export type DescriptionChanges = readonly (readonly [string, string])[];

export interface WebPageOptions {
  readonly offer?: DescriptionChanges;
  readonly answer?: DescriptionChanges;
  readonly scheme?: 'light' | 'dark';
  readonly viewport?: { readonly width: number; readonly height: number };
  /** Take certificates of a CA that the browser does not know. */
  readonly trusting?: boolean;
  /** Only these, whatever the fake devices would allow. */
  readonly permissions?: readonly string[];
  /** The microphone hears nothing, from the beginning. */
  readonly quiet?: boolean;
  /** A tab of the same window as this one, which goes with that one. */
  readonly beside?: WebPage;
}

/** An event that came over the page's data channel. */
export interface PageEvent {
  readonly type: string;
  /** performance.now() milliseconds of the tab. */
  readonly at: number;
  readonly [field: string]: unknown;
}

export interface ShownTurn {
  readonly who: string;
  readonly text: string;
  /** Of its bar; undefined without one. */
  readonly latencyMs: number | undefined;
}

/** The gateway's own page in a tab of its own, as its user sees, hears and uses it. */
export class WebPage {
  readonly #context: BrowserContext;
  readonly #ownsContext: boolean;
  readonly page: Page;
  /** Errors of scripts, and what the content security policy refused. */
  readonly faults: string[] = [];

  private constructor(context: BrowserContext, page: Page, ownsContext: boolean) {
    this.#context = context;
    this.#ownsContext = ownsContext;
    this.page = page;
    page.on('pageerror', (error) => this.faults.push(String(error)));
    page.on('console', (message) => {
      if (message.text().includes('Content Security Policy')) this.faults.push(message.text());
    });
  }

  static async open(chromium: Chromium, url: string, options: WebPageOptions = {}): Promise<WebPage> {
    const { offer = [], answer = [], scheme = 'light', viewport = { width: 1180, height: 800 }, trusting = false, permissions } = options;
    const { beside } = options;
    const own = { colorScheme: scheme, viewport, ignoreHTTPSErrors: trusting, ...(permissions && { permissions: [...permissions] }) };
    const context = beside ? beside.#context : await chromium.newContext(own);
    const page = await context.newPage();
    await page.addInitScript(`window.tapChanges = ${JSON.stringify({ offer, answer, quiet: options.quiet })};\n${TAP}\n${AUDIT}`);
    const shown = new WebPage(context, page, beside === undefined);
    await page.goto(url);
    return shown;
  }

  /** Presses Talk and waits until the call lives. A gateway whose audio is late lets nobody else in for a moment: then it tries again. */
  async talk(deadlineMs = 3 * DEADLINE_MS): Promise<void> {
    const giveUpAt = performance.now() + deadlineMs;
    for (;;) {
      await this.press('Talk');
      const timeout = Math.max(1, giveUpAt - performance.now());
      await this.page.locator('body[data-state="live"], #problem:not([hidden])').first().waitFor({ timeout });
      if (await this.page.locator('#problem').isHidden()) return;
      const title = await this.problem();
      if (title !== 'All lines are busy') throw new Error(`the page says: ${title}`);
      await elapse(1000);
    }
  }

  /** Presses the button of this name. */
  async press(name: string): Promise<void> {
    await this.page.getByRole('button', { name, exact: true }).click();
  }

  /** Waits until the page is `idle`, `connecting` or `live`. */
  async state(state: string, deadlineMs = DEADLINE_MS): Promise<void> {
    await this.page.waitForSelector(`body[data-state="${state}"]`, { timeout: deadlineMs });
  }

  /** Title of the problem that the page shows, once it shows one. */
  async problem(deadlineMs = DEADLINE_MS): Promise<string> {
    const title = this.page.locator('#problem:not([hidden]) #problem-title');
    await title.waitFor({ timeout: deadlineMs });
    return (await title.textContent()) ?? '';
  }

  /** What is wrong with the page as it stands for people who see little or use no mouse. */
  async shortcomings(): Promise<readonly string[]> {
    return (await this.page.evaluate('[...audit.faint(), ...audit.faults()]')) as string[];
  }

  /** Name of what has the focus. */
  async focused(): Promise<string> {
    return (await this.page.evaluate('audit.focused()')) as string;
  }

  /** A picture for the documentation, when RINGDOWN_SCREENSHOTS names a folder for them. */
  async shoot(name: string): Promise<void> {
    const folder = process.env['RINGDOWN_SCREENSHOTS'];
    if (folder) await this.page.screenshot({ path: `${folder}/${name}.png` });
  }

  text(selector: string): Promise<string | null> {
    return this.page.textContent(selector);
  }

  /** Everything heard since it began or since forget(), or the newest so many milliseconds of it. */
  async heard(lastMs?: number): Promise<BrowserRecording> {
    const { base64, rateHz, startedAt } = (await this.page.evaluate(`tap.heard(${lastMs ?? ''})`)) as {
      base64: string;
      rateHz: number;
      startedAt: number;
    };
    const bytes = Buffer.from(base64, 'base64');
    const samples = Int16Array.from({ length: bytes.length / 2 }, (_, n) => bytes.readInt16LE(n * 2));
    return { samples, rateHz, startedAt: startedAt - performance.timeOrigin };
  }

  /** How much of what was heard is a voice, in milliseconds. A starved browser plays in pieces, and stretches them: the words need not be alike. */
  async loudMs(): Promise<number> {
    const { samples, rateHz } = await this.heard();
    return loudMsOf(samples, rateHz);
  }

  async forget(): Promise<void> {
    await this.page.evaluate('tap.forget()');
  }

  /** Hears what comes in the next `ms`. */
  async listen(ms: number): Promise<BrowserRecording> {
    await this.forget();
    await elapse(ms);
    return this.heard();
  }

  async events(): Promise<readonly PageEvent[]> {
    return (await this.page.evaluate('tap.events')) as PageEvent[];
  }

  /** Waits for an event of this type, from number `from` on. */
  event(type: string, from = 0, deadlineMs = DEADLINE_MS): Promise<PageEvent> {
    const event = this.page.evaluate(`tap.event(${JSON.stringify(type)}, ${from})`) as Promise<PageEvent>;
    return within(event, deadlineMs, `the page to get ${type}`);
  }

  /** When the button of this name was pressed last (performance.now() of this process). */
  async pressedAt(name: string): Promise<number> {
    const found = `tap.clicks.findLast(({ on }) => on === ${JSON.stringify(name)})?.at`;
    return ((await this.page.evaluate(`performance.timeOrigin + ${found}`)) as number) - performance.timeOrigin;
  }

  /** Of the session at the gateway. */
  async sessionId(): Promise<string> {
    const { session } = await this.event('session.created');
    return (session as { id: string }).id;
  }

  /** What the transcript shows. */
  async turns(): Promise<readonly ShownTurn[]> {
    return (await this.page.evaluate('tap.turns()')) as ShownTurn[];
  }

  async stats(): Promise<readonly BrowserStat[]> {
    return (await this.page.evaluate('tap.stats()')) as BrowserStat[];
  }

  /** The tab is shut as its user does it. */
  async close(): Promise<void> {
    if (!this.page.isClosed()) await this.page.close({ runBeforeUnload: true });
    if (this.#ownsContext) await this.#context.close();
  }
}

/** Milliseconds of it in which something is to be heard. */
export function loudMsOf(samples: Int16Array, rateHz: number): number {
  const frame = rateHz / 50;
  let loud = 0;
  for (let from = 0; from + frame <= samples.length; from += frame) if (rms(samples.subarray(from, from + frame)) > SILENCE_RMS) loud += 20;
  return loud;
}
