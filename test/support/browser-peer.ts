import { createOpusDecoder, createOpusEncoder, loadOpus, type OpusDecoder, type OpusEncoder } from '../../src/audio/opus.ts';
import { systemClock } from '../../src/base/clock.ts';
import { randomText } from '../../src/base/ids.ts';
import { RtpSender } from '../../src/rtp/rtp-sender.ts';
import { writeWebRtcOffer } from '../../src/sdp/webrtc.ts';
import { createIdentity } from '../../src/webrtc/dtls/identity.ts';
import type { Path } from '../../src/webrtc/path.ts';
import { Peer } from '../../src/webrtc/peer.ts';
import type { PeerCloseReason } from '../../src/webrtc/peer-options.ts';
import type { PeerChannel } from '../../src/webrtc/sctp/data-channels.ts';
import { type Endpoint, endpointText, openUdp, type UdpPort } from './endpoint.ts';
import { decodeG711, encodeG711 } from './g711.ts';
import { readDescription } from './loopback-peer.ts';
import { readRtp } from './rtp-wire.ts';
import { rms, SILENCE_RMS } from './tones.ts';
import { EventLog, eventually } from './wait.ts';

/** What it says and hears is sampled so. */
const RATE_HZ = 8000;
const FRAME_MS = 20;
const FRAME_SAMPLES = (RATE_HZ * FRAME_MS) / 1000;
const OPUS = 111;
const GOODBYE_MS = 100;

/** An event of the Realtime API. */
export interface ApiEvent {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** 20 ms that arrived (8 kHz), and when (performance.now() ms). */
export interface HeardPacket {
  readonly at: number;
  readonly timestamp: number;
  readonly pcm: Int16Array;
}

export interface BrowserPeerOptions {
  /** Hands the offer in. */
  readonly post: (offer: string) => Promise<{ readonly answer: string; readonly location: string }>;
  /** Opus when absent. */
  readonly codec?: 'opus' | 'PCMU' | 'PCMA';
  /** Of the data channel; none is opened when null. */
  readonly label?: string | null;
  /** False leaves the answer unused. */
  readonly connects?: boolean;
  /** Changes the offer before it is handed in. */
  readonly mangle?: (offer: string) => string;
}

const G711 = { PCMU: 0, PCMA: 8 } as const;

/** What a browser is to the gateway: an offer by HTTP, audio both ways and a data channel for events. */
export class BrowserPeer {
  readonly events = new EventLog<ApiEvent>();
  readonly arrivals = new EventLog<HeardPacket>();
  readonly closed = new EventLog<PeerCloseReason>();
  readonly channelsClosed: string[] = [];
  readonly sessionId: string;
  readonly answer: string;
  readonly #options: BrowserPeerOptions;
  readonly #socket: UdpPort;
  readonly #encoder: OpusEncoder;
  readonly #decoder: OpusDecoder;
  readonly #sender: RtpSender;
  readonly #paths = new Map<string, Path>();
  readonly #queue: { frames: Int16Array[]; done: (sentAt: number) => void; startedAt: number | undefined }[] = [];
  readonly postedAt: number;
  readonly answeredMs: number;
  #peer: Peer | undefined;
  #channel: PeerChannel | undefined;
  #timer: NodeJS.Timeout | undefined;
  #startAt = 0;
  #frame = 0;
  connectedAt: number | undefined;
  channelAt: number | undefined;

  private constructor(
    options: BrowserPeerOptions,
    parts: { socket: UdpPort; encoder: OpusEncoder; decoder: OpusDecoder; answer: string; location: string; postedAt: number },
  ) {
    this.#options = options;
    this.#socket = parts.socket;
    this.#encoder = parts.encoder;
    this.#decoder = parts.decoder;
    this.answer = parts.answer;
    this.sessionId = parts.location.split('/').pop() ?? '';
    this.postedAt = parts.postedAt;
    this.answeredMs = performance.now() - parts.postedAt;
    this.#sender = new RtpSender({ payloadType: this.#codec === 'opus' ? OPUS : G711[this.#codec] });
  }

