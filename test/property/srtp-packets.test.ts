import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HmacSha1 } from '../../src/webrtc/srtp/hmac-sha1.ts';
import { SRTP_PROFILES, type SrtpProfile } from '../../src/webrtc/srtp/profile.ts';
import { ReplayWindow } from '../../src/webrtc/srtp/replay-window.ts';
import { SrtpReceiver } from '../../src/webrtc/srtp/srtp-receiver.ts';
import { SrtpSender } from '../../src/webrtc/srtp/srtp-sender.ts';

const bytes = (min: number, max: number) => fc.uint8Array({ minLength: min, maxLength: max }).map((array) => Buffer.from(array));
const profile = fc.constantFrom(...(Object.keys(SRTP_PROFILES) as SrtpProfile[]));
const master = fc
  .tuple(profile, bytes(16, 16), bytes(14, 14))
  .map(([name, key, salt]) => ({ profile: name, key, salt: salt.subarray(0, SRTP_PROFILES[name].saltBytes) }));

describe('HMAC-SHA1', () => {
  it('equals that of node:crypto', () => {
    fc.assert(
      fc.property(bytes(0, 100), bytes(0, 1500), fc.nat(0xffffffff), (key, message, word) => {
        const tail = Buffer.alloc(4);
        tail.writeUInt32BE(word);
        const expected = createHmac('sha1', key).update(message).update(tail).digest().subarray(0, 10);
        const tag = Buffer.alloc(10);
        const hmac = new HmacSha1(key);
        hmac.writeTag(message, message.length, word, tag, 0);
        expect(tag.equals(expected)).toBe(true);
        expect(hmac.hasTag(message, message.length, word, tag, 0)).toBe(true);
        tag[word % 10]! ^= 1 << (word % 8);
        expect(hmac.hasTag(message, message.length, word, tag, 0)).toBe(false);
      }),
    );
  });
});

describe('SRTP', () => {
  it('gives back every packet once, whatever the sizes, the losses and the order within the window', () => {
    const packets = fc.array(fc.record({ size: fc.nat(400), step: fc.integer({ min: 1, max: 40 }), late: fc.nat(3) }), { maxLength: 60 });
    fc.assert(
      fc.property(master, fc.nat(65535), packets, (keys, start, plan) => {
        const sender = new SrtpSender(keys);
        const receiver = new SrtpReceiver(keys);
        let sequence = start;
        const sent = plan.map(({ size, step, late }, i) => {
          const packet = Buffer.alloc(12 + size, i);
          packet[0] = 0x80;
          packet.writeUInt16BE(sequence & 0xffff, 2);
          packet.writeUInt32BE(77, 8);
          const sealed = sender.protectRtp(packet);
          sequence += step;
          return { packet, sealed, at: i === 0 ? -1 : i + late };
        });
        for (const { packet, sealed } of sent.toSorted((one, other) => one.at - other.at)) {
          const again = Buffer.from(sealed);
          expect(receiver.unprotectRtp(sealed)?.equals(packet)).toBe(true);
          expect(receiver.unprotectRtp(again)).toBeUndefined();
        }
      }),
    );
  });

  it('never throws on what comes in, and takes nothing that was not sent', () => {
    fc.assert(
      fc.property(master, bytes(0, 200), (keys, garbage) => {
        const receiver = new SrtpReceiver(keys);
        expect(receiver.unprotectRtp(Buffer.from(garbage))).toBeUndefined();
        expect(receiver.unprotectRtcp(Buffer.from(garbage))).toBeUndefined();
        expect(receiver.snapshot().streams).toBe(0);
      }),
    );
  });
});

describe('the replay window', () => {
  it('agrees with a set of all numbers, 128 back', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 40), fc.array(fc.integer({ min: -200, max: 200 }), { maxLength: 300 }), (start, steps) => {
        const window = new ReplayWindow();
        const seen = new Set<number>();
        let number = start;
        let highest = -1;
        for (const step of steps) {
          number = Math.max(0, number + step);
          const expected = seen.has(number) || (highest >= 0 && number <= highest - 128);
          expect(window.has(number)).toBe(expected);
          if (expected) continue;
          window.mark(number);
          seen.add(number);
          highest = Math.max(highest, number);
        }
      }),
    );
  });
});
