import { afterAll, expect, test } from 'vitest';
import { BrowserPeer, postTo } from '../support/browser-peer.ts';
import { endpointText } from '../support/endpoint.ts';
import { GatewayProcess } from '../support/gateway-process.ts';

/* An ICE restart by the HTTP door: what it answers, in one process and by way of a worker. */

const ends: (() => unknown)[] = [];

afterAll(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const ufragOf = (sdp: string): string => /^a=ice-ufrag:(\S+)/m.exec(sdp)?.[1] ?? '';

/** The same offer with other credentials. */
function again(offer: string, ufrag: string): string {
  return offer
    .replaceAll(/^a=ice-ufrag:.*$/gm, `a=ice-ufrag:${ufrag}`)
    .replaceAll(/^a=ice-pwd:.*$/gm, `a=ice-pwd:${ufrag.padEnd(24, 'x')}`);
}

async function calling(flags: readonly string[]) {
  const gateway = await GatewayProcess.start({ flags });
  ends.push(() => gateway.stop());
  let offer = '';
  const browser = await BrowserPeer.call({
    post: postTo(gateway.http),
    mangle: (text) => {
      offer = text;
      return text;
    },
  });
  ends.push(() => browser.close());
  await browser.event('session.created');
  const restart = async (sdp: string, id = browser.sessionId) => {
    const url = `http://${endpointText(gateway.http)}/v1/realtime/calls/${id}`;
    const response = await fetch(url, { method: 'POST', body: sdp, headers: { 'content-type': 'application/sdp' } });
    return { status: response.status, text: await response.text() };
  };
  return { browser, offer, restart };
}

test.each([
  ['one process', []],
  ['two workers', ['--workers', '2']],
])('a call in %s is restarted, stays good under the credentials it has, and is not when it may not be', async (_where, flags) => {
  const { browser, offer, restart } = await calling(flags);
  const { status, text } = await restart(again(offer, 'second'));
  expect(status).toBe(200);
  expect(ufragOf(text)).not.toBe(ufragOf(browser.answer));
  expect(ufragOf((await restart(again(offer, 'second'))).text)).toBe(ufragOf(text));
  const other = (_line: string, start: string, first: string): string => `${start}${first === '00' ? '01' : '00'}`;
  const stolen = again(offer, 'third').replaceAll(/^(a=fingerprint:sha-256 )(..)/gm, other);
  const refused = await restart(stolen);
  expect([refused.status, refused.text]).toEqual([400, expect.stringContaining('the fingerprint is another one')]);
  expect((await restart(again(offer, 'third').replace(/m=application[\s\S]*/, ''))).status).toBe(400);
  expect((await restart('no SDP at all')).status).toBe(400);
  expect((await restart(again(offer, 'third'), `${browser.sessionId.slice(0, -4)}AAAA`)).status).toBe(404);
  // The answer was never applied: its call goes on under the first one.
  expect(browser.send({ type: 'input_audio_buffer.clear' })).toBe(true);
  await browser.event('input_audio_buffer.cleared');
});
