import { toSample } from '../../audio/sample.ts';

/** After somebody has spoken, music goes on when it has been quiet for so long: not in every breath. */
const MUSIC_AFTER_MS = 1200;

/** What may be heard while nobody speaks: 24 kHz, shared by all calls and never written to. */
export interface CallSounds {
  /** Loops. */
  readonly music: Int16Array;
  readonly tone: Int16Array;
  readonly typing: Int16Array;
  /** "One moment." Said once. */
  readonly phrase: Int16Array;
}

/** A sound that is wanted from a time on. */
export interface Wish {
  readonly pcm: Int16Array;
  readonly loops: boolean;
  /** It begins when nobody has spoken for so long since then. */
  readonly since: number;
  readonly afterMs: number;
}

/**
 * What the caller hears while nobody speaks and a tool runs, or on hold: laid under the frames towards the caller when they are silence. Fades
 * within one frame when somebody speaks or it is not wanted any more. It is no speech of the model: no item, no ledger, no turn.
 */
export class Filler {
  #filler: Wish | undefined;
  #music: Wish | undefined;
  #musicUntil = Number.NEGATIVE_INFINITY;
  #musicAt = 0;
  /** What sounds now, and where it is. */
  #sounding: Wish | undefined;
  #at = 0;
  /** Said to its end. */
  #said: Wish | undefined;
  #spokenAt = Number.NEGATIVE_INFINITY;

  /** undefined: nothing runs that would have one. The same object as before goes on. */
  set filler(wish: Wish | undefined) {
    this.#filler = wish;
  }

  /** Music whenever nobody speaks, until then. It goes on where it was. */
  playMusic(pcm: Int16Array, until: number): void {
    this.#music = { pcm, loops: true, since: Number.NEGATIVE_INFINITY, afterMs: MUSIC_AFTER_MS };
    this.#musicUntil = until;
  }

  /** Could anything sound in the next frame? */
  get isWanted(): boolean {
    return this.#filler !== undefined || this.#music !== undefined || this.#sounding !== undefined;
  }

  /**
   * Adds what is to be heard to a frame of 20 ms; call once a frame.
   * @param spoken somebody speaks: the agent in this frame, or the caller
   * @returns does any of it sound?
   */
  addTo(out: Int16Array, spoken: boolean, now: number): boolean {
    if (spoken) this.#spokenAt = now;
    if (this.#music && now >= this.#musicUntil) this.#music = undefined;
    const wanted = spoken ? undefined : this.#wantedAt(now);
    const before = this.#sounding;
    if (before && before !== wanted) {
      this.#mix(before, out, 1, 0);
      this.#sounding = undefined;
      return true;
    }
    if (!wanted) return false;
    if (!before) this.#at = wanted === this.#music ? this.#musicAt : 0;
    this.#sounding = wanted;
    this.#mix(wanted, out, before ? 1 : 0, 1);
    return true;
  }

  #wantedAt(now: number): Wish | undefined {
    const wish = this.#music ?? (this.#filler === this.#said ? undefined : this.#filler);
    return wish && now - Math.max(wish.since, this.#spokenAt) >= wish.afterMs ? wish : undefined;
  }

  #mix(wish: Wish, out: Int16Array, from: number, to: number): void {
    const { pcm, loops } = wish;
    const step = (to - from) / out.length;
    let at = this.#at;
    let gain = from;
    for (let n = 0; n < out.length; n++) {
      gain += step;
      out[n] = toSample((out[n] as number) + (at < pcm.length ? (pcm[at] as number) : 0) * gain);
      at += 1;
      if (loops && at >= pcm.length) at = 0;
    }
    this.#at = at;
    if (!loops && at >= pcm.length) {
      this.#said = wish;
      this.#sounding = undefined;
    }
    if (wish === this.#music) this.#musicAt = this.#at;
  }
}
