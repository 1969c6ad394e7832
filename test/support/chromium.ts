import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { BrowserContext, BrowserContextOptions, Page, Browser as PlaywrightBrowser } from 'playwright-core';
import { LOOPBACK } from './endpoint.ts';
import { requiredPeer } from './peers.ts';
import { removeFolder, tempFolder } from './temp-folder.ts';
import { type FoundTone, findTone } from './tones.ts';
import { EventLog } from './wait.ts';
import { writeWav } from './wav.ts';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--use-fake-ui-for-media-stream',
  '--use-fake-device-for-media-stream',
  '--autoplay-policy=no-user-gesture-required',
  // Candidates with addresses instead of names, 127.0.0.1 among them.
  '--disable-features=WebRtcHideLocalIpsWithMdns',
  '--allow-loopback-in-peer-connection',
  // Whatever a page or the browser itself asks for beyond this machine does not exist.
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
];

export interface ChromiumOptions {
  /** What the fake microphone hears, over and over; Chromium's own beep when left out. */
  readonly microphone?: { readonly samples: Int16Array; readonly rateHz: number };
  readonly flags?: readonly string[];
  /** Of the usual flags those that begin so are left out. */
  readonly without?: readonly string[];
}

export interface BrowserPeerOptions {
  /** `voice`: silence until tone() or say(). `microphone`: the fake one. `none`: only listens. */
  readonly source?: 'voice' | 'microphone' | 'none';
  /** Label of the data channel it opens; `none` for a peer that waits for the other side's. */
  readonly channel?: string | 'none';
  /** RTCDataChannelInit, e.g. `{ negotiated: true, id: 0 }`. */
  readonly channelOptions?: Readonly<Record<string, unknown>>;
  /** RTCConfiguration. */
  readonly configuration?: Readonly<Record<string, unknown>>;
  /** Leave only loopback candidates in the descriptions. On unless false. */
  readonly loopbackOnly?: boolean;
}

/** What happened in the page; `at` in this process's performance.now() milliseconds. */
export type BrowserEvent = { readonly at: number } & (
  | { readonly type: 'described' | 'track' | 'listening' }
  | { readonly type: 'state'; readonly state: string }
  | { readonly type: 'channel'; readonly state: 'open' | 'closed'; readonly label: string }
  | { readonly type: 'message'; readonly text: string }
);

export interface BrowserRecording {
  readonly samples: Int16Array;
  readonly rateHz: number;
  /** When its first sample was heard (performance.now() of this process, ±20 ms). */
  readonly startedAt: number;
}

/** One entry of an RTCStatsReport: what the tests look at by name, the rest by index. */
export interface BrowserStat {
  readonly type: string;
  readonly id: string;
  readonly address?: string;
  /** host, srflx, prflx, relay */
  readonly candidateType?: string;
  readonly nominated?: boolean;
  readonly localCandidateId?: string;
  readonly remoteCandidateId?: string;
  readonly dtlsState?: string;
  readonly tlsVersion?: string;
  readonly dtlsCipher?: string;
  readonly srtpCipher?: string;
  readonly packetsSent?: number;
  readonly packetsReceived?: number;
  readonly packetsLost?: number;
  readonly jitter?: number;
  readonly totalSamplesReceived?: number;
  readonly concealedSamples?: number;
  readonly [name: string]: unknown;
}

const DEADLINE_MS = 10_000;

/** A headless Chromium with a page of its own on loopback. */
export class Chromium {
  readonly #browser: PlaywrightBrowser;
  readonly #server: Server;
  readonly #origin: string;
  readonly #folder: string;

  constructor(browser: PlaywrightBrowser, server: Server, folder: string) {
    this.#browser = browser;
    this.#server = server;
    this.#folder = folder;
    const address = server.address();
    this.#origin = `http://${LOOPBACK}:${typeof address === 'object' && address ? address.port : 0}`;
  }

  static async start(options: ChromiumOptions = {}): Promise<Chromium> {
    const executablePath = requiredPeer('chromium');
    const folder = tempFolder('chromium');
    const { without = [] } = options;
    const flags = [...FLAGS.filter((flag) => !without.some((start) => flag.startsWith(start))), ...(options.flags ?? [])];
    if (options.microphone) {
      writeWav(`${folder}/microphone.wav`, options.microphone.samples, options.microphone.rateHz);
      flags.push(`--use-file-for-fake-audio-capture=${folder}/microphone.wav`);
    }
    const server = await servePage();
    const { chromium } = await import('playwright-core');
    const browser = await chromium.launch({ executablePath, headless: true, args: flags });
    return new Chromium(browser, server, folder);
  }

  get version(): string {
    return this.#browser.version();
  }

  /** A tab with one RTCPeerConnection. */
  async peer(options: BrowserPeerOptions = {}): Promise<BrowserPeer> {
    const page = await this.#browser.newPage();
    const peer = new BrowserPeer(page, options);
    await peer.open(this.#origin);
    return peer;
  }

  /** A plain tab, for tests of the gateway's own pages. */
  newPage(): Promise<Page> {
    return this.#browser.newPage();
  }

  /** Tabs that share nothing with others: for pages that keep something. */
  newContext(options: BrowserContextOptions = {}): Promise<BrowserContext> {
    return this.#browser.newContext(options);
  }

  async close(): Promise<void> {
    await this.#browser.close();
    await new Promise((resolve) => {
      this.#server.close(resolve);
      this.#server.closeAllConnections();
    });
    removeFolder(this.#folder);
  }
}

/** One RTCPeerConnection in a real browser, with a voice, ears and a data channel. */
export class BrowserPeer {
  readonly #page: Page;
  readonly #options: BrowserPeerOptions;
  readonly events = new EventLog<BrowserEvent>();

  constructor(page: Page, options: BrowserPeerOptions) {
    this.#page = page;
    this.#options = options;
  }

  /** Loads the page and makes the connection; Chromium.peer does it. */
  async open(origin: string): Promise<void> {
    await this.#page.exposeFunction('report', (event: BrowserEvent) => {
      this.events.push({ ...event, at: event.at - performance.timeOrigin });
    });
    await this.#page.goto(origin);
    await this.#connect();
  }

