import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { sctpChecksum } from '../../src/webrtc/sctp/crc32c.ts';
import { filterSctp } from '../../src/webrtc/sctp/sctp-filter.ts';
import { cpuMs } from '../support/cpu-time.ts';
import { type SctpEnd, sctpPair } from '../support/sctp-pair.ts';

const env: { readonly RINGDOWN_FUZZ_PACKETS?: string; readonly RINGDOWN_FUZZ_SEED?: string } = process.env;
const PACKETS = Number(env.RINGDOWN_FUZZ_PACKETS ?? 24_000);

/** Packets with the same seed are the same packets. */
function generator(seed: number) {
  let state = seed >>> 0;
  return (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

let unhandled = 0;
const count = () => {
  unhandled += 1;
};

beforeAll(() => {
  process.on('unhandledRejection', count);
  process.on('uncaughtException', count);
});

afterAll(() => {
  process.off('unhandledRejection', count);
  process.off('uncaughtException', count);
});

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

async function connectedPair(): Promise<[SctpEnd, SctpEnd]> {
  const [left, right] = await sctpPair();
  left.association.connect();
  await vi.waitFor(() => expect(left.association.connected && right.association.connected).toBe(true), { interval: 1 });
  return [left, right];
}

/** Everything two healthy ends say, and what only others say. */
async function templates(): Promise<Buffer[]> {
  const [left, right] = await connectedPair();
  left.association.send(1, 50, Buffer.from('0300000000000000000a00006f61692d6576656e7473', 'hex'), true);
  left.association.send(1, 53, Buffer.alloc(5000, 1), true);
  left.association.send(2, 51, Buffer.from('unordered'), false);
  await vi.waitFor(() => expect(right.messages).toHaveLength(3), { interval: 1 });
  right.association.send(1, 51, Buffer.from('x'), true);
  await vi.waitFor(() => expect(left.messages).toHaveLength(1), { interval: 1 });
  left.association.resetStream(1);
  await vi.waitFor(() => expect(left.resets).toContain(1), { interval: 1 });
  left.association.close();
  await vi.waitFor(() => expect(right.closed).toHaveLength(1), { interval: 1 });
  const header = Buffer.from('138813880000000000000000', 'hex');
  const others = [
    'c00000100000000900010002000300040',
    '0400000c0001000801020304',
    '07000008000000ff',
    '08000004',
    '0e000004',
    '0900000800010004',
  ];
  const sack = '0300001c000000010010000000020001000200030005000600000009';
  return [...left.sent, ...right.sent, ...[...others, sack].map((body) => Buffer.concat([header, Buffer.from(body, 'hex')]))];
}

function mutate(template: Buffer, tag: number, random: (below: number) => number): Buffer {
  let packet = Buffer.from(template);
  for (let times = random(4); times >= 0; times -= 1) {
    const at = 12 + random(Math.max(1, packet.length - 12));
    const kind = random(7);
    if (kind <= 2) packet[at] = random(256);
    else if (kind === 3) packet[at] = [0, 1, 4, 0x7f, 0x80, 0xff][random(6)] ?? 0;
    else if (kind === 4) packet = packet.subarray(0, at);
    else if (kind === 5) packet = Buffer.concat([packet, packet.subarray(12)]);
    else packet = Buffer.concat([packet.subarray(0, at), Buffer.alloc(1 + random(8), random(256)), packet.subarray(at)]);
  }
  packet = Buffer.from(packet);
  if (packet.length < 12) return packet;
  if (packet[12] !== 1 && random(10) > 0) packet.writeUInt32BE(tag, 4);
  if (random(20) > 0) packet.writeUInt32LE(sctpChecksum(packet), 8);
  return packet;
}

/** The tag under which the victim takes packets: it stands in the INIT ACK that it sent. */
function tagOf(end: SctpEnd): number {
  const ack = end.sent.find((packet) => packet[12] === 2);
  return ack?.readUInt32BE(16) ?? 0;
}

describe('SCTP under fuzz', () => {
  it(`survives ${PACKETS} mutated packets without a hang, an exception or an unhandled rejection`, { timeout: 600_000 }, async () => {
    const seed = Number(env.RINGDOWN_FUZZ_SEED ?? 20_250_101);
    const random = generator(seed);
    const samples = await templates();
    let pair = await connectedPair();
    let handed = 0;
    let worstMs = 0;
    for (let i = 0; i < PACKETS; i += 1) {
      let [left, victim] = pair;
      if (victim.closed.length > 0 || i % 500 === 499) {
        left.association.close();
        victim.association.close();
        pair = await connectedPair();
        [left, victim] = pair;
      }
      const packet = mutate(samples[random(samples.length)] ?? Buffer.alloc(0), tagOf(victim), random);
      const dropped = victim.association.droppedPackets;
      const start = cpuMs();
      victim.association.handlePacket(packet);
      await turn();
      worstMs = Math.max(worstMs, cpuMs() - start);
      if (victim.association.droppedPackets === dropped) handed += 1;
    }
    for (const { association } of pair) association.close();
    expect(unhandled, `seed ${seed}`).toBe(0);
    // A hang would be seconds.
    expect(worstMs, `seed ${seed}`).toBeLessThan(1000);
    // The fuzz is worth something only when a good part gets past the filter.
    expect(handed).toBeGreaterThan(PACKETS / 10);
  });

  it('filters noise and mutations without throwing, and what it gives back is well-formed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
        const packet = Buffer.concat([Buffer.from('138813880000000100000000', 'hex'), Buffer.from(noise)]);
        packet.writeUInt32LE(sctpChecksum(packet), 8);
        const clean = filterSctp(packet, { maxGapOffset: 10 });
        if (!clean) return;
        expect(clean.readUInt32LE(8)).toBe(sctpChecksum(clean));
        expect(filterSctp(clean, { maxGapOffset: 10 })).toBe(clean);
      }),
      { numRuns: 5000 },
    );
  });
});
