import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ApiEvent, BrowserPeer, type BrowserPeerOptions, postTo } from '../support/browser-peer.ts';
import { endpointText } from '../support/endpoint.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { loudArrivals, nextSound } from '../support/heard.ts';
import { IdleGateway } from '../support/idle-gateway.ts';
import { Lateness } from '../support/lateness.ts';
import { speech } from '../support/speech.ts';
import { Switchhook } from '../support/switchhook.ts';
import { concat, type ToneRun, tone, toneRuns } from '../support/tones.ts';
import { elapse, eventually } from '../support/wait.ts';

/*
 * Two doors, one rule: whoever calls, by phone or from a browser, has the same conversation. And what a browser may do to the gateway.
 */

/** A goodbye may get lost on a busy machine: the consent of ICE ends after 30 s. */
const IDLE_WITHIN_MS = 40_000;

const hook = new Switchhook();
let gateway: GatewayProcess;
let idle: IdleGateway;
let late: Lateness;
const browsers: BrowserPeer[] = [];

beforeAll(async () => {
  gateway = await GatewayProcess.start();
  await (await hook.call(gateway.sip)).bye();
  idle = await IdleGateway.take(gateway);
  late = new Lateness(gateway);
});

afterAll(async () => {
  late.stop();
  for (const browser of browsers) browser.close();
  await hook.close();
  try {
    await idle.restored(IDLE_WITHIN_MS);
  } finally {
    await gateway.stop();
  }
});

async function browse(options: Partial<BrowserPeerOptions> = {}): Promise<BrowserPeer> {
  const browser = await BrowserPeer.call({ post: postTo(gateway.http), ...options });
  browsers.push(browser);
  return browser;
}

/** A caller, by whichever door. Samples are at 8 kHz, times performance.now() ms. */
interface Caller {
  say(samples: Int16Array): Promise<{ readonly startedAt: number; readonly endedAt: number }>;
  nextSound(deadlineMs: number): Promise<{ readonly at: number }>;
  loudBetween(from: number, to?: number): readonly { readonly at: number }[];
  heard(): Int16Array;
  leave(): Promise<unknown>;
}

async function byPhone(): Promise<Caller> {
  const call = await hook.call(gateway.sip);
  const { media } = call;
  return {
    say: (samples) => media.say(samples),
    nextSound: (deadlineMs) => nextSound(media, deadlineMs),
    loudBetween: (from, to) => loudArrivals(media, from, to),
    heard: () => media.recording().samples,
    leave: () => call.bye(),
  };
}

async function fromBrowser(codec: BrowserPeerOptions['codec'] = 'opus'): Promise<Caller> {
  const browser = await browse({ codec });
  await browser.connected();
  return {
    say: (samples) => browser.say(samples),
    nextSound: (deadlineMs) => browser.nextSound(deadlineMs),
    loudBetween: (from, to) => browser.loudBetween(from, to),
    heard: () => browser.recording().samples,
    leave: async () => browser.close(),
  };
}

/** 600 ms of voice, 200 ms at 1200 Hz, 200 ms at 700 Hz, 600 ms of voice. */
const WORDS = concat(speech(600), tone(1200, 200), tone(700, 200), speech(600, { seed: 2 }));

/** Both tones, in their order. On a machine that stands still for a moment a piece of one is missing, never half of it. */
function hasWords(samples: Int16Array): boolean {
  const high = runsOf(samples, 1200);
  const low = runsOf(samples, 700);
  const soundMs = (runs: readonly ToneRun[]): number => runs.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0);
  return soundMs(high) >= 100 && soundMs(low) >= 100 && (high[0]?.fromMs ?? 0) < (low[0]?.fromMs ?? 0);
}

/** A vowel may hold one of its harmonics for a moment; the tones last. */
function runsOf(samples: Int16Array, hz: number): readonly ToneRun[] {
  return toneRuns(samples, hz).filter(({ fromMs, toMs }) => toMs - fromMs >= 60);
}

