import { afterEach, describe, expect, test } from 'vitest';
import { Baresip, splitNetstrings } from '../support/baresip.ts';
import { describePeer } from '../support/peers.ts';
import { readTelephoneEvent } from '../support/rtp-wire.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { readStatistics, runSipp, startSippServer } from '../support/sipp.ts';
import { concat, findTone, silence, tone, toneOnset, toneRuns } from '../support/tones.ts';

const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A phone that takes every call and says 1004 Hz. */
async function answeringPhone(): Promise<SipPhone> {
  const phone = await SipPhone.open({ t1Ms: 500 });
  ends.push(() => phone.close());
  phone.onRequest = (request) => {
    if (request.method === 'INVITE' && !request.toTag) {
      void phone.nextCall().then((call) => {
        call.media.background(tone(1004, 1000));
        call.ring();
        call.answer();
      });
    }
    return false;
  };
  return phone;
}

describePeer('sipp', 'sipp', () => {
  test('calls its own server', async () => {
    const server = await startSippServer();
    const result = await runSipp(server.local, { scenario: { builtIn: 'uac' }, calls: 20, rate: 100 });
    expect(result).toMatchObject({ exitCode: 0, created: 20, successful: 20, failed: 0, errors: '' });
    await server.kill();
  });

  test.each(['options', 'uac-call', 'uac-late-ack', 'uac-reinvite', 'uac-bye-before-ack', 'uac-cancel-after-answer'] as const)(
    '%s passes against a phone that does it right',
    async (scenario) => {
      const phone = await answeringPhone();
      expect(await runSipp(phone.local, { scenario, calls: 3 })).toMatchObject({ exitCode: 0, successful: 3, failed: 0, errors: '' });
    },
  );

  test('plays its file, and the phone hears it', async () => {
    const phone = await answeringPhone();
    const coming = phone.nextCall();
    const run = runSipp(phone.local, { scenario: 'uac-audio', talkMs: 600, audio: tone(880, 1000) });
    const call = await coming;
    await call.hungUp();
    expect(findTone(call.media.recording().samples, 880)).toMatchObject({ present: true });
    expect(await run).toMatchObject({ successful: 1, failed: 0 });
  });

  test('cancels while it rings', async () => {
    const phone = await SipPhone.open();
    ends.push(() => phone.close());
    const coming = phone.nextCall();
    const run = runSipp(phone.local, { scenario: 'uac-cancel' });
    (await coming).ring();
    expect(await run).toMatchObject({ successful: 1, failed: 0, errors: '' });
  });

  test('a refused codec is a success of that scenario, an answer is a failure', async () => {
    const phone = await SipPhone.open();
    ends.push(() => phone.close());
    const coming = phone.nextCall();
    const run = runSipp(phone.local, { scenario: 'uac-refused-codec' });
    (await coming).refuse(488, 'Not Acceptable Here');
    expect(await run).toMatchObject({ successful: 1, failed: 0 });
    const again = phone.nextCall();
    const wrong = runSipp(phone.local, { scenario: 'uac-refused-codec' });
    (await again).answer();
    expect(await wrong).toMatchObject({ successful: 0, failed: 1, unexpected: 1, exitCode: 1 });
  });

  test('loses a tenth of its messages and still gets all its calls through', async () => {
    const phone = await answeringPhone();
    const result = await runSipp(phone.local, { scenario: 'uac-call', calls: 30, rate: 100, lossPercent: 10 });
    expect(result.retransmissions).toBeGreaterThan(0);
    expect(result).toMatchObject({ successful: 30, failed: 0 });
  });
});

describePeer('baresip', 'baresip', () => {
  test('calls a phone: both hear each other, a key arrives, and it hangs up', async () => {
    const phone = await SipPhone.open();
    const baresip = await Baresip.start({ microphone: concat(silence(300), tone(440, 1000)) });
    ends.push(
      () => phone.close(),
      () => baresip.stop(),
    );
    const coming = phone.nextCall();
    await baresip.dial(phone.local);
    const call = await coming;
    call.ring();
    call.answer();
    await baresip.established();
    await call.media.say(concat(silence(200), tone(1004, 800), silence(200)));
    await baresip.press('7');
    const end = await call.media.arrivals.find(
      (each) => readTelephoneEvent(each.payload)?.end === true && each.payloadType === 101,
      2000,
      'the key',
    );
    expect(readTelephoneEvent(end.payload)?.digit).toBe('7');
    await baresip.hangup();
    await call.hungUp();
    await baresip.closed();
    const heard = call.media.recording().samples;
    expect(Math.abs((toneOnset(heard, 440) ?? 0) - 300)).toBeLessThan(25);
    const [run] = toneRuns(await baresip.heard(), 1004);
    expect(run!.toMs - run!.fromMs).toBeGreaterThan(760);
    expect(toneOnset(await baresip.said(), 440)).toBeDefined();
  });

  test('two of them call each other', async () => {
    const [alice, bob] = [
      await Baresip.start({ user: 'alice', microphone: tone(440, 600) }),
      await Baresip.start({ user: 'bob', microphone: tone(880, 600), answer: 'auto' }),
    ];
    ends.push(
      () => alice.stop(),
      () => bob.stop(),
    );
    await alice.dial(`sip:bob@127.0.0.1:${bob.local.port}`);
    await alice.established();
    await bob.event('CALL_RTPESTAB');
    await bob.established();
    await expect.poll(async () => (await alice.heard()).length, { timeout: 3000 }).toBeGreaterThan(4000);
    await alice.hangup();
    await bob.closed();
    expect(findTone(await alice.heard(), 880, { fromMs: 50, toMs: 400 }).present).toBe(true);
    expect(findTone(await bob.heard(), 440, { fromMs: 50, toMs: 400 }).present).toBe(true);
  });
});

describe('reading what the programs write', () => {
  test('statistics are read by name from the last line', () => {
    const counter = readStatistics('A;B(C);\n1;2;\n3;4;\n');
    expect([counter('A'), counter('B(C)'), counter('none')]).toEqual(['3', '4', '']);
    expect(readStatistics('A;B\n')('A')).toBe('');
  });

  test('netstrings are split, an incomplete one waits', () => {
    expect(splitNetstrings(Buffer.from('5:hello,2:ok,7:half'))).toEqual({ messages: ['hello', 'ok'], rest: Buffer.from('7:half') });
    expect(splitNetstrings(Buffer.from('5:hell'))).toEqual({ messages: [], rest: Buffer.from('5:hell') });
    expect(splitNetstrings(Buffer.from('5:hello')).messages).toEqual([]);
  });
});
