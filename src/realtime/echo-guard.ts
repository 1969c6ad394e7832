import { BandWord, distanceOf, EchoDelay, LAGS } from './echo-delay.ts';
import { BANDS, HopSpectrum, LOWEST_BAND_DB } from './hop-spectrum.ts';

const HOPS_A_FRAME = 2;

/** What was played is kept for the longest delay, both sides of it, and a caller's audio that comes in bursts. */
const KEPT_HOPS = 128; // a power of two, for slotOf
const LATEST_HOPS = 40;
/** As we begin to speak, more than this apart (hops) means that frames have gone missing on one side, in a silence that nobody counted. */
const BEGINS_WITHIN_HOPS = 6;

/** Without a sound of ours for so long (hops), nothing of it comes back. */
const IDLE_HOPS = 60;
/** What we play is heard above this. */
const PLAYING_DB = -60;

/** Where the delay is looked for: to both sides of it, an echo has a tail and packets jitter. */
const AROUND_HOPS = 2;
/** Of the first half second only so much can be told: a room's tail has moved the best delay by 30 ms. */
const COLD_AROUND_HOPS = 5;
/** After a stumble the far end is as much later as it keeps, or sooner by what it has dropped; the delay is found again in so many hops. */
const STUMBLED_LATER_HOPS = 12;
const STUMBLED_HOPS = 200;
/** An echo dies away by this a hop. */
const DECAY_DB = 1.6;

/** Echo before anything is known: a bad line. */
const PRIOR_COUPLING_DB = -14;
const LOWEST_COUPLING_DB = -45;
/** Steps a hop: up and down in the ratio that makes it the 95 % quantile of what was seen; the first 1.5 s faster. */
const UP_DB = 1.2;
const DOWN_DB = 0.06;
const COLD_HOPS = 150;
const COLD_FACTOR = 3;
/** While nobody knows the delay the coupling may only sink after the time it takes to find one. */
const SEARCH_HOPS = 120;

/**
 * Coupling rises only while the spectra differ in a quarter of the bands at most: a voice beside the echo makes them differ (half of them, by
 * chance); and in not many more in the mean of about the last eight hops: for a moment any voice is like any other.
 */
const ALIKE_BANDS = 4;
const ALIKE_LATELY_BANDS = 5;
const ALIKE_SMOOTHING = 1 / 8;
/** A line that brings back more than this howls. */
const HIGHEST_COUPLING_DB = -3;

/** A loudspeaker that distorts makes sound in bands where we played none; learned against the loudness of all. */
const PRIOR_DISTORTION_DB = -28;
const LOWEST_DISTORTION_DB = -60;
const DISTORTION_UP_DB = 0.8;
const DISTORTION_DOWN_DB = 0.03;

const MARGIN_DB = 4;
const COLD_MARGIN_DB = 2;
const ABOVE_NOISE_DB = 6;
/** Noise falls at once and rises by 5 dB a second. */
const NOISE_RISE_DB = 0.05;

/** A voice is more than this above what was expected, in the mean of the bands (at most 12 dB each), and in at least three of them. */
const NEAR_DB = 1;
const MOST_BAND_DB = 12;
const NEAR_BANDS = 3;

/**
 * Is there more in what the caller's line brings than our own sound coming back? No canceller: only tells. Learns delay, coupling
 * and distortion of the line by band; docs/turns.md has what it was measured at. 8 kHz, frames of 20 ms.
 */
export class EchoGuard {
  readonly #playedSpectrum = new HopSpectrum();
  readonly #heardSpectrum = new HopSpectrum();
  readonly #playedWord = new BandWord();
  readonly #heardWord = new BandWord();
  readonly #delay = new EchoDelay();
  readonly #levels = new Float64Array(HOPS_A_FRAME * BANDS);
  // What was played, by hop.
  readonly #played = new Float64Array(KEPT_HOPS * BANDS).fill(LOWEST_BAND_DB);
  readonly #playedWords = new Int32Array(KEPT_HOPS);
  readonly #playedDb = new Float64Array(KEPT_HOPS).fill(LOWEST_BAND_DB);
  #playedHops = 0;
  #lastSoundHop = Number.NEGATIVE_INFINITY;
  #heardHops = 0;
  /** Which hop was played when hop 0 was heard, by count. */
  #offset = 0;
  // What is expected to come back, and what was learned of the line.
  readonly #echo = new Float64Array(BANDS).fill(LOWEST_BAND_DB);
  readonly #coupling = new Float64Array(BANDS).fill(PRIOR_COUPLING_DB);
  readonly #distortion = new Float64Array(BANDS).fill(PRIOR_DISTORTION_DB);
  readonly #noise = new Float64Array(BANDS).fill(0);
  #loudness = LOWEST_BAND_DB;
  #learnedHops = 0;
  /** In how many bands what is heard differs from what was played a delay ago, lately. */
  #difference = BANDS / 2;
  #currentHop = 0;
  /** Has our sound begun after a silence, and nothing been heard since? */
  #begins = false;
  /** Until then the delay may be another than before, by count of what is heard. */
  #stumbledUntil = 0;