describe.concurrent.each<{ door: string; call: () => Promise<Caller> }>([
  { door: 'a phone', call: byPhone },
  { door: 'a browser', call: () => fromBrowser() },
  { door: 'a browser without Opus', call: () => fromBrowser('PCMU') },
  { door: 'a browser that has A-law only', call: () => fromBrowser('PCMA') },
])('a caller with $door', ({ call }) => {
  test('is greeted, and hears its own words come back', async () => {
    const caller = await call();
    await caller.nextSound(10_000);
    await elapse(2500);
    const said = await caller.say(WORDS);
    const answer = await caller.nextSound(10_000);
    await elapse(2000);
    expect(hasWords(caller.heard()), 'the tones in their order and length').toBe(true);
    expect(answer.at - said.endedAt).toBeLessThan(1200 + (await late.soFar()));
    await caller.leave();
  });

  test('who speaks over the greeting silences it', async () => {
    const caller = await call();
    const { at } = await caller.nextSound(10_000);
    await elapse(Math.max(0, at + 900 - performance.now()));
    const said = await caller.say(speech(1200));
    const after = caller.loudBetween(said.startedAt, said.endedAt);
    const cutMs = (after.at(-1)?.at ?? said.startedAt) - said.startedAt;
    expect(cutMs).toBeLessThan(260 + (await late.soFar()));
    await caller.leave();
  });
});

