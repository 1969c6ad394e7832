import { describe, expect, it } from 'vitest';
import type { RtpPacket } from '../../../src/rtp/packet.ts';
import { ReorderBuffer } from '../../../src/rtp/reorder-buffer.ts';
import { StreamAccount, type StreamAccountSnapshot } from '../../../src/rtp/stream-account.ts';
import { seededRandom } from '../../support/random.ts';

function packet(n: number, payloadType = 0): RtpPacket {
  return { payloadType, marker: false, sequenceNumber: n & 0xffff, timestamp: (n * 160) >>> 0, ssrc: 1, payload: new Uint8Array(160) };
}

/** A stream with its books, as a leg keeps them. */
class Kept {
  readonly #reorder = new ReorderBuffer();
  readonly #account = new StreamAccount();
  #now = 0;

  push(sent: RtpPacket, afterMs = 20): void {
    this.#now += afterMs;
    this.#reorder.push(sent, this.#now);
    this.drain();
  }

  drain(afterMs = 0): void {
    this.#now += afterMs;
    for (let next = this.#reorder.poll(this.#now); next; next = this.#reorder.poll(this.#now)) {
      if (next.type === 'lost') this.#account.conceal(next.count);
      else if (next.type === 'packet') {
        if (next.packet.payloadType === 0) this.#account.pass();
        else if (next.packet.payloadType === 13) this.#account.setAside();
        else this.#account.discard('unknown_payload');
      }
    }
  }

  get snapshot(): StreamAccountSnapshot {
    return this.#account.snapshot(this.#reorder.snapshot());
  }
}

function sum({ framesOut, concealed, beside, waiting, discarded }: StreamAccountSnapshot): number {
  return Object.values(discarded).reduce((total, count) => total + count, framesOut + concealed + beside + waiting);
}

describe('the account of a stream', () => {
  it('of nothing is empty', () => {
    expect(new Kept().snapshot).toMatchObject({ framesIn: 0, framesOut: 0, lossPercent: 0, burstRatio: 1, unaccounted: 0 });
  });

  it('names what was passed on, concealed, set aside, thrown away and still waits', () => {
    const kept = new Kept();
    for (const n of [0, 1, 2]) kept.push(packet(n));
    kept.push(packet(3, 13));
    kept.push(packet(4, 77));
    kept.push(packet(4, 77), 1);
    // 5 and 6 are lost, 6 comes late; 9 waits for 8.
    kept.push(packet(7));
    kept.drain(30);
    kept.push(packet(6), 1);
    kept.push(packet(9), 1);
    const { snapshot } = kept;
    expect(snapshot).toMatchObject({
      framesIn: 11,
      framesOut: 4,
      concealed: 2,
      beside: 1,
      waiting: 1,
      discarded: { late: 1, duplicate: 1, stray: 0, overflow: 0, unknown_payload: 1, bad_length: 0 },
      unaccounted: 0,
    });
    expect(sum(snapshot)).toBe(snapshot.framesIn);
  });

  it('tells random loss from bursts', () => {
    const lossy = (isLost: (n: number) => boolean) => {
      const kept = new Kept();
      for (let n = 0; n < 5000; n += 1) if (!isLost(n)) kept.push(packet(n));
      kept.drain(100);
      return kept.snapshot;
    };
    const random = seededRandom(2);
    const scattered = lossy(() => random() < 0.1);
    expect(scattered.lossPercent).toBeCloseTo(10, 0);
    expect(scattered.burstRatio).toBeLessThan(1.1);
    const bursts = lossy((n) => n % 40 > 35);
    expect(bursts.lossPercent).toBeCloseTo(10, 0);
    expect(bursts.burstRatio).toBeCloseTo(4 * 0.9, 1);
  });

  it('adds up whatever the network does', () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const random = seededRandom(seed);
      const kept = new Kept();
      let n = Math.floor(70_000 * random());
      for (let i = 0; i < 2000; i += 1) {
        n += random() < 0.02 ? Math.floor(300 * random()) - 100 : 1;
        const shift = random() < 0.2 ? Math.floor(9 * random()) - 4 : 0;
        const type = random() < 0.1 ? 13 : random() < 0.05 ? 99 : 0;
        kept.push(packet(Math.max(0, n + shift), type), 40 * random());
      }
      const { snapshot } = kept;
      expect(snapshot.unaccounted).toBe(0);
      expect(snapshot.waiting).toBeGreaterThanOrEqual(0);
      expect(sum(snapshot)).toBe(snapshot.framesIn);
    }
  });
});
