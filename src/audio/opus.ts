import type * as Libopus from 'libopus-wasm';
import { GatewayError } from '../base/errors.ts';

/** The rates libopus takes without a resampler of ours that are in use here. */
export type OpusRateHz = 8000 | 16_000 | 24_000 | 48_000;

/**
 * `interior`: between gateway and transceiver, no loss to speak of: CELT, 2.5 ms of algorithmic delay, a quarter of the cost.
 * `edge`: browsers and lossy paths: VOIP with in-band FEC (docs/media.md has the measurements).
 */
export type OpusProfile = 'interior' | 'edge';

export interface OpusEncoderOptions {
  readonly sampleRateHz: OpusRateHz;
  readonly profile: OpusProfile;
  /** The far end is a G.711 phone: nothing above 4 kHz is worth a bit (+8 dB SNR at the same bitrate). */
  readonly narrowband?: boolean;
  /** The most bits a second that the far end takes on average; that of the profile when it is less, or absent. */
  readonly maxBitrate?: number;
  /** The far end wants every packet of one size (RFC 7587 §6.1). */
  readonly cbr?: boolean;
}

type Library = typeof Libopus;

/** 48 kb/s at complexity 0: 28 dB SNR, above which neither bits nor complexity bought anything (docs/media.md). */
const INTERIOR_BITRATE = 48_000;
const EDGE_BITRATE = 28_000;
const EDGE_COMPLEXITY = 5;
/** What FEC is tuned for until RTCP says better. */
const EDGE_LOSS_PERCENT = 5;

/**
 * After this many frames of one constant value the codec's state no longer moves (measured: from 20 frames for zeros, from
 * 50 with the slow 3 Hz high-pass emptying after a full-scale offset), so that coding may stand still without a trace.
 */
const SETTLED_FRAMES = 50;
/** CELT says "silence" in three bytes. */
const SILENCE_BYTES = 3;

/** 20 ms at 48 kb/s are 120 bytes; the rest is room for the variable bitrate. */
const ENCODE = { maxPacketBytes: 500 } as const;

let library: Library | undefined;
let live = 0;

/** Compiles the codec. Call once, before the first call is accepted; repeated calls cost nothing. */
export async function loadOpus(): Promise<void> {
  if (library) return;
  const loaded = await import('libopus-wasm');
  await loaded.loadLibopus();
  library = loaded;
}

/** Encoders and decoders that have been made and not freed: must return to zero when the calls are over. */
export function liveOpusCodecs(): number {
  return live;
}

/** Encodes 20 ms frames of mono PCM. One per direction and call; must be freed, nothing collects it. */
export class OpusEncoder {
  readonly #codec: Libopus.OpusEncoderHandle;
  readonly #skipsSilence: boolean;
  #freed = false;
  #constantFrames = 0;
  #constant = 0;
  #silence: Uint8Array | undefined;

  constructor(codec: Libopus.OpusEncoderHandle, profile: OpusProfile) {
    this.#codec = codec;
    this.#skipsSilence = profile === 'interior';
    live += 1;
  }

  /** Samples a frame must have. */
  get frameSamples(): number {
    return this.#codec.frameSize;
  }

  /**
   * One packet for one frame. Do not modify the packet: that of digital silence is given out again and again, without
   * encoding, which is the same to the decoder as a shorter silence.
   */
  encode(pcm: Int16Array): Uint8Array {
    if (!this.#skipsSilence) return this.#codec.encode(pcm, ENCODE);
    if (!this.#isConstant(pcm)) {
      this.#silence = undefined;
      return this.#codec.encode(pcm, ENCODE);
    }
    if (this.#silence) return this.#silence;
    const packet = this.#codec.encode(pcm, ENCODE);
    if (this.#constantFrames >= SETTLED_FRAMES && packet.length <= SILENCE_BYTES) this.#silence = packet;
    return packet;
  }

  /** What the far end loses, from its receiver reports: tunes FEC. For the edge profile. */
  setPacketLossPercent(percent: number): void {
    this.#codec.setPacketLossPercent(Math.max(0, Math.min(100, Math.round(percent))));
  }

  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    live -= 1;
    this.#codec.free();
  }

  /** Muted phones send one value for ever: 0 in µ-law, ±8 in A-law. */
  #isConstant(pcm: Int16Array): boolean {
    const value = pcm[0] ?? 0;
    for (let i = 1; i < pcm.length; i += 1) {
      if (pcm[i] !== value) {
        this.#constantFrames = 0;
        return false;
      }
    }
    if (value !== this.#constant) {
      this.#constant = value;
      this.#constantFrames = 0;
      this.#silence = undefined;
    }
    this.#constantFrames += 1;
    return true;
  }
}

/** Decodes packets of any Opus stream to mono PCM at one rate. Must be freed, nothing collects it. */
export class OpusDecoder {
  readonly #library: Library;
  readonly #codec: Libopus.OpusDecoderHandle;
  readonly #frameSamples: number;
  #freed = false;
  #silence: Uint8Array | undefined;
  #silentPackets = 0;

