import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { digitOfInfo } from '../../../src/sip/dtmf-info.ts';

const relay = (body: string) => digitOfInfo({ contentType: 'application/dtmf-relay', body });

describe('a key in an INFO', () => {
  it('is read from dtmf-relay, with its duration', () => {
    expect(relay('Signal=5\r\nDuration=160\r\n')).toEqual({ digit: '5', durationMs: 160 });
    expect(relay('signal= * \nduration = 250')).toEqual({ digit: '*', durationMs: 250 });
    expect(relay('Signal=11')).toEqual({ digit: '#', durationMs: 160 });
    expect(relay('Signal=d\r\nDuration=0')).toEqual({ digit: 'D', durationMs: 160 });
    expect(relay('Signal=1\r\nDuration=999999')).toEqual({ digit: '1', durationMs: 5000 });
  });

  it('is read from a body that is nothing else', () => {
    expect(digitOfInfo({ contentType: 'Application/DTMF; charset=utf-8', body: '#\r\n' })).toEqual({ digit: '#', durationMs: 160 });
    expect(digitOfInfo({ contentType: 'application/dtmf', body: '10' })).toEqual({ digit: '*', durationMs: 160 });
  });

  it('is not read from anything else', () => {
    for (const body of ['', 'Signal=', 'Signal=16', 'Signal=E', 'Signal=55', 'Duration=5', '=5', `Signal=5\n${'x'.repeat(300)}`]) {
      expect([body, relay(body)]).toEqual([body, undefined]);
    }
    expect(digitOfInfo({ contentType: 'application/broadsoft', body: '5' })).toBeUndefined();
    expect(digitOfInfo({ contentType: '', body: '5' })).toBeUndefined();
    fc.assert(
      fc.property(fc.constantFrom('application/dtmf', 'application/dtmf-relay'), fc.string(), (contentType, body) => {
        const read = digitOfInfo({ contentType, body });
        if (read) expect(read.digit).toMatch(/^[0-9A-D*#]$/);
      }),
    );
  });
});
