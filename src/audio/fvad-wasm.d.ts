// The package ships without types. These are the parts of its Emscripten module that vad.ts touches.
declare module '@echogarden/fvad-wasm' {
  export interface FvadModule {
    /** A new view after every growth of the heap: read it anew for each use. */
    readonly HEAP16: Int16Array;
    _malloc(sizeBytes: number): number;
    _fvad_new(): number;
    _fvad_free(instance: number): void;
    /** 0 (keen to call it speech) to 3 (reluctant). Returns -1 for another mode. */
    _fvad_set_mode(instance: number, mode: number): number;
    _fvad_set_sample_rate(instance: number, rateHz: number): number;
    /** 1 speech, 0 none, -1 for a length that is not 10, 20 or 30 ms. */
    _fvad_process(instance: number, samples: number, count: number): number;
  }
  const load: () => Promise<FvadModule>;

  // biome-ignore lint/style/noDefaultExport: it is what the package exports
  export { load as default };
}
