/** Audio between session and model: mono, signed 16 bit, 24 kHz, frames of 20 ms (480 samples) on the way in. */
export const MODEL_RATE_HZ = 24_000;
export const MODEL_FRAME_SAMPLES = 480;

/** What a model says. Items and responses are named by the model; names are unique within a connection. */
export type SpeechEvent =
  /**
   * Something will be said or written. A `live` response keeps its delay instead of its content: when more than a little of it
   * waits, the oldest is dropped (echo mode). `requestId` is that of the ResponseRequest it answers; absent when it answers a turn or nothing.
   */
  | { readonly type: 'response_started'; readonly responseId: string; readonly live?: boolean; readonly requestId?: string | undefined }
  /** Audio to play after what came before, any length. The session keeps the array: never write to it again. */
  | { readonly type: 'audio'; readonly responseId: string; readonly itemId: string; readonly pcm: Int16Array };

/** What a model writes: the items of its responses as they grow. A model that only speaks need not tell any of it. */
export type WritingEvent =
  /** A new item of this response; its content is still empty. */
  | { readonly type: 'item_started'; readonly responseId: string; readonly item: Item }
  /** Text of the item, or the transcript of what its audio says. */
  | { readonly type: 'text'; readonly responseId: string; readonly itemId: string; readonly contentIndex: number; readonly delta: string }
  | {
      readonly type: 'transcript';
      readonly responseId: string;
      readonly itemId: string;
      readonly contentIndex: number;
      readonly delta: string;
    }
  /** A piece of a function call's arguments. */
  | { readonly type: 'arguments'; readonly responseId: string; readonly itemId: string; readonly delta: string }
  /** The item is whole: its content is the sum of the deltas. */
  | { readonly type: 'item_done'; readonly responseId: string; readonly item: Item };

/** What a model that hears the caller all the time tells of it, while it is spoken. */
export type HearingEvent =
  /**
   * What the caller has said since the last commit, as a streaming transcription has it so far: the whole text each time, not a delta.
   * Turns end sooner and later by it, and holds are judged by it. Nobody is told of it.
   */
  | { readonly type: 'caller_words'; readonly words: string }
  /** Only where the session leaves turns to the model (`upstream`): a turn began or ended. Milliseconds of the audio that was appended. */
  | { readonly type: 'caller_started'; readonly startMs: number }
  | { readonly type: 'caller_ended'; readonly endMs: number };

/** What the caller's turn said, as the model's transcription has it. `itemId` is that of the commit. Comes at any time after it. */
export type InputTranscriptEvent =
  | { readonly type: 'input_transcript_delta'; readonly itemId: string; readonly delta: string }
  | { readonly type: 'input_transcript'; readonly itemId: string; readonly transcript: string; readonly usage?: unknown }
  | { readonly type: 'input_transcript_failed'; readonly itemId: string; readonly code: string; readonly message: string };

/** Tokens of a response, in the reference's shape. */
export interface ResponseUsage {
  readonly total_tokens: number;
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly input_token_details?: Readonly<Record<string, unknown>>;
  readonly output_token_details?: Readonly<Record<string, unknown>>;
}

export interface RateLimit {
  readonly name: string;
  readonly limit: number;
  readonly remaining: number;
  readonly reset_seconds: number;
}

/** What a model tells about itself. */
export type ControlEvent =
  | {
      readonly type: 'response_done';
      readonly responseId: string;
      readonly status: 'completed' | 'cancelled' | 'failed' | 'incomplete';
      /** Why not completed: `max_output_tokens`, `content_filter`, or an error's code and message. */
      readonly reason?: string | undefined;
      readonly error?: { readonly code: string; readonly message: string } | undefined;
      readonly usage?: ResponseUsage | undefined;
    }
  | WritingEvent
  | HearingEvent
  | InputTranscriptEvent
  | { readonly type: 'rate_limits'; readonly limits: readonly RateLimit[] }
  /**
   * Something that was asked of the model was refused, or went wrong without ending the conversation. `requestId`: the ResponseRequest
   * that will have no response; `itemId`: the item that was not taken.
   */
  | {
      readonly type: 'fault';
      readonly code: string;
      readonly message: string;
      readonly param?: string;
      readonly requestId?: string;
      readonly itemId?: string;
    }
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

