import { describe, expect, it } from 'vitest';
import { askedBy, asksForFloor, isAcknowledgement, isEchoOf, pauseFactorOf, wordsOf } from '../../../src/realtime/caller-words.ts';

describe('the wait for more words', () => {
  it.each([
    ['I would like to', 1.9],
    ['my booking and', 1.9],
    ['well um', 2.6],
    ['let me think', 2.6],
    ['hold on a second', 2.6],
    ["that's a good question", 2.6],
    ['ringdown dot', 1.9],
    ['I have a lamp,', 1.4],
    ['I have a lamp', 0.9],
    ['I have a lamp.', 0.75],
    ['what time do you open on Saturday', 0.75],
    ['Who is that?', 0.55],
    ['no thank you', 0.55],
    ["that's all", 0.55],
    ['', 0.9],
    ['?!…', 0.9],
  ])('is changed by "%s" by %f', (text, factor) => {
    expect(pauseFactorOf(text)).toBe(factor);
  });

  it('knows what was asked: a "yes" answers, a number has its length', () => {
    expect(pauseFactorOf('yes', askedBy('Is that correct?'))).toBe(0.55);
    expect(pauseFactorOf('the morning one', askedBy('Would you like the morning or the afternoon?'))).toBe(0.75);
    const phone = askedBy('What is your phone number?');
    expect(phone).toEqual({ asked: 'digits', digits: 10 });
    expect(pauseFactorOf('oh three oh five five five', phone)).toBe(1.9);
    expect(pauseFactorOf('030 555 1234', phone)).toBe(0.55);
  });

  it('does not cut dictated digits off, whatever the number', () => {
    expect(pauseFactorOf('it is four seven one')).toBe(1.9);
    expect(pauseFactorOf('4711 8', askedBy('Tell me your account number.'))).toBe(1.9);
  });
});

describe('words over the agent', () => {
  it.each(['yeah', 'uh-huh', 'Mm hmm.', 'okay right', 'I see'])('"%s" go on', (text) => {
    expect(isAcknowledgement(text)).toBe(true);
    expect(asksForFloor(text)).toBe(false);
  });

  it.each(['stop', 'no', 'Wait!', 'yeah but what about Monday', 'can I speak to a human'])('"%s" want the floor', (text) => {
    expect(isAcknowledgement(text)).toBe(false);
    expect(asksForFloor(text)).toBe(true);
  });

  it('says nothing of silence, and little of one word of content', () => {
    expect(isAcknowledgement('')).toBe(false);
    expect(asksForFloor('')).toBe(false);
    expect(asksForFloor('Monday')).toBe(false);
  });

  it('are our own when they are a run of what we said', () => {
    const said = 'Your parcel was handed over yesterday in the afternoon.';
    expect(isEchoOf('was handed over yesterday', said)).toBe(true);
    expect(isEchoOf('was it handed to my neighbour', said)).toBe(false);
    expect(isEchoOf('yesterday', said)).toBe(false);
  });

  it('may be of any length and kind', () => {
    expect(wordsOf('x '.repeat(1e6)).length).toBeLessThanOrEqual(200);
    expect(pauseFactorOf('a'.repeat(1e6))).toBe(0.9);
    expect(askedBy('?'.repeat(1000))).toEqual({ asked: 'open' });
  });
});
