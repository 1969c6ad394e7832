/** Audio between session and model: mono, signed 16 bit, 24 kHz, frames of 20 ms (480 samples) on the way in. */
export const MODEL_RATE_HZ = 24_000;
export const MODEL_FRAME_SAMPLES = 480;

/** What a model says. Items and responses are named by the model; names are unique within a connection. */
export type SpeechEvent =
  /**
   * Something will be said. A `live` response keeps its delay instead of its content: when more than a little of it
   * waits, the oldest is dropped (echo mode).
   */
  | { readonly type: 'response_started'; readonly responseId: string; readonly live?: boolean }
  /** Audio to play after what came before, any length. The session keeps the array: never write to it again. */
  | { readonly type: 'audio'; readonly responseId: string; readonly itemId: string; readonly pcm: Int16Array };

/** What a model tells about itself. */
export type ControlEvent =
  | { readonly type: 'response_done'; readonly responseId: string; readonly status: 'completed' | 'cancelled' | 'failed' }
  /** Turns on (the default) or off: when off, audio passes both ways and nobody interrupts anybody, but keys still do. */
  | { readonly type: 'turn_detection'; readonly enabled: boolean }
  /** The model wants the call to end, after what is queued has been played. */
  | { readonly type: 'hangup' }
  /** The caller shall talk to somebody else: this URI. What becomes of it is told by transferred(). */
  | { readonly type: 'transfer'; readonly target: string }
  /** The call ends after what is queued has been played, and then the caller is called back. Only where CallContext allows it. */
  | { readonly type: 'call_back' }
  /** The connection is lost and will not come back. */
  | { readonly type: 'closed'; readonly reason: string };

/** Everything a model tells the session. */
export type ModelEvent = SpeechEvent | ControlEvent;

/** What a model may know of the call it talks in. */
export interface CallContext {
  /** Can the caller be called back when this call is over? */
  readonly mayCallBack: boolean;
  /** Figures of this call so far. */
  statistics(): CallFigures;
}

export interface CallFigures {
  readonly durationMs: number;
  readonly turns: number;
  /** Median time from the end of a turn to the first sound of its answer; undefined before the first. */
  readonly responseMs: number | undefined;
  /** Share of the caller's audio that was lost on its way, 0 to 100. */
  readonly lostPercent: number;
}

/** One conversation with a model. All methods return at once; nothing throws after close. */
export interface ModelConnection {
  /** The caller's audio as it is heard, every 20 ms, silence included. The buffer is used again: copy what is kept. */
  appendAudio(pcm: Int16Array): void;
  /** The leg is answered: the model may greet. */
  start(): void;
  /** The caller began to speak. `startMs` counts the audio appended so far. */
  speechStarted(startMs: number): void;
  /**
   * The caller's turn is over: audio from startMs to endMs is the turn; please respond. Each commit is answered by one
   * response, be it empty. When the caller goes on after a commit that was too early, the response is cancelled and the
   * next commit has the same startMs.
   */
  commitTurn(turn: { readonly startMs: number; readonly endMs: number }): void;
  /** A key was pressed. A turn that was being spoken is not going to be committed. */
  dtmf(digit: string): void;
  /** Stop this response (undefined: the one that was asked for and has no name yet). Audio that comes after it is dropped by the session. */
  cancelResponse(responseId: string | undefined): void;
  /** Of this item only `sentMs` left on the wire; the rest was never said. */
  truncate(itemId: string, sentMs: number): void;
  /** What has become of a transfer: `failed` leaves the caller here. */
  transferred?(state: 'accepted' | 'progress' | 'succeeded' | 'failed'): void;
  /** All of this response has left on the wire. Not called for what was cancelled. */
  played?(responseId: string): void;
  close(): void;
}

/** Where conversations come from: the embedded agent, a Realtime-compatible server, a pipeline of services. */
export interface RealtimeModel {
  readonly name: string;
  /** Begins a conversation; its first event comes after this has returned. */
  connect(onEvent: (event: ModelEvent) => void, call?: CallContext): ModelConnection;
}
