import type { Uplink, UplinkWhileSpeaking } from './model.ts';

/** Echo below this is not heard as a voice by anybody: 15 dB under a quiet caller. */
const ECHOING_DB = -35;

/** Of our own sound, frame by frame: after so much (2 s) an echo would have been found. Until then there may be one. */
const FRAMES_TO_KNOW = 100;

/** Our sound may come back for so long after it ended (frames). */
const TAIL_FRAMES = 30;

/** Who seems to have the floor, as far as what is heard depends on it. */
export type FloorHolder = 'agent' | 'caller' | 'nobody';

/**
 * What a model that takes the turns hears of the caller while we speak: our own echo would be a caller to it. Where somebody speaks over us it hears
 * all of it, from before its beginning.
 */
export class UplinkRule {
  readonly #wish: UplinkWhileSpeaking;
  /** `again`: what was kept back lately comes first, a voice began in it. */
  readonly #listen: (how: Uplink, floorDb: number, again: boolean) => void;
  #how: Uplink = 'through';
  #soundedFrames = 0;
  #tailFrames = 0;

  constructor(wish: UplinkWhileSpeaking, listen: (how: Uplink, floorDb: number, again: boolean) => void) {
    this.#wish = wish;
    this.#listen = listen;
  }

  /** 20 ms went out, with sound of ours or without. */
  played(sounded: boolean): void {
    if (sounded) this.#soundedFrames += 1;
    this.#tailFrames = sounded ? TAIL_FRAMES : Math.max(0, this.#tailFrames - 1);
  }

  /** 20 ms came in. @param couplingDb of our sound that comes back; undefined: none was found */
  heard(holder: FloorHolder, couplingDb: number | undefined, floorDb: number): void {
    const how = this.#next(holder, couplingDb);
    if (how === this.#how) return;
    this.#how = how;
    this.#listen(how, floorDb, how === 'through' && holder === 'caller');
  }

  #next(holder: FloorHolder, couplingDb: number | undefined): Uplink {
    if (this.#wish === 'through' || holder === 'caller' || (holder === 'nobody' && this.#tailFrames === 0)) return 'through';
    if (this.#wish !== 'auto') return this.#wish;
    if (couplingDb !== undefined) return couplingDb > ECHOING_DB ? 'gated' : 'through';
    return this.#soundedFrames < FRAMES_TO_KNOW ? 'gated' : 'through';
  }
}
