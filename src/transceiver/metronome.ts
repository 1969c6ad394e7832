import type { Clock } from '../base/clock.ts';
import type { Ticker } from '../base/ticker.ts';
import { MODEL_FRAME_SAMPLES } from '../realtime/model.ts';
import type { Session } from '../realtime/session.ts';

/** One for all: what is pulled here goes nowhere. */
const SCRATCH = new Int16Array(MODEL_FRAME_SAMPLES);

/** Lets time pass for a session whose audio goes through channels: nobody else pulls it. @returns what ends it */
export function startMetronome({ clock, ticker }: { clock: Clock; ticker: Ticker }, session: Pick<Session, 'pullDownlink'>): () => void {
  return ticker.add(() => void session.pullDownlink(SCRATCH, clock.now()));
}
