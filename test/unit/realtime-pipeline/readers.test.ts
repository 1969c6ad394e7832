import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ChatEvent, ChatReader } from '../../../src/realtime/pipeline/chat-reader.ts';
import { SpeechReader } from '../../../src/realtime/pipeline/speech-reader.ts';
import { SseParser } from '../../../src/realtime/pipeline/sse-parser.ts';
import type { StageReader, StageReading } from '../../../src/realtime/pipeline/stage-reader.ts';
import { TranscriptionReader } from '../../../src/realtime/pipeline/transcription-reader.ts';
import { writeWav } from '../../../src/realtime/pipeline/wav.ts';
import { tone, toneShare } from '../../support/tones.ts';

/** Reads a body in pieces of this size. */
function read<T>(reader: StageReader<T>, body: string | Uint8Array, step = 1_000_000): StageReading<T> {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const events: T[] = [];
  for (let at = 0; at < bytes.length; at += step) {
    const reading = reader.push(bytes.subarray(at, at + step));
    events.push(...reading.events);
    if (reading.fault || reading.ended) return { ...reading, events };
  }
  const last = reader.end();
  return { ...last, events: [...events, ...last.events] };
}

const chunk = (delta: unknown, finish: string | null = null): string =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;

describe('server-sent events', () => {
  test.each([
    ['data: a\n\ndata: b\n\n', ['a', 'b']],
    ['data: a\r\n\r\ndata: b\r\n\r\n', ['a', 'b']],
    ['data: a\r\rdata: b\r\r', ['a', 'b']],
    ['data:a\ndata: b\n\n', ['a\nb']],
    [': ping\n\nevent: x\nid: 1\ndata: a\n\n', ['a']],
    ['\ufeffdata: a\n\n', ['a']],
    ['data: ü€𝒳\n\n', ['ü€𝒳']],
    ['data: not ended', ['not ended']],
    ['\n\n\n', []],
  ])('%j', (text, events) => {
    for (const step of [1, 2, 3, 1000]) {
      const parser = new SseParser();
      const bytes = Buffer.from(text);
      const found: string[] = [];
      for (let at = 0; at < bytes.length; at += step) {
        const result = parser.push(bytes.subarray(at, at + step));
        if ('events' in result) found.push(...result.events);
      }
      const last = parser.end();
      expect([...found, ...('events' in last ? last.events : ['fault'])]).toEqual(events);
    }
  });

  test('bad UTF-8 and endless lines are faults', () => {
    expect(new SseParser().push(Buffer.from([0x64, 0xff, 0x0a]))).toEqual({ fault: 'bad_utf8' });
    const parser = new SseParser();
    parser.push(Buffer.alloc(1_000_000, 'x'));
    expect(parser.push(Buffer.alloc(100_000, 'x'))).toEqual({ fault: 'too_large' });
    const many = new SseParser();
    expect(many.push(Buffer.from('data: 1234567\n'.repeat(200_000)))).toEqual({ fault: 'too_large' });
  });

  test('whatever comes, in whatever pieces, nothing is thrown', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (pieces) => {
        const parser = new SseParser();
        for (const piece of pieces) parser.push(piece);
        parser.end();
      }),
    );
  });
});

