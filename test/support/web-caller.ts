import { createOpusDecoder, createOpusEncoder, loadOpus, type OpusEncoder } from '../../src/audio/opus.ts';
import { formatEndpoint } from '../../src/base/addresses.ts';
import { systemClock } from '../../src/base/clock.ts';
import { randomText } from '../../src/base/ids.ts';
import type { Leg, LegHost, OpenedLeg } from '../../src/leg/leg.ts';
import { RtpSender } from '../../src/rtp/rtp-sender.ts';
import { writeWebRtcOffer } from '../../src/sdp/webrtc.ts';
import { createIdentity, type Identity } from '../../src/webrtc/dtls/identity.ts';
import type { Path } from '../../src/webrtc/path.ts';
import { Peer } from '../../src/webrtc/peer.ts';
import type { PeerCloseReason } from '../../src/webrtc/peer-options.ts';
import { type Endpoint, openUdp, type UdpPort } from './endpoint.ts';
import { type RemoteDescription, readDescription } from './loopback-peer.ts';
import { type RtpPacket, readRtp } from './rtp-wire.ts';
import { EventLog, eventually } from './wait.ts';

/** What a WebRTC caller hears and says is sampled so. */
export const WEB_RATE_HZ = 24_000;
const FRAME_MS = 20;
const FRAME_SAMPLES = (WEB_RATE_HZ * FRAME_MS) / 1000;
/** RFC 7587 §4.1. */
const FRAME_TICKS = 960;
const OPUS = 111;

export interface WebCallerOptions {
  /** What the offer says; the gateway is the DTLS client unless it is `active`. */
  readonly setup?: 'actpass' | 'active';
  /** Shown in the handshake. */
  readonly identity?: Identity;
  /** The identity whose fingerprint stands in the offer; the one that is shown unless given. */
  readonly announced?: Identity;
  readonly address?: string;
  readonly dataChannel?: boolean;
  /** Sequence number of the first packet. */
  readonly firstSequence?: number;
  /** False opens the session and leaves connecting to the test. */
  readonly connect?: boolean;
  readonly checkIntervalMs?: number;
}

export interface WebArrival extends Readonly<RtpPacket> {
  readonly at: number;
}

/** A WebRTC peer of a test: a session at the gateway, reached through its relay, with a voice and ears. */
export class WebCaller {
  readonly #socket: UdpPort;
  readonly #options: WebCallerOptions;
  readonly #sender: RtpSender;
  readonly #local: { readonly ufrag: string; readonly pwd: string };
  readonly #paths = new Map<string, Path>();
  #opened: OpenedLeg | undefined;
  #peer: Peer | undefined;
  #encoder: OpusEncoder | undefined;
  #background: Int16Array | undefined;
  #timer: NodeJS.Timeout | undefined;
  #startAt = 0;
  #frame = 0;
  /** Sends no audio while true; numbers and clock go on, as behind a network that loses everything. */
  lost = false;
  /** Keeps what it sends in `sent`. */
  keepsSent = false;
  readonly identity: Identity;
  readonly sent: Buffer[] = [];
  readonly arrivals = new EventLog<WebArrival>();
  readonly closed: PeerCloseReason[] = [];
  /** Commands of the session: `answer`, `hangup: cause` … */
  readonly commands = new EventLog<string>();
  readonly sessionId: string;
  readonly remote: RemoteDescription;
  readonly relay: Endpoint;
  #nextSequence = 0;
  startedAt = 0;
  connectedAt: number | undefined;

