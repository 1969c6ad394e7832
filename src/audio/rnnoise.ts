import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

/** What is used of it; its types come with those of browsers, which this is none of. */
declare const WebAssembly: {
  readonly Memory: abstract new () => WasmMemory;
  instantiate(bytes: Uint8Array, imports: object): Promise<{ readonly instance: { readonly exports: Readonly<Record<string, unknown>> } }>;
};

/** What the module is called inside: its own loader does not run in Node, and names are shortened. */
interface RnnoiseExports {
  /** Memory. */
  readonly c: WasmMemory;
  /** Constructors of C. */
  readonly d: () => void;
  /** rnnoise_create(model): 0 is the model inside. */
  readonly f: (model: number) => number;
  /** malloc */
  readonly g: (bytes: number) => number;
  /** rnnoise_destroy(state) */
  readonly h: (state: number) => void;
  /** rnnoise_process_frame(state, out, in): the probability of a voice. */
  readonly j: (state: number, out: number, input: number) => number;
}

/** 20 ms at 24 kHz in, two frames of 10 ms at 48 kHz for the network. */
const INPUT_SAMPLES = 480;
const FRAME_SAMPLES = 480;
const FLOAT_BYTES = 4;

/** A state is 90 kB or so; with 64 MB the module is broken or the process leaks. */
const MOST_MEMORY_BYTES = 64 * 1024 * 1024;

const require = createRequire(import.meta.url);

/** The network of RNNoise, compiled once; states are made for those who need it. */
export class Rnnoise {
  readonly #wasm: RnnoiseExports;
  /** One frame in and out, shared by all: process() never gives way to another. */
  readonly #frame: number;

  private constructor(wasm: RnnoiseExports) {
    this.#wasm = wasm;
    this.#frame = wasm.g(FRAME_SAMPLES * FLOAT_BYTES);
  }

  /** Reads and compiles it: some milliseconds, off this thread for the most part. @throws Error where the file is missing or another one. */
  static async load(path = require.resolve('@jitsi/rnnoise-wasm/dist/rnnoise.wasm')): Promise<Rnnoise> {
    const bytes = await readFile(path);
    let memory: WasmMemory | undefined;
    const imports = {
      a: {
        a: (size: number) => Number(grow(memory, size >>> 0)),
        b: (to: number, from: number, size: number) => {
          if (memory) new Uint8Array(memory.buffer).copyWithin(to, from, from + size);
        },
      },
    };
    const { instance } = await WebAssembly.instantiate(bytes, imports);
    const wasm = checked(instance.exports);
    memory = wasm.c;
    wasm.d();
    return new Rnnoise(wasm);
  }

  /** Hears one caller; undefined when there is no memory for it. Must be freed. */
  open(): VoiceProbability | undefined {
    const state = this.#wasm.f(0);
    return state === 0 || this.#frame === 0 ? undefined : new NetworkState(this.#wasm, state, this.#frame);
  }
}

/** How likely a voice is in each frame of one caller, by a network that knows noises. Costs fifty times what other detectors do. */
export interface VoiceProbability {
  /** 20 ms at 24 kHz; 0 to 1. undefined: it hears nothing any more. */
  process(pcm: Int16Array): number | undefined;
  free(): void;
}

class NetworkState implements VoiceProbability {
  readonly #wasm: RnnoiseExports;
  readonly #frame: number;
  #state: number;
  #last = 0;

  constructor(wasm: RnnoiseExports, state: number, frame: number) {
    this.#wasm = wasm;
    this.#state = state;
    this.#frame = frame;
  }

  /** The higher of the two halves; 0 for a frame of another length. */
  process(pcm: Int16Array): number {
    if (this.#state === 0 || pcm.length !== INPUT_SAMPLES) return 0;
    const first = this.#half(pcm, 0);
    return Math.max(first, this.#half(pcm, INPUT_SAMPLES / 2));
  }

  free(): void {
    if (this.#state !== 0) this.#wasm.h(this.#state);
    this.#state = 0;
  }

  /** Twice the rate by straight lines: what that adds above 12 kHz is far below what the network was taught with. */
  #half(pcm: Int16Array, from: number): number {
    const line = new Float32Array(this.#wasm.c.buffer, this.#frame, FRAME_SAMPLES);
    for (let n = 0; n < FRAME_SAMPLES / 2; n++) {
      const sample = pcm[from + n] as number;
      line[2 * n] = (this.#last + sample) / 2;
      line[2 * n + 1] = sample;
      this.#last = sample;
    }
    return this.#wasm.j(this.#state, this.#frame, this.#frame);
  }
}

function checked(exports: Readonly<Record<string, unknown>>): RnnoiseExports {
  const functions = ['d', 'f', 'g', 'h', 'j'].every((name) => typeof exports[name] === 'function');
  if (!functions || !(exports['c'] instanceof WebAssembly.Memory)) throw new Error('not the module of RNNoise that is known here');
  return exports as unknown as RnnoiseExports;
}

function grow(memory: WasmMemory | undefined, bytes: number): boolean {
  if (!memory || bytes > MOST_MEMORY_BYTES) return false;
  const missing = Math.ceil((bytes - memory.buffer.byteLength) / 65_536);
  if (missing <= 0) return true;
  try {
    memory.grow(missing);
    return true;
  } catch {
    return false;
  }
}