describe('a completion', () => {
  const SSE = 'text/event-stream';
  const body = `${chunk({ role: 'assistant', content: '' })}${chunk({ content: 'Hel' })}${chunk({ content: 'lo.' })}${chunk({}, 'stop')}data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}\n\ndata: [DONE]\n\n`;

  test('is read as it comes, to its end', () => {
    for (const step of [1, 7, 5000]) {
      const reading = read(new ChatReader(SSE), body, step);
      expect(reading.ended).toBe(true);
      expect(reading.events).toEqual([
        { type: 'alive' },
        { type: 'text', text: 'Hel' },
        { type: 'text', text: 'lo.' },
        { type: 'finish', reason: 'stop' },
        { type: 'usage', usage: { total_tokens: 7, input_tokens: 5, output_tokens: 2 } },
      ] satisfies ChatEvent[]);
    }
  });

  test('may be whole', () => {
    const whole = {
      choices: [
        {
          message: { content: 'Hi.', tool_calls: [{ id: 'c', function: { name: 'f', arguments: '{}' } }] },
          finish_reason: 'tool_calls',
        },
      ],
    };
    expect(read(new ChatReader('application/json'), JSON.stringify(whole))).toEqual({
      events: [
        { type: 'text', text: 'Hi.' },
        { type: 'call', index: 0, callId: 'c', name: 'f', arguments: '{}' },
        { type: 'finish', reason: 'tool_calls' },
      ],
      ended: true,
    });
  });

  test('with calls has them in pieces', () => {
    const text =
      chunk({ tool_calls: [{ index: 0, id: 'a', function: { name: 'f', arguments: '' } }] }) +
      chunk({ tool_calls: [{ index: 0, function: { arguments: '{"x"' } }] }) +
      chunk({ tool_calls: [{ index: 1, id: 'b', function: { name: 'g', arguments: '{}' } }] }) +
      chunk({}, 'tool_calls');
    expect(read(new ChatReader(SSE), text).events).toEqual([
      { type: 'call', index: 0, callId: 'a', name: 'f', arguments: '' },
      { type: 'call', index: 0, arguments: '{"x"' },
      { type: 'call', index: 1, callId: 'b', name: 'g', arguments: '{}' },
      { type: 'finish', reason: 'tool_calls' },
    ]);
  });

  test.each([
    ['an event that is not JSON', `${chunk({ content: 'A' })}data: {"choices": [\n\n`, 'bad_data'],
    ['bad UTF-8', Buffer.concat([Buffer.from('data: "'), Buffer.from([0xc3, 0x28]), Buffer.from('"\n\n')]), 'bad_data'],
    ['an error in the middle', `${chunk({ content: 'A' })}data: {"error":{"message":"overloaded"}}\n\n`, 'server_error'],
    ['no end', chunk({ content: 'A' }), 'cut_off'],
    ['nothing', '', 'cut_off'],
    ['more than any answer', Buffer.alloc(5_000_000, chunk({ content: 'word ' })), 'too_large'],
  ])('that has %s is faulty', (_what, text, code) => {
    expect(read(new ChatReader(SSE), text, 100_000).fault?.code).toBe(code);
  });

  test.each([['[]'], ['null'], ['{"choices":[]}'], ['{"choices":7}'], ['{'], ['']])('%j is none', (text) => {
    expect(read(new ChatReader('application/json'), text).fault?.code).toBe('bad_data');
  });

  test('of any JSON does not throw', () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        read(new ChatReader(SSE), `data: ${json}\n\ndata: {"choices":[{"delta":${json}}]}\n\n`);
        read(new ChatReader('application/json'), json);
        read(new TranscriptionReader('text/event-stream'), `data: ${json}\n\n`);
        read(new TranscriptionReader('application/json'), json);
      }),
    );
  });
});

describe('a transcription', () => {
  test.each([
    ['application/json', '{"text":" Hello there. "}'],
    ['text/plain', ' Hello there.\n'],
    [
      'text/event-stream',
      'data: {"type":"transcript.text.delta","delta":"Hello"}\n\ndata: {"type":"transcript.text.done","text":"Hello there."}\n\n',
    ],
    [
      'text/event-stream',
      'data: {"choices":[{"delta":{"content":"Hello "}}]}\n\ndata: {"choices":[{"delta":{"content":"there."}}]}\n\ndata: [DONE]\n\n',
    ],
    ['text/event-stream', 'data: {"text":" Hello"}\n\ndata: {"text":" there."}\n\n'],
  ])('of %s: %s', (type, body) => {
    for (const step of [1, 1000]) {
      const { events, ended } = read(new TranscriptionReader(type), body, step);
      expect(events.at(-1)).toEqual({ type: 'done', text: 'Hello there.' });
      expect(ended).toBe(true);
    }
  });

  test.each([
    ['application/json', '{"txt":1}', 'bad_data'],
    ['application/json', '<html>', 'bad_data'],
    ['application/json', `{"text":"${'x'.repeat(300_000)}"}`, 'too_large'],
    ['text/event-stream', 'data: nonsense\n\n', 'bad_data'],
    ['text/event-stream', 'data: {"error":{"message":"no"}}\n\n', 'server_error'],
  ])('of %s may be faulty: %s', (type, body, code) => {
    expect(read(new TranscriptionReader(type), body, 10_000).fault?.code).toBe(code);
  });
});

