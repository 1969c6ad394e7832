/** Hears whether somebody speaks. One per session, fed with every frame of the caller's audio in order. */
export interface VoiceDetector {
  /** One frame of 20 ms at 24 kHz. */
  process(pcm: Int16Array): VoiceFrame;
  free(): void;
}

/** What was heard in one frame. May be the same object each time. */
export interface VoiceFrame {
  readonly voiced: boolean;
  /** Loudness in dBov: 0 is the loudest there is. */
  readonly levelDb: number;
}
