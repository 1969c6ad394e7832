import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type BrowserPeer, Chromium } from '../support/chromium.ts';
import { MetricsText } from '../support/metrics-text.ts';
import { describePeer } from '../support/peers.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { findTone, tone } from '../support/tones.ts';
import { eventually } from '../support/wait.ts';
import { WebCore, type WebLeg } from '../support/web-core.ts';

const MODEL_RATE = { rateHz: 24_000 };
const PRESENT = { present: true };
const SOON = { timeout: 5000, interval: 50 };

/** What a browser knows behind a firewall that lets no UDP out. */
const withoutUdp = (answer: string) => answer.replace(/^a=candidate:\S+ 1 udp .*\r\n/gm, '');

describePeer('chromium', 'Chromium over ICE-TCP', () => {
  let chromium: Chromium;
  const ends: (() => unknown)[] = [];

  beforeAll(async () => {
    chromium = await Chromium.start();
  });
  afterAll(() => chromium?.close());
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  async function probed() {
    const made = await WebCore.withProbe({ tcp: true });
    ends.push(() => made.core.stop());
    const browser = await chromium.peer();
    ends.push(() => browser.close().catch(() => undefined));
    return { ...made, browser };
  }

  async function connect(browser: BrowserPeer, core: WebCore, change = withoutUdp): Promise<WebLeg> {
    const leg = await core.open(await browser.offer());
    const answer = change(leg.answer);
    await browser.accept(answer);
    await browser.connected();
    return leg;
  }

  async function selectedPair(browser: BrowserPeer) {
    const stats = await browser.stats();
    const id = stats.find(({ type }) => type === 'transport')?.['selectedCandidatePairId'];
    const pair = stats.find((each) => each.id === id);
    return { pair, remote: stats.find((each) => each.id === pair?.remoteCandidateId) };
  }

  const metric = async (core: WebCore, name: string) => new MetricsText(await core.metrics.text()).value(name);

  test.each(['actpass', 'active'])('talks, and has its data channel, when no UDP comes through (offers %s)', async (setup) => {
    const { core, model, browser } = await probed();
    const leg = await core.open((await browser.offer()).replaceAll('a=setup:actpass', `a=setup:${setup}`));
    await browser.accept(withoutUdp(leg.answer));
    await browser.connected();
    await browser.channelOpen();
    await browser.tone(440);
    model.last.say(tone(1004, 4000, MODEL_RATE));
    await expect.poll(() => findTone(model.last.heard(400), 440, MODEL_RATE), SOON).toMatchObject(PRESENT);
    await expect.poll(() => browser.toneLevel(1004), SOON).toMatchObject(PRESENT);

    const { peer, media } = core.view(leg);
    expect(peer.ice.selected).toMatch(/^tcp:127\.0\.0\.1:\d+#\d+$/);
    expect(peer.dropped).toEqual({ unknown_kind: 0, unverified_path: 0, early_srtp: 0, srtp: 0, not_sendable: 0 });
    expect(peer.data).toMatchObject({ state: 'connected', droppedPackets: 0, faults: 0 });
    expect(media.uplink).toMatchObject({ undecodable: 0, concealedFrames: 0 });
    const { remote } = await selectedPair(browser);
    expect(remote).toMatchObject({ protocol: 'tcp', port: core.at.port, tcpType: 'passive' });
    const stats = await browser.stats();
    expect(stats.find(({ type }) => type === 'inbound-rtp')).toMatchObject({ packetsLost: 0 });
    expect(await metric(core, 'ringdown_relay_tcp_connections')).toBeGreaterThan(0);
  });

  test('connects again by itself when the connection breaks, and the talk goes on', async () => {
    const { core, model, browser } = await probed();
    const proxy = await TcpProxy.to(core.at);
    ends.push(() => proxy.close());
    const leg = await connect(browser, core, (answer) => withoutUdp(answer).replace(` ${core.at.port} typ`, ` ${proxy.local.port} typ`));
    await browser.tone(440);
    await expect.poll(() => findTone(model.last.heard(400), 440, MODEL_RATE), SOON).toMatchObject(PRESENT);
    const before = core.view(leg).peer.ice.selected;
    model.last.forget();
    proxy.cut();
    await eventually(() => core.view(leg).peer.ice.selected !== before, 10_000, 'the browser to come back');
    await expect.poll(() => findTone(model.last.heard(400), 440, MODEL_RATE), SOON).toMatchObject(PRESENT);
    expect(core.view(leg).peer.state).toBe('connected');
  });

  test('leaves nothing behind when its tab is closed', async () => {
    const { core, browser } = await probed();
    await connect(browser, core);
    await browser.close();
    await eventually(async () => (await metric(core, 'ringdown_relay_tcp_connections')) === 0, 5000, 'the connections to end');
    expect(core.relay.flows).toBe(0);
  });
});
