import { randomBytes, randomInt } from 'node:crypto';
import { type Endpoint, LOOPBACK, openUdpPair, type UdpPort } from './endpoint.ts';
import { encodeG711, type G711Law } from './g711.ts';
import { type Recording, type RtpArrival, record, type StreamFigures, streamFigures } from './recording.ts';
import { type RtpPacket, readRtp, writeRtp, writeTelephoneEvent } from './rtp-wire.ts';
import { EventLog } from './wait.ts';

const FRAME_MS = 20;
const FRAME_SAMPLES = 160;

export interface OutgoingRtp extends RtpPacket {
  /** Hold this packet back, for reordering and jitter. */
  delayMs?: number;
}

/**
 * Changes what goes out: give back the packet (changed or not), several, raw bytes, or nothing to lose it. `frame` counts
 * the 20 ms frames from 0.
 */
export type Mangle = (packet: OutgoingRtp, frame: number) => OutgoingRtp | readonly OutgoingRtp[] | Uint8Array | undefined;

export interface RtpPhoneOptions {
  readonly address?: string;
  readonly codec?: G711Law;
  readonly telephoneEventType?: number;
  readonly ssrc?: number;
  readonly firstSequence?: number;
  readonly firstTimestamp?: number;
  /** How much the phone's clock runs fast, in parts per million. */
  readonly skewPpm?: number;
  readonly mangle?: Mangle;
}

/** A datagram on the RTCP socket. */
export interface RtcpArrival {
  readonly at: number;
  readonly from: Endpoint;
  readonly datagram: Buffer;
}

/** Audio that has been sent. */
export interface Said {
  /** When the packet with this sample left (performance.now() ms). */
  sentAt(sample: number): number;
  readonly startedAt: number;
  readonly endedAt: number;
}

/** Something that waits for its turn on the beat. */
interface Utterance {
  /** Packet of the n-th frame of it, or undefined when it is over. */
  readonly frame: (n: number) => { readonly payload: Uint8Array; readonly event: boolean; readonly hold: boolean } | undefined;
  readonly sentAt: number[];
  readonly done: () => void;
}

/**
 * The ears and the mouth of a test phone: sends 20 ms packets on an absolute schedule that does not drift, and keeps all
 * that arrives with its time. Silence is sent when it has nothing to say, as phones do.
 */
export class RtpPhone {
  readonly #rtp: UdpPort;
  readonly #rtcp: UdpPort;
  readonly #queue: Utterance[] = [];
  readonly #delayed = new Set<NodeJS.Timeout>();
  readonly #frameMs: number;
  #current: { readonly utterance: Utterance; frame: number } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #startAt = 0;
  #frame = 0;
  #paused = false;
  #markNext = true;
  #background: Int16Array | undefined;
  #eventTimestamp = 0;

  readonly arrivals = new EventLog<RtpArrival>();
  readonly rtcpArrivals = new EventLog<RtcpArrival>();
  readonly local: Endpoint;
  readonly rtcpLocal: Endpoint;
  /** Where audio goes; nothing is sent before it is known. */
  remote: Endpoint | undefined;
  codec: G711Law;
  telephoneEventType: number;
  ssrc: number;
  sequence: number;
  timestamp: number;
  mangle: Mangle | undefined;
  /** Makes SRTP of what goes out, and RTP of what comes in. */
  seal: ((packet: Uint8Array) => Uint8Array) | undefined;
  open: ((datagram: Buffer) => Buffer | undefined) | undefined;
  /** Packets that left. */
  sent = 0;

  constructor(rtp: UdpPort, rtcp: UdpPort, options: RtpPhoneOptions) {
    this.#rtp = rtp;
    this.#rtcp = rtcp;
    this.local = rtp.local;
    this.rtcpLocal = rtcp.local;
    this.codec = options.codec ?? 'PCMU';
    this.telephoneEventType = options.telephoneEventType ?? 101;
    this.ssrc = options.ssrc ?? randomBytes(4).readUInt32BE();
    this.sequence = options.firstSequence ?? randomInt(0x10000);
    this.timestamp = options.firstTimestamp ?? randomBytes(4).readUInt32BE();
    this.mangle = options.mangle;
    this.#frameMs = FRAME_MS / (1 + (options.skewPpm ?? 0) * 1e-6);
    rtp.onDatagram = (datagram, from) => {
      const opened = this.open ? this.open(datagram) : datagram;
      const packet = opened && readRtp(opened);
      if (packet) this.arrivals.push({ ...packet, at: performance.now(), from });
    };
    rtcp.onDatagram = (datagram, from) => this.rtcpArrivals.push({ at: performance.now(), from, datagram });
  }

  static async open(options: RtpPhoneOptions = {}): Promise<RtpPhone> {
    const [rtp, rtcp] = await openUdpPair(options.address ?? LOOPBACK);
    return new RtpPhone(rtp, rtcp, options);
  }

