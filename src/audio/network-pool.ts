import { Rnnoise, type VoiceProbability } from './rnnoise.ts';

/**
 * Callers of a process that may have one at a time. Each costs 0.25 to 0.5 ms in 20: eight of them are a tenth to a fifth of a core, and make the beat of
 * all others 4 ms late at the worst, of the 20 ms that are heard.
 */
const MOST_OPEN = 8;

export interface NetworkPoolDeps {
  /** No new ones while audio leaves late. */
  readonly isLate?: () => boolean;
  /** It could not be loaded, or failed: from then on calls do without it. Told once. */
  readonly onFailed?: (thrown: unknown) => void;
  /** Reads the module; replaced in tests. */
  readonly load?: () => Promise<Rnnoise>;
}

/** The network for callers in noise, shared by the calls of a process: loaded when the first one needs it, and never more than a few at once. */
export class NetworkPool {
  readonly #deps: NetworkPoolDeps;
  #network: Rnnoise | undefined;
  #state: 'unloaded' | 'loading' | 'loaded' | 'failed' = 'unloaded';
  #open = 0;

  constructor(deps: NetworkPoolDeps = {}) {
    this.#deps = deps;
  }

  /** How many calls have one. */
  get inUse(): number {
    return this.#open;
  }

  /** One for this call, if it may have one now. Never throws. The first asks in vain: it is loaded then. */
  open(): VoiceProbability | undefined {
    if (this.#state === 'unloaded') this.load().catch(() => {});
    if (!this.#network || this.#state === 'failed' || this.#open >= MOST_OPEN || this.#deps.isLate?.()) return undefined;
    try {
      const opened = this.#network.open();
      if (!opened) return undefined;
      this.#open += 1;
      return this.#fenced(opened);
    } catch (thrown) {
      this.#fail(thrown);
      return undefined;
    }
  }

  /** Resolves when it is there, or cannot be had. */
  async load(): Promise<void> {
    if (this.#state !== 'unloaded') return;
    this.#state = 'loading';
    try {
      this.#network = await (this.#deps.load ?? Rnnoise.load)();
      this.#state = 'loaded';
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  /** Whatever happens in the module, a call goes on: with one that hears nothing, which its owner gives up soon. */
  #fenced(opened: VoiceProbability): VoiceProbability {
    let live = true;
    const free = (): void => {
      if (!live) return;
      live = false;
      this.#open -= 1;
      if (this.#state !== 'failed') opened.free();
    };
    return {
      process: (pcm) => {
        if (!live || this.#state === 'failed') return undefined;
        try {
          return opened.process(pcm);
        } catch (thrown) {
          this.#fail(thrown);
          return undefined;
        }
      },
      free,
    };
  }

  #fail(thrown: unknown): void {
    if (this.#state === 'failed') return;
    this.#state = 'failed';
    this.#network = undefined;
    this.#deps.onFailed?.(thrown);
  }
}
