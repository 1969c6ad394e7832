import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { LOCAL_PROJECT } from '../../src/transceiver/hosted-session.ts';
import { type BrowserPeer, Chromium } from '../support/chromium.ts';
import { Lateness } from '../support/lateness.ts';
import { describePeer } from '../support/peers.ts';
import { findTone, tone } from '../support/tones.ts';
import { eventually } from '../support/wait.ts';
import { WebCore, type WebLeg } from '../support/web-core.ts';

const ACCESS = { project: LOCAL_PROJECT, ephemeral: false };
const MODEL_RATE = { rateHz: 24_000 };
const SOON = { timeout: 5000, interval: 50 };
const DEADLINE_MS = 10_000;
/** Between two looks at what has arrived; packets come every 20 ms. */
const LOOK_EVERY_MS = 5;
/** Some 25 ms on a quiet machine. A browser stands still for longer where it shares two cores; one that has lost its way is silent for seconds. */
const GAP_MS = 500;

/** Watches the packets of the browser arrive. */
function watchGap(received: () => number): () => number {
  let [count, at, worst] = [received(), performance.now(), 0];
  const timer = setInterval(() => {
    const now = performance.now();
    worst = Math.max(worst, now - at);
    const next = received();
    if (next !== count) [count, at] = [next, now];
  }, LOOK_EVERY_MS);
  return () => {
    clearInterval(timer);
    return worst;
  };
}

describePeer('chromium', 'an ICE restart of Chromium', () => {
  let chromium: Chromium;
  const ends: (() => unknown)[] = [];

  beforeAll(async () => {
    chromium = await Chromium.start();
  });
  afterAll(() => chromium?.close());
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  async function talking() {
    const { core, model } = await WebCore.withProbe();
    ends.push(() => core.stop());
    const browser = await chromium.peer();
    ends.push(() => browser.close().catch(() => undefined));
    const leg = await core.open(await browser.offer());
    await browser.accept(leg.answer);
    await browser.channelOpen();
    await browser.tone(440);
    model.last.say(tone(1004, 20_000, MODEL_RATE));
    const heardBoth = async (): Promise<void> => {
      await expect.poll(() => findTone(model.last.heard(300), 440, MODEL_RATE), SOON).toMatchObject({ present: true });
      await expect.poll(() => browser.toneLevel(1004, 300), SOON).toMatchObject({ present: true });
    };
    await heardBoth();
    return { core, browser, leg, heardBoth };
  }

  async function restart(core: WebCore, browser: BrowserPeer, leg: WebLeg): Promise<string> {
    return core.transceiver.restart(leg.sessionId, ACCESS, await browser.offer({ iceRestart: true }));
  }

  const remoteUfrag = (sdp: string): string => /^a=ice-ufrag:(\S+)/m.exec(sdp)?.[1] ?? '';
  const received = async (browser: BrowserPeer) => (await browser.stats()).find(({ type }) => type === 'inbound-rtp');

  it('goes on under new credentials on a new path while both are heard, three times over; DTLS and channel stay', async () => {
    const { core, browser, leg, heardBoth } = await talking();
    const lateness = new Lateness();
    ends.push(() => lateness.stop());
    const ufrags = [remoteUfrag(leg.answer)];
    const gaps: number[] = [];
    const before = await received(browser);
    const { connectedMs } = core.view(leg).peer;
    for (let round = 0; round < 3; round += 1) {
      const { selected } = core.view(leg).peer.ice;
      const gap = watchGap(() => core.view(leg).peer.rtpReceived);
      const answer = await restart(core, browser, leg);
      await browser.accept(answer);
      await eventually(() => core.view(leg).peer.ice.selected !== selected, DEADLINE_MS, 'the media to move');
      await heardBoth();
      gaps.push(gap());
      ufrags.push(remoteUfrag(answer));
    }
    const after = await received(browser);
    const lost = (after?.packetsLost ?? 0) - (before?.packetsLost ?? 0);
    console.info(
      `ICE restart: longest gap from the browser ${gaps.map((ms) => ms.toFixed(0)).join(', ')} ms; ${lost} packets lost towards it`,
    );
    expect(new Set(ufrags).size).toBe(4);
    expect(Math.max(...gaps)).toBeLessThan(GAP_MS + (await lateness.soFar()));
    expect(lost).toBeLessThanOrEqual(3);
    const { peer } = core.view(leg);
    expect([peer.state, peer.connectedMs, peer.data?.channels]).toEqual(['connected', connectedMs, 1]);
    await browser.send('no event');
    await browser.message((text) => text.includes('"type":"error"'));
  });

  it('whose answer never came is tried again, and the call goes on meanwhile', async () => {
    const { core, browser, leg, heardBoth } = await talking();
    const offer = await browser.offer({ iceRestart: true });
    const lost = await core.transceiver.restart(leg.sessionId, ACCESS, offer);
    await heardBoth();
    const again = await core.transceiver.restart(leg.sessionId, ACCESS, offer);
    expect(remoteUfrag(again)).toBe(remoteUfrag(lost));
    const { selected } = core.view(leg).peer.ice;
    await browser.accept(again);
    await eventually(() => core.view(leg).peer.ice.selected !== selected, DEADLINE_MS, 'the media to move');
    await heardBoth();
  });
});