  private constructor(socket: UdpPort, options: WebCallerOptions, made: { opened: OpenedLeg; local: WebCaller['credentials'] }) {
    this.#socket = socket;
    this.#options = options;
    this.#local = made.local;
    this.#opened = made.opened;
    this.sessionId = made.opened.sessionId;
    this.identity = options.identity ?? createIdentity(Date.now());
    this.#sender = new RtpSender({
      payloadType: OPUS,
      ...(options.firstSequence === undefined ? {} : { sequenceNumber: options.firstSequence }),
    });
    this.remote = readDescription(made.opened.answer);
    this.relay = this.remote.candidates[0] ?? { address: '', port: 0 };
  }

  static async open(host: LegHost, options: WebCallerOptions): Promise<WebCaller> {
    const identity = options.identity ?? createIdentity(Date.now());
    const { setup = 'actpass', announced = identity, dataChannel = false } = options;
    const local = { ufrag: iceText(8), pwd: iceText(24) };
    const offer = writeWebRtcOffer({ ...local, fingerprint: announced.fingerprint, setup, dataChannel });
    const socket = await openUdp(options.address);
    let caller: WebCaller | undefined;
    const early: string[] = [];
    const say = (command: string): void => void (caller ? caller.#command(command) : early.push(command));
    const leg: Leg = {
      answer: () => say('answer'),
      reject: (cause) => say(`reject: ${cause}`),
      hangup: (cause) => say(`hangup: ${cause}`),
      report: () => say('report'),
    };
    const opened = await host.open({ origin: { kind: 'browser' }, offer }, leg);
    caller = new WebCaller(socket, { ...options, identity }, { opened, local });
    for (const command of early) caller.#command(command);
    await loadOpus();
    caller.#encoder = await createOpusEncoder({ sampleRateHz: WEB_RATE_HZ, profile: 'interior' });
    if (options.connect !== false) caller.connect();
    return caller;
  }

  /** Of this side: what the gateway was told. */
  get credentials(): { readonly ufrag: string; readonly pwd: string } {
    return this.#local;
  }

  get local(): Endpoint {
    return this.#socket.local;
  }

  get peer(): Peer {
    if (!this.#peer) throw new Error('not connecting');
    return this.#peer;
  }

  /** Begins to check. */
  connect(): void {
    const { remote } = this;
    const peer = new Peer(
      { clock: systemClock, identity: this.identity },
      {
        ice: {
          type: 'client',
          local: this.#local,
          remote: { ufrag: remote.ufrag, pwd: remote.pwd },
          candidates: remote.candidates.map((each) => this.#path(each)),
          checkIntervalMs: this.#options.checkIntervalMs ?? 500,
        },
        dtlsRole: remote.setup === 'active' ? 'server' : 'client',
        remoteFingerprints: [remote.fingerprint],
        handlers: {
          onConnected: () => {
            this.connectedAt = performance.now();
            this.#maybeAnswered();
          },
          onRtp: (packet) => {
            const rtp = readRtp(packet);
            if (rtp) this.arrivals.push({ ...rtp, at: performance.now() });
          },
          onClosed: (reason) => this.closed.push(reason),
        },
      },
    );
    this.#peer = peer;
    this.#socket.onDatagram = (datagram, from) => peer.handleDatagram(datagram, this.#path(from), systemClock.now());
    this.startedAt = performance.now();
    peer.start();
  }

  /** Of the next packet. */
  get nextSequence(): number {
    return this.#nextSequence;
  }

  /** Waits until ICE and DTLS are done. @returns how long that took in milliseconds */
  async connected(deadlineMs = 5000): Promise<number> {
    const at = await eventually(() => this.connectedAt, deadlineMs, 'the WebRTC caller to connect');
    return at - this.startedAt;
  }

  /** Begins to send audio: silence, until there is a background. */
  talk(): void {
    if (this.#timer) return;
    this.#startAt = performance.now() - this.#frame * FRAME_MS;
    this.#beat();
  }

  /** What is said over and over (24 kHz, whole frames); undefined for silence. */
  background(samples: Int16Array | undefined): void {
    this.#background = samples;
  }

  press(digit: string): void {
    this.#opened?.tell({ type: 'dtmf', digit, durationMs: 100 });
  }

  /** Bytes from this caller's own port: what a forger of its address would send. */
  sendRaw(datagram: Uint8Array, to: Endpoint = this.relay): void {
    this.#socket.send(datagram, to);
  }

  /** What was heard from arrival `from` on, 24 kHz, placed by timestamps: holes are silence. */
  async heard(from = 0): Promise<Int16Array> {
    const arrivals = this.arrivals.all.slice(from);
    const first = arrivals[0];
    const last = arrivals.at(-1);
    if (!first || !last) return new Int16Array();
    const place = (timestamp: number): number => Math.round((((timestamp - first.timestamp) | 0) * WEB_RATE_HZ) / 48_000);
    const samples = new Int16Array(Math.max(0, place(last.timestamp)) + FRAME_SAMPLES);
    await loadOpus();
    const decoder = await createOpusDecoder({ sampleRateHz: WEB_RATE_HZ });
    for (const { payload, timestamp } of arrivals) {
      const pcm = decoder.decode(payload);
      const at = place(timestamp);
      if (pcm && at >= 0 && at + pcm.length <= samples.length) samples.set(pcm, at);
    }
    decoder.free();
    return samples;
  }

  /** Longest time between two arrivals from number `from` on, in milliseconds. */
  longestGapMs(from = 0): number {
    let longest = 0;
    const { all } = this.arrivals;
    for (let n = Math.max(1, from); n < all.length; n++)
      longest = Math.max(longest, (all[n] as WebArrival).at - (all[n - 1] as WebArrival).at);
    return longest;
  }

  hangUp(): void {
    this.#opened?.tell({ type: 'ended', cause: 'remote_hangup' });
    this.#opened = undefined;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.hangUp();
    this.#peer?.close();
    this.#encoder?.free();
    this.#encoder = undefined;
    this.#socket.close();
  }

  #command(command: string): void {
    this.commands.push(command);
    this.#maybeAnswered();
  }

  #maybeAnswered(): void {
    if (this.connectedAt === undefined || !this.commands.all.includes('answer')) return;
    this.#opened?.tell({ type: 'answered' });
  }

  #beat(): void {
    while (performance.now() >= this.#startAt + this.#frame * FRAME_MS) {
      this.#sendFrame();
      this.#frame += 1;
    }
    this.#timer = setTimeout(() => this.#beat(), Math.max(0, this.#startAt + this.#frame * FRAME_MS - performance.now()));
  }

  #sendFrame(): void {
    const frame = new Int16Array(FRAME_SAMPLES);
    const loop = this.#background;
    if (loop) for (let n = 0; n < FRAME_SAMPLES; n++) frame[n] = loop[(this.#frame * FRAME_SAMPLES + n) % loop.length] as number;
    const payload = this.#encoder?.encode(frame);
    if (!payload) return;
    const packet = this.#sender.next(payload, FRAME_TICKS);
    this.#nextSequence = (packet.readUInt16BE(2) + 1) & 0xffff;
    if (!this.lost) this.#peer?.sendRtp(packet);
  }

  #path(to: Endpoint): Path {
    const key = formatEndpoint(to);
    const known = this.#paths.get(key);
    if (known) return known;
    const send = (datagram: Uint8Array): void => {
      if (this.keepsSent) this.sent.push(Buffer.from(datagram));
      this.#socket.send(datagram, to);
    };
    const path: Path = { key, ...to, send };
    this.#paths.set(key, path);
    return path;
  }
}

function iceText(characters: number): string {
  return randomText(characters).replaceAll('-', '+').replaceAll('_', '/');
}
