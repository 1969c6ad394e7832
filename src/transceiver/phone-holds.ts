import type { PartyId } from '../leg/person.ts';
import type { Comfort, PartyLine, Place } from './party-line.ts';
import { SoundLoop, stillness } from './sound-loop.ts';

/** Quieter than this (-50 dBov) is nothing that somebody plays. */
const SILENT_BELOW = 100;
/** After half a second without a sound: whoever holds may play something of its own, with pauses. */
const MUSIC_AFTER_FRAMES = 25;

/** Parties whose own phones have put the call on hold, and what whoever is left alone by that hears meanwhile: what the phone plays, else our music. */
export class PhoneHolds {
  readonly #line: PartyLine;
  readonly #music: Int16Array;
  readonly #holding = new Set<PartyId>();
  #heard: { readonly by: PartyId; readonly from: PartyId; readonly comfort: Comfort } | undefined;

  constructor(line: PartyLine, music: Int16Array) {
    this.#line = line;
    this.#music = music;
  }

  note(party: PartyId, held: boolean): void {
    if (held) this.#holding.add(party);
    else this.#holding.delete(party);
  }

  /** @param places of all, as if nobody held; the agent takes no part */
  lay(places: Map<PartyId, Place>): void {
    const talking = [...places].filter(([, { type }]) => type === 'line').map(([party]) => party);
    const [by, ...others] = talking.filter((party) => !this.#holding.has(party));
    const [from] = talking.filter((party) => this.#holding.has(party));
    if (by === undefined || others.length > 0 || from === undefined) {
      this.#heard = undefined;
      return;
    }
    // Everybody is placed anew whenever something happens: the music goes on.
    if (this.#heard?.by !== by || this.#heard.from !== from) this.#heard = { by, from, comfort: this.#comfort(by, from) };
    for (const party of talking) places.set(party, { type: 'beside', comfort: party === by ? this.#heard.comfort : stillness() });
  }

  #comfort(by: PartyId, from: PartyId): Comfort {
    const music = new SoundLoop(this.#music);
    let played: Comfort | undefined;
    let silentFrames = 0;
    return {
      pull: (out) => {
        // They have their places by now.
        played ??= this.#line.overhear(from, by);
        played.pull(out);
        if (out.some((sample) => Math.abs(sample) >= SILENT_BELOW)) silentFrames = 0;
        else if (++silentFrames > MUSIC_AFTER_FRAMES) music.pull(out);
      },
    };
  }
}
