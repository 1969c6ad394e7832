import { choosePacketCipher } from './choose-cipher.ts';
import { SHA1_80_TAG_BYTES } from './hmac-sha1.ts';
import type { KeystreamBatch } from './keystream.ts';
import { withoutMki } from './mki.ts';
import { type PacketCipher, RTCP_HEADER_BYTES } from './packet-cipher.ts';
import { nearestIndex } from './packet-index.ts';
import type { SrtpMaster } from './profile.ts';
import { ReplayWindow } from './replay-window.ts';
import { rtcpSsrc, rtpHeaderBytes, rtpSsrc } from './rtp-header.ts';

/**
 * Why packets were dropped. `malformed`: too short, or no RTP header. `replay`: seen before, or too far back to know.
 * `auth`: the tag is wrong. `retired`: of an SSRC that had to give its place to another.
 */
export type SrtpDropReason = 'malformed' | 'replay' | 'auth' | 'retired';

interface ReceivedStream {
  readonly rtp: ReplayWindow;
  readonly rtcp: ReplayWindow;
  batch: KeystreamBatch | undefined;
  /** Number of the last packet, of all streams: who was silent longest goes first. */
  usedAt: number;
}

/** A peer sends one audio stream; the rest is room for changed SSRCs. */
const MAX_STREAMS = 16;
/** SSRCs whose replay window is gone may never come back; after so many changes new ones are refused. */
const MAX_RETIRED = 1024;

/** Checks and decrypts what one peer sends. Nothing changes, and no stream comes into being, before a packet proved authentic. */
export class SrtpReceiver {
  readonly #cipher: PacketCipher;
  readonly #mki: Buffer | undefined;
  /** Bytes behind the MKI: the tag, but for GCM, whose tag belongs to what is encrypted (RFC 7714 §8.2, §9.2). */
  readonly #behindMki: number;
  readonly #streams = new Map<number, ReceivedStream>();
  /** What the next new SSRC will get; made before it is needed, so that garbage costs nothing. */
  #spare = newStream();
  readonly #retired = new Set<number>();
  readonly #dropped: Record<SrtpDropReason, number> = { malformed: 0, replay: 0, auth: 0, retired: 0 };
  #packets = 0;
  #lastSsrc = -1;
  #last: ReceivedStream | undefined;

  constructor(master: SrtpMaster) {
    this.#cipher = choosePacketCipher(master);
    this.#mki = master.mki;
    this.#behindMki = master.profile === 'AEAD_AES_128_GCM' ? 0 : this.#cipher.rtpOverhead;
  }

  /** The RTP packet, decrypted in place: a part of what is given. Undefined when it was dropped. */
  unprotectRtp(protectedPacket: Buffer): Buffer | undefined {
    const packet = this.#mki ? withoutMki(protectedPacket, this.#mki, this.#behindMki) : protectedPacket;
    if (!packet) return this.#drop('malformed');
    const headerBytes = rtpHeaderBytes(packet);
    if (headerBytes === undefined || packet.length < headerBytes + this.#cipher.rtpOverhead) return this.#drop('malformed');
    const ssrc = rtpSsrc(packet);
    const known = this.#find(ssrc);
    if (!known && !this.#hasRoomFor(ssrc)) return this.#drop('retired');
    const index = nearestIndex(known ? known.rtp.highest : -1, (packet[2]! << 8) | packet[3]!);
    if (index < 0 || known?.rtp.has(index)) return this.#drop('replay');
    const stream = known ?? this.#spare;
    const opened = this.#cipher.openRtp(packet, headerBytes, ssrc, index, stream);
    if (!opened) return this.#drop('auth');
    this.#keep(ssrc, stream);
    stream.rtp.mark(index);
    return opened;
  }

  /** The RTCP packet, decrypted in place: a part of what is given. Undefined when it was dropped. */
  unprotectRtcp(protectedPacket: Buffer): Buffer | undefined {
    const packet = this.#mki ? withoutMki(protectedPacket, this.#mki, this.#behindMki && SHA1_80_TAG_BYTES) : protectedPacket;
    if (!packet) return this.#drop('malformed');
    if (packet.length < RTCP_HEADER_BYTES + this.#cipher.rtcpOverhead) return this.#drop('malformed');
    const ssrc = rtcpSsrc(packet);
    const known = this.#find(ssrc);
    if (!known && !this.#hasRoomFor(ssrc)) return this.#drop('retired');
    const index = this.#cipher.rtcpWord(packet) & 0x7fffffff;
    if (known?.rtcp.has(index)) return this.#drop('replay');
    const opened = this.#cipher.openRtcp(packet, ssrc);
    if (!opened) return this.#drop('auth');
    const stream = known ?? this.#spare;
    this.#keep(ssrc, stream);
    stream.rtcp.mark(index);
    return opened;
  }

  snapshot(): { readonly packets: number; readonly streams: number; readonly dropped: Readonly<Record<SrtpDropReason, number>> } {
    return { packets: this.#packets, streams: this.#streams.size, dropped: { ...this.#dropped } };
  }

  #drop(reason: SrtpDropReason): undefined {
    this.#dropped[reason] += 1;
    return undefined;
  }

  #find(ssrc: number): ReceivedStream | undefined {
    return ssrc === this.#lastSsrc ? this.#last : this.#streams.get(ssrc);
  }

  #hasRoomFor(ssrc: number): boolean {
    if (this.#retired.has(ssrc)) return false;
    return this.#streams.size < MAX_STREAMS || this.#retired.size < MAX_RETIRED;
  }

  /** Called for authentic packets only. */
  #keep(ssrc: number, stream: ReceivedStream): void {
    this.#packets += 1;
    stream.usedAt = this.#packets;
    if (ssrc === this.#lastSsrc) return;
    if (!this.#streams.has(ssrc)) {
      if (this.#streams.size >= MAX_STREAMS) this.#retireOldest();
      this.#streams.set(ssrc, stream);
      this.#spare = newStream();
    }
    this.#lastSsrc = ssrc;
    this.#last = stream;
  }

  #retireOldest(): void {
    let oldest: number | undefined;
    let usedAt = Number.POSITIVE_INFINITY;
    for (const [ssrc, stream] of this.#streams) {
      if (stream.usedAt >= usedAt) continue;
      usedAt = stream.usedAt;
      oldest = ssrc;
    }
    if (oldest === undefined) return;
    this.#streams.delete(oldest);
    this.#retired.add(oldest);
  }
}

function newStream(): ReceivedStream {
  return { rtp: new ReplayWindow(), rtcp: new ReplayWindow(), batch: undefined, usedAt: 0 };
}
