import { afterAll, beforeAll, expect, it } from 'vitest';
import { Chromium } from '../support/chromium.ts';
import { LoopbackPeer, readDescription } from '../support/loopback-peer.ts';
import { describePeer } from '../support/peers.ts';
import { eventually } from '../support/wait.ts';

const DEADLINE_MS = 10_000;

describePeer('chromium', 'Chromium', () => {
  let chromium: Chromium;

  beforeAll(async () => {
    chromium = await Chromium.start();
  });

  afterAll(async () => {
    await chromium.close();
  });

  it.each(['active', 'passive'] as const)(
    'calls our lite peer, which answers %s: audio comes, and the data channel carries every size',
    async (setup) => {
      const browser = await chromium.peer();
      const ours = await LoopbackPeer.bind();
      try {
        const offer = await browser.offer();
        const remote = readDescription(offer);
        ours.startLite(remote, setup === 'active' ? 'client' : 'server');
        const mids = [...offer.matchAll(/^a=mid:(\S+)/gm)].map(([, mid = '']) => mid);
        await browser.accept(ours.description({ setup, lite: true }, mids));
        await browser.connected();
        await browser.channelOpen();
        await browser.tone(440);
        await eventually(() => ours.seen.rtp.length > 20, DEADLINE_MS, 'its audio');
        const channel = await eventually(() => ours.seen.channels[0], DEADLINE_MS, 'its channel');
        expect(channel).toMatchObject({ label: 'oai-events', ordered: true, state: 'open' });
        const texts = ['', '{"type":"session.update"}', 'ä'.repeat(1000), 'x'.repeat(60_000), 'y'.repeat(200_000)];
        for (const text of texts) await browser.send(text);
        await eventually(() => ours.seen.messages.length === texts.length, DEADLINE_MS, 'its messages');
        expect(ours.seen.messages).toEqual(texts);
        for (const text of texts) expect(ours.seen.peer.sendMessage(channel, text)).toBe(text.length <= 65_536);
        await browser.message((text) => text.length === 60_000);
        expect(browser.messages).toEqual(texts.slice(0, 4));
        const { ice, dtls, data, dropped } = ours.seen.peer.snapshot();
        expect(dtls?.version).toBe('1.3');
        expect(data).toMatchObject({ state: 'connected', droppedPackets: 0, droppedMessages: 0 });
        expect(dropped).toMatchObject({ unknown_kind: 0, srtp: 0 });
        expect(ice.dropped).toMatchObject({ integrity: 0, username: 0, malformed: 0 });
        await browser.close();
        await eventually(() => ours.seen.closed[0] === 'remote_closed', DEADLINE_MS, 'its goodbye');
      } finally {
        ours.close();
      }
    },
  );
});
