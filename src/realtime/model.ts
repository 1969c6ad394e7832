/** Audio between session and model: mono, signed 16 bit, 24 kHz, frames of 20 ms (480 samples) on the way in. */
export const MODEL_RATE_HZ = 24_000;
export const MODEL_FRAME_SAMPLES = 480;

/** What a model tells the session. Items and responses are named by the model; names are unique within a connection. */
export type ModelEvent =
  | { readonly type: 'response_started'; readonly responseId: string }
  /** Audio to play after what came before, any length. The session bounds how much it holds. */
  | { readonly type: 'audio'; readonly responseId: string; readonly itemId: string; readonly pcm: Int16Array }
  | { readonly type: 'response_done'; readonly responseId: string; readonly status: 'completed' | 'cancelled' | 'failed' }
  /** The model wants the call to end, after what is queued has been played. */
  | { readonly type: 'hangup' }
  /** The connection is lost and will not come back. */
  | { readonly type: 'closed'; readonly reason: string };

/** One conversation with a model. All methods return at once; nothing throws after close. */
export interface ModelConnection {
  /** The caller's audio as it is heard, every 20 ms, silence included. */
  appendAudio(pcm: Int16Array): void;
  /** The leg is answered: the model may greet. */
  start(): void;
  /** The caller began to speak. `startMs` counts the audio appended so far. */
  speechStarted(startMs: number): void;
  /** The caller's turn is over: audio from startMs to endMs is the turn; please respond. */
  commitTurn(turn: { readonly startMs: number; readonly endMs: number }): void;
  /** A key was pressed. */
  dtmf(digit: string): void;
  /** Stop this response. Audio that comes after it is dropped by the session. */
  cancelResponse(responseId: string): void;
  /** Of this item only `sentMs` left on the wire; the rest was never said. */
  truncate(itemId: string, sentMs: number): void;
  close(): void;
}

/** Where conversations come from: the embedded agent, a Realtime-compatible server, a pipeline of services. */
export interface RealtimeModel {
  readonly name: string;
  connect(onEvent: (event: ModelEvent) => void): ModelConnection;
}