  /** Begins to send. Frames before `remote` is known are lost, as on a phone that does not know where to send. */
  start(): void {
    if (this.#timer) return;
    this.#startAt = performance.now() - this.#frame * this.#frameMs;
    this.#beat();
  }

  /** Sends nothing at all, while the timestamps go on (silence suppression). */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (this.#paused) this.#markNext = true;
    this.#paused = false;
  }

  /** What is sent, over and over, when there is nothing to say; undefined for silence. */
  background(samples: Int16Array | undefined): void {
    this.#background = samples;
  }

  /** Sends this audio after what is already waiting; resolves when its last packet has left. */
  say(samples: Int16Array): Promise<Said> {
    const frames = Math.ceil(samples.length / FRAME_SAMPLES);
    return this.#enqueue((n) => {
      if (n >= frames) return undefined;
      const part = new Int16Array(FRAME_SAMPLES);
      part.set(samples.subarray(n * FRAME_SAMPLES, (n + 1) * FRAME_SAMPLES));
      return { payload: encodeG711(this.codec, part), event: false, hold: false };
    });
  }

  /** Presses a key (RFC 4733): updates every 20 ms, the end three times, then `gapMs` of silence. */
  press(digit: string, ms = 100, gapMs = 60): Promise<Said> {
    const frames = Math.max(1, Math.round(ms / FRAME_MS));
    return this.#enqueue((n) => {
      if (n < frames + 2) {
        const end = n >= frames - 1;
        const duration = Math.min(n + 1, frames) * FRAME_SAMPLES;
        return { payload: writeTelephoneEvent({ digit, end, duration }), event: true, hold: n > 0 };
      }
      if (n < frames + 2 + gapMs / FRAME_MS)
        return { payload: encodeG711(this.codec, new Int16Array(FRAME_SAMPLES)), event: false, hold: false };
      return undefined;
    });
  }

  /** Takes back what waits and what is being said. The promises of `say` resolve. */
  hush(): void {
    if (this.#current) this.#queue.unshift(this.#current.utterance);
    this.#current = undefined;
    for (const utterance of this.#queue.splice(0)) utterance.done();
  }

  /** Sends bytes from the RTP port, as they are. */
  sendRaw(datagram: Uint8Array, to = this.remote): void {
    if (to) this.#rtp.send(datagram, to);
  }

  /** Sends bytes from the RTCP port; without an address to the port above the one audio goes to. */
  sendRtcp(datagram: Uint8Array, to = this.remote && { address: this.remote.address, port: this.remote.port + 1 }): void {
    if (to) this.#rtcp.send(datagram, to);
  }

  /** What was heard from the n-th arrival on. */
  recording(fromArrival = 0): Recording {
    return record(this.arrivals.all.slice(fromArrival));
  }

  figures(fromArrival = 0): StreamFigures {
    return streamFigures(this.arrivals.all.slice(fromArrival));
  }

  /** Ends the beat; the socket goes on listening. */
  stop(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = undefined;
    this.hush();
  }

  close(): void {
    this.stop();
    for (const timer of this.#delayed) clearTimeout(timer);
    this.#rtp.close();
    this.#rtcp.close();
  }

  #enqueue(frame: Utterance['frame']): Promise<Said> {
    const sentAt: number[] = [];
    return new Promise((resolve) => {
      const done = (): void =>
        resolve({
          sentAt: (sample) => sentAt[Math.floor(sample / FRAME_SAMPLES)] ?? Number.NaN,
          startedAt: sentAt[0] ?? Number.NaN,
          endedAt: sentAt.at(-1) ?? Number.NaN,
        });
      this.#queue.push({ frame, sentAt, done });
    });
  }

  #beat(): void {
    while (performance.now() >= this.#startAt + this.#frame * this.#frameMs) {
      this.#sendFrame();
      this.#frame += 1;
    }
    const wait = this.#startAt + this.#frame * this.#frameMs - performance.now();
    this.#timer = setTimeout(() => this.#beat(), Math.max(0, wait));
  }

  #sendFrame(): void {
    const next = this.#nextPayload();
    const timestamp = this.timestamp;
    this.timestamp = (this.timestamp + FRAME_SAMPLES) >>> 0;
    if (this.#paused || !this.remote) return;
    if (next.event && !next.hold) this.#eventTimestamp = timestamp;
    const packet: OutgoingRtp = {
      payloadType: next.event ? this.telephoneEventType : this.codec === 'PCMU' ? 0 : 8,
      marker: next.event ? !next.hold : this.#markNext,
      sequence: this.sequence,
      timestamp: next.event ? this.#eventTimestamp : timestamp,
      ssrc: this.ssrc,
      payload: next.payload,
    };
    // Talk after a key press is a new talkspurt (RFC 3551 §4.1).
    this.#markNext = next.event;
    this.sequence = (this.sequence + 1) & 0xffff;
    const mangled = this.mangle ? this.mangle(packet, this.#frame) : packet;
    if (mangled === undefined) return;
    if (mangled instanceof Uint8Array) this.#transmit(mangled);
    else for (const each of Array.isArray(mangled) ? (mangled as readonly OutgoingRtp[]) : [mangled as OutgoingRtp]) this.#dispatch(each);
  }

  #nextPayload(): { readonly payload: Uint8Array; readonly event: boolean; readonly hold: boolean } {
    for (;;) {
      if (!this.#current) {
        const utterance = this.#queue.shift();
        if (!utterance) break;
        this.#current = { utterance, frame: 0 };
      }
      const { utterance } = this.#current;
      const next = utterance.frame(this.#current.frame);
      if (next) {
        this.#current.frame += 1;
        utterance.sentAt.push(performance.now());
        return next;
      }
      this.#current = undefined;
      utterance.done();
    }
    const part = new Int16Array(FRAME_SAMPLES);
    const loop = this.#background;
    if (loop) for (let n = 0; n < FRAME_SAMPLES; n++) part[n] = loop[(this.#frame * FRAME_SAMPLES + n) % loop.length] as number;
    return { payload: encodeG711(this.codec, part), event: false, hold: false };
  }

  #dispatch(packet: OutgoingRtp): void {
    const datagram = writeRtp(packet);
    if (!packet.delayMs) {
      this.#transmit(datagram);
      return;
    }
    const timer = setTimeout(() => {
      this.#delayed.delete(timer);
      this.#transmit(datagram);
    }, packet.delayMs);
    this.#delayed.add(timer);
  }

  #transmit(datagram: Uint8Array): void {
    if (!this.remote) return;
    this.#rtp.send(this.seal ? this.seal(datagram) : datagram, this.remote);
    this.sent += 1;
  }
}
