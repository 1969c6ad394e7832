import { afterAll, beforeAll, expect, test } from 'vitest';
import { Baresip, type BaresipOptions } from '../support/baresip.ts';
import { type GatewayUnderTest, gatewayUnderTest } from '../support/gateway-under-test.ts';
import { describePeer } from '../support/peers.ts';
import { findSound, promptSound } from '../support/prompt-sound.ts';
import { speech } from '../support/speech.ts';
import { concat, isSilent, silence, soundOnset, toneRuns } from '../support/tones.ts';
import { elapse, eventually } from '../support/wait.ts';

/** hello, a breath, menu. */
const GREETING_MS = 12_100;

/** From the end of a turn to the agent's answer there are 500 ms of hangover, and the answer itself is as long as the turn. */
const HANGOVER_MS = 1000;

const said = speech(1500);

describePeer('baresip', 'baresip calls the gateway', () => {
  let gateway: GatewayUnderTest;
  const phones: Baresip[] = [];

  beforeAll(async () => {
    gateway = await gatewayUnderTest({ mode: 'process' });
  });
  afterAll(async () => {
    await Promise.all(phones.map((each) => each.stop()));
    await gateway?.stop();
  });

  /** One at a time: the ports that one has looked for are taken before the next one looks. */
  let starting: Promise<unknown> = Promise.resolve();

  async function phone(options: BaresipOptions = {}): Promise<Baresip> {
    const started = starting.then(() => Baresip.start(options));
    starting = started.catch(() => undefined);
    const baresip = await started;
    phones.push(baresip);
    return baresip;
  }

  /** A phone whose call is up. */
  async function call(options: BaresipOptions = {}): Promise<Baresip> {
    const baresip = await phone(options);
    await baresip.dial(gateway.sip);
    await baresip.established();
    return baresip;
  }

  /** The record of this phone's call. */
  async function record(baresip: Baresip): Promise<Readonly<Record<string, unknown>>> {
    const { id } = await baresip.established();
    return eventually(() => gateway.cdrs().find((each) => each['sip_call_id'] === id), 3000, 'the call record');
  }

  test.concurrent('it hears the greeting whole, is parroted, gets the test tone on 3, and goodbye and BYE on #', async () => {
    const baresip = await call({ microphone: concat(silence(GREETING_MS + 600), said) });
    await elapse(GREETING_MS + 600 + 1500 + HANGOVER_MS + 1500);
    await baresip.press('3');
    await elapse(1200);
    await baresip.press('#');
    await baresip.closed();
    const heard = await baresip.heard();
    const hello = findSound(heard, promptSound('hello'));
    const menu = findSound(heard, promptSound('menu'), { fromMs: hello.endMs });
    const parrot = findSound(heard, said, { fromMs: menu.endMs });
    const goodbye = findSound(heard, promptSound('goodbye'), { fromMs: parrot.endMs });
    // Whole, but for what a busy machine may cost: one piece of 200 ms.
    expect(hello.share).toBeGreaterThan(0.9);
    expect(menu.share).toBeGreaterThan(0.9);
    expect(parrot.share).toBeGreaterThan(0.8);
    expect(goodbye.share).toBeGreaterThan(0.6);
    expect(hello.atMs).toBeLessThan(60);
    const spokeUntilMs = (soundOnset(await baresip.said()) ?? 0) + 1500;
    expect((parrot.atMs ?? 0) - spokeUntilMs).toBeLessThan(HANGOVER_MS);
    const [tone] = toneRuns(heard, 1004, { fromMs: parrot.endMs });
    expect((tone?.toMs ?? 0) - (tone?.fromMs ?? 0)).toBeGreaterThan(1000);
    expect((goodbye.atMs ?? 0) - (tone?.toMs ?? 0)).toBeLessThan(100);
    expect(await record(baresip)).toMatchObject({
      cause: 'agent_hangup',
      codec: 'PCMU',
      sip_status: 200,
      turns: 1,
      packets_lost: 0,
      packets_discarded: 0,
      concealed_in_frames: 0,
      concealed_out_frames: 0,
    });
  });

  test.concurrent('in A-law it speaks into the greeting, which ends at once, and is parroted', async () => {
    const baresip = await call({ codecs: ['PCMA'], microphone: concat(silence(2000), said) });
    await elapse(2000 + 1500 + HANGOVER_MS + 1500);
    await baresip.hangup();
    await baresip.closed();
    const heard = await baresip.heard();
    const hello = findSound(heard, promptSound('hello'));
    const parrot = findSound(heard, said, { fromMs: 2500 });
    expect(hello.share).toBeGreaterThan(0.2);
    expect(hello.share).toBeLessThan(0.5);
    expect(parrot.share).toBeGreaterThan(0.8);
    // Both recordings begin with the call, give or take a packet or two.
    const onsetMs = soundOnset(await baresip.said()) ?? 0;
    expect(isSilent(heard, { fromMs: onsetMs + 300, toMs: (parrot.atMs ?? 0) - 100 })).toBe(true);
    expect(await record(baresip)).toMatchObject({ cause: 'remote_hangup', codec: 'PCMA', turns: 1, barge_ins: 1, packets_lost: 0 });
  });

  test.concurrent('it hears itself on 2', async () => {
    const baresip = await call({ microphone: concat(silence(2600), said) });
    await elapse(300);
    await baresip.press('2');
    await elapse(2600 + 1500);
    await baresip.hangup();
    await baresip.closed();
    const heard = await baresip.heard();
    expect(findSound(heard, promptSound('echo')).share).toBeGreaterThan(0.8);
    const echo = findSound(heard, said);
    // A phone that was late with a packet is cut, not delayed.
    expect(echo.share).toBeGreaterThan(0.7);
    // Live: packets, the inner leg and one beat, no queue.
    expect((echo.atMs ?? 0) - (soundOnset(await baresip.said()) ?? 0)).toBeLessThan(150);
  });

  test.concurrent('put on hold it is sent nothing, taken back it hears and is heard again', async () => {
    const baresip = await call();
    await elapse(1000);
    await baresip.command('hold');
    await elapse(1500);
    await baresip.command('resume');
    await elapse(500);
    // It records no more after a hold; that the agent hears this key says that the call goes on.
    await baresip.press('#');
    await baresip.closed();
    const { cause, duration_s: seconds, packets_out: packets, packets_lost: lost } = await record(baresip);
    expect([cause, lost]).toEqual(['agent_hangup', 0]);
    const heldS = Number(seconds) - Number(packets) / 50;
    expect(heldS).toBeGreaterThan(1.3);
    expect(heldS).toBeLessThan(1.8);
  });

  test('hangs up as soon as it has dialled, again and again: nothing stays behind', async () => {
    const baresip = await phone();
    for (let n = 0; n < 5; n++) {
      await baresip.dial(gateway.sip);
      await baresip.hangup();
      await baresip.closed();
      baresip.events.clear();
    }
    await eventually(async () => (await gateway.metrics()).value('ringdown_calls') === 0, 3000, 'the calls to be over');
    expect((await gateway.metrics()).value('ringdown_sessions')).toBe(0);
  });
});
