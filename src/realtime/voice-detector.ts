/** Hears whether somebody speaks. One per session, fed with every frame of the caller's audio in order. */
export interface VoiceDetector {
  /** One frame of 20 ms at 24 kHz. */
  process(pcm: Int16Array): VoiceFrame;
  /**
   * What leaves towards the caller, one frame of 20 ms at 24 kHz for each that is heard, so that it is known when it comes back; undefined: silence.
   * A detector without it takes our own echo for a voice.
   */
  playing?(pcm: Int16Array | undefined): void;
  /** We stood still for a moment: our own sound may come back sooner or later than before. */
  stumbled?(): void;
  /** How loud our own sound comes back, in dB of what is played; undefined: no echo was found. */
  readonly couplingDb?: number | undefined;
  free(): void;
}

/** What was heard in one frame. May be the same object each time. */
export interface VoiceFrame {
  readonly voiced: boolean;
  /** Loudness in dBov: 0 is the loudest there is. */
  readonly levelDb: number;
  /** Background noise in dBov, as far as it is known. */
  readonly floorDb?: number;
  /** Is there more in the frame than our own echo? undefined: not known, nothing of ours can be in it. */
  readonly near?: boolean | undefined;
}
