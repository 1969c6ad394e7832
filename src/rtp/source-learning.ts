import { type Endpoint, isMediaTarget, sameEndpoint } from '../base/addresses.ts';
import type { RtpPacket } from './packet.ts';
import { distance16, distance32 } from './sequence.ts';

export interface SourceLearningOptions {
  /** Where the SIP messages of this call come from: a phone behind the same NAT sends its media from there, too. */
  readonly signallingAddress?: string | undefined;
  readonly clockRateHz?: number;
}

export interface SourceSnapshot {
  /** `signalled`: the address of the SDP sends. `learned`: another one has proved to be the phone. `none`: nobody has sent. */
  readonly source: 'none' | 'signalled' | 'learned';
  readonly accepted: number;
  /** Packets of others, dropped: before anyone was known, and after. */
  readonly foreign: number;
}

/**
 * RTP that goes to addresses which have sent nothing: enough for a greeting to begin, too little for an attack. For all addresses
 * of a call together, so that nobody is attacked by one re-INVITE after the other.
 */
const UNPROVEN_MS = 5000;
/** A source that fell silent for this long may be replaced: NAT bindings die while a call is on hold. */
const DEAD_MS = 5000;
/** Packets in a row from the address of the SDP or of the signalling, at another port: 60 ms of a phone behind a NAT. */
const KNOWN_ADDRESS_RUN = 4;
/** From an address that nothing speaks for: half a second of a stream at its proper pace. */
const STRANGER_RUN = 25;
/** Senders watched at a time, of known addresses and of strangers each: a spray from many does not crowd out the phone. */
const MAX_CANDIDATES = 4;
/** One that has been silent for this long gives up its place and its run. */
const CANDIDATE_IDLE_MS = 500;
/** A run survives two lost packets in a row. */
const MAX_RUN_GAP = 3;
/** Packets of one stream last 5 to 60 ms. */
const MIN_PACKET_MS = 5;
const MAX_PACKET_MS = 60;

interface Candidate {
  readonly from: Endpoint;
  readonly needed: number;
  ssrc: number;
  sequenceNumber: number;
  timestamp: number;
  startTimestamp: number;
  startedAt: number;
  heardAt: number;
  run: number;
}

/**
 * Decides whose RTP belongs to the call. The address of the SDP is the source as soon as it sends; until then another
 * one is accepted only after a run of packets that moves at the pace of a live stream, and none of those packets is
 * passed on. Whoever is accepted stays as long as he sends, but for the SDP address, which always wins.
 */
export class SourceLearning {
  readonly #signallingAddress: string | undefined;
  /** RTP clock of the stream. */
  clockRateHz: number;
  #signalled: Endpoint;
  #source: Endpoint | undefined;
  #heardAt = 0;
  #candidates: Candidate[] = [];
  /** Since when the present target gets media without having sent any. */
  #unprovenSince: number | undefined;
  #unprovenMs = 0;
  #accepted = 0;
  #foreign = 0;

  constructor(signalled: Endpoint, { signallingAddress, clockRateHz = 8000 }: SourceLearningOptions = {}) {
    this.#signalled = signalled;
    this.#signallingAddress = signallingAddress;
    this.clockRateHz = clockRateHz;
  }

  /** Where to send: the source that was found, or else what the SDP says; undefined when that is no place for media. */
  get target(): Endpoint | undefined {
    const target = this.#source ?? this.#signalled;
    return isMediaTarget(target) ? target : undefined;
  }

