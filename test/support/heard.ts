import { decodeG711 } from './g711.ts';
import type { RtpArrival } from './recording.ts';
import type { RtpPhone } from './rtp-phone.ts';
import { rms, SILENCE_RMS } from './tones.ts';

/** How loud one packet is, 0 … 32768; 0 for what is no audio. */
function loudness({ payloadType, payload }: RtpArrival): number {
  if (payloadType !== 0 && payloadType !== 8) return 0;
  return rms(decodeG711(payloadType === 0 ? 'PCMU' : 'PCMA', payload));
}

/** Packets with something to hear in them that arrived between two moments (performance.now() ms). */
export function loudArrivals(media: RtpPhone, from: number, to = Number.POSITIVE_INFINITY): RtpArrival[] {
  return media.arrivals.all.filter((each) => each.at >= from && each.at <= to && loudness(each) > SILENCE_RMS);
}

/** Waits for the first audible packet that arrives from now on. */
export function nextSound(media: RtpPhone, deadlineMs: number): Promise<RtpArrival> {
  return media.arrivals.next((each) => loudness(each) > SILENCE_RMS, deadlineMs, 'something to hear');
}

/** Waits for the first packet from now on, audible or not. */
export function nextArrival(media: RtpPhone, deadlineMs: number): Promise<RtpArrival> {
  return media.arrivals.next(() => true, deadlineMs, 'a packet from the gateway');
}

/** The longest time between two packets that arrived between two moments. */
export function longestGapMs(media: RtpPhone, from: number, to = Number.POSITIVE_INFINITY): number {
  let before = from;
  let longest = 0;
  for (const { at } of media.arrivals.all) {
    if (at < from || at > to) continue;
    longest = Math.max(longest, at - before);
    before = at;
  }
  return to === Number.POSITIVE_INFINITY ? longest : Math.max(longest, to - before);
}

/** How much silence arrived in the second after `since`, in milliseconds: packets of 20 ms with nothing to hear in them. */
export function silentMs(media: RtpPhone, since: number): number {
  const second = media.arrivals.all.filter(({ at }) => at > since && at < since + 1000);
  return 20 * second.filter((each) => loudness(each) <= SILENCE_RMS).length;
}