  /** How loud our own sound comes back, in dB of what is played, in the middle of the bands; undefined: no echo was found. */
  get couplingDb(): number | undefined {
    return this.#delay.lag === undefined ? undefined : this.#coupling.toSorted()[BANDS / 2];
  }

  /** What has left towards the caller; undefined: silence. */
  playing(frame: Int16Array | undefined): void {
    const idle = this.#playedHops - this.#lastSoundHop > IDLE_HOPS;
    if (!frame && idle) {
      this.#playedHops += HOPS_A_FRAME;
      return;
    }
    if (idle) {
      this.#forgetPlayed();
      this.#begins = true;
    }
    if (frame) this.#playedSpectrum.process(frame, this.#levels);
    else {
      this.#playedSpectrum.skip();
      this.#levels.fill(LOWEST_BAND_DB);
    }
    for (let hop = 0; hop < HOPS_A_FRAME; hop++) this.#notePlayed(hop * BANDS);
  }

  /** What came from the caller; undefined: nothing of ours can be in it. */
  isNear(frame: Int16Array): boolean | undefined {
    // Only beside our own sound: it costs less, and what the caller says in between is another voice.
    if (this.#playedHops - this.#lastSoundHop > IDLE_HOPS) {
      this.#heardHops += HOPS_A_FRAME;
      return undefined;
    }
    this.#heardSpectrum.process(frame, this.#levels);
    this.#align();
    let sum = 0;
    for (let hop = 0; hop < HOPS_A_FRAME; hop++) {
      const from = hop * BANDS;
      this.#trackNoise(from);
      sum += this.#judge(from, this.#heardWord.of(this.#levels, from));
      this.#heardHops += 1;
      this.#currentHop += 1;
    }
    return sum / HOPS_A_FRAME > NEAR_DB;
  }

  /** We stood still for a moment: the far end has dropped or kept something, and our sound comes back sooner or later than before. */
  stumbled(): void {
    this.#stumbledUntil = this.#heardHops + STUMBLED_HOPS;
  }