  /** A new SDP: media may come from elsewhere now. The same address again, or a hold address, changes nothing. */
  signal(endpoint: Endpoint, now: number): void {
    if (sameEndpoint(endpoint, this.#signalled) || !isMediaTarget(endpoint)) return;
    this.#signalled = endpoint;
    this.#candidates = [];
    this.#endUnproven(now);
    // The new address may be where the media has come from all along.
    if (this.#source && !sameEndpoint(this.#source, endpoint)) this.#source = undefined;
  }

  /** Does this packet belong to the call? */
  accept(from: Endpoint, packet: Pick<RtpPacket, 'ssrc' | 'sequenceNumber' | 'timestamp'>, now: number): boolean {
    const source = this.#source;
    if (source !== undefined && sameEndpoint(from, source)) {
      this.#heardAt = now;
      this.#accepted += 1;
      return true;
    }
    if (sameEndpoint(from, this.#signalled)) {
      this.#settle(from, now);
      this.#accepted += 1;
      return true;
    }
    this.#foreign += 1;
    // Learning goes on only while nobody is there to be pushed aside.
    if ((source === undefined || now - this.#heardAt >= DEAD_MS) && this.#isProven(from, packet, now)) {
      this.#settle(from, now);
    }
    return false;
  }

  /**
   * Could a packet from there count? Asked before a proof that costs more than the question, such as a signature. Packets of strangers are
   * counted as foreign.
   */
  listensTo(from: Endpoint, now: number): boolean {
    const source = this.#source;
    if (source === undefined || sameEndpoint(from, source) || sameEndpoint(from, this.#signalled)) return true;
    if (now - this.#heardAt >= DEAD_MS) return true;
    this.#foreign += 1;
    return false;
  }

  /** Has anything named this address: the description, the signalling, or the source itself? */
  isKnown(address: string): boolean {
    return address === this.#signalled.address || address === this.#signallingAddress || address === this.#source?.address;
  }

  /** Who has proved otherwise to be the phone, by a handshake of its certificate, is the source. */
  prove(from: Endpoint, now: number): void {
    this.#settle(from, now);
  }

  /** RTCP is believed from the machine that sends the RTP, or from the one of the SDP as long as nobody does. */
  acceptRtcp(from: Endpoint): boolean {
    return from.address === (this.#source ?? this.#signalled).address;
  }

  /** May RTP be sent to the target now? Addresses that never send anything get 5 s of it in a call. Asking counts as sending. */
  mayReceive(now: number): boolean {
    if (!this.target) return false;
    if (this.#source) return true;
    this.#unprovenSince ??= now;
    return this.#unprovenMs + now - this.#unprovenSince < UNPROVEN_MS;
  }

  snapshot(): SourceSnapshot {
    const source = this.#source === undefined ? 'none' : sameEndpoint(this.#source, this.#signalled) ? 'signalled' : 'learned';
    return { source, accepted: this.#accepted, foreign: this.#foreign };
  }

  #settle(source: Endpoint, now: number): void {
    this.#source = source;
    this.#heardAt = now;
    this.#candidates = [];
    this.#endUnproven(now);
  }

  #endUnproven(now: number): void {
    if (this.#unprovenSince === undefined) return;
    this.#unprovenMs += now - this.#unprovenSince;
    this.#unprovenSince = undefined;
  }

  /** Counts the packet for its sender; true when the run is long enough. */
  #isProven(from: Endpoint, packet: Pick<RtpPacket, 'ssrc' | 'sequenceNumber' | 'timestamp'>, now: number): boolean {
    const candidate = this.#candidates.find((each) => sameEndpoint(each.from, from));
    if (!candidate) {
      this.#watch(from, packet, now);
      return false;
    }
    if (this.#continuesRun(candidate, packet, now)) {
      candidate.run += 1;
    } else {
      candidate.run = 1;
      candidate.ssrc = packet.ssrc;
      candidate.startTimestamp = packet.timestamp;
      candidate.startedAt = now;
    }
    candidate.sequenceNumber = packet.sequenceNumber;
    candidate.timestamp = packet.timestamp;
    candidate.heardAt = now;
    return candidate.run >= candidate.needed && this.#keepsPace(candidate, now);
  }

  #watch(from: Endpoint, packet: Pick<RtpPacket, 'ssrc' | 'sequenceNumber' | 'timestamp'>, now: number): void {
    const needed = this.isKnown(from.address) ? KNOWN_ADDRESS_RUN : STRANGER_RUN;
    // Once somebody was the source, only a machine that is known already may follow him.
    if (this.#source && needed === STRANGER_RUN) return;
    this.#candidates = this.#candidates.filter((each) => now - each.heardAt < CANDIDATE_IDLE_MS);
    if (this.#candidates.filter((each) => each.needed === needed).length >= MAX_CANDIDATES) return;
    const { ssrc, sequenceNumber, timestamp } = packet;
    const start = { startTimestamp: timestamp, startedAt: now, heardAt: now, run: 1 };
    this.#candidates.push({ from, needed, ssrc, sequenceNumber, timestamp, ...start });
  }

  #continuesRun(candidate: Candidate, packet: Pick<RtpPacket, 'ssrc' | 'sequenceNumber' | 'timestamp'>, now: number): boolean {
    const steps = distance16(candidate.sequenceNumber, packet.sequenceNumber);
    if (packet.ssrc !== candidate.ssrc || steps < 1 || steps > MAX_RUN_GAP) return false;
    const stepMs = (distance32(candidate.timestamp, packet.timestamp) * 1000) / this.clockRateHz / steps;
    return stepMs >= MIN_PACKET_MS && stepMs <= MAX_PACKET_MS && now - candidate.heardAt < CANDIDATE_IDLE_MS;
  }

  /** Forged packets come as fast as they can be sent; a microphone takes its time. Half to double the pace is jitter. */
  #keepsPace(candidate: Candidate, now: number): boolean {
    const mediaMs = (distance32(candidate.startTimestamp, candidate.timestamp) * 1000) / this.clockRateHz;
    const elapsedMs = now - candidate.startedAt;
    return elapsedMs >= mediaMs / 2 && elapsedMs <= mediaMs * 2 + 100;
  }
}
