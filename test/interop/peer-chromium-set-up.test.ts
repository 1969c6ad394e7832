import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadSctp } from '../../src/webrtc/sctp/werift-sctp.ts';
import type { SetUpOptions } from '../../src/webrtc/set-up.ts';
import { type BrowserPeerOptions, Chromium } from '../support/chromium.ts';
import { LoopbackPeer } from '../support/loopback-peer.ts';
import { rtpPacket } from '../support/peer-pair.ts';
import { describePeer } from '../support/peers.ts';
import { eventually } from '../support/wait.ts';
import { WebCore } from '../support/web-core.ts';

const DEADLINE_MS = 10_000;

const TRIALS = '--force-fieldtrials=WebRTC-IceHandshakeDtls/Enabled/WebRTC-Sctp-Snap/Enabled/';
const NEGOTIATED = { negotiated: true, id: 100 };

/** Connects, has both sides say something on the channel, and tells how it came about. */
async function connect(
  chromium: Chromium,
  options: BrowserPeerOptions = {},
  setUp: SetUpOptions = {},
  changed = (answer: string) => answer,
) {
  const browser = await chromium.peer(options);
  const ours = await LoopbackPeer.bind();
  try {
    const offer = await browser.offer();
    const answer = ours.takeUp(offer, setUp);
    await browser.accept(changed(answer));
    await browser.connected();
    await browser.channelOpen();
    const channel = await eventually(() => ours.seen.channels[0], DEADLINE_MS, 'the channel');
    expect(ours.seen.peer.sendMessage(channel, 'from the server')).toBe(true);
    await browser.message((text) => text === 'from the server');
    await browser.send('from the browser');
    await eventually(() => ours.seen.messages.includes('from the browser'), DEADLINE_MS, 'its message');
    await browser.tone(440);
    await eventually(() => ours.seen.rtp.length > 5, DEADLINE_MS, 'its audio');
    expect(ours.seen.peer.sendRtp(rtpPacket(1))).toBe(true);
    return { offer, answer, channel, snapshot: ours.seen.peer.snapshot() };
  } finally {
    await browser.close();
    ours.close();
  }
}

describePeer('chromium', 'Chromium sets up a call', () => {
  beforeAll(async () => {
    await loadSctp();
  });

  describe('with nothing but its defaults', () => {
    let chromium: Chromium;
    beforeAll(async () => {
      chromium = await Chromium.start();
    });
    afterAll(() => chromium.close());

    it('by DTLS 1.3, our ClientHello first', async () => {
      const { answer, snapshot } = await connect(chromium);
      expect(answer).toContain('a=setup:active');
      expect(answer).not.toMatch(/sctp-init|ice-options/);
      expect(snapshot.dtls).toMatchObject({ version: '1.3', retransmissions: 0 });
      expect(snapshot.dtlsInStun).toBe(0);
    });

    it('with a channel that both sides agreed on beforehand', async () => {
      const { channel } = await connect(chromium, { channelOptions: NEGOTIATED }, { dataChannelId: 100 });
      expect(channel).toMatchObject({ id: 100, label: 'oai-events' });
    });
  });

  describe('with SPED and SNAP', () => {
    let chromium: Chromium;
    beforeAll(async () => {
      chromium = await Chromium.start({ flags: [TRIALS] });
    });
    afterAll(() => chromium.close());

    it('which both are taken up: DTLS comes in checks, and there is no handshake of SCTP', async () => {
      const { offer, answer, snapshot } = await connect(chromium);
      expect(offer).toMatch(/a=sctp-init:/);
      expect(offer).toMatch(/a=ice-options:.*sped/);
      expect(answer).toMatch(/a=sctp-init:/);
      expect(answer).toMatch(/a=ice-options:sped/);
      expect(answer).toContain('a=setup:passive');
      expect(snapshot.dtls).toMatchObject({ version: '1.3' });
      expect(snapshot.dtlsInStun).toBeGreaterThan(0);
      expect(snapshot.data?.state).toBe('connected');
    });

    it('through relay and transceiver, which take them up as well', async () => {
      const core = await WebCore.start();
      const browser = await chromium.peer();
      try {
        const leg = await core.open(await browser.offer());
        expect(leg.answer).toMatch(/a=sctp-init:/);
        await browser.accept(leg.answer);
        await browser.connected();
        await browser.channelOpen();
        await eventually(() => core.view(leg).peer.rtpReceived > 5, DEADLINE_MS, 'its audio');
        const { dtls, dtlsInStun, data } = core.view(leg).peer;
        expect([dtls?.version, dtlsInStun > 0, data?.state]).toEqual(['1.3', true, 'connected']);
      } finally {
        await browser.close();
        await core.stop();
      }
    });

    it('with a negotiated channel on top', async () => {
      const { channel } = await connect(chromium, { channelOptions: NEGOTIATED }, { dataChannelId: 100 });
      expect(channel.id).toBe(100);
    });

    it('whose answer it never sees: SCTP is begun again by a handshake, and nothing is lost', async () => {
      const { snapshot } = await connect(chromium, {}, {}, (answer) => answer.replace(/a=(sctp-init|ice-options):.*\r\n/g, ''));
      expect(snapshot.data).toMatchObject({ state: 'connected', faults: 0 });
    });

    it('which are ignored: it falls back', async () => {
      const { answer, snapshot } = await connect(chromium, {}, { drafts: false });
      expect(answer).not.toMatch(/sctp-init|ice-options/);
      expect(snapshot.dtlsInStun).toBe(0);
    });
  });
});