  /** Loads the page again, as its user does: the old connection goes without a word, a new one begins. */
  async reload(): Promise<void> {
    await this.#page.reload();
    this.events.clear();
    await this.#connect();
  }

  /** Shuts the tab without closing its connection. */
  async shut(): Promise<void> {
    await this.#page.close();
  }

  /** Texts that came over the data channel. */
  get messages(): readonly string[] {
    return this.events.all.flatMap((event) => (event.type === 'message' ? [event.text] : []));
  }

  /** An offer with all its candidates. */
  async offer(options: Readonly<Record<string, unknown>> = {}): Promise<string> {
    return this.#loopbackOnly((await this.#call('offer', options)) as string);
  }

  /** Takes the other side's offer and gives the answer to it. */
  async answer(offer: string): Promise<string> {
    return this.#loopbackOnly((await this.#call('answer', offer)) as string);
  }

  /** Takes the answer to its own offer. */
  async accept(answer: string): Promise<void> {
    await this.#call('accept', answer);
  }

  /** Waits for connectionState `connected`. @throws DeadlineError */
  connected(deadlineMs = DEADLINE_MS): Promise<BrowserEvent> {
    return this.state('connected', deadlineMs);
  }

  state(state: string, deadlineMs = DEADLINE_MS): Promise<BrowserEvent> {
    return this.events.find((event) => event.type === 'state' && event.state === state, deadlineMs, `browser to be ${state}`);
  }

  channelOpen(deadlineMs = DEADLINE_MS): Promise<BrowserEvent> {
    return this.events.find((event) => event.type === 'channel' && event.state === 'open', deadlineMs, 'the data channel to open');
  }

  /** Waits for a text on the data channel, from the first one on. */
  async message(wants: (text: string) => boolean, deadlineMs = DEADLINE_MS): Promise<string> {
    const event = await this.events.find(
      (each) => each.type === 'message' && wants(each.text),
      deadlineMs,
      'a message on the data channel',
    );
    return event.type === 'message' ? event.text : '';
  }

  /** Sends a text on the data channel. */
  async send(text: string): Promise<void> {
    await this.#call('send', text);
  }

  /** Presses keys on the audio stream (RTCDTMFSender); resolves when the last one is sent. */
  async press(keys: string): Promise<void> {
    await this.#call('dtmf', keys);
  }

  /** Its voice hums from now on; undefined ends it. `amplitude` of full scale. */
  async tone(freqHz: number | undefined, amplitude = 0.27): Promise<void> {
    await this.#call('tone', freqHz, amplitude);
  }

  /** Its voice says this; resolves at the end with when it began (performance.now() ms). */
  async say(samples: Int16Array, rateHz = 8000): Promise<number> {
    const base64 = Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength).toString('base64');
    return ((await this.#call('say', base64, rateHz)) as number) - performance.timeOrigin;
  }

  /** Everything heard since the track came, or since forget(). */
  async heard(): Promise<BrowserRecording> {
    const { base64, rateHz, startedAt } = (await this.#call('heard')) as { base64: string; rateHz: number; startedAt: number };
    const bytes = Buffer.from(base64, 'base64');
    const samples = Int16Array.from({ length: bytes.length / 2 }, (_, n) => bytes.readInt16LE(n * 2));
    return { samples, rateHz, startedAt: startedAt - performance.timeOrigin };
  }

  async forget(): Promise<void> {
    await this.#call('forget');
  }

  /** Is this tone what was heard in the last `lastMs` milliseconds? */
  async toneLevel(freqHz: number, lastMs = 400): Promise<FoundTone> {
    const { samples, rateHz } = await this.heard();
    return findTone(samples.subarray(Math.max(0, samples.length - Math.round((lastMs * rateHz) / 1000))), freqHz, { rateHz });
  }

  /** RTCStatsReport as a list. */
  async stats(): Promise<readonly BrowserStat[]> {
    return (await this.#call('stats')) as BrowserStat[];
  }

  async close(): Promise<void> {
    await this.#call('close').catch(() => undefined);
    await this.#page.close();
  }

  async #connect(): Promise<void> {
    const { source = 'voice', channel = 'oai-events', channelOptions, configuration } = this.#options;
    await this.#call('open', {
      source,
      configuration,
      channel: channel === 'none' ? undefined : { label: channel, options: channelOptions },
    });
  }

  #call(method: string, ...args: unknown[]): Promise<unknown> {
    return this.#page.evaluate(`peer.${method}(${args.map((arg) => JSON.stringify(arg) ?? 'undefined').join(', ')})`);
  }

  #loopbackOnly(sdp: string): string {
    if (this.#options.loopbackOnly === false) return sdp;
    return sdp.replace(/^a=candidate:\S+ \d \S+ \d+ (\S+) .*\r\n/gm, (line, address: string) => (/^127\.|^::1$/.test(address) ? line : ''));
  }
}

function servePage(): Promise<Server> {
  const script = readFileSync(new URL('browser/page.js', import.meta.url), 'utf8');
  const page = `<!doctype html><meta charset="utf-8"><title>test peer</title><script>${script}</script>`;
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html');
    response.end(page);
  });
  return new Promise((resolve) => server.listen(0, LOOPBACK, () => resolve(server)));
}
