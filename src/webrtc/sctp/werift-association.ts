import { sctpChecksum } from './crc32c.ts';
import type { OutgoingMessage, SctpAssociation, SctpCloseReason, SctpHandlers } from './sctp-association.ts';
import { isFarewell } from './sctp-farewell.ts';
import { filterSctp, SctpChunk } from './sctp-filter.ts';
import { RECEIVE_WINDOW_BYTES, type SctpInits } from './sctp-init.ts';
import { type WeriftSctp, type WeriftSctpClass, WeriftState } from './werift-sctp.ts';

/** A sender may overshoot a closed window by probes (RFC 9260 §6.1 A), not by this much. */
const WINDOW_OVERSHOOT_BYTES = 64 * 1024;

/** Room for pieces out of order: the window full of 512-byte pieces. Each arrival costs time in proportion to it. */
const MAX_MISORDERED = 1024;

/** 8 channels are served; some streams more for channels that were closed and refused. */
const MAX_INBOUND_STREAMS = 64;

/** Packets that wait for the ones before them; more than a burst of a whole window never waits. */
const MAX_WAITING_PACKETS = 512;

/** Chunks given to werift ahead of time: it walks its queue at every packet, so the rest waits here. */
const MAX_HANDED_CHUNKS = 32;

/** RFC 9260 says 1 s to 60 s for the open Internet; a call wants its events sooner (dcSCTP, Chromium's stack, has the same minimum). */
const INITIAL_RTO_S = 0.5;
const MIN_RTO_S = 0.4;
const MAX_RTO_S = 10;

/**
 * So often INIT or COOKIE ECHO is repeated after the initial time-out; from then on the time-out doubles. Losses of a busy moment cost half a second
 * each, and a far side that stands still for a while (a tab in the background) is asked once more after 17 s and given up after 27 s. werift's 4.5 s
 * are over while a busy machine starts.
 */
const EAGER_REPETITIONS = 3;

const FIRST_FRAGMENT = 2;
const LAST_FRAGMENT = 1;

export interface SctpOptions {
  readonly localPort: number;
  readonly remotePort: number;
  readonly maxMessageBytes: number;
  /** For `establish`. */
  readonly inits?: SctpInits;
}

/** werift's SCTP behind the filter, with a fence around each of its promises and timers, and bounds that it lacks. */
export class WeriftAssociation implements SctpAssociation {
  readonly #handlers: SctpHandlers;
  readonly #options: SctpOptions;
  readonly #sctp: WeriftSctp;
  #state: 'connecting' | 'connected' | 'ending' | 'closed' = 'connecting';
  #dataSeen = false;
  /** What it means when werift closes by itself. */
  #endedAs: SctpCloseReason = 'ended';
  #dropped = 0;
  /** Packets are handled one after the other: werift awaits in the middle of one and would start the next. */
  #tail: Promise<void> = Promise.resolve();
  #waitingPackets = 0;
  #messages: OutgoingMessage[] = [];
  /** Established by the descriptions, and nothing came of the far side yet: what was sent, should it know nothing of that. */
  #unheard: OutgoingMessage[] | undefined;
  #bufferedBytes = 0;

