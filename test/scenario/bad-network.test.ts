import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GatewayProcess } from '../support/gateway-process.ts';
import { nextSound, silentMs } from '../support/heard.ts';
import { IdleGateway } from '../support/idle-gateway.ts';
import { Lateness } from '../support/lateness.ts';
import type { DialOptions, PhoneCall } from '../support/phone-call.ts';
import { seededRandom } from '../support/random.ts';
import type { Mangle, OutgoingRtp, RtpPhone } from '../support/rtp-phone.ts';
import { speech } from '../support/speech.ts';
import { Switchhook } from '../support/switchhook.ts';
import { concat, findTone, tone, toneRuns } from '../support/tones.ts';
import { elapse, eventually } from '../support/wait.ts';

/* The phone's audio comes over a bad network, or from a phone that changes its mind: the agent goes on hearing it. */

const hook = new Switchhook();
let gateway: GatewayProcess;
let idle: IdleGateway;
let late: Lateness;

beforeAll(async () => {
  gateway = await GatewayProcess.start();
  await (await hook.call(gateway.sip)).bye();
  idle = await IdleGateway.take(gateway);
  late = new Lateness(gateway);
});

afterAll(async () => {
  late.stop();
  await hook.close();
  try {
    await idle.restored();
  } finally {
    await gateway.stop();
  }
});

/** A call that hears its own 440 Hz without a break. */
async function humming(options: DialOptions = {}): Promise<PhoneCall> {
  const call = await hook.call(gateway.sip, options);
  await nextSound(call.media, 2000);
  await call.media.press('2');
  await elapse(2100);
  call.media.background(tone(440, 1000));
  await nextSound(call.media, 3000);
  await elapse(200);
  return call;
}

async function expectTone(call: PhoneCall, ms = 400): Promise<void> {
  const { media } = call;
  const first = media.arrivals.count;
  await elapse(ms);
  const present = (): boolean => findTone(media.recording(Math.max(first, media.arrivals.count - ms / 20)).samples, 440).present;
  // A stall of the machine leaves a hole in the one piece or the other.
  await eventually(present, 3000, 'its own tone');
}

async function recordOf(call: PhoneCall): Promise<Readonly<Record<string, unknown>>> {
  expect((await call.bye()).status).toBe(200);
  return eventually(() => gateway.cdrs().find((each) => each['sip_call_id'] === call.callId), 2000, 'the call record');
}

/** What a network did to the packets. */
interface Harm {
  readonly mangle: Mangle;
  passed: number;
  lost: number;
  duplicated: number;
  reordered: number;
}

/** Every twentieth packet is lost, one doubled, one comes after its successor. */
function harm(seed: number): Harm {
  const random = seededRandom(seed);
  const done: Harm = { passed: 0, lost: 0, duplicated: 0, reordered: 0, mangle: (packet) => fate(packet) };
  const fate = (packet: OutgoingRtp): OutgoingRtp | OutgoingRtp[] | undefined => {
    const share = random();
    if (share < 0.05) {
      done.lost += 1;
      return undefined;
    }
    done.passed += 1;
    if (share < 0.1) {
      done.duplicated += 1;
      return [packet, packet];
    }
    if (share >= 0.15) return packet;
    done.reordered += 1;
    return { ...packet, delayMs: 25 };
  };
  return done;
}

