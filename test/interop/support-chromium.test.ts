import { afterAll, beforeAll, expect, test } from 'vitest';
import { type BrowserPeer, Chromium } from '../support/chromium.ts';
import { describePeer } from '../support/peers.ts';
import { concat, silence, tone, toneOnset } from '../support/tones.ts';

describePeer('chromium', 'two browser peers', () => {
  let browser: Chromium;
  let alice: BrowserPeer;
  let bob: BrowserPeer;

  beforeAll(async () => {
    browser = await Chromium.start({ microphone: { samples: tone(700, 2000, { rateHz: 16_000 }), rateHz: 16_000 } });
    alice = await browser.peer();
    bob = await browser.peer({ channel: 'none' });
    const offer = await alice.offer();
    expect(offer).toContain('a=candidate');
    await alice.accept(await bob.answer(offer));
    await Promise.all([alice.connected(), bob.connected(), alice.channelOpen(), bob.channelOpen()]);
  });

  afterAll(async () => {
    await browser?.close();
  });

  test('stay on loopback', async () => {
    const stats = await alice.stats();
    const addresses = stats
      .filter((each) => each.type === 'remote-candidate' || each.type === 'local-candidate')
      .map((each) => each.address);
    expect(addresses).toContain('127.0.0.1');
    const pair = stats.find((each) => each.type === 'candidate-pair' && each.nominated);
    const remote = stats.find((each) => each.id === pair?.remoteCandidateId);
    // A peer that was first met by its check is a `prflx` candidate, whose address Chromium keeps to itself.
    expect(remote?.candidateType === 'prflx' ? '127.0.0.1' : remote?.address).toBe('127.0.0.1');
  });

  test('talk over the data channel both ways', async () => {
    await alice.send('hello');
    await bob.send('{"type":"pong"}');
    expect(await bob.message((text) => text === 'hello')).toBe('hello');
    expect(await alice.message((text) => text.includes('pong'))).toContain('pong');
  });

  test('hear the tone of the other, and its end', async () => {
    await alice.tone(440);
    await bob.tone(1000);
    await expect.poll(async () => (await bob.toneLevel(440)).present, { timeout: 5000 }).toBe(true);
    await expect.poll(async () => (await alice.toneLevel(1000)).present, { timeout: 5000 }).toBe(true);
    expect((await alice.toneLevel(440)).share).toBeLessThan(0.1);
    await alice.tone(undefined);
    await expect.poll(async () => (await bob.toneLevel(440)).rms, { timeout: 5000 }).toBeLessThan(50);
    await bob.tone(undefined);
  });

  test('what one says is heard by the other soon after', async () => {
    await bob.forget();
    const saidAt = await alice.say(concat(silence(200), tone(600, 400), silence(300)));
    const { samples, rateHz, startedAt } = await bob.heard();
    const lateMs = startedAt + (toneOnset(samples, 600, { rateHz }) ?? Number.NaN) - (saidAt + 200);
    expect(lateMs).toBeGreaterThan(-20);
    expect(lateMs).toBeLessThan(1000);
  });

  test('a fake microphone plays its file', async () => {
    const [carol, dave] = [
      await browser.peer({ source: 'microphone', channel: 'none' }),
      await browser.peer({ source: 'none', channel: 'none' }),
    ];
    await carol.accept(await dave.answer(await carol.offer()));
    await dave.connected();
    await expect.poll(async () => (await dave.toneLevel(700)).present, { timeout: 5000 }).toBe(true);
    await carol.close();
    await dave.close();
  });
});