  #forgetPlayed(): void {
    this.#played.fill(LOWEST_BAND_DB);
    this.#playedDb.fill(LOWEST_BAND_DB);
    this.#playedWords.fill(0);
    this.#echo.fill(LOWEST_BAND_DB);
    this.#loudness = LOWEST_BAND_DB;
  }

  #notePlayed(from: number): void {
    const slot = slotOf(this.#playedHops);
    let loudest = LOWEST_BAND_DB;
    for (let band = 0; band < BANDS; band++) {
      const level = this.#levels[from + band] as number;
      this.#played[slot * BANDS + band] = level;
      if (level > loudest) loudest = level;
    }
    this.#playedDb[slot] = loudest;
    // Silence has no spectrum, and teaches no means.
    this.#playedWords[slot] = loudest > PLAYING_DB ? this.#playedWord.of(this.#levels, from) : 0;
    if (loudest > PLAYING_DB) this.#lastSoundHop = this.#playedHops;
    this.#playedHops += 1;
  }

  #trackNoise(from: number): void {
    for (let band = 0; band < BANDS; band++) {
      const level = this.#levels[from + band] as number;
      this.#noise[band] = Math.min(level, (this.#noise[band] as number) + NOISE_RISE_DB);
    }
  }

  /** How far this hop is above what is expected, in the mean of the bands. */
  #judge(from: number, word: number): number {
    // What is heard may be ahead by a frame, and of what was not played yet nothing is known.
    const playing = (this.#playedDb[slotOf(Math.min(this.#currentHop, this.#playedHops - 1))] as number) > PLAYING_DB;
    if (playing) this.#delay.compare(word, this.#playedWords, this.#currentHop);
    const { lag } = this.#delay;
    this.#expect(lag);
    const alike = lag !== undefined && this.#isAlike(word, this.#playedWords[slotOf(this.#currentHop - lag)] as number);
    const margin = this.#learnedHops < COLD_HOPS ? MARGIN_DB + COLD_MARGIN_DB : MARGIN_DB;
    let sum = 0;
    let bands = 0;
    for (let band = 0; band < BANDS; band++) {
      const level = this.#levels[from + band] as number;
      const audible = (this.#noise[band] as number) + ABOVE_NOISE_DB;
      const linear = (this.#echo[band] as number) + (this.#coupling[band] as number);
      const distorted = this.#loudness + (this.#distortion[band] as number);
      const above = level - Math.max(audible, linear + margin, distorted + margin);
      if (above > 0) {
        sum += Math.min(MOST_BAND_DB, above);
        bands += 1;
      }
      if (this.#loudness > PLAYING_DB) this.#learn(band, level, audible, alike);
    }
    if (this.#loudness > PLAYING_DB) this.#learnedHops += 1;
    return bands >= NEAR_BANDS ? sum / BANDS : 0;
  }

  #isAlike(heard: number, played: number): boolean {
    const difference = distanceOf(heard, played);
    this.#difference += (difference - this.#difference) * ALIKE_SMOOTHING;
    return difference <= ALIKE_BANDS && this.#difference <= ALIKE_LATELY_BANDS;
  }

  /** Which hop was played when this frame came: by count, so that packets in bursts change nothing. */
  #align(): void {
    const newest = this.#playedHops - 1;
    const current = this.#heardHops + this.#offset;
    const latest = this.#begins ? BEGINS_WITHIN_HOPS : LATEST_HOPS;
    this.#begins = false;
    if (current >= newest + AROUND_HOPS || current < newest - latest) this.#offset = this.#playedHops - HOPS_A_FRAME - this.#heardHops;
    this.#currentHop = this.#heardHops + this.#offset;
  }

  /** The loudest of what may come back now, by band. Before the delay is known: of all that was played in the last half second. */
  #expect(lag: number | undefined): void {
    const stumbled = this.#heardHops < this.#stumbledUntil;
    const around = this.#learnedHops < COLD_HOPS ? COLD_AROUND_HOPS : AROUND_HOPS;
    const nearest = lag === undefined || stumbled ? 0 : lag - around;
    const farthest = lag === undefined ? LAGS : lag + (stumbled ? STUMBLED_LATER_HOPS : around);
    let loudness = this.#loudness - DECAY_DB;
    for (let band = 0; band < BANDS; band++) this.#echo[band] = (this.#echo[band] as number) - DECAY_DB;
    for (let back = nearest; back <= farthest; back++) {
      const hop = this.#currentHop - back;
      if (hop >= this.#playedHops) continue;
      const slot = slotOf(hop);
      const db = this.#playedDb[slot] as number;
      if (db > loudness) loudness = db;
      const base = slot * BANDS;
      for (let band = 0; band < BANDS; band++) {
        const level = this.#played[base + band] as number;
        if (level > (this.#echo[band] as number)) this.#echo[band] = level;
      }
    }
    this.#loudness = loudness;
  }

  #learn(band: number, level: number, audible: number, alike: boolean): void {
    const known = this.#delay.lag !== undefined;
    const echo = this.#echo[band] as number;
    const coupling = this.#coupling[band] as number;
    const speed = this.#learnedHops < COLD_HOPS ? COLD_FACTOR : 1;
    if (echo > PLAYING_DB) {
      if (level > audible && level - echo > coupling) {
        if (alike) this.#coupling[band] = Math.min(HIGHEST_COUPLING_DB, coupling + UP_DB * speed);
      } else if (known || this.#learnedHops > SEARCH_HOPS) {
        this.#coupling[band] = Math.max(LOWEST_COUPLING_DB, coupling - DOWN_DB * speed);
      }
    }
    const distortion = this.#distortion[band] as number;
    // Only what the linear term fails to explain.
    const unexplained = level > audible && level > echo + coupling + MARGIN_DB;
    if (unexplained && level - this.#loudness > distortion) {
      if (alike) this.#distortion[band] = Math.min(0, distortion + DISTORTION_UP_DB * speed);
    } else {
      this.#distortion[band] = Math.max(LOWEST_DISTORTION_DB, distortion - DISTORTION_DOWN_DB);
    }
  }
}

function slotOf(hop: number): number {
  return hop & (KEPT_HOPS - 1);
}