  constructor(loaded: Library, codec: Libopus.OpusDecoderHandle) {
    this.#library = loaded;
    this.#codec = codec;
    this.#frameSamples = codec.sampleRate / 50;
    live += 1;
  }

  get sampleRateHz(): number {
    return this.#codec.sampleRate;
  }

  /** The packet's audio (2.5 to 120 ms of it), in a buffer of the caller's own; undefined when it is not an Opus packet. */
  decode(packet: Uint8Array): Int16Array | undefined {
    if (packet.length === 0) return undefined;
    if (this.#isSettledSilence(packet)) return new Int16Array(this.#frameSamples);
    const pcm = this.#guard(() => this.#codec.decode(packet));
    if (pcm === undefined || pcm.length !== this.#frameSamples || !isZero(pcm)) this.#silentPackets = 0;
    return pcm;
  }

  /** Audio in place of a lost packet (2.5 to 60 ms), made from what came before; sinks into the background noise after some. */
  conceal(durationMs = 20): Int16Array {
    this.#silentPackets = 0;
    return this.#codec.decodePacketLoss((this.#codec.sampleRate * durationMs) / 1000);
  }

  /** The lost frame before this packet, from its in-band FEC where there is one, else concealed. Decode the packet after it. */
  recover(packet: Uint8Array): Int16Array {
    this.#silentPackets = 0;
    const options = { decodeFec: true, frameSize: this.#frameSamples };
    return (packet.length > 0 ? this.#guard(() => this.#codec.decode(packet, options)) : undefined) ?? this.conceal();
  }

  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    live -= 1;
    this.#codec.free();
  }

  /** The same three bytes of CELT silence, decoded to zeros often enough: decoding them again changes nothing. */
  #isSettledSilence(packet: Uint8Array): boolean {
    const known = this.#silence;
    // Only CELT (configurations 16 to 31, RFC 6716 §3.1): SILK's comfort noise goes on living in silence.
    if (packet.length !== SILENCE_BYTES || (packet[0] as number) < 0x80) {
      this.#silentPackets = 0;
      return false;
    }
    if (!known || known[0] !== packet[0] || known[1] !== packet[1] || known[2] !== packet[2]) {
      this.#silence = packet.slice();
      this.#silentPackets = 0;
    }
    this.#silentPackets += 1;
    return this.#silentPackets > SETTLED_FRAMES;
  }

  #guard(decode: () => Int16Array): Int16Array | undefined {
    try {
      return decode();
    } catch (error) {
      if (this.#library.isOpusError(error)) return undefined;
      throw error;
    }
  }
}

function isZero(pcm: Int16Array): boolean {
  for (let i = 0; i < pcm.length; i += 1) if (pcm[i] !== 0) return false;
  return true;
}

function loaded(): Library {
  if (!library) throw new GatewayError('ERR_INVALID_STATE', 'loadOpus has not been awaited');
  return library;
}

/** @throws GatewayError ERR_INVALID_STATE before loadOpus is done */
export async function createOpusEncoder({
  sampleRateHz,
  profile,
  narrowband,
  maxBitrate = Number.POSITIVE_INFINITY,
  cbr = false,
}: OpusEncoderOptions): Promise<OpusEncoder> {
  const opus = loaded();
  const common = {
    channels: 1,
    sampleRate: sampleRateHz,
    ...(cbr ? { vbr: false } : {}),
    ...(narrowband ? { maxBandwidth: opus.Bandwidth.Narrowband } : {}),
  } as const;
  const codec =
    profile === 'interior'
      ? await opus.createEncoder({
          ...common,
          application: opus.Application.RestrictedLowDelay,
          bitrate: Math.min(INTERIOR_BITRATE, maxBitrate),
          complexity: 0,
        })
      : await opus.createEncoder({
          ...common,
          application: opus.Application.Voip,
          signal: opus.Signal.Voice,
          bitrate: Math.min(EDGE_BITRATE, maxBitrate),
          complexity: EDGE_COMPLEXITY,
          fec: true,
          packetLossPercent: EDGE_LOSS_PERCENT,
        });
  return new OpusEncoder(codec, profile);
}

/** @throws GatewayError ERR_INVALID_STATE before loadOpus is done */
export async function createOpusDecoder({ sampleRateHz }: { readonly sampleRateHz: OpusRateHz }): Promise<OpusDecoder> {
  const opus = loaded();
  return new OpusDecoder(opus, await opus.createDecoder({ channels: 1, sampleRate: sampleRateHz }));
}
