import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { resample } from '../../src/audio/resampler.ts';
import { type BrowserPeer, type BrowserPeerOptions, Chromium } from '../support/chromium.ts';
import { describePeer } from '../support/peers.ts';
import { findSound, promptSound } from '../support/prompt-sound.ts';
import { speech } from '../support/speech.ts';
import { findTone, PHONE_RATE_HZ, tone } from '../support/tones.ts';
import { elapse, eventually } from '../support/wait.ts';
import { WebCore, type WebLeg } from '../support/web-core.ts';

const MODEL_RATE = { rateHz: 24_000 };
const PRESENT = { present: true };
/** A browser that gets no core makes up what it has to play: then the sound tells little of what it was sent. In peace it is 80 ms, at the start. */
const STARVED_MS = 150;

const SOON = { timeout: 5000, interval: 50 };

describePeer('chromium', 'Chromium through relay and transceiver', () => {
  let chromium: Chromium;
  const ends: (() => unknown)[] = [];

  /** It takes half a minute: begun before all others, looked at after them. */
  let vanished: Promise<{ readonly leg: WebLeg; readonly core: WebCore; readonly goneAt: number }>;

  async function vanish() {
    const core = await WebCore.start();
    const browser = await chromium.peer();
    const leg = await connect(browser, core);
    await browser.shut();
    return { leg, core, goneAt: performance.now() };
  }

  beforeAll(async () => {
    chromium = await Chromium.start({ microphone: { samples: tone(700, 2000, { rateHz: 16_000 }), rateHz: 16_000 } });
    vanished = vanish();
    await vanished;
  });
  afterAll(async () => {
    await (await vanished)?.core.stop();
    await chromium?.close();
  });
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  async function probed() {
    const made = await WebCore.withProbe();
    ends.push(() => made.core.stop());
    return made;
  }

  async function agent(): Promise<WebCore> {
    const core = await WebCore.start();
    ends.push(() => core.stop());
    return core;
  }

  async function tab(options: BrowserPeerOptions = {}): Promise<BrowserPeer> {
    const browser = await chromium.peer(options);
    ends.push(() => browser.close().catch(() => undefined));
    return browser;
  }

  async function connect(browser: BrowserPeer, core: WebCore, change = (offer: string) => offer): Promise<WebLeg> {
    const leg = await core.open(change(await browser.offer()));
    await browser.accept(leg.answer);
    await browser.connected();
    return leg;
  }

  describe.each([
    { offers: 'actpass', answered: 'active' },
    { offers: 'active', answered: 'passive' },
  ])('offers $offers and is answered $answered', ({ offers, answered }) => {
    test('tones both ways, the data channel opens, all of it over the relay', async () => {
      const { core, model } = await probed();
      const browser = await tab();
      const leg = await connect(browser, core, (offer) => offer.replaceAll('a=setup:actpass', `a=setup:${offers}`));
      expect(leg.answer).toContain(`a=setup:${answered}`);
      await browser.channelOpen();
      await browser.tone(440);
      model.last.say(tone(1004, 4000, MODEL_RATE));
      await expect.poll(() => findTone(model.last.heard(400), 440, MODEL_RATE), SOON).toMatchObject(PRESENT);
      await expect.poll(() => browser.toneLevel(1004), SOON).toMatchObject(PRESENT);
      await browser.tone(880);
      await expect.poll(() => findTone(model.last.heard(400), 880, MODEL_RATE), SOON).toMatchObject(PRESENT);

      const { peer, media } = core.view(leg);
      expect(peer.state).toBe('connected');
      expect(peer.dropped).toEqual({ unknown_kind: 0, unverified_path: 0, early_srtp: 0, srtp: 0, not_sendable: 0 });
      expect(peer.data).toMatchObject({ state: 'connected', channels: 1, droppedPackets: 0, droppedMessages: 0, faults: 0 });
      expect(media.uplink).toMatchObject({ undecodable: 0 });
      const stats = await browser.stats();
      const transport = stats.find(({ type }) => type === 'transport');
      expect(transport).toMatchObject({
        dtlsState: 'connected',
        dtlsRole: answered === 'active' ? 'server' : 'client',
        tlsVersion: 'FEFC',
        srtpCipher: 'SRTP_AES128_CM_HMAC_SHA1_80',
      });
      const inbound = stats.find(({ type }) => type === 'inbound-rtp');
      expect(inbound?.packetsLost).toBe(0);
      const remotes = stats.filter(({ type }) => type === 'remote-candidate').map(({ port }) => port);
      expect(remotes).toEqual([core.at.port]);
    });
  });

  test.each([
    ['max-bundle', {}],
    ['max-bundle', { offerToReceiveVideo: true }],
    ['max-compat', { offerToReceiveVideo: true }],
  ])('bundle policy %s with offer options %j: audio and data channel all the same', async (bundlePolicy, options) => {
    const { core, model } = await probed();
    const browser = await tab({ configuration: { bundlePolicy } });
    const leg = await core.open(await browser.offer(options));
    await browser.accept(leg.answer);
    await browser.channelOpen();
    await browser.tone(440);
    await expect.poll(() => findTone(model.last.heard(400), 440, MODEL_RATE), SOON).toMatchObject(PRESENT);
  });

  test('the fake microphone is heard, in full band', async () => {
    const { core, model } = await probed();
    await connect(await tab({ source: 'microphone' }), core);
    await expect.poll(() => findTone(model.last.heard(400), 700, MODEL_RATE), SOON).toMatchObject(PRESENT);
    const browser = await tab();
    await connect(browser, core);
    await browser.tone(7000);
    await expect.poll(() => findTone(model.last.heard(400), 7000, MODEL_RATE), SOON).toMatchObject(PRESENT);
    model.last.say(tone(6500, 3000, MODEL_RATE));
    await expect.poll(() => browser.toneLevel(6500), SOON).toMatchObject(PRESENT);
  });

  test('a tab that only listens hears', async () => {
    const { core, model } = await probed();
    const browser = await tab({ source: 'none', channel: 'none' });
    await connect(browser, core);
    model.last.say(tone(1004, 3000, MODEL_RATE));
    await expect.poll(() => browser.toneLevel(1004), SOON).toMatchObject(PRESENT);
  });

  test('two tabs at a time: each is heard by its own conversation alone', async () => {
    const { core, model } = await probed();
    const [one, two] = [await tab(), await tab()];
    await connect(one, core);
    const first = model.last;
    await connect(two, core);
    const second = model.last;
    await Promise.all([one.tone(500), two.tone(900)]);
    first.say(tone(1200, 3000, MODEL_RATE));
    second.say(tone(1600, 3000, MODEL_RATE));
    await expect.poll(() => findTone(first.heard(400), 500, MODEL_RATE), SOON).toMatchObject(PRESENT);
    await expect.poll(() => findTone(second.heard(400), 900, MODEL_RATE), SOON).toMatchObject(PRESENT);
    await expect.poll(async () => Promise.all([one.toneLevel(1200), two.toneLevel(1600)]), SOON).toMatchObject([PRESENT, PRESENT]);
    expect(findTone(first.heard(400), 900, MODEL_RATE).share).toBeLessThan(0.05);
    expect(findTone(second.heard(400), 500, MODEL_RATE).share).toBeLessThan(0.05);
  });

  test('keys pressed in the page arrive once each, in order', async () => {
    const { core, model } = await probed();
    const browser = await tab();
    await connect(browser, core);
    await browser.press('1234567890*#');
    await expect.poll(() => model.last.keys.join(''), SOON).toBe('1234567890*#');
  });

  /** Lets the agent greet, speaks into that, and hears what comes back. */
  async function interrupt(said: Int16Array) {
    const core = await agent();
    const browser = await tab();
    const leg = await connect(browser, core);
    await elapse(1800);
    await browser.say(said);
    await eventually(() => core.view(leg).session.turns === 1, 3000, 'the turn');
    await elapse(2200);
    const recording = await browser.heard();
    const inbound = (await browser.stats()).find(({ type }) => type === 'inbound-rtp');
    const madeUpMs = (inbound?.concealedSamples ?? 0) / 48;
    return { core, browser, leg, madeUpMs, heard: resample(recording.samples, recording.rateHz, PHONE_RATE_HZ) };
  }

  test('the agent greets, is interrupted by speech, parrots it, plays its tone on 3, and hangs up on #', async () => {
    const said = speech(1500);
    let call = await interrupt(said);
    if (call.madeUpMs > STARVED_MS) {
      await call.browser.close();
      call = await interrupt(said);
    }
    const { core, browser, leg, heard, madeUpMs } = call;
    const hello = findSound(heard, promptSound('hello'));
    // A third of it was said; Chromium's jitter buffer stretches time where it likes, so that not every piece looks the same.
    expect(hello.share).toBeGreaterThan(madeUpMs > STARVED_MS ? 0 : 0.15);
    expect(hello.share).toBeLessThan(0.5);
    // Of another voice nothing is found there; of this one less the busier the machine is.
    const parrot = { fromMs: hello.endMs, pieceMs: 100 };
    expect(findSound(heard, said, parrot).share).toBeGreaterThan(madeUpMs > STARVED_MS ? 0 : 0.3);
    expect(findSound(heard, speech(1500, { seed: 5 }), parrot).share).toBeLessThan(0.1);
    // Keys travel with the audio, and Chromium sends none of it while nothing at all feeds its track.
    await browser.tone(440, 0);
    await browser.press('3');
    await expect.poll(() => browser.toneLevel(1004), SOON).toMatchObject(PRESENT);
    await browser.press('#');
    expect(await leg.ended()).toBe('agent_hangup');
    expect(leg.summary).toMatchObject({ turns: 1, bargeIns: 1, concealedFrames: 0 });
    await browser.events.find((event) => event.type === 'channel' && event.state === 'closed', 1000, 'the end of the data channel');
    await expect.poll(async () => (await browser.stats()).find(({ type }) => type === 'transport')?.dtlsState, SOON).toBe('closed');
    expect(core.transceiver.sessions).toBe(0);
  });

  test('closing the connection ends the session at once, and so does loading the page again, which then calls anew', async () => {
    const { core, model } = await probed();
    const [closing, reloading] = [await tab(), await tab()];
    const legs = [await connect(closing, core), await connect(reloading, core)];
    await closing.close();
    expect(await legs[0]?.ended(2000)).toBe('remote_hangup');
    await reloading.reload();
    expect(await legs[1]?.ended(2000)).toBe('remote_hangup');
    await connect(reloading, core);
    await reloading.tone(440);
    await expect.poll(() => findTone(model.last.heard(400), 440, MODEL_RATE), SOON).toMatchObject(PRESENT);
    expect(core.transceiver.sessions).toBe(1);
  });

  test('a tab that vanishes without a word is missed 30 s after its last check', async () => {
    const { leg, core, goneAt } = await vanished;
    expect(await leg.ended(40_000)).toBe('media_failed');
    const missedAfterS = (leg.endedAt - goneAt) / 1000;
    // Chromium checks every 2.5 s, so its last one may be that old.
    expect(missedAfterS).toBeGreaterThan(26);
    expect(missedAfterS).toBeLessThan(31);
    expect(core.transceiver.sessions).toBe(0);
  });
});
