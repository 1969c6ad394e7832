import { describe, expect, it } from 'vitest';
import type { Endpoint } from '../../../src/base/addresses.ts';
import { SourceLearning, type SourceLearningOptions } from '../../../src/rtp/source-learning.ts';

const phone = { address: '192.0.2.10', port: 20_000 };
const phoneBehindNat = { address: '198.51.100.7', port: 61_000 };
const stranger = { address: '203.0.113.66', port: 4444 };

class Wire {
  readonly source: SourceLearning;
  now = 0;

  constructor(options?: SourceLearningOptions) {
    this.source = new SourceLearning(phone, options);
  }

  /** Sends a proper stream at 50 packets a second; returns how many of them were accepted. */
  stream(from: Endpoint, count: number, { ssrc = from.port, first = 0, everyMs = 20, ticks = 160 } = {}): number {
    let accepted = 0;
    for (let i = 0; i < count; i += 1, this.now += everyMs) {
      const packet = { ssrc, sequenceNumber: (first + i) & 0xffff, timestamp: ((first + i) * ticks) >>> 0 };
      if (this.source.accept(from, packet, this.now)) accepted += 1;
    }
    return accepted;
  }
}

describe('the address of the SDP', () => {
  it('is the source from its first packet on, and nobody else ever is', () => {
    const wire = new Wire();
    expect(wire.stream(phone, 1)).toBe(1);
    expect(wire.stream(stranger, 200)).toBe(0);
    expect(wire.stream({ ...phone, port: phone.port + 2 }, 40)).toBe(0);
    expect(wire.stream(phone, 10)).toBe(10);
    expect(wire.source.target).toEqual(phone);
    expect(wire.source.snapshot()).toEqual({ source: 'signalled', accepted: 11, foreign: 240 });
  });

  it('wins over one that was learned', () => {
    const wire = new Wire({ signallingAddress: phoneBehindNat.address });
    wire.stream(phoneBehindNat, 20);
    expect(wire.source.target).toEqual(phoneBehindNat);
    expect(wire.stream(phone, 1)).toBe(1);
    expect(wire.source.target).toEqual(phone);
    expect(wire.stream(phoneBehindNat, 100)).toBe(0);
  });
});

describe('a phone behind a NAT', () => {
  it('is learned within 80 ms when its signalling comes from there, and then gets our media', () => {
    const wire = new Wire({ signallingAddress: phoneBehindNat.address });
    expect(wire.stream(phoneBehindNat, 4)).toBe(0);
    expect(wire.stream(phoneBehindNat, 10, { first: 4 })).toBe(10);
    expect(wire.source.target).toEqual(phoneBehindNat);
    expect(wire.source.snapshot().source).toBe('learned');
  });

  it('is learned as fast from another port of the SDP address', () => {
    const wire = new Wire();
    const other = { ...phone, port: 33_000 };
    wire.stream(other, 4);
    expect(wire.stream(other, 10, { first: 4 })).toBe(10);
  });

  it('is learned with losses and with 60 ms packets', () => {
    const wire = new Wire({ signallingAddress: phoneBehindNat.address });
    for (const i of [0, 1, 3, 6]) {
      wire.now = i * 60;
      wire.source.accept(phoneBehindNat, { ssrc: 1, sequenceNumber: i, timestamp: i * 480 }, wire.now);
    }
    expect(wire.source.target).toEqual(phoneBehindNat);
  });

  it('is found again at another port after its silence of five seconds', () => {
    const wire = new Wire({ signallingAddress: phoneBehindNat.address });
    wire.stream(phoneBehindNat, 50);
    const moved = { ...phoneBehindNat, port: 61_001 };
    wire.now += 4000;
    expect(wire.stream(moved, 20)).toBe(0);
    wire.now += 1000;
    wire.stream(moved, 10);
    expect(wire.stream(moved, 10, { first: 10 })).toBe(10);
    expect(wire.source.target).toEqual(moved);
  });
});

