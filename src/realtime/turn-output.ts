import type { AskedFor } from './caller-words.ts';
import type { VoiceFrame } from './voice-detector.ts';

/** A frame of the caller's audio as the turn logic sees it. */
export interface HeardFrame extends VoiceFrame {
  /** Made up for a lost packet: it proves nothing. */
  readonly concealed: boolean;
  /** Its voice is what is left over of the frame before: it ended there. */
  readonly spilled?: boolean;
  /** Milliseconds of the caller's audio up to the end of this frame. */
  readonly heardMs: number;
}

/** Why a voice over the agent's speech was no interruption: too short, our own echo, "uh-huh", or neither one nor the other for two seconds. */
export type Rejection = 'short' | 'echo' | 'acknowledgement' | 'no_verdict';

/** What the session has to do. */
export type TurnOutput =
  | { readonly type: 'speech_started'; readonly startMs: number }
  /** A gap began: who can tell whether the turn is over may be asked. */
  | { readonly type: 'paused'; readonly startMs: number; readonly endMs: number; readonly words: string }
  /** The turn may be over: an answer to it may be prepared, of which nobody hears yet. */
  | { readonly type: 'prepare'; readonly startMs: number; readonly endMs: number }
  /** It was not over: nothing of that answer has ever been. */
  | { readonly type: 'drop_preparation' }
  | {
      readonly type: 'turn_committed';
      readonly startMs: number;
      readonly endMs: number;
      /** When the frame with the caller's last sound came (Clock.now). */
      readonly speechEndedAt: number;
      /** The earlier commit of this turn was taken back. */
      readonly continued: boolean;
      /** The model's server ended it, and has it already. */
      readonly upstream?: boolean;
    }
  /** The caller spoke, but no turn comes of it: a key or the end of turn detection took its place. */
  | { readonly type: 'turn_discarded'; readonly startMs: number; readonly endMs: number }
  /** Cancel what was asked for; nobody has heard anything of it. */
  | { readonly type: 'cancel' }
  /** Fade to silence, keep the place. `onsetAt`: when the voice began (Clock.now). */
  | { readonly type: 'hold'; readonly onsetAt: number }
  /** The voice that holds us has paused: what it said would decide. */
  | { readonly type: 'find_words'; readonly startMs: number; readonly endMs: number }
  /** It was no interruption: go on, from the start when nobody can have followed. `why` is absent where nobody judged. */
  | { readonly type: 'resume'; readonly fromStart: boolean; readonly why: Rejection | undefined }
  /** Drop what is queued, tell the model what was sent. */
  | { readonly type: 'interrupt'; readonly by: 'voice' | 'key' };

/** What the agent says now, as far as turns depend on it. */
export interface AgentSpeech {
  /** How much it still has to say, in milliseconds; Infinity while the model has not finished. */
  remainingMs(): number;
  /** What its last sentence asks for. */
  asked(): AskedFor;
  /** How much of what it has to say has left on the wire, 0 to 1; 0 while the model has not finished. */
  playedShare(): number;
}