describe('speech', () => {
  const bytesOf = (pcm: Int16Array): Buffer => Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength);
  const joined = (pieces: readonly Int16Array[]): number[] => pieces.flatMap((piece) => [...piece]);

  test('is passed on as it comes, whatever the pieces', () => {
    const pcm = tone(440, 50, { rateHz: 24_000 });
    for (const step of [1, 3, 4096]) expect(joined(read(new SpeechReader(24_000), bytesOf(pcm), step).events)).toEqual([...pcm]);
  });

  test('at another rate is resampled, and keeps its pitch', () => {
    for (const rateHz of [8000, 16_000, 22_050, 44_100, 48_000]) {
      const { events, ended } = read(new SpeechReader(rateHz), bytesOf(tone(440, 500, { rateHz })), 1001);
      const heard = Int16Array.from(joined(events));
      expect(ended).toBe(true);
      expect(Math.abs(heard.length / 24 - 500)).toBeLessThan(3);
      expect(toneShare(heard, 440, { rateHz: 24_000 })).toBeGreaterThan(0.9);
    }
  });

  test('in a WAV file is read by what the file says', () => {
    const pcm = tone(440, 50, { rateHz: 24_000 });
    const file = Buffer.concat([writeWav(pcm, 24_000), Buffer.from('LIST\u0004\u0000\u0000\u0000junk', 'latin1')]);
    for (const step of [1, 5, 4096]) expect(joined(read(new SpeechReader(8000), file, step).events)).toEqual([...pcm]);
    const endless = Buffer.from(file.subarray(0, 44 + pcm.length * 2));
    endless.writeUInt32LE(0xffff_ffff, 40);
    expect(joined(read(new SpeechReader(8000), endless, 100).events)).toEqual([...pcm]);
  });

  test('in two channels, or in floating point, becomes one channel of whole numbers', () => {
    const stereo = writeWav(Int16Array.from([100, 200, -100, -300]), 24_000);
    stereo.writeUInt16LE(2, 22);
    expect(joined(read(new SpeechReader(24_000), stereo).events)).toEqual([150, -200]);
    const float = Buffer.concat([writeWav(new Int16Array(0), 24_000), Buffer.alloc(8)]);
    float.writeUInt16LE(3, 20);
    float.writeUInt16LE(32, 34);
    float.writeUInt32LE(8, 40);
    float.writeFloatLE(0.5, 44);
    float.writeFloatLE(Number.NaN, 48);
    expect(joined(read(new SpeechReader(24_000), float).events)).toEqual([16_384, 0]);
  });

  test.each([
    ['an MP3', Buffer.from('ID3\u0004aaaaaaaa'), 'wrong_content'],
    ['a page', Buffer.from('<!DOCTYPE html>'), 'wrong_content'],
    ['nothing', Buffer.alloc(0), 'bad_data'],
    ['one byte', Buffer.alloc(1), 'bad_data'],
    ['half a header', writeWav(new Int16Array(9), 24_000).subarray(0, 30), 'bad_data'],
    ['a WAV file without sound', writeWav(new Int16Array(0), 24_000), 'bad_data'],
    ['another RIFF', Buffer.from('RIFF\0\0\0\0AVI aaaaaaaaaaaa'), 'wrong_content'],
    ['an endless header', Buffer.concat([Buffer.from('RIFF\0\0\0\0WAVE'), Buffer.alloc(20_000)]), 'bad_data'],
    ['three minutes', Buffer.alloc(180 * 48_000), 'too_large'],
  ])('that is %s is faulty', (_what, body, code) => {
    expect(read(new SpeechReader(24_000), body, 100_000).fault?.code).toBe(code);
  });

  test('of any bytes does not throw', () => {
    fc.assert(
      fc.property(fc.boolean(), fc.array(fc.uint8Array({ maxLength: 60 })), (riff, pieces) => {
        const reader = new SpeechReader(16_000);
        if (riff) reader.push(Buffer.from('RIFF\0\0\0\0WAVE'));
        for (const piece of pieces) reader.push(piece);
        reader.end();
      }),
    );
  });
});
