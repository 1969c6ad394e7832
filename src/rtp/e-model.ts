/** Parameters of a codec and its concealment in the E-model (ITU-T G.113 Appendix I). */
export interface CodecImpairment {
  /** Ie: what the codec costs without any loss. */
  readonly impairment: number;
  /** Bpl: how well it bears loss; larger is better. */
  readonly lossRobustness: number;
}

/**
 * G.711 with concealment (G.113: Appendix I of G.711). On the narrowband scale, where a telephone's best is 93.2, G.722 has no
 * entry; it is taken for G.711 without loss of its own, because the same concealment of Opus covers the gaps of both.
 */
export const CONCEALED_CODEC: CodecImpairment = { impairment: 0, lossRobustness: 25.1 };
/** G.711 whose gaps are left silent. */
export const BARE_CODEC: CodecImpairment = { impairment: 0, lossRobustness: 4.3 };

export interface EModelInput {
  /** From mouth to ear. */
  readonly oneWayDelayMs: number;
  /** 0 to 100: what had to be concealed. */
  readonly lossPercent: number;
  /** 1 for random loss, more when it comes in bursts. */
  readonly burstRatio?: number;
  readonly codec?: CodecImpairment;
}

export interface EModelRating {
  /** Transmission rating, 0 to 100. */
  readonly r: number;
  /** Estimated mean opinion, 1 to 4.5. Of delay and loss alone: the model hears nothing. */
  readonly mos: number;
}

/** R with all defaults of G.107: Ro - Is + A. */
const BEST_R = 93.2;
/** Beyond this delay people begin to talk at once. */
const NOTICED_DELAY_MS = 177.3;

/** The E-model of ITU-T G.107 with its default values: the simplified delay impairment, and loss with its bursts (§3.5). */
export function rateSpeech({ oneWayDelayMs, lossPercent, burstRatio = 1, codec = CONCEALED_CODEC }: EModelInput): EModelRating {
  const delay = 0.024 * oneWayDelayMs + 0.11 * Math.max(0, oneWayDelayMs - NOTICED_DELAY_MS);
  const { impairment, lossRobustness } = codec;
  const loss = impairment + ((95 - impairment) * lossPercent) / (lossPercent / burstRatio + lossRobustness);
  const r = Math.max(0, Math.min(100, BEST_R - delay - loss));
  return { r, mos: opinionOf(r) };
}

/** G.107 Annex B. */
function opinionOf(r: number): number {
  return r <= 0 ? 1 : Math.max(1, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6);
}
