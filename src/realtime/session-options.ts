import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { LegOrigin } from '../leg/leg.ts';
import type { EndOfTurnPredictor } from './end-of-turn.ts';
import type { RealtimeModel, UplinkWhileSpeaking } from './model.ts';
import type { SessionMetrics } from './session-metrics.ts';
import type { TurnStatistics } from './session-statistics.ts';
import type { CallSounds } from './tools/filler.ts';
import type { ToolCatalogue } from './tools/tool-catalogue.ts';
import type { FillerChoice } from './tools/tool-source.ts';
import type { TurnOptions } from './turn-options.ts';
import type { TurnState } from './turn-table.ts';
import type { VoiceDetector } from './voice-detector.ts';

export interface SessionDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly model: RealtimeModel;
  readonly createVoiceDetector: () => VoiceDetector;
  readonly metrics?: SessionMetrics;
  /** Who can tell whether a turn is over; asked only where the caller's pauses decide. */
  readonly predictor?: EndOfTurnPredictor | undefined;
  /** Tools that the gateway runs; none without it. */
  readonly tools?: ToolCatalogue | undefined;
  /** What callers hear while nobody speaks; without it nothing. */
  readonly sounds?: CallSounds | undefined;
  /** While a tool runs that says nothing of it. */
  readonly filler?: FillerChoice | undefined;
}

export interface SessionOptions {
  /** As programs know it: `rtc_…`. */
  readonly id?: string;
  /** Whose session it is. */
  readonly project?: string;
  /** `at_once`: take the call as soon as it is there. `manual`: somebody else says `accept` or `reject`. */
  readonly answer?: 'at_once' | 'manual';
  readonly turns?: Partial<TurnOptions>;
  /** May the caller be called back when the call is over? */
  readonly mayCallBack?: boolean;
  /** Does a key stop the agent's speech? Default true. */
  readonly keysInterrupt?: boolean;
  /** Does the agent say the first word? Default true. */
  readonly speaksFirst?: boolean;
  /** Who is at the other end, for the metrics; a phone when absent. */
  readonly kind?: LegOrigin['kind'];
  /** Round trip between here and the caller in milliseconds, as far as it is known: for what was heard and when. */
  readonly rttMs?: (() => number | undefined) | undefined;
  /**
   * Audio goes out as it comes, and the far end plays it: nothing is held back here, and only the far end knows what of it was heard. The pulls go
   * on, as an estimate of what is being played.
   */
  readonly streams?: boolean;
  /** What a model that takes the turns hears while we speak; default: as the model says. */
  readonly uplinkWhileSpeaking?: UplinkWhileSpeaking;
}

/** What is known of a session at any time: the closing log line, the CDR, GET /v1/calls/:id. */
export interface SessionSnapshot extends TurnStatistics {
  readonly state: TurnState;
  readonly heardMs: number;
  readonly playoutQueueMs: number;
  /** Audio of the model that was dropped because too much was queued. */
  readonly playoutDroppedMs: number;
  /** The newest items: what came, and what left on the wire. */
  readonly items: readonly { readonly itemId: string; readonly receivedMs: number; readonly sentMs: number }[];
}
