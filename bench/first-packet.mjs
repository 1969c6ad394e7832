import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as elapse } from 'node:timers/promises';
import { tsImport } from 'tsx/esm/api';
import { quantile, table } from './figures.mjs';

const support = (name) => tsImport(`../test/support/${name}.ts`, import.meta.url);

/** 100 ms: long enough to be heard, short enough to be asked for often. */
const ANSWER = Int16Array.from({ length: 2400 }, (_, n) => Math.round(8000 * Math.sin((2 * Math.PI * 440 * n) / 24_000)));

/** From a model's first delta, as its server sends it, to the first packet of it at the browser: over the link, the session and the beat of 20 ms. */
export async function benchFirstPacket({ quick }) {
  const [{ ScriptedUpstream }, { GatewayProcess }, { BrowserPeer, postTo }] = await Promise.all(
    ['scripted-upstream', 'gateway-process', 'browser-peer'].map(support),
  );
  let saidAt = 0;
  const model = await ScriptedUpstream.start({
    respond: (session, ask) => {
      saidAt = performance.now();
      session.say(ask, { pcm: ANSWER, transcript: 'La.' });
    },
  });
  const folder = mkdtempSync(join(tmpdir(), 'ringdown-bench-'));
  const config = join(folder, 'ringdown.yaml');
  writeFileSync(config, `model: {type: realtime, profile: generic, url: '${model.url}', model: any, greet: false}\n`);
  const gateway = await GatewayProcess.start({ run: 'built', flags: ['--config', config] });
  const delays = [];
  try {
    const browser = await BrowserPeer.call({ post: postTo(gateway.http) });
    await browser.event('session.created');
    for (let n = 0; n < (quick ? 20 : 200); n++) {
      const from = browser.events.all.length;
      browser.send({ type: 'response.create' });
      await browser.event('output_audio_buffer.stopped', 5000, from);
      const [first] = browser.loudBetween(saidAt);
      if (first) delays.push(first.at - saidAt);
      await elapse(40 * Math.random()); // any moment of the beat
    }
    browser.close();
  } finally {
    await gateway.stop();
    await model.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  const ms = (q) => quantile(delays, q).toFixed(1);
  return {
    title: 'From the first delta of a model to the first packet at the browser, one call',
    text: table(['answers', 'p50 ms', 'p95 ms', 'worst ms'], [[delays.length, ms(0.5), ms(0.95), ms(1)]]),
  };
}
