import type { VoiceProbability } from '../audio/rnnoise.ts';

/** Opens the detector that knows noises; undefined: not now (it is being loaded, too many calls have it, the machine is late, it is not there). */
export type OpenNetwork = () => VoiceProbability | undefined;

/** What the first detector says of a frame. */
export interface PlainVerdict {
  readonly voiced: boolean;
  readonly levelDb: number;
  readonly floorDb: number;
}

/** A voice on the telephone, until this caller's is known. */
const USUAL_VOICE_DB = -26;
/** The level that nine in ten voiced frames do not reach. */
const VOICE_UP_DB = 0.45;
const VOICE_DOWN_DB = 0.05;
/** The floor is smoothed over 2 s, so that a dip in the noise is no silence. */
const FLOOR_WEIGHT = 1 / 100;

/**
 * Room between voice and floor, in dB. The floor is the noise's minimum, so these are higher than the ratio of their powers: 22 is about 15 dB in a
 * street and 20 dB of hiss, where the first detector finds 17 % too much and 28 % too little.
 */
const NOISY_ROOM_DB = 22;
const QUIET_ROOM_DB = 27;
/** It must be so for so long (frames): a lorry is no reason, nor is a dip. */
const NOISY_FRAMES = 50;
const QUIET_FRAMES = 250;

/** Above this it is a voice: finds 82 % of a voice 10 dB above a street, and takes 2 % of the street for one. */
const LIKELY = 0.6;
/** Below this nobody speaks, whatever it is called. */
const QUIETEST_DB = -55;

/** Its first half second knows nothing. */
const WARM_UP_FRAMES = 25;
/** Who has called the noise silence for 300 ms without a break knows it. */
const SILENCE_FRAMES = 15;
/** Without such a silence for 6 s, what is behind the caller are voices, of which the network hears every one. */
const MOST_UNSURE_FRAMES = 300;
/** Then it rests for half a minute; and who could not be given it asks again in a second. */
const REST_FRAMES = 1500;
const ASK_AGAIN_FRAMES = 50;

/**
 * Which detector hears this caller: the first one, or, while noise is near the voice, a network that knows noises (audio/rnnoise.ts) once it has
 * shown that it takes this noise for silence. Other voices are none: there the first one stays, and the level decides (voice-gate.ts).
 */
export class NoiseEar {
  readonly #open: OpenNetwork;
  #network: VoiceProbability | undefined;
  #voiceDb = USUAL_VOICE_DB;
  #floorDb: number | undefined;
  /** Frames in a row that were noisy, or are quiet while the network hears. */
  #frames = 0;
  #restFrames = 0;
  // Of the network: its age, its silence that runs, and the time since the last long one.
  #age = 0;
  #silentFrames = 0;
  #unsureFrames = 0;
  #trusted = false;

  constructor(open: OpenNetwork) {
    this.#open = open;
  }

  /** Does the network decide? */
  get isNetwork(): boolean {
    return this.#trusted;
  }

  /** Is somebody speaking in these 20 ms at 24 kHz? */
  hear(pcm: Int16Array, plain: PlainVerdict): boolean {
    const probability = this.#network?.process(pcm);
    if (this.#network && probability === undefined) this.#rest(REST_FRAMES);
    const voiced = probability === undefined ? plain.voiced : this.#judge(probability, plain);
    this.#measure(voiced, plain);
    if (this.#restFrames > 0) this.#restFrames -= 1;
    else this.#choose();
    return voiced;
  }

  free(): void {
    this.#network?.free();
    this.#network = undefined;
    this.#trusted = false;
  }

  #judge(probability: number, { voiced, levelDb }: PlainVerdict): boolean {
    const likely = probability > LIKELY;
    this.#age += 1;
    this.#silentFrames = likely ? 0 : this.#silentFrames + 1;
    this.#unsureFrames += 1;
    if (this.#silentFrames >= SILENCE_FRAMES && this.#age >= WARM_UP_FRAMES + SILENCE_FRAMES) {
      this.#trusted = true;
      this.#unsureFrames = 0;
    }
    return this.#trusted ? likely && levelDb > QUIETEST_DB : voiced;
  }

  #measure(voiced: boolean, { levelDb, floorDb }: PlainVerdict): void {
    this.#floorDb = this.#floorDb === undefined ? floorDb : this.#floorDb + FLOOR_WEIGHT * (floorDb - this.#floorDb);
    if (voiced) this.#voiceDb += levelDb > this.#voiceDb ? VOICE_UP_DB : -VOICE_DOWN_DB;
  }

  #choose(): void {
    const room = this.#voiceDb - (this.#floorDb ?? Number.NEGATIVE_INFINITY);
    if (this.#network) {
      this.#frames = room > QUIET_ROOM_DB ? this.#frames + 1 : 0;
      if (this.#unsureFrames >= MOST_UNSURE_FRAMES) this.#rest(REST_FRAMES);
      else if (this.#frames >= QUIET_FRAMES) this.#rest(0);
      return;
    }
    this.#frames = room < NOISY_ROOM_DB ? this.#frames + 1 : 0;
    if (this.#frames < NOISY_FRAMES) return;
    this.#frames = 0;
    this.#network = this.#open();
    if (!this.#network) this.#restFrames = ASK_AGAIN_FRAMES;
    this.#age = 0;
    this.#silentFrames = 0;
    this.#unsureFrames = 0;
  }

  #rest(frames: number): void {
    this.free();
    this.#frames = 0;
    this.#restFrames = frames;
  }
}
