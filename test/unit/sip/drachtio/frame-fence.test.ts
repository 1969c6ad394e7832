import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FrameFence } from '../../../../src/sip/drachtio/frame-fence.ts';
import { loadSrf } from '../../../../src/sip/drachtio/srf.ts';

const { SipMessage } = await loadSrf();

function readable(text: string): boolean {
  try {
    new SipMessage(text);
    return true;
  } catch {
    return false;
  }
}

function frame(text: string): Buffer {
  return Buffer.from(`${Buffer.byteLength(text)}#${text}`);
}

function fromNetwork(message: string, transaction = 'txn'): string {
  return `id|sip|network|${message.length}|udp|127.0.0.1|5060|0|${transaction}||127.0.0.1|5060|token\r\n${message}`;
}

const LINES = ['From: <sip:a@b>;tag=1', 'To: <sip:c@d>', 'Call-ID: x', 'CSeq: 1 INVITE', 'Content-Length: 0', '', ''];
const INVITE = ['INVITE sip:agent@127.0.0.1 SIP/2.0', 'Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1', ...LINES].join('\r\n');

describe('between a drachtio server and the library', () => {
  test('whole frames pass, however the bytes arrive', () => {
    const bytes = Buffer.concat([frame('1|response|2|OK|127.0.0.1:5060|v1'), frame(fromNetwork(INVITE))]);
    for (const size of [1, 7, bytes.length]) {
      const fence = new FrameFence(readable);
      const sound: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += size) sound.push(...fence.push(bytes.subarray(at, at + size)).sound);
      expect(Buffer.concat(sound)).toEqual(bytes);
      expect(sound).toHaveLength(2);
    }
  });

  test.each(['x#hello', '0#', '-5#hello', '12345678#', '90000#', '1234567'])('%s is no frame: nothing behind it is trusted', (text) => {
    const { sound, broken } = new FrameFence(readable).push(Buffer.from(text));
    expect(sound).toEqual([]);
    expect(broken).toBe(true);
  });

  test('a request that the library cannot read is answered with 400, and never shown to it', () => {
    const odd = INVITE.replace('INVITE sip:agent@127.0.0.1 SIP/2.0', 'INVITE  sip:agent@127.0.0.1  SIP/2.0');
    expect(readable(odd)).toBe(false);
    const { sound, refused, broken } = new FrameFence(readable).push(frame(fromNetwork(odd, 'txn-7')));
    expect(sound).toEqual([]);
    expect(broken).toBe(false);
    expect(refused).toHaveLength(1);
    expect(refused[0]?.transactionId).toBe('txn-7');
    expect(refused[0]?.response).toMatch(/^SIP\/2\.0 400 Bad Request\r\nfrom: <sip:a@b>;tag=1\r\n/);
  });

  test('words it does not know are dropped, and what follows them is not', () => {
    const { sound, broken } = new FrameFence(readable).push(Buffer.concat([frame('1|cdr:start|network'), frame('1|response|2|OK')]));
    expect(sound.map(String)).toEqual([frame('1|response|2|OK').toString()]);
    expect(broken).toBe(false);
  });

  test('nothing that a server might send makes it throw, and what passes the library can read', () => {
    const word = fc.oneof(fc.constantFrom('sip', 'response', 'cdr:stop', '', 'network', 'INVITE', 'SIP/2.0'), fc.string());
    const text = fc
      .tuple(fc.array(word, { maxLength: 14 }), fc.oneof(fc.constant(INVITE), fc.string(), fc.constant('')))
      .map(([words, message]) => `${words.join('|')}\r\n${message}`);
    const bytes = fc.array(
      fc.oneof(
        text.map(frame),
        fc.uint8Array({ maxLength: 60 }).map((raw) => Buffer.from(raw)),
      ),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(bytes, (chunks) => {
        const fence = new FrameFence(readable);
        for (const chunk of chunks) {
          const { sound, broken } = fence.push(chunk);
          for (const each of sound) {
            const whole = each.toString('utf8', each.indexOf('#') + 1);
            const message = whole.includes('\r\n') ? whole.slice(whole.indexOf('\r\n') + 2) : '';
            expect(message === '' || readable(message)).toBe(true);
          }
          if (broken) return;
        }
      }),
      { numRuns: 500 },
    );
  });
});
