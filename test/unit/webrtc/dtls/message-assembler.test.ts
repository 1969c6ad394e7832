import { describe, expect, it } from 'vitest';
import type { HandshakeFragment } from '../../../../src/webrtc/dtls/handshake-message.ts';
import { MessageAssembler } from '../../../../src/webrtc/dtls/message-assembler.ts';
import { seededRandom } from '../../../support/random.ts';

const body = Buffer.from(Array.from({ length: 100 }, (_, i) => i));

function piece(offset: number, length: number, of = body, sequence = 0, type = 1): HandshakeFragment {
  return { type, sequence, length: of.length, offset, bytes: of.subarray(offset, offset + length) };
}

function feed(assembler: MessageAssembler, ...pieces: readonly HandshakeFragment[]) {
  return pieces.map((each, i) => assembler.add(each, i)).filter((result) => result !== undefined && result !== 'refused');
}

describe('putting a message together', () => {
  it('works with the pieces in any order, overlapping and repeated', () => {
    const random = seededRandom(7);
    for (let run = 0; run < 300; run++) {
      const pieces = [piece(0, 30), piece(20, 40), piece(60, 40), piece(25, 10), piece(0, 1), piece(99, 1)];
      const order = [...pieces, ...pieces].map((each) => ({ each, at: random() })).toSorted((one, other) => one.at - other.at);
      const assembler = new MessageAssembler(0);
      const whole = feed(assembler, ...order.map(({ each }) => each));
      expect(whole.length).toBe(1);
      expect(whole[0]).toMatchObject({ type: 1, sequence: 0, body });
    }
  });

  it('works with no body at all', () => {
    expect(feed(new MessageAssembler(0), piece(0, 0, Buffer.alloc(0), 4, 14))[0]).toMatchObject({ type: 14, sequence: 4 });
  });

  it('keeps up to four versions, newest first, and each once', () => {
    const assembler = new MessageAssembler(0);
    const versions = Array.from({ length: 6 }, (_, i) => Buffer.alloc(50, i));
    for (const version of [...versions, ...versions.slice(3)]) assembler.add(piece(0, 50, version), 0);
    expect(assembler.candidates(0, 1).map((each) => each.body[0])).toEqual([5, 4, 3, 2]);
    assembler.discard(assembler.candidates(0, 1)[0]!);
    expect(assembler.candidates(0, 1).length).toBe(3);
    expect(assembler.candidates(0, 2)).toEqual([]);
  });

  it('lets a made-up piece neither displace nor swallow the true ones', () => {
    const forged = Buffer.alloc(100, 0xff);
    for (const made of [piece(0, 50, forged), piece(50, 50, forged), piece(10, 5, forged), piece(0, 99, forged)]) {
      const assembler = new MessageAssembler(0);
      const whole = feed(assembler, made, piece(0, 40), piece(40, 60), piece(0, 40), piece(40, 60));
      expect(whole.map((each) => each.body.equals(body))).toContain(true);
    }
  });

  it('refuses what is out of bounds', () => {
    const assembler = new MessageAssembler(2);
    expect(assembler.add(piece(0, 10, body, 1), 0)).toBe('refused');
    expect(assembler.add(piece(0, 10, body, 10), 0)).toBe('refused');
    expect(assembler.add(piece(0, 10, Buffer.alloc(8193), 2), 0)).toBe('refused');
    expect(assembler.add(piece(0, 10, body, 9), 0)).toBeUndefined();
  });

  it('does not grow without end', () => {
    const assembler = new MessageAssembler(0);
    for (let i = 0; i < 10_000; i++) {
      assembler.add({ type: i % 250, sequence: i % 8, length: 8192, offset: i % 8000, bytes: Buffer.of(i & 0xff) }, i);
    }
    // The last eight unfinished messages are there, and no more: completing an older one takes all of its bytes again.
    expect(assembler.add({ type: 1, sequence: 1, length: 8192, offset: 0, bytes: Buffer.alloc(8191) }, 0)).toBeUndefined();
  });
});