  static async call(options: BrowserPeerOptions): Promise<BrowserPeer> {
    await loadOpus();
    const identity = createIdentity(Date.now());
    const local = { ufrag: iceText(8), pwd: iceText(24) };
    const offer = writeWebRtcOffer({ ...local, fingerprint: identity.fingerprint, setup: 'actpass', dataChannel: options.label !== null });
    const postedAt = performance.now();
    const posted = await options.post((options.mangle ?? ((text) => text))(inCodec(offer, options.codec ?? 'opus')));
    const encoder = await createOpusEncoder({ sampleRateHz: RATE_HZ, profile: 'edge' });
    const decoder = await createOpusDecoder({ sampleRateHz: RATE_HZ });
    const browser = new BrowserPeer(options, { socket: await openUdp(), encoder, decoder, ...posted, postedAt });
    if (options.connects !== false) browser.#connect(identity, local);
    return browser;
  }

  /** Waits for an event of this type, from number `from` on. */
  event(type: string, deadlineMs = 15_000, from = 0): Promise<ApiEvent> {
    return this.events.find((each) => each.type === type, deadlineMs, `the event ${type}`, from);
  }

  /** False when the channel does not take it. */
  send(event: object | string | Uint8Array): boolean {
    const message = typeof event === 'string' || event instanceof Uint8Array ? event : JSON.stringify(event);
    return this.#channel !== undefined && (this.#peer?.sendMessage(this.#channel, message) ?? false);
  }

  openChannel(label: string): void {
    this.#peer?.openChannel(label);
  }

  snapshot(): unknown {
    return this.#peer?.snapshot();
  }

  get bufferedBytes(): number {
    return this.#peer?.snapshot().data?.bufferedBytes ?? 0;
  }

  async connected(deadlineMs = 15_000): Promise<void> {
    await eventually(() => this.connectedAt, deadlineMs, 'the browser to be connected');
  }

  /** Says this (8 kHz) after what it said before. @returns when its first and its last packet left */
  say(samples: Int16Array): Promise<{ readonly startedAt: number; readonly endedAt: number }> {
    const frames = Array.from({ length: Math.ceil(samples.length / FRAME_SAMPLES) }, (_, n) => {
      const frame = new Int16Array(FRAME_SAMPLES);
      frame.set(samples.subarray(n * FRAME_SAMPLES, (n + 1) * FRAME_SAMPLES));
      return frame;
    });
    return new Promise((resolve) => {
      const entry = {
        frames,
        startedAt: undefined as number | undefined,
        done: (endedAt: number) => resolve({ startedAt: entry.startedAt ?? endedAt, endedAt }),
      };
      this.#queue.push(entry);
    });
  }

  /** Waits for the first audible packet from now on. */
  nextSound(deadlineMs: number): Promise<HeardPacket> {
    return this.arrivals.next(isLoud, deadlineMs, 'something to hear');
  }

  loudBetween(from: number, to = Number.POSITIVE_INFINITY): readonly HeardPacket[] {
    return this.arrivals.all.filter((each) => each.at >= from && each.at <= to && isLoud(each));
  }

  /** What was heard, laid out by its timestamps; holes are silence. */
  recording(): { readonly samples: Int16Array; arrivedAt(sample: number): number | undefined } {
    const { all } = this.arrivals;
    const first = all[0];
    const ticks = this.#codec === 'opus' ? 6 : 1;
    const place = ({ timestamp }: HeardPacket): number => Math.round(((timestamp - (first?.timestamp ?? 0)) | 0) / ticks);
    const end = all.reduce((most, each) => Math.max(most, place(each) + each.pcm.length), 0);
    const samples = new Int16Array(end);
    for (const each of all) if (place(each) >= 0) samples.set(each.pcm, place(each));
    return { samples, arrivedAt: (sample) => all.find((each) => sample >= place(each) && sample < place(each) + each.pcm.length)?.at };
  }

