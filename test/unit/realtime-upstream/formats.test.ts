import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../../src/base/errors.ts';
import { AudioDecoder, AudioEncoder } from '../../../src/realtime/upstream/audio-format.ts';
import { CallerAudio } from '../../../src/realtime/upstream/caller-audio.ts';
import { upstreamProfile } from '../../../src/realtime/upstream/profile.ts';
import { sessionFields, ToldSession } from '../../../src/realtime/upstream/session-shape.ts';
import { upstreamUrl } from '../../../src/realtime/upstream/upstream-url.ts';
import { findTone, tone } from '../../support/tones.ts';
import { CONFIG } from './conversation-probe.ts';

describe('the address of a model server', () => {
  const openai = upstreamProfile('openai');

  test.each([
    ['https://api.openai.com/v1', openai, 'gpt-realtime', 'wss://api.openai.com/v1/realtime?model=gpt-realtime'],
    ['https://api.openai.com/v1/', openai, 'a b', 'wss://api.openai.com/v1/realtime?model=a+b'],
    ['http://127.0.0.1:8080/v1', upstreamProfile('generic'), undefined, 'ws://127.0.0.1:8080/v1/realtime'],
    ['ws://[::1]:1/v1/realtime', openai, 'm', 'ws://[::1]:1/v1/realtime?model=m'],
    ['wss://x.example/api-ws/v1/realtime?model=qwen#top', openai, 'other', 'wss://x.example/api-ws/v1/realtime?model=qwen'],
    ['https://r.openai.azure.com', upstreamProfile('azure'), 'dep', 'wss://r.openai.azure.com/openai/v1/realtime?model=dep'],
  ])('is made of %s', (base, profile, model, url) => {
    expect(upstreamUrl(base, profile, model)).toBe(url);
  });

  test.each(['', 'nonsense', 'file:///etc/passwd', 'ftp://x/y', 'https://user:pass@x.example/v1'])('is not %j', (base) => {
    expect(() => upstreamUrl(base, openai, 'm')).toThrow(GatewayError);
  });
});

describe('profiles', () => {
  test('take changes, and refuse a rate that audio cannot have', () => {
    const profile = upstreamProfile('generic-beta', { input: { encoding: 'pcm', rateHz: 16_000 }, supports: { truncate: false } });
    expect(profile).toMatchObject({
      dialect: 'beta',
      input: { rateHz: 16_000 },
      output: { rateHz: 24_000 },
      supports: { truncate: false, inputTranscription: true },
    });
    expect(() => upstreamProfile('generic', { input: { encoding: 'pcm', rateHz: 44_100 } })).toThrow(GatewayError);
    expect(() => upstreamProfile('generic', { output: { encoding: 'pcmu', rateHz: 16_000 } })).toThrow(GatewayError);
  });
});

describe('what a session is told', () => {
  test("a client's own fields go along, but none of ours", () => {
    const extra = { tracing: 'auto', audio: { output: {} }, turn_detection: {}, ['__proto__x']: 1, truncation: 'disabled' };
    const session = new ToldSession().update(sessionFields({ ...CONFIG, extra }, upstreamProfile('openai'), null), 'ga');
    expect(session).toMatchObject({ tracing: 'auto', truncation: 'disabled', audio: { output: { format: { type: 'audio/pcm' } } } });
    expect(session).not.toHaveProperty('turn_detection');
  });

  test('is told again only where it changed', () => {
    const told = new ToldSession();
    const profile = upstreamProfile('generic-beta');
    told.update(sessionFields(CONFIG, profile, null), 'beta');
    expect(told.update(sessionFields(CONFIG, profile, null), 'beta')).toBeUndefined();
    expect(told.update(sessionFields({ ...CONFIG, outputModality: 'text' }, profile, null), 'beta')).toEqual({ modalities: ['text'] });
  });
});

describe("a server's audio", () => {
  test.each([
    ['pcm', 24_000],
    ['pcm', 16_000],
    ['pcm', 48_000],
    ['pcmu', 8000],
    ['pcma', 8000],
  ] as const)('keeps a tone both ways as %s at %i Hz', (encoding, rateHz) => {
    const format = { encoding, rateHz };
    const encoder = new AudioEncoder(format);
    const decoder = new AudioDecoder(format);
    const pcm = tone(440, 500, { rateHz: 24_000 });
    const pieces: number[] = [];
    for (let at = 0; at < pcm.length; at += 960) pieces.push(...decoder.decode(encoder.encode(pcm.subarray(at, at + 960))));
    pieces.push(...decoder.decode(encoder.flush()), ...decoder.flush());
    expect(Math.abs(pieces.length - pcm.length)).toBeLessThan(200);
    const at8k = Int16Array.from(pieces.filter((_, n) => n % 3 === 0));
    expect(findTone(at8k, 440).present).toBe(true);
  });

  test('that is no base64 is silence, not an error', () => {
    const decoder = new AudioDecoder({ encoding: 'pcm', rateHz: 24_000 });
    expect(decoder.decode('%%%%').length).toBe(0);
    expect(decoder.decode('').length).toBe(0);
  });
});

describe("the caller's audio", () => {
  test('is kept for three seconds, longer when it is needed, never more than thirty', () => {
    const audio = new CallerAudio();
    const frame = (n: number): Int16Array => new Int16Array(480).fill(n);
    for (let n = 0; n < 1000; n++) audio.append(frame(n));
    expect((audio.end - audio.start) / 24_000).toBeGreaterThanOrEqual(3);
    expect((audio.end - audio.start) / 24_000).toBeLessThan(3.2);
    expect(audio.read(999 * 480 - 1, 999 * 480 + 1)).toEqual(Int16Array.from([998, 999]));
    audio.need(audio.start);
    for (let n = 0; n < 500; n++) audio.append(frame(n));
    expect((audio.end - audio.start) / 24_000).toBeGreaterThan(13);
    for (let n = 0; n < 2000; n++) audio.append(frame(n));
    expect((audio.end - audio.start) / 24_000).toBeLessThanOrEqual(30.1);
    expect(audio.read(0, 480).length).toBe(0);
    expect(audio.read(audio.end - 480, audio.end + 480).length).toBe(480);
  });
});
