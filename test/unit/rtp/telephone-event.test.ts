import { describe, expect, it } from 'vitest';
import { parseTelephoneEvent, TelephoneEventReceiver, writeTelephoneEvent } from '../../../src/rtp/telephone-event.ts';

class Keypad {
  readonly receiver = new TelephoneEventReceiver();
  readonly log: [at: number, digit: string, durationMs: number][] = [];

  send(
    at: number,
    event: number,
    timestamp: number,
    duration: number,
    options: { end?: boolean; marker?: boolean; ssrc?: number } = {},
  ): void {
    const payload = writeTelephoneEvent({ event, end: options.end ?? false, volume: 10, duration });
    this.receiver.push(
      { payloadType: 101, marker: options.marker ?? false, sequenceNumber: 0, timestamp, ssrc: options.ssrc ?? 1, payload },
      at,
    );
    this.drain(at);
  }

  drain(at: number): void {
    for (let digit = this.receiver.poll(at); digit; digit = this.receiver.poll(at)) this.log.push([at, digit.digit, digit.durationMs]);
  }
}

describe('telephone events', () => {
  it('reads and writes the payload of RFC 4733', () => {
    const payload = writeTelephoneEvent({ event: 11, end: true, volume: 10, duration: 800 });
    expect(payload.toString('hex')).toBe('0b8a0320');
    expect(parseTelephoneEvent(payload)).toEqual({ event: 11, end: true, volume: 10, duration: 800 });
    expect(parseTelephoneEvent(Buffer.alloc(3))).toBeUndefined();
  });

  it('tells a key once, when its end comes, however often that is repeated', () => {
    const keypad = new Keypad();
    for (let i = 1; i <= 5; i += 1) keypad.send(i * 20, 5, 1000, i * 160, { marker: i === 1 });
    for (let i = 0; i < 3; i += 1) keypad.send(100 + i, 5, 1000, 960, { end: true });
    expect(keypad.log).toEqual([[100, '5', 120]]);
    expect(keypad.receiver.nextTimeout()).toBeUndefined();
  });

  it('knows all sixteen keys and ignores the hook flash and what lies beyond', () => {
    const keypad = new Keypad();
    for (let event = 0; event <= 255; event += 1) keypad.send(event, event, 1000 + event * 2000, 400, { end: true });
    expect(keypad.log.map(([, digit]) => digit).join('')).toBe('0123456789*#ABCD');
  });

  it('needs no marker and no end: another timestamp is another key', () => {
    const keypad = new Keypad();
    keypad.send(0, 1, 1000, 160);
    keypad.send(20, 1, 1000, 320);
    keypad.send(100, 1, 3000, 160);
    keypad.send(180, 2, 5000, 160);
    keypad.send(190, 2, 5000, 160, { end: true });
    expect(keypad.log).toEqual([
      [100, '1', 40],
      [180, '1', 20],
      [190, '2', 20],
    ]);
  });

  it('does not take a marker for a new key', () => {
    const keypad = new Keypad();
    for (let i = 1; i <= 4; i += 1) keypad.send(i * 20, 9, 1000, i * 160, { marker: true });
    keypad.send(100, 9, 1000, 800, { end: true, marker: true });
    expect(keypad.log).toEqual([[100, '9', 100]]);
  });

  it('tells a key of which only an end packet arrived', () => {
    const keypad = new Keypad();
    keypad.send(0, 3, 1000, 800, { end: true });
    keypad.send(20, 3, 9000, 800, { end: true });
    expect(keypad.log.map(([, digit]) => digit)).toEqual(['3', '3']);
  });

  it('ends a key of which nothing more is heard, once', () => {
    const keypad = new Keypad();
    keypad.send(0, 7, 1000, 160);
    keypad.send(20, 7, 1000, 320);
    expect(keypad.receiver.nextTimeout()).toBe(140);
    keypad.drain(139);
    expect(keypad.log).toEqual([]);
    keypad.drain(140);
    keypad.send(300, 7, 1000, 2400, { end: true });
    expect(keypad.log).toEqual([[140, '7', 40]]);
  });

  it('is not confused by late packets of the key before', () => {
    const keypad = new Keypad();
    keypad.send(0, 1, 1000, 800, { end: true });
    keypad.send(100, 2, 3000, 160);
    keypad.send(110, 1, 1000, 800, { end: true });
    keypad.send(120, 2, 3000, 800, { end: true });
    expect(keypad.log.map(([, digit]) => digit)).toEqual(['1', '2']);
  });

  it('tells two keys apart that share a timestamp', () => {
    const keypad = new Keypad();
    keypad.send(0, 1, 1000, 800, { end: true });
    keypad.send(200, 2, 1000, 800, { end: true });
    expect(keypad.log.map(([, digit]) => digit)).toEqual(['1', '2']);
  });

  it('puts the segments of a long press together', () => {
    const keypad = new Keypad();
    let at = 0;
    const send = (timestamp: number, duration: number, end = false) => {
      at += 20;
      keypad.send(at, 4, timestamp, duration, { end });
    };
    for (let duration = 160; duration < 65_535; duration += 160) send(1000, duration);
    send(1000, 65_535);
    for (let duration = 160; duration <= 1600; duration += 160) send(1000 + 65_535, duration);
    send(1000 + 65_535, 1760, true);
    expect(keypad.log).toEqual([[at, '4', Math.round((65_535 + 1760) / 8)]]);
  });

  it('starts anew with another SSRC and with a clock that was set back', () => {
    const keypad = new Keypad();
    keypad.send(0, 1, 1_000_000, 800, { end: true });
    keypad.send(100, 1, 500, 800, { end: true, ssrc: 2 });
    keypad.send(200, 1, 4_000_000_000, 800, { end: true, ssrc: 2 });
    expect(keypad.log.length).toBe(3);
    // Five seconds back is late, not new.
    keypad.send(300, 1, 4_000_000_000 - 40_000, 800, { end: true, ssrc: 2 });
    expect(keypad.log.length).toBe(3);
  });

  it('bounds what nobody fetches', () => {
    const receiver = new TelephoneEventReceiver();
    const payload = writeTelephoneEvent({ event: 1, end: true, volume: 0, duration: 100 });
    for (let i = 0; i < 1000; i += 1) {
      receiver.push({ payloadType: 101, marker: true, sequenceNumber: i, timestamp: i * 1000, ssrc: 1, payload }, i);
    }
    let count = 0;
    while (receiver.poll(1000)) count += 1;
    expect(count).toBe(64);
  });
});