describe('a stranger', () => {
  it('is learned after half a second of a live stream when nobody else sends: some trunks have media elsewhere', () => {
    const wire = new Wire();
    expect(wire.stream(stranger, 25)).toBe(0);
    expect(wire.stream(stranger, 10, { first: 25 })).toBe(10);
    expect(wire.stream(phone, 1)).toBe(1);
    expect(wire.stream(stranger, 100, { first: 40 })).toBe(0);
  });

  it('gets nothing by spraying, at whatever rate, with or without a moving clock', () => {
    for (const everyMs of [0, 0.5, 5, 300]) {
      for (const ticks of [0, 160]) {
        const wire = new Wire();
        expect(wire.stream(stranger, 2000, { everyMs, ticks })).toBe(0);
        expect(wire.source.target).toEqual(phone);
      }
    }
  });

  it('gets nothing by bursts with pauses between', () => {
    const wire = new Wire();
    let accepted = 0;
    for (let burst = 0; burst < 50; burst += 1) {
      accepted += wire.stream(stranger, 25, { everyMs: 0, first: burst * 25 });
      wire.now += 600;
    }
    expect(accepted).toBe(0);
  });

  it('gets nothing by using the SSRC and numbers of the phone', () => {
    const wire = new Wire();
    wire.stream(phone, 50, { ssrc: 7 });
    let accepted = 0;
    for (let i = 50; i < 500; i += 1) {
      accepted += wire.stream(stranger, 1, { ssrc: 7, first: i, everyMs: 5 });
      expect(wire.stream(phone, 1, { ssrc: 7, first: i, everyMs: 15 })).toBe(1);
    }
    expect(accepted).toBe(0);
  });

  it('cannot take the place of a source that fell silent', () => {
    const wire = new Wire();
    wire.stream(phone, 50);
    wire.now += 60_000;
    expect(wire.stream(stranger, 500)).toBe(0);
    expect(wire.stream(phone, 1)).toBe(1);
  });

  it('cannot keep the phone out by coming from many addresses', () => {
    const wire = new Wire({ signallingAddress: phoneBehindNat.address });
    let accepted = 0;
    for (let i = 0; i < 100; i += 1) {
      for (let n = 0; n < 20; n += 1)
        wire.source.accept({ address: `203.0.113.${n}`, port: 1000 + i }, { ssrc: n, sequenceNumber: i, timestamp: 0 }, wire.now);
      accepted += wire.stream(phoneBehindNat, 1, { first: i });
    }
    expect(accepted).toBeGreaterThan(50);
  });
});

describe('sending to an address that has sent nothing', () => {
  it('ends after five seconds and begins again when it sends', () => {
    const { source } = new Wire();
    expect(source.mayReceive(1000)).toBe(true);
    expect(source.mayReceive(5999)).toBe(true);
    expect(source.mayReceive(6000)).toBe(false);
    source.accept(phone, { ssrc: 1, sequenceNumber: 1, timestamp: 1 }, 7000);
    expect(source.mayReceive(7000)).toBe(true);
    expect(source.mayReceive(100_000)).toBe(true);
  });

  it('is not prolonged by a re-INVITE, neither to the same address nor to one after the other', () => {
    const { source } = new Wire();
    let sentMs = 0;
    for (let now = 0; now < 120_000; now += 20) {
      if (now === 4000) source.signal(phone, now);
      if (now >= 4000 && now % 1000 === 0) source.signal({ address: `192.0.2.${20 + ((now / 1000) % 2)}`, port: 9000 }, now);
      if (source.mayReceive(now)) sentMs += 20;
    }
    expect(sentMs).toBe(5000);
  });

  it('never happens to a multicast, broadcast, unspecified or privileged address', () => {
    for (const endpoint of [
      { address: '224.0.0.1', port: 20_000 },
      { address: '255.255.255.255', port: 20_000 },
      { address: '0.0.0.0', port: 20_000 },
      { address: '192.0.2.1', port: 53 },
      { address: 'ff02::1', port: 20_000 },
    ]) {
      const source = new SourceLearning(endpoint);
      expect(source.target).toBeUndefined();
      expect(source.mayReceive(0)).toBe(false);
    }
  });
});

describe('a new SDP', () => {
  it('moves the source: the old address is foreign from then on', () => {
    const wire = new Wire();
    wire.stream(phone, 10);
    const next = { address: '192.0.2.77', port: 30_000 };
    wire.source.signal(next, wire.now);
    expect(wire.source.target).toEqual(next);
    expect(wire.stream(phone, 10, { first: 10 })).toBe(0);
    expect(wire.stream(next, 10)).toBe(10);
  });

  it('changes nothing when it holds the call or names the same address', () => {
    const wire = new Wire();
    wire.stream(phone, 10);
    wire.source.signal(phone, wire.now);
    wire.source.signal({ address: '0.0.0.0', port: 20_000 }, wire.now);
    expect(wire.stream(phone, 10, { first: 10 })).toBe(10);
  });
});

describe('RTCP', () => {
  it('is believed from the machine of the source only', () => {
    const wire = new Wire({ signallingAddress: phoneBehindNat.address });
    expect(wire.source.acceptRtcp({ address: phone.address, port: 20_001 })).toBe(true);
    expect(wire.source.acceptRtcp(stranger)).toBe(false);
    wire.stream(phoneBehindNat, 10);
    expect(wire.source.acceptRtcp({ address: phoneBehindNat.address, port: 5 })).toBe(true);
    expect(wire.source.acceptRtcp({ address: phone.address, port: 20_001 })).toBe(false);
  });
});