/* Conversations are made of items, in the reference's own shapes: they are data, and every model we speak to has them. */

export type ContentPart =
  | { readonly type: 'input_text'; readonly text: string }
  /** `audio`: base64 of 24 kHz PCM16; left out where nobody asked for it. */
  | { readonly type: 'input_audio'; readonly audio?: string; readonly transcript?: string | null }
  | { readonly type: 'input_image'; readonly image_url: string; readonly detail?: 'auto' | 'low' | 'high' }
  | { readonly type: 'output_text'; readonly text: string }
  | { readonly type: 'output_audio'; readonly audio?: string; readonly transcript?: string | null };

export type ItemStatus = 'completed' | 'incomplete' | 'in_progress';

export type Item =
  | {
      readonly type: 'message';
      readonly id: string;
      readonly role: 'user' | 'assistant' | 'system';
      readonly status: ItemStatus;
      readonly content: readonly ContentPart[];
    }
  | {
      readonly type: 'function_call';
      readonly id: string;
      readonly status: ItemStatus;
      readonly call_id: string;
      readonly name: string;
      readonly arguments: string;
    }
  | {
      readonly type: 'function_call_output';
      readonly id: string;
      readonly status: ItemStatus;
      readonly call_id: string;
      readonly output: string;
    };

export interface FunctionTool {
  readonly type: 'function';
  readonly name: string;
  readonly description?: string;
  /** JSON Schema. */
  readonly parameters?: unknown;
}

export type ToolChoice = 'auto' | 'none' | 'required' | { readonly type: 'function'; readonly name: string };

/** How the caller is heard by a model that takes the turns: as spoken, as comfort noise, or 12 dB quieter. */
export type Uplink = 'through' | 'gated' | 'duck';

/** The same while we speak: `auto` is `gated` on lines that bring back what we say, `through` on others. */
export type UplinkWhileSpeaking = 'auto' | Uplink;