  constructor(sctpClass: WeriftSctpClass, options: SctpOptions, handlers: SctpHandlers) {
    this.#handlers = handlers;
    this.#options = options;
    const send = async (packet: Buffer) => {
      if (this.#state !== 'closed') this.#handlers.send(asInit(packet));
    };
    this.#sctp = new sctpClass({ send, onData: undefined, close: () => undefined }, options.localPort);
    this.#sctp.advertisedRwnd = RECEIVE_WINDOW_BYTES;
    this.#sctp.rto = INITIAL_RTO_S;
    if (options.inits) this.#announced(options.inits);
    this.#fence();
    this.#sctp.onReceive.subscribe((streamId, payloadId, data) => {
      this.#guard(() => this.#handlers.onMessage(streamId, payloadId, data));
    });
    this.#sctp.onReconfigStreams.subscribe((streamIds) => this.#guard(() => this.#handlers.onReset(streamIds)));
    this.#sctp.onSackReceived = async () => this.#pump();
    this.#catch(this.#sctp.start(options.remotePort));
  }

  get connected(): boolean {
    return this.#state === 'connected';
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  get droppedPackets(): number {
    return this.#dropped;
  }

  connect(): void {
    if (this.#state === 'connecting' && this.#sctp.associationState === WeriftState.closed) this.#catch(this.#sctp.init());
  }

  establish(): void {
    const { inits } = this.#options;
    if (!inits || this.#state !== 'connecting' || this.#sctp.associationState !== WeriftState.closed) return;
    this.#unheard = [];
    this.#sctp.setState(WeriftState.established);
  }

  handlePacket(packet: Buffer): void {
    if (this.#state === 'closed') return;
    const clean = filterSctp(packet, { maxGapOffset: this.#sctp.sentQueue.length + MAX_MISORDERED });
    if (!clean || this.#waitingPackets >= MAX_WAITING_PACKETS) {
      this.#dropped += 1;
      return;
    }
    this.#waitingPackets += 1;
    this.#tail = this.#tail.then(() => this.#process(clean)).catch((error: unknown) => this.#handlers.onFault(error));
  }

  send(streamId: number, payloadId: number, data: Buffer, ordered: boolean): void {
    if (this.#state === 'closed') return;
    this.#messages.push({ streamId, payloadId, data, ordered });
    this.#bufferedBytes += data.length;
    this.#pump();
  }

  resetStream(streamId: number): void {
    if (this.#state !== 'connected' || this.#sctp.reconfigQueue.includes(streamId)) return;
    this.#sctp.reconfigQueue.push(streamId);
    this.#catch(this.#sctp.transmitReconfigRequest());
  }

  close(): void {
    this.#end('closed');
  }

  async #process(packet: Buffer): Promise<void> {
    this.#waitingPackets -= 1;
    if (this.#state === 'closed') return;
    const first = packet[12];
    if (this.#unheard) {
      const unheard = this.#unheard;
      this.#unheard = undefined;
      if (first === SctpChunk.init) {
        this.#restart(packet, unheard);
        return;
      }
    }
    // A late INIT would set the association back to its start (werift does not look at its state then).
    if (first === SctpChunk.init && (this.#state === 'connected' || this.#dataSeen)) return;
    // Before INIT or INIT ACK there is no TSN to count from.
    if (first === SctpChunk.data && this.#sctp.lastReceivedTsn === undefined) return;
    this.#dataSeen ||= first === SctpChunk.data;
    const isForUs = packet.readUInt32BE(4) === this.#sctp.localVerificationTag;
    // Only a side that has the association up speaks so: its COOKIE ACK is lost, and need not be waited for.
    const isUp = isForUs && (first === SctpChunk.data || first === SctpChunk.sack);
    if (isUp && this.#sctp.associationState === WeriftState.cookieEchoed) this.#sctp.setState(WeriftState.established);
    const leaving = this.#state === 'connected' && isForUs && isFarewell(packet);
    if (leaving) this.#endedAs = 'remote_closed';
    await this.#sctp.handleData(packet);
    // After SHUTDOWN, which is acknowledged by now, werift would wait for a word that it does not take when it comes.
    if (leaving) this.#end('remote_closed');
    else if (this.#isOverflowing()) this.#end('overflow');
  }

  /** Hands messages on in the order they came, a few chunks ahead of what the window lets out. */
  #pump(): void {
    while (this.#state === 'connected' && this.#sctp.outboundQueue.length < MAX_HANDED_CHUNKS) {
      const message = this.#messages.shift();
      if (!message) return;
      this.#bufferedBytes -= message.data.length;
      this.#unheard?.push(message);
      this.#catch(this.#sctp.send(message.streamId, message.payloadId, message.data, { ordered: message.ordered }));
    }
  }

  #isOverflowing(): boolean {
    const { advertisedRwnd, sackMisOrdered, inboundStreams } = this.#sctp;
    if (sackMisOrdered.size > MAX_MISORDERED || advertisedRwnd < -WINDOW_OVERSHOOT_BYTES) return true;
    if (Object.keys(inboundStreams).length > MAX_INBOUND_STREAMS) return true;
    // Only an unfinished message can hold half a window back.
    if (advertisedRwnd > RECEIVE_WINDOW_BYTES - this.#options.maxMessageBytes) return false;
    return Object.values(inboundStreams).some(({ reassembly }) => unfinishedBytes(reassembly) > this.#options.maxMessageBytes);
  }

  /** What the descriptions said of both sides takes the place of INIT and INIT ACK. */
  #announced({ local, remote }: SctpInits): void {
    const sctp = this.#sctp;
    sctp.localVerificationTag = local.tag;
    sctp.advertisedRwnd = local.windowBytes;
    sctp.localTsn = local.tsn;
    sctp.lastSackedTsn = before(local.tsn);
    sctp.advancedPeerAckTsn = before(local.tsn);
    sctp.reconfigRequestSeq = local.tsn;
    sctp.remoteVerificationTag = remote.tag;
    sctp.lastReceivedTsn = before(remote.tsn);
    sctp.reconfigResponseSeq = before(remote.tsn);
    sctp.ssthresh = remote.windowBytes;
    sctp.peerAdvertisedRwnd = remote.windowBytes;
    sctp._inboundStreamsMax = local.inboundStreams;
    sctp._inboundStreamsCount = Math.min(remote.outboundStreams, local.inboundStreams);
    sctp._outboundStreamsCount = Math.min(local.outboundStreams, remote.inboundStreams);
    sctp.getExtensions(remote.parameters.map(({ type, value }) => [type, value] as const));
  }

  /** Nothing is said to the far side: it knows nothing of this association. */
  #restart(packet: Buffer, unheard: readonly OutgoingMessage[]): void {
    const messages = [...unheard, ...this.#messages];
    this.#state = 'closed';
    this.#sctp.setState(WeriftState.closed); // frees the timers
    this.#messages = [];
    this.#bufferedBytes = 0;
    this.#guard(() => this.#handlers.onRestart?.(packet, messages));
  }

  #end(reason: SctpCloseReason): void {
    if (this.#state === 'ending' || this.#state === 'closed') return;
    this.#state = 'ending';
    if (reason !== 'remote_closed') this.#catch(this.#sctp.stop()); // writes ABORT before it returns
    this.#sctp.setState(WeriftState.closed); // frees the timers
    this.#state = 'closed';
    this.#messages = [];
    this.#bufferedBytes = 0;
    this.#guard(() => this.#handlers.onClosed(reason));
  }

  /** werift leaves promises of its timers unattended and calls its own methods by name: the names are wrapped. */
  #fence(): void {
    const sctp = this.#sctp;
    const members = sctp as unknown as Record<string, (...args: unknown[]) => unknown>;
    for (const name of [
      'transmit',
      'timer1Expired',
      'timer2Expired',
      'timer3Expired',
      'timerReconfigHandleExpired',
      'timerHeartbeatExpired',
    ]) {
      const original = members[name]?.bind(sctp);
      if (!original) continue;
      members[name] = (...args) => {
        if (this.#state === 'closed') return Promise.resolve();
        try {
          return Promise.resolve(original(...args)).catch((error: unknown) => this.#handlers.onFault(error));
        } catch (error) {
          this.#handlers.onFault(error);
          return Promise.resolve();
        }
      };
    }
    const repeat = sctp.timer1Expired.bind(sctp);
    sctp.timer1Expired = () => {
      if (sctp.timer1Failures >= EAGER_REPETITIONS) sctp.rto = Math.min(MAX_RTO_S, 2 * sctp.rto);
      repeat();
    };
    const setState = sctp.setState.bind(sctp);
    sctp.setState = (state) => {
      if (this.#state === 'closed' && state !== WeriftState.closed) return; // an await that ended after the close
      setState(state);
      if (state === WeriftState.established) this.#established();
      else if (state === WeriftState.closed) this.#end(this.#endedAs);
    };
    const updateRto = sctp.updateRto.bind(sctp);
    sctp.updateRto = (sample) => {
      updateRto(sample);
      sctp.rto = Math.min(MAX_RTO_S, Math.max(MIN_RTO_S, (sctp.srtt ?? sample) + 4 * (sctp.rttvar ?? 0)));
    };
  }

  #established(): void {
    this.#sctp.timer1Cancel(); // when both sides sent INIT, werift leaves this one running and closes at its end
    if (this.#state !== 'connecting') return;
    this.#sctp.rto = INITIAL_RTO_S;
    this.#state = 'connected';
    this.#guard(() => this.#handlers.onConnected());
    this.#pump();
  }

  #catch(promise: Promise<unknown>): void {
    promise.catch((error: unknown) => this.#handlers.onFault(error));
  }

  #guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#handlers.onFault(error);
    }
  }
}

/**
 * INIT goes out under tag 0, repetitions too (RFC 9260 §8.5.1). werift writes the far side's tag as soon as it has heard an INIT; whoever gets that
 * throws it away, and where both sides had begun at once and lost their INIT ACKs, neither came up again.
 */
function asInit(packet: Buffer): Buffer {
  if (packet[12] !== SctpChunk.init || packet.readUInt32BE(4) === 0) return packet;
  packet.writeUInt32BE(0, 4);
  packet.writeUInt32LE(0, 8);
  packet.writeUInt32LE(sctpChecksum(packet), 8);
  return packet;
}

/** The TSN before this one. */
function before(tsn: number): number {
  return (tsn - 1) >>> 0;
}

/** Bytes of the message that a stream began to receive and cannot deliver yet, as far as they are in sequence. */
function unfinishedBytes(fragments: readonly { readonly tsn: number; readonly flags: number; readonly userData: Buffer }[]): number {
  let bytes = 0;
  let expected: number | undefined;
  for (const { tsn, flags, userData } of fragments) {
    if (expected === undefined ? !(flags & FIRST_FRAGMENT) : tsn !== expected || flags & LAST_FRAGMENT) break;
    bytes += userData.length;
    expected = (tsn + 1) >>> 0;
  }
  return bytes;
}
