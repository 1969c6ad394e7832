import type { Clock } from '../base/clock.ts';
import type { Ticker } from '../base/ticker.ts';
import type { Leg } from '../leg/leg.ts';
import { MODEL_FRAME_SAMPLES } from '../realtime/model.ts';
import { nobody, type Occupant, type Seat } from './seat.ts';

/** As long as a key is that was pressed on purpose. */
const KEY_MS = 160;

const HEARD = { concealed: false };

/**
 * Two seats of two sessions become one wire: what is heard in the one is said in the other, and the end of one is the end of both. Nobody sits there any
 * more. Costs a frame of delay, and no codec.
 */
export function splice({ clock, ticker }: { readonly clock: Clock; readonly ticker: Ticker }, a: Seat, b: Seat): void {
  const ofA = new Int16Array(MODEL_FRAME_SAMPLES);
  const ofB = new Int16Array(MODEL_FRAME_SAMPLES);
  const stop = ticker.add(() => {
    const now = clock.now();
    a.line.pullDownlink(ofA, now);
    b.line.pullDownlink(ofB, now);
    b.line.handleUplink(ofA, HEARD, now);
    a.line.handleUplink(ofB, HEARD, now);
  });
  a.take(wireTo(b, stop));
  b.take(wireTo(a, stop));
}

/** Who sits at the one end: all it does reaches the other. */
function wireTo(other: Seat, stop: () => void): Occupant {
  const { leg: unmoved, media } = nobody(stop);
  const leg: Leg = {
    ...unmoved,
    hangup: () => other.tell({ type: 'ended', cause: 'remote_hangup' }),
    sendDtmf: (digits) => {
      for (const digit of digits) other.line.handleLegEvent({ type: 'dtmf', digit, durationMs: KEY_MS });
    },
  };
  return { leg, media };
}