describe.concurrent('a browser', () => {
  test('has session.created as soon as its channel is open, and the events of its turns', async () => {
    const browser = await browse();
    const created = await browser.event('session.created');
    expect(browser.events.all[0]?.type).toBe('session.created');
    expect(created).toMatchObject({ session: { id: browser.sessionId, object: 'realtime.session', type: 'realtime' } });
    browser.send({ type: 'session.update', event_id: 'mine', session: { type: 'realtime', instructions: 'Speak slowly.' } });
    expect(await browser.event('session.updated')).toMatchObject({ session: { instructions: 'Speak slowly.' } });
    await browser.nextSound(10_000);
    await elapse(2500);
    await browser.say(WORDS);
    for (const type of ['input_audio_buffer.speech_started', 'input_audio_buffer.committed', 'output_audio_buffer.started'])
      await browser.event(type);
    browser.send({ type: 'input_audio_buffer.append', event_id: 'wrong', audio: '' });
    expect(await browser.event('error')).toMatchObject({ error: { code: 'invalid_event_for_transport', event_id: 'wrong' } });
    await fetch(`http://${endpointText(gateway.http)}/v1/realtime/calls/${browser.sessionId}/hangup`, { method: 'POST' });
    expect(await browser.event('call.ended')).toMatchObject({ reason: 'agent_hangup' });
    await browser.closed.find((reason) => reason === 'remote_closed', 5000, 'the goodbye of the gateway');
  });

  test('is let go when it leaves', async () => {
    const browser = await browse();
    await browser.event('session.created');
    browser.close();
    const line = await gateway.log.find(
      (each) => each.msg === 'session ended' && each['session'] === browser.sessionId,
      5000,
      'the end of the session',
    );
    expect(line['cause']).toBe('remote_hangup');
  });

  test('may send what is no event, in text and bytes, and has an error for each', async () => {
    const browser = await browse();
    await browser.event('session.created');
    const sent: (string | Uint8Array)[] = [
      '',
      '{',
      '[]',
      'null',
      '{"type":"no.such"}',
      '{"type":5}',
      Buffer.of(0xff, 0, 0x80),
      Buffer.alloc(1000),
    ];
    sent.push(`{"type":"session.update","session":${'['.repeat(5000)}${']'.repeat(5000)}}`, '{"__proto__":{"type":"response.create"}}');
    for (const each of sent) browser.send(each);
    const errors = (): ApiEvent[] => browser.events.all.filter(({ type }) => type === 'error');
    await eventually(() => errors().length >= sent.length, 5000, 'an error for each');
    expect(errors()).toHaveLength(sent.length);
    browser.close();
  });

  test('may send 256 kB in one message, and flood the channel, and nobody else notices', async () => {
    const other = await browse();
    const browser = await browse();
    await Promise.all([browser.event('session.created', 15_000), other.event('session.created', 15_000)]);
    const large = { type: 'session.update', session: { type: 'realtime', instructions: 'x'.repeat(250_000) } };
    expect(browser.send(large)).toBe(true);
    const updated = (await browser.event('session.updated', 30_000)) as { session?: { instructions?: string } };
    expect(updated.session?.instructions).toHaveLength(250_000);
    const beganAt = performance.now();
    let sent = 0;
    // No longer than the test can bear on a slow machine.
    while (sent < 4000 && performance.now() - beganAt < 10_000) {
      if (browser.send({ type: 'input_audio_buffer.clear' })) sent += 1;
      else await elapse(5);
    }
    // Either it is told to hold back, or each of its events was answered.
    const limited = (): boolean => browser.events.all.some((each) => JSON.stringify(each['error'] ?? '').includes('rate_limit_exceeded'));
    const answered = (): number => browser.events.all.filter(({ type }) => type === 'input_audio_buffer.cleared').length;
    await eventually(() => limited() || answered() >= sent, 40_000, 'an answer to the flood');
    other.send({ type: 'session.update', session: { type: 'realtime', instructions: 'calm' } });
    await other.event('session.updated', 10_000);
    browser.close();
    other.close();
  });

  test('with another data channel is heard all the same, and the channel is closed', async () => {
    const browser = await browse({ label: 'chat' });
    await browser.connected();
    await eventually(() => browser.channelsClosed.includes('chat'), 5000, 'the channel to be closed');
    await browser.nextSound(10_000);
    expect(browser.events.all).toEqual([]);
    browser.close();
  });

  test('without a data channel is heard', async () => {
    const browser = await browse({ label: null });
    await browser.nextSound(10_000);
    browser.close();
  });

  test.each<[string, (offer: string) => string, string]>([
    ['nothing of SDP in it', () => 'hello', '400'],
    ['no audio', (offer) => offer.replace(/m=audio[\s\S]*?(?=m=application)/, ''), '400'],
    ['no fingerprint', (offer) => offer.replace(/a=fingerprint:.*\r\n/g, ''), '400'],
    ['a fingerprint that is too short', (offer) => offer.replace(/(a=fingerprint:sha-256 ).*/g, '$1AB:CD'), '400'],
    ['no codec of ours', (offer) => offer.replace(/opus\/48000\/2/g, 'speex/8000'), '400'],
    ['no credentials', (offer) => offer.replace(/a=ice-(?:ufrag|pwd):.*\r\n/g, ''), '400'],
  ])('is refused for an offer with %s', async (_what, mangle, status) => {
    const refused = BrowserPeer.call({ post: postTo(gateway.http), mangle });
    await expect(refused).rejects.toThrow(new RegExp(`^${status} `));
  });

  test('has an answer with every relay candidate, whatever else it offered', async () => {
    const video = 'm=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:v\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\na=sendrecv\r\n';
    const browser = await browse({ mangle: (offer) => offer + video.repeat(20) });
    const { address, port } = gateway.relay;
    expect(browser.answer).toMatch(new RegExp(`a=candidate:\\S+ 1 udp \\d+ ${address} ${port} typ host`));
    expect(browser.answer).toMatch(new RegExp(`a=candidate:\\S+ 1 tcp \\d+ ${address} ${port} typ host tcptype passive`));
    expect(browser.answer.match(/^m=video 0 /gm)).toHaveLength(20);
    await browser.event('session.created');
    browser.close();
  });

  test('is one of twenty that come at once, each with its own conversation', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => browse()));
    await Promise.all(all.map((each) => each.event('session.created', 15_000)));
    await Promise.all(all.map((each) => eventually(() => each.loudBetween(0).length > 0, 15_000, 'a greeting')));
    expect(new Set(all.map(({ sessionId }) => sessionId)).size).toBe(20);
    const answeredMs = all.map((each) => each.answeredMs).sort((a, b) => a - b);
    const openMs = all.map((each) => (each.channelAt ?? 0) - each.postedAt).sort((a, b) => a - b);
    console.log(`20 at once: POST → answer p50 ${answeredMs[10]?.toFixed(0)} ms, → channel open p50 ${openMs[10]?.toFixed(0)} ms`);
    for (const each of all) each.close();
  });
});
