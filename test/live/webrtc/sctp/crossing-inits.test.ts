import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { SctpChunk } from '../../../../src/webrtc/sctp/sctp-filter.ts';
import { loadSctp } from '../../../../src/webrtc/sctp/werift-sctp.ts';
import { type SctpEnd, sctpEnd } from '../../../support/sctp-pair.ts';

/** One way. */
const TRANSIT_MS = 20;
const STEP_MS = 5;
const GIVE_UP_MS = 60_000;
/** Both sides begin so far apart: at once, so that the INITs cross, and when the first INIT has just come. */
const GAPS_MS = [0, 15, 20];
/** INIT and COOKIE ECHO, their answers, and the first data of both sides. */
const FIRST_PACKETS = 8;
const PATTERNS = Array.from({ length: 1 << FIRST_PACKETS }, (_, pattern) => pattern);

interface Run {
  readonly gapMs: number;
  /** What becomes of the nth packet: milliseconds it takes; undefined when it is lost. */
  transit(index: number, packet: Buffer): number | undefined;
}

beforeAll(async () => void (await loadSctp()));

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'Date'] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** Both sides begin and say something. @returns milliseconds until both were heard, and all INITs that were sent */
async function cross({ gapMs, transit }: Run): Promise<{ upMs: number; inits: Buffer[] }> {
  let index = 0;
  const inits: Buffer[] = [];
  const to = (other: () => SctpEnd) => (packet: Buffer) => {
    if (packet[12] === SctpChunk.init) inits.push(packet);
    const takes = transit(index, packet);
    index += 1;
    // A copy: the far side of a network cannot see what becomes of the buffer.
    const copy = Buffer.from(packet);
    if (takes !== undefined) setTimeout(() => other().association.handlePacket(copy), takes);
  };
  const left: SctpEnd = await sctpEnd(to(() => right));
  const right: SctpEnd = await sctpEnd(to(() => left));
  const startedAt = Date.now();
  left.association.connect();
  left.association.send(0, 51, Buffer.from('of the left'), true);
  right.association.send(1, 51, Buffer.from('of the right'), true);
  setTimeout(() => right.association.connect(), gapMs);
  const isUp = (): boolean => left.messages.length === 1 && right.messages.length === 1;
  while (!isUp() && Date.now() - startedAt < GIVE_UP_MS) await vi.advanceTimersByTimeAsync(STEP_MS);
  const upMs = isUp() ? Date.now() - startedAt : Number.POSITIVE_INFINITY;
  expect([left.connected, right.connected, left.faults, right.faults, left.closed, right.closed]).toEqual([1, 1, [], [], [], []]);
  left.association.close();
  right.association.close();
  return { upMs, inits };
}

describe('two associations that both send INIT', () => {
  it('come up in the four transits of a handshake when nothing is lost', async () => {
    for (const gapMs of GAPS_MS) {
      const { upMs } = await cross({ gapMs, transit: () => TRANSIT_MS });
      expect(upMs, `${gapMs} ms apart`).toBeLessThanOrEqual(5 * TRANSIT_MS);
    }
  });

  it('come up where both INIT ACKs were lost: the repeated INITs have tag 0', async () => {
    for (const gapMs of GAPS_MS) {
      let lost = 0;
      const { upMs, inits } = await cross({
        gapMs,
        transit: (_index, packet) => (packet[12] === SctpChunk.initAck && ++lost <= 2 ? undefined : TRANSIT_MS),
      });
      expect(upMs, `${gapMs} ms apart`).toBeLessThan(700);
      expect(inits.length).toBeGreaterThan(2);
      expect(new Set(inits.map((packet) => packet.readUInt32BE(4)))).toEqual(new Set([0]));
    }
  });

  it.each(GAPS_MS)('come up whichever of the first packets are lost, %i ms apart', async (gapMs) => {
    const slow: [number, number][] = [];
    for (const pattern of PATTERNS) {
      const { upMs } = await cross({ gapMs, transit: (index) => ((pattern >> index) & 1 ? undefined : TRANSIT_MS) });
      // Each loss costs half a second at the worst, those of both sides at the same time.
      if (upMs > 150 + 500 * Math.min(4, countOnes(pattern))) slow.push([pattern, upMs]);
    }
    expect(slow).toEqual([]);
  });

  it.each(GAPS_MS)('come up in whatever order the first packets arrive, %i ms apart', async (gapMs) => {
    const slow: [number, number][] = [];
    for (const pattern of PATTERNS) {
      const { upMs } = await cross({ gapMs, transit: (index) => ((pattern >> index) & 1 ? 3 : 1) * TRANSIT_MS });
      if (upMs > 5 * 3 * TRANSIT_MS) slow.push([pattern, upMs]);
    }
    expect(slow).toEqual([]);
  });

  it('still ask a far side that stands still for a quarter of a minute', async () => {
    const until = Date.now() + 15_000;
    const { upMs, inits } = await cross({ gapMs: 0, transit: () => (Date.now() < until ? undefined : TRANSIT_MS) });
    expect(upMs).toBeLessThan(18_000);
    expect(inits.length).toBeLessThanOrEqual(18);
  });

  it('take what the far side says for the COOKIE ACK that was lost before it', async () => {
    const { upMs } = await cross({
      gapMs: GIVE_UP_MS,
      transit: (_index, packet) => (packet[12] === SctpChunk.cookieAck ? undefined : TRANSIT_MS),
    });
    expect(upMs).toBeLessThanOrEqual(5 * TRANSIT_MS + STEP_MS);
  });
});

function countOnes(pattern: number): number {
  return pattern === 0 ? 0 : (pattern & 1) + countOnes(pattern >> 1);
}
