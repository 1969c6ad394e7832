import { afterEach, describe, expect, test } from 'vitest';
import { chirp, findMarker } from '../../support/chirp.ts';
import type { PhoneCall } from '../../support/phone-call.ts';
import { readTelephoneEvent } from '../../support/rtp-wire.ts';
import { isRequest, isResponse, loseNth, loseShare } from '../../support/sip-loss.ts';
import { SipPhone, type SipPhoneOptions } from '../../support/sip-phone.ts';
import { concat, findTone, silence, tone } from '../../support/tones.ts';

const open: SipPhone[] = [];

async function newPhone(options: SipPhoneOptions = {}): Promise<SipPhone> {
  const phone = await SipPhone.open({ t1Ms: 50, ...options });
  open.push(phone);
  return phone;
}

afterEach(() => {
  for (const phone of open.splice(0)) phone.close();
});

async function talkingPair(alice: SipPhone, bob: SipPhone): Promise<readonly [PhoneCall, PhoneCall]> {
  const coming = bob.nextCall();
  const out = await alice.dial(bob.local);
  const call = await coming;
  call.ring();
  await out.response(180);
  call.answer();
  await out.answered();
  await call.acknowledged();
  return [out, call];
}

describe('two test phones', () => {
  test('call each other, hear each other and hang up', async () => {
    const [alice, bob] = [await newPhone({ user: 'alice' }), await newPhone({ user: 'bob' })];
    const [out, call] = await talkingPair(alice, bob);
    expect(out.remoteMedia?.rtp).toEqual(call.media.local);
    const said = await Promise.all([out.media.say(tone(440, 400)), call.media.say(tone(1004, 400))]);
    expect(said[0].endedAt - said[0].startedAt).toBeGreaterThan(370);
    await call.media.arrivals.next(() => true, 1000, 'one more packet');
    const heardByBob = call.media.recording().samples;
    const heardByAlice = out.media.recording().samples;
    const last = (heardByBob.length / 8) | 0;
    expect(findTone(heardByBob, 440, { fromMs: last - 350, toMs: last - 60 }).present).toBe(true);
    expect(findTone(heardByAlice, 1004, { fromMs: last - 350, toMs: last - 60 }).present).toBe(true);
    expect(call.media.figures()).toMatchObject({ lost: 0, duplicated: 0, reordered: 0 });
    expect((await out.bye()).status).toBe(200);
    await call.hungUp();
    expect(alice.seen('out', isRequest('ACK'))).toHaveLength(1);
  });

  test('delay is measured from the packet that carried the marker to the packet that brought it', async () => {
    const [alice, bob] = [await newPhone(), await newPhone()];
    const [out, call] = await talkingPair(alice, bob);
    const marker = chirp();
    const said = await out.media.say(concat(silence(105), marker, silence(200)));
    await call.media.arrivals.next(() => true, 1000, 'one more packet');
    const heard = call.media.recording();
    const found = findMarker(heard.samples, marker);
    const arrived = heard.arrivedAt(Math.round(found?.atSample ?? -1)) ?? Number.NaN;
    expect(arrived - said.sentAt(105 * 8)).toBeGreaterThanOrEqual(0);
    // Loopback takes no time; a busy machine does.
    expect(arrived - said.sentAt(105 * 8)).toBeLessThan(100);
  });

  test('a key is an event with one timestamp, one marker and three ends', async () => {
    const [alice, bob] = [await newPhone(), await newPhone()];
    const [out, call] = await talkingPair(alice, bob);
    await out.media.press('5', 100);
    const packets = call.media.arrivals.all.filter((each) => each.payloadType === 101);
    expect(new Set(packets.map((each) => each.timestamp)).size).toBe(1);
    expect(packets.map((each) => each.marker)).toEqual([true, false, false, false, false, false, false]);
    expect(packets.map((each) => readTelephoneEvent(each.payload))).toEqual(
      [160, 320, 480, 640, 800, 800, 800].map((duration, n) => ({ digit: '5', end: n >= 4, duration })),
    );
  });

  test('packets are mangled as told, and the figures show it', async () => {
    const [alice, bob] = [await newPhone(), await newPhone()];
    const [out, call] = await talkingPair(alice, bob);
    const start = out.media.sent;
    let number = 0;
    out.media.mangle = (packet) => {
      number += 1;
      if (number === 3) return undefined;
      if (number === 5) return [packet, packet];
      if (number === 7) return { ...packet, delayMs: 50 };
      return packet;
    };
    await out.media.say(silence(300));
    await call.media.arrivals.reach(start + 15, 2000, 'packets');
    expect(call.media.figures()).toMatchObject({ lost: 1, duplicated: 1, reordered: 1 });
  });

  test('a call is refused', async () => {
    const [alice, bob] = [await newPhone(), await newPhone()];
    const coming = bob.nextCall();
    const out = await alice.dial(bob.local);
    const call = await coming;
    call.refuse(486, 'Busy Here', [['Retry-After', '5']]);
    expect((await out.refused()).header('retry-after')).toBe('5');
    await call.acknowledged();
    await expect(out.answered()).rejects.toThrow('call refused: SIP/2.0 486 Busy Here');
  });

  test('a call is cancelled while it rings', async () => {
    const [alice, bob] = [await newPhone(), await newPhone()];
    const coming = bob.nextCall();
    const out = await alice.dial(bob.local);
    (await coming).ring();
    await out.response(180);
    expect((await out.cancel()).status).toBe(200);
    expect((await out.refused()).status).toBe(487);
  });

  test('without ACK the answer is repeated, and the late ACK ends that', async () => {
    const [alice, bob] = [await newPhone(), await newPhone()];
    const coming = bob.nextCall();
    const out = await alice.dial(bob.local, { ack: false });
    (await coming).answer();
    await alice.messages.find(
      (each) => alice.seen('in', isResponse(200, 'INVITE')).length >= 3 && each.direction === 'in',
      3000,
      'three answers',
    );
    expect(alice.seen('out', isRequest('ACK'))).toHaveLength(0);
    const times = alice.seen('in', isResponse(200, 'INVITE')).map((each) => each.at);
    expect(times[1]! - times[0]!).toBeGreaterThan(40);
    expect(times[2]! - times[1]!).toBeGreaterThan(80);
    out.ack();
    await (await bob.incoming.find(() => true, 100, 'the call')).acknowledged();
  });

  test('a lost INVITE, a lost answer and a lost BYE are made good by repeating', async () => {
    const [alice, bob] = [await newPhone(), await newPhone()];
    alice.loss = loseNth('out', 1, isRequest('INVITE'));
    bob.loss = loseNth('out', 1, isResponse(200, 'INVITE'));
    const coming = bob.nextCall();
    const out = await alice.dial(bob.local);
    const call = await coming;
    call.answer();
    await out.answered();
    alice.loss = loseNth('in', 1, isResponse(200, 'BYE'));
    expect((await out.bye()).status).toBe(200);
    expect(bob.seen('in', isRequest('BYE'))).toHaveLength(2);
    expect(call.requests.all.filter((each) => each.method === 'BYE')).toHaveLength(1);
    expect(alice.messages.all.filter((each) => each.lost)).toHaveLength(2);
  });

  test('at 10 % loss at each of two phones all of 30 calls are set up and ended', async () => {
    const [alice, bob] = [await newPhone({ loss: loseShare(0.1, 1) }), await newPhone({ loss: loseShare(0.1, 2) })];
    for (let n = 0; n < 30; n++) {
      const coming = bob.nextCall();
      const out = await alice.dial(bob.local);
      (await coming).answer();
      await out.answered();
      expect((await out.bye()).status).toBe(200);
    }
    const lost = [...alice.messages.all, ...bob.messages.all].filter((each) => each.lost).length;
    expect(lost).toBeGreaterThan(10);
  });

  test('offers again inside the call', async () => {
    const [alice, bob] = [await newPhone(), await newPhone()];
    const [out, call] = await talkingPair(alice, bob);
    const answer = await out.reinvite(out.sdp({ codecs: ['PCMA'], direction: 'sendonly' }));
    expect(answer.status).toBe(200);
    expect(call.remoteMedia).toMatchObject({ payloadTypes: [8], direction: 'sendonly' });
    expect(call.media.codec).toBe('PCMA');
    await bob.messages.find((each) => isRequest('ACK')(each.message) && each.message.cseq.number === 2, 1000, 'ACK of the re-INVITE');
  });

  test('asks for options', async () => {
    const [alice, bob] = [await newPhone(), await newPhone()];
    expect((await alice.ask('OPTIONS', bob.local)).header('allow')).toContain('INVITE');
  });

  test('never sends beyond this machine', async () => {
    const alice = await newPhone();
    await expect(alice.dial({ address: '192.0.2.1', port: 5060 })).rejects.toThrow('not loopback');
  });
});