describe.concurrent('a caller', () => {
  test('with 5 % loss, reordering and duplicates hears its words again, and the record counts right', async () => {
    const call = await hook.call(gateway.sip);
    await elapse(300);
    const network = harm(7);
    call.media.mangle = network.mangle;
    await call.media.say(concat(speech(600), tone(1200, 300), tone(700, 300), speech(600, { seed: 2 })));
    const first = call.media.arrivals.count;
    await nextSound(call.media, 3000);
    await elapse(2000);
    call.media.mangle = undefined;
    const { samples } = call.media.recording(first);
    const longest = (hz: number): number => Math.max(0, ...toneRuns(samples, hz).map(({ fromMs, toMs }) => toMs - fromMs));
    expect(longest(1200)).toBeGreaterThan(120);
    expect(longest(700)).toBeGreaterThan(120);
    await elapse(200);
    const record = await recordOf(call);
    console.log(
      `bad network: ${network.lost} lost, ${network.duplicated} doubled, ${network.reordered} reordered; recorded ` +
        `${record['packets_lost']} lost, ${record['packets_discarded']} discarded, ${record['concealed_in_frames']} concealed`,
    );
    expect(record['packets_lost']).toBe(network.lost);
    const figure = (name: string): number => Number(record[name] ?? 0);
    const gone = ['concealed', 'beside', 'waiting'].reduce((sum, name) => sum + figure(`frames_${name}`), 0) + figure('packets_discarded');
    expect(figure('frames_out') + gone).toBe(figure('frames_in'));
    expect(figure('discarded_duplicate')).toBe(network.duplicated);
    // A packet that was to come 25 ms late may come later than the 30 ms it is waited for, on a busy machine.
    expect(record['packets_discarded']).toBeGreaterThanOrEqual(network.duplicated);
    expect(record['packets_discarded']).toBeLessThanOrEqual(network.duplicated + network.reordered);
    // And a stall of 120 ms is taken for silence.
    expect(Number(record['concealed_in_frames'])).toBeGreaterThan(network.lost - 2 - (await late.soFar()) / 20);
    expect(Number(record['concealed_in_frames'])).toBeLessThan(network.lost + network.reordered);
  });

  test('with 5 % loss, reordering and duplicates hears its echo', async () => {
    const call = await humming();
    const network = harm(8);
    call.media.mangle = network.mangle;
    await elapse(200);
    await expectTone(call, 1500);
    expect(network.lost).toBeGreaterThan(1);
    await call.bye();
  });

  test.each<{ what: string; change: (media: RtpPhone) => void; withinMs: number }>([
    { what: 'the stream gets another SSRC, with a marker', change: (media) => restart(media, true), withinMs: 100 },
    { what: 'the stream gets another SSRC, without a marker', change: (media) => restart(media, false), withinMs: 200 },
    { what: 'the timestamp jumps forward by a minute', change: (media) => jump(media, 0, 480_000), withinMs: 200 },
    { what: 'the timestamp jumps back by an hour', change: (media) => jump(media, 0, -28_800_000), withinMs: 200 },
    { what: 'the sequence jumps by 20000', change: (media) => jump(media, 20_000, 0), withinMs: 200 },
    { what: 'the sequence jumps back by 300', change: (media) => jump(media, -300, 0), withinMs: 200 },
  ])('is heard within $withinMs ms when $what', async ({ what, change, withinMs }) => {
    const call = await humming();
    change(call.media);
    const at = performance.now();
    const stoodBefore = late.totalMs;
    await elapse(1000);
    const awayMs = silentMs(call.media, at);
    console.log(`${what}: ${awayMs} ms without audio`);
    expect(awayMs).toBeLessThan(withinMs + (await late.soFar()) + late.totalMs - stoodBefore);
    await expectTone(call);
    await call.bye();
  });

  test.each([
    { what: 'over a wrap of the sequence numbers', firstSequence: 65_536 - 250 },
    { what: 'without a wrap', firstSequence: 1000 },
  ])('is heard within 200 ms after a hole of 3.2 s $what', async ({ what, firstSequence }) => {
    const call = await humming({ rtp: { firstSequence } });
    const before = call.media.sequence;
    call.media.mangle = () => undefined;
    await elapse(3200);
    call.media.mangle = undefined;
    const at = performance.now();
    const stoodBefore = late.totalMs;
    if (firstSequence > 60_000) expect(call.media.sequence, 'the wrap lies in the hole').toBeLessThan(before);
    await elapse(1000);
    const awayMs = silentMs(call.media, at);
    console.log(`hole of 3.2 s ${what}: ${awayMs} ms without audio`);
    expect(awayMs).toBeGreaterThan(0);
    expect(awayMs).toBeLessThan(200 + (await late.soFar()) + late.totalMs - stoodBefore);
    await expectTone(call);
    await call.bye();
  });

  test('that sends nothing while it is silent is heard at once when it speaks again', async () => {
    const call = await humming();
    call.media.pause();
    await elapse(1000);
    call.media.resume();
    const at = performance.now();
    const stoodBefore = late.totalMs;
    await elapse(1000);
    const awayMs = silentMs(call.media, at);
    console.log(`silence suppression: ${awayMs} ms without audio`);
    expect(awayMs).toBeLessThan(150 + (await late.soFar()) + late.totalMs - stoodBefore);
    await call.bye();
  });

  test('whose packets hold 40 ms hears its echo', async () => {
    const call = await hook.call(gateway.sip);
    let held: OutgoingRtp | undefined;
    let sequence = call.media.sequence;
    call.media.mangle = (packet) => {
      if (packet.payloadType > 8) return { ...packet, sequence: sequence++ & 0xffff };
      if (!held) {
        held = packet;
        return undefined;
      }
      const both = { ...held, sequence: sequence++ & 0xffff, payload: Buffer.concat([held.payload, packet.payload]) };
      held = undefined;
      return both;
    };
    await nextSound(call.media, 2000);
    await call.media.press('2');
    await elapse(2100);
    call.media.background(tone(440, 1000));
    await elapse(400);
    await expectTone(call, 1000);
    await call.bye();
  });

  test.each([
    { what: 'at another port than it said', media: { port: 40_009 } },
    { what: 'at another address than it said', media: { address: '127.0.0.2' } },
  ])('behind a NAT, who is $what, is heard and hears', async ({ media }) => {
    const stoodBefore = late.totalMs;
    const call = await humming({ offer: { media } });
    await expectTone(call, 500);
    const record = await recordOf(call);
    // Whoever stands still sees a stream that has lost its pace, and begins to count anew.
    const stoodMs = (await late.soFar()) + late.totalMs - stoodBefore;
    expect(record['packets_foreign']).toBeLessThanOrEqual(5 + Math.ceil(stoodMs / 20));
  });
});

function jump(media: RtpPhone, packets: number, ticks: number): void {
  media.sequence = (media.sequence + packets) & 0xffff;
  media.timestamp = (media.timestamp + ticks) >>> 0;
}

function restart(media: RtpPhone, marker: boolean): void {
  media.ssrc = (media.ssrc + 1) >>> 0;
  jump(media, 12_345, 1_000_000);
  if (!marker) return;
  media.mangle = (packet) => {
    media.mangle = undefined;
    return { ...packet, marker: true };
  };
}
