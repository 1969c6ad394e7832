import type { Endpoint } from './endpoint.ts';
import { decodeG711 } from './g711.ts';
import type { RtpPacket } from './rtp-wire.ts';

/** An RTP packet that arrived; `at` in performance.now() milliseconds. */
export interface RtpArrival extends Readonly<RtpPacket> {
  readonly at: number;
  readonly from: Endpoint;
}

/** Where one packet lies in a recording. */
interface Placed {
  readonly sample: number;
  readonly length: number;
  readonly at: number;
}

/** What was heard: G.711 packets laid out by their timestamps, holes as silence, at 8 kHz. */
export interface Recording {
  readonly samples: Int16Array;
  /** When the first packet arrived (performance.now() ms); 0 without packets. */
  readonly startedAt: number;
  /** When the packet that carries this sample arrived; undefined in a hole and outside. */
  arrivedAt(sample: number): number | undefined;
}

/** A timestamp this far from where it should be (10 s) is a jump, not a pause: the stream is placed by its arrival instead. */
const JUMP_SAMPLES = 80_000;

const LAWS: Readonly<Record<number, 'PCMU' | 'PCMA'>> = { 0: 'PCMU', 8: 'PCMA' };

/** Lays out what arrived. After an SSRC change or a timestamp jump the stream goes on where its arrival time says. */
export function record(arrivals: readonly RtpArrival[]): Recording {
  const audio = arrivals.filter((each) => LAWS[each.payloadType]);
  const first = audio[0];
  if (!first) return { samples: new Int16Array(), startedAt: 0, arrivedAt: () => undefined };
  const placed: Placed[] = [];
  let base = { ssrc: first.ssrc, timestamp: first.timestamp, sample: 0 };
  let end = 0;
  for (const packet of audio) {
    const byArrival = Math.round((packet.at - first.at) * 8);
    let sample = base.sample + ((packet.timestamp - base.timestamp) | 0);
    if (packet.ssrc !== base.ssrc || Math.abs(sample - byArrival) > JUMP_SAMPLES) {
      base = { ssrc: packet.ssrc, timestamp: packet.timestamp, sample: Math.max(end, byArrival) };
      sample = base.sample;
    }
    placed.push({ sample, length: packet.payload.length, at: packet.at });
    end = Math.max(end, sample + packet.payload.length);
  }
  // The packet that arrived first need not be the earliest one.
  const earliest = placed.reduce((least, each) => Math.min(least, each.sample), 0);
  const samples = new Int16Array(end - earliest);
  placed.forEach(({ sample }, n) => {
    const packet = audio[n] as RtpArrival;
    samples.set(decodeG711(LAWS[packet.payloadType] as 'PCMU' | 'PCMA', packet.payload), sample - earliest);
  });
  return {
    samples,
    startedAt: first.at,
    arrivedAt: (sample) => placed.find((each) => sample >= each.sample - earliest && sample < each.sample - earliest + each.length)?.at,
  };
}

/** How a stream arrived, by sequence numbers of its last SSRC. */
export interface StreamFigures {
  readonly packets: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  /** Longest time between two packets, in milliseconds. */
  readonly longestGapMs: number;
  /** Interarrival jitter as RFC 3550 §6.4.1 has it, in milliseconds. */
  readonly jitterMs: number;
  readonly ssrcs: readonly number[];
}

export function streamFigures(arrivals: readonly RtpArrival[]): StreamFigures {
  const ssrcs = [...new Set(arrivals.map((each) => each.ssrc))];
  const seen = new Set<number>();
  let reference: number | undefined;
  let highest = 0;
  let lowest = 0;
  let duplicated = 0;
  let reordered = 0;
  let longestGapMs = 0;
  let jitterMs = 0;
  let before: RtpArrival | undefined;
  for (const packet of arrivals) {
    if (before) longestGapMs = Math.max(longestGapMs, packet.at - before.at);
    // A key press keeps its timestamp while it lasts: no measure of jitter.
    if (before && before.ssrc === packet.ssrc && LAWS[packet.payloadType] && LAWS[before.payloadType]) {
      const late = packet.at - before.at - ((packet.timestamp - before.timestamp) | 0) / 8;
      jitterMs += (Math.abs(late) - jitterMs) / 16;
    }
    before = packet;
    if (packet.ssrc !== ssrcs.at(-1)) continue;
    reference ??= packet.sequence;
    // Signed distance from the highest so far, so that the wrap at 65535 is no loss.
    const number = highest + (((packet.sequence - reference - highest) << 16) >> 16);
    if (seen.has(number)) duplicated += 1;
    else if (number < highest) reordered += 1;
    seen.add(number);
    highest = Math.max(highest, number);
    lowest = Math.min(lowest, number);
  }
  const lost = seen.size === 0 ? 0 : highest - lowest + 1 - seen.size;
  return { packets: arrivals.length, lost, duplicated, reordered, longestGapMs, jitterMs, ssrcs };
}
