import { expect, test } from 'vitest';
import type { RtpPacket } from '../../../src/rtp/packet.ts';
import { parseTelephoneEvent, TelephoneEventReceiver } from '../../../src/rtp/telephone-event.ts';
import { type KeyStep, TelephoneEventSender } from '../../../src/rtp/telephone-event-sender.ts';

/** All beats of these keys, while the audio's clock goes on or stands still. */
function beats(digits: string, { from = 1000, ticks = 160 } = {}): KeyStep[] {
  const sender = new TelephoneEventSender();
  sender.push(digits);
  const steps: KeyStep[] = [];
  for (let at = from; ; at = (at + ticks) >>> 0) {
    const step = sender.step(at);
    if (!step) return steps;
    steps.push(step);
  }
}

function heard(steps: readonly KeyStep[]): string {
  const receiver = new TelephoneEventReceiver();
  let digits = '';
  for (const [n, step] of steps.entries()) {
    if (step.type === 'packet') receiver.push({ ...step, ssrc: 1, sequenceNumber: n, payloadType: 101 } as unknown as RtpPacket, n * 20);
    for (let key = receiver.poll(n * 20); key; key = receiver.poll(n * 20)) digits += key.digit;
  }
  return digits;
}

test('a key lasts 160 ms, is marked at its beginning, and its end is said three times', () => {
  const steps = beats('5');
  const packets = steps.filter((step) => step.type === 'packet');
  expect(packets.map(({ payload }) => parseTelephoneEvent(payload)?.duration)).toEqual([
    160, 320, 480, 640, 800, 960, 1120, 1280, 1280, 1280,
  ]);
  expect(packets.map(({ payload }) => parseTelephoneEvent(payload)?.end)).toEqual([...Array(7).fill(false), true, true, true]);
  expect(packets.map(({ marker }) => marker)).toEqual([true, ...Array(9).fill(false)]);
  expect(new Set(packets.map(({ timestamp }) => timestamp))).toEqual(new Set([1000]));
  expect(steps.slice(packets.length).map(({ type }) => type)).toEqual(['pause', 'pause', 'pause']);
});

test.each([
  ['the audio goes on', 160],
  ['the audio stands still', 0],
])('keys are heard each once, while %s', (_, ticks) => {
  expect(heard(beats('0123456789*#ABCD', { ticks }))).toBe('0123456789*#ABCD');
  expect(heard(beats('1111', { ticks }))).toBe('1111');
});

test('keys are heard over a wrap of the clock', () => {
  expect(heard(beats('9119', { from: 0xffff_ff00 }))).toBe('9119');
});

test('what is no key is left out, and no more than 64 wait', () => {
  const sender = new TelephoneEventSender();
  expect(sender.push('1w2,d')).toBe(3);
  expect(sender.push('5'.repeat(1000))).toBe(61);
  expect(new TelephoneEventSender().step(0)).toBeUndefined();
});