/** How the model shall be. Always whole: what is absent is the model's own default. */
export interface ModelConfig {
  readonly model?: string;
  readonly instructions?: string;
  readonly outputModality: 'audio' | 'text';
  readonly voice?: string;
  /** 0.25 to 1.5. */
  readonly speed?: number;
  readonly tools: readonly FunctionTool[];
  readonly toolChoice: ToolChoice;
  readonly parallelToolCalls?: boolean;
  readonly maxOutputTokens: number | 'inf';
  /** Is the caller's speech to be written down, and how; null: no. */
  readonly transcription: { readonly model?: string; readonly language?: string; readonly prompt?: string } | null;
  /** How turns are to be taken, in the reference's words, for a model that takes them; null: they are committed by hand. */
  readonly turnDetection?: Readonly<Record<string, unknown>> | null;
  readonly noiseReduction?: 'near_field' | 'far_field';
  readonly reasoningEffort?: string;
  /** What else the reference's session object may hold (truncation, prompt, tracing, include …): passed on to models of its kind. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

/** A response that somebody asked for, not a turn. Fields left out are as in the ModelConfig. */
export interface ResponseRequest {
  /** Ours; comes back in `response_started` or `fault`. */
  readonly requestId: string;
  /** `none`: out of band; what it says is not part of the conversation and is never played. */
  readonly conversation: 'auto' | 'none';
  readonly config?: Partial<ModelConfig>;
  /** Instead of the conversation so far: items, or references to them by id. */
  readonly input?: readonly (Item | { readonly type: 'item_reference'; readonly id: string })[];
  readonly metadata?: Readonly<Record<string, string>> | null;
}

/** What a model may know of the call it talks in. */
export interface CallContext {
  /** Can the caller be called back when this call is over? */
  readonly mayCallBack: boolean;
  /** Does the agent say the first word, without being asked? Default true. Looked at in `start()`: it may change until then. */
  readonly speaksFirst?: boolean;
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

/** A turn of the caller. Absent `itemId`: the model names the item itself. `respond` false: keep it, say nothing (default true). */
export interface CommittedTurn {
  readonly startMs: number;
  readonly endMs: number;
  /** The item it becomes: `input_transcript` names it. */
  readonly itemId?: string;
  readonly respond?: boolean;
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
  commitTurn(turn: CommittedTurn): void;
  /**
   * The turn may be over: an answer may be prepared for it, of which nothing is told before a commit with the same `startMs`, which releases it. A model
   * that cannot do without a trace what `dropPreparation` asks for does not have these two.
   */
  prepareTurn?: ((turn: CommittedTurn) => void) | undefined;
  /** It was not over: what was prepared has never been. */
  dropPreparation?: (() => void) | undefined;
  /** A voice over our speech has paused, between these milliseconds of the caller's audio: `caller_words` may tell what it said, for a second. */
  findWords?: ((startMs: number, endMs: number) => void) | undefined;
  /** A turn that the model's server has ended itself, as the session has it: the item it is. Only called where the model takes turns. */
  turnTaken?(turn: CommittedTurn): void;
  /**
   * How the caller is heard from now on. Only called where the model takes turns. @param floorDb loudness of the line's own noise, dBov
   * @param again what was kept back in the last moments is heard after all, before what comes
   */
  listen?(how: Uplink, floorDb: number, again: boolean): void;
  /** How the model shall be from now on. Called before `start`, and whenever it changes. */
  configure?(config: ModelConfig): void;
  /** An item that somebody put into the conversation, after the item of this id: undefined, at its end; `root`, at its beginning. */
  addItem?(item: Item, previousItemId?: string): void;
  removeItem?(itemId: string): void;
  /** Answered by `response_started` or `fault` with this requestId. A model without it answers turns and keys only. */
  respond?(request: ResponseRequest): void;
  /** A key was pressed. A turn that was being spoken is not going to be committed. */
  dtmf(digit: string): void;
  /** Stop this response (undefined: the one that was asked for and has no name yet). Audio that comes after it is dropped by the session. */
  cancelResponse(responseId: string | undefined): void;
  /** Of this item only `sentMs` left on the wire; the rest was never said. */
  truncate(itemId: string, sentMs: number): void;
  /** What has become of a transfer: `failed` leaves the caller here. */
  transferred?(state: 'accepted' | 'progress' | 'succeeded' | 'failed'): void;
  /** Nothing is asked and no audio comes until resume(): the caller talks to a person. A connection that costs by the minute may be given up meanwhile. */
  pause?(): void;
  /** The conversation goes on where it was. */
  resume?(): void;
  /** These words in the voice of this conversation, 24 kHz; undefined: not known, and perhaps known the next time. The array is not written to. */
  phrase?(text: string): Int16Array | undefined;
  /** All of this response has left on the wire. Not called for what was cancelled. */
  played?(responseId: string): void;
  close(): void;
}

/** Where conversations come from: the embedded agent, a Realtime-compatible server, a pipeline of services. */
export interface RealtimeModel {
  readonly name: string;
  /** The language that callers are taken to speak where a session does not name one: `de`. */
  readonly language?: string | undefined;
  /** Does its server hear the caller all the time and say when turns begin and end? Then they are left to it. */
  readonly takesTurns?: boolean;
  /** What it hears while we speak, where it takes turns. Default `auto`. */
  readonly uplinkWhileSpeaking?: UplinkWhileSpeaking;
  /** Begins a conversation; its first event comes after this has returned. */
  connect(onEvent: (event: ModelEvent) => void, call?: CallContext): ModelConnection;
}