  /** Says goodbye, as a page that is closed. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#peer?.close();
    this.#encoder.free();
    this.#decoder.free();
    // The goodbye is still on its way out of the socket.
    setTimeout(() => this.#socket.close(), GOODBYE_MS).unref();
  }

  get #codec(): 'opus' | 'PCMU' | 'PCMA' {
    return this.#options.codec ?? 'opus';
  }

  #connect(identity: ReturnType<typeof createIdentity>, local: { readonly ufrag: string; readonly pwd: string }): void {
    const remote = readDescription(this.answer);
    const { label = 'oai-events' } = this.#options;
    const peer = new Peer(
      { clock: systemClock, identity },
      {
        ice: {
          type: 'client',
          local,
          remote: { ufrag: remote.ufrag, pwd: remote.pwd },
          candidates: remote.candidates.map((each) => this.#path(each)),
          checkIntervalMs: 500,
        },
        dtlsRole: remote.setup === 'active' ? 'server' : 'client',
        remoteFingerprints: [remote.fingerprint],
        remoteMaxMessageBytes: 262_144,
        handlers: {
          onConnected: () => {
            this.connectedAt = performance.now();
            this.#startAt = this.connectedAt;
            this.#beat();
            if (label !== null) this.#channel = this.#peer?.openChannel(label);
          },
          onRtp: (packet) => this.#hear(packet),
          onChannel: (channel) => {
            if (channel !== this.#channel) return;
            this.channelAt = performance.now();
          },
          onChannelClosed: (channel) => this.channelsClosed.push(channel.label),
          onMessage: (_channel, message) => this.events.push(JSON.parse(message.toString()) as ApiEvent),
          onClosed: (reason) => this.closed.push(reason),
        },
      },
    );
    this.#peer = peer;
    this.#socket.onDatagram = (datagram, from) => peer.handleDatagram(datagram, this.#path(from), systemClock.now());
    peer.start();
  }

  #hear(packet: Buffer): void {
    const rtp = readRtp(packet);
    if (!rtp || !this.#timer) return;
    const pcm = this.#codec === 'opus' ? this.#decoder.decode(rtp.payload) : decodeG711(this.#codec, rtp.payload);
    if (pcm) this.arrivals.push({ at: performance.now(), timestamp: rtp.timestamp, pcm });
  }

  #beat(): void {
    while (performance.now() >= this.#startAt + this.#frame * FRAME_MS) {
      const [current] = this.#queue;
      const pcm = current?.frames.shift() ?? new Int16Array(FRAME_SAMPLES);
      const opus = this.#codec === 'opus';
      const payload = opus ? this.#encoder.encode(pcm) : encodeG711(this.#codec as 'PCMU', pcm);
      this.#peer?.sendRtp(this.#sender.next(payload, opus ? 960 : FRAME_SAMPLES));
      this.#frame += 1;
      if (!current) continue;
      current.startedAt ??= performance.now();
      if (current.frames.length > 0) continue;
      this.#queue.shift();
      current.done(performance.now());
    }
    this.#timer = setTimeout(() => this.#beat(), Math.max(0, this.#startAt + this.#frame * FRAME_MS - performance.now()));
  }

  #path(to: Endpoint): Path {
    const key = endpointText(to);
    const known = this.#paths.get(key);
    if (known) return known;
    const path: Path = { key, ...to, send: (datagram) => this.#socket.send(datagram, to) };
    this.#paths.set(key, path);
    return path;
  }
}

/** Hands offers in at a gateway's HTTP door. @throws Error with the refusal, as `status code param` */
export function postTo(http: Endpoint, session?: object): BrowserPeerOptions['post'] {
  return async (offer) => {
    const url = `http://${endpointText(http)}/v1/realtime/calls`;
    const form = new FormData();
    form.append('sdp', new Blob([offer], { type: 'application/sdp' }));
    form.append('session', new Blob([JSON.stringify(session ?? {})], { type: 'application/json' }));
    const request = session ? { body: form } : { body: offer, headers: { 'content-type': 'application/sdp' } };
    const response = await fetch(url, { method: 'POST', ...request });
    const text = await response.text();
    if (response.status !== 201) {
      const { error } = JSON.parse(text) as { error: { code: string; param: string | null } };
      throw new Error(`${response.status} ${error.code} ${error.param}`);
    }
    return { answer: text, location: response.headers.get('location') ?? '' };
  };
}

function isLoud({ pcm }: HeardPacket): boolean {
  return rms(pcm) > SILENCE_RMS;
}

/** The same offer of one codec only. */
function inCodec(offer: string, codec: 'opus' | 'PCMU' | 'PCMA'): string {
  if (codec === 'opus') return offer;
  const lines = offer.split('\r\n').filter((line) => !/^a=(?:rtpmap|fmtp):111 /.test(line));
  return lines.map((line) => line.replace(/^(m=audio \d+ UDP\/TLS\/RTP\/SAVPF).*/, `$1 ${G711[codec]}`)).join('\r\n');
}

function iceText(characters: number): string {
  return randomText(characters).replaceAll('-', '+').replaceAll('_', '/');
}
