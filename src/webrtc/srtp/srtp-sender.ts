import { GatewayError } from '../../base/errors.ts';
import { choosePacketCipher } from './choose-cipher.ts';
import type { KeystreamBatch } from './keystream.ts';
import { type PacketCipher, RTCP_HEADER_BYTES } from './packet-cipher.ts';
import { nearestIndex } from './packet-index.ts';
import type { SrtpMaster } from './profile.ts';
import { rtcpSsrc, rtpHeaderBytes, rtpSsrc } from './rtp-header.ts';

interface SentStream {
  /** Greatest index sent, or -1. */
  highest: number;
  batch: KeystreamBatch | undefined;
  rtcpIndex: number;
}

/** A peer sends one audio stream; the rest is room for changed SSRCs. State is never dropped: an index used twice gives the keystream away. */
const MAX_STREAMS = 64;
/** RFC 3711 §9.2: 2^31 SRTCP packets under one master key. */
const MAX_RTCP_INDEX = 0x7fffffff;

/** Protects what we send to one peer. The same sequence number must never be sent twice with different content. */
export class SrtpSender {
  readonly #cipher: PacketCipher;
  readonly #streams = new Map<number, SentStream>();
  /** The stream of the last packet: saves the look-up for all but the first. */
  #lastSsrc = -1;
  #last: SentStream | undefined;

  constructor(master: SrtpMaster) {
    this.#cipher = choosePacketCipher(master);
  }

  /** @throws GatewayError ERR_INVALID_STATE when it is not an RTP packet, or one SSRC too many */
  protectRtp(packet: Uint8Array): Buffer {
    const headerBytes = rtpHeaderBytes(packet);
    if (headerBytes === undefined) throw new GatewayError('ERR_INVALID_STATE', 'not an RTP packet');
    const ssrc = rtpSsrc(packet);
    const stream = this.#stream(ssrc);
    const index = Math.max(0, nearestIndex(stream.highest, (packet[2]! << 8) | packet[3]!));
    if (index > stream.highest) stream.highest = index;
    return this.#cipher.sealRtp(packet, headerBytes, ssrc, index, stream);
  }

  /** @throws GatewayError ERR_INVALID_STATE when it is not an RTCP packet, one SSRC too many, or after 2^31 packets */
  protectRtcp(packet: Uint8Array): Buffer {
    if (packet.length < RTCP_HEADER_BYTES) throw new GatewayError('ERR_INVALID_STATE', 'not an RTCP packet');
    const ssrc = rtcpSsrc(packet);
    const stream = this.#stream(ssrc);
    if (stream.rtcpIndex >= MAX_RTCP_INDEX) throw new GatewayError('ERR_INVALID_STATE', 'SRTCP index used up');
    stream.rtcpIndex += 1;
    return this.#cipher.sealRtcp(packet, ssrc, stream.rtcpIndex);
  }

  #stream(ssrc: number): SentStream {
    if (ssrc === this.#lastSsrc && this.#last) return this.#last;
    let stream = this.#streams.get(ssrc);
    if (!stream) {
      if (this.#streams.size >= MAX_STREAMS) throw new GatewayError('ERR_INVALID_STATE', `more than ${MAX_STREAMS} SSRCs sent to one peer`);
      stream = { highest: -1, batch: undefined, rtcpIndex: 0 };
      this.#streams.set(ssrc, stream);
    }
    this.#lastSsrc = ssrc;
    this.#last = stream;
    return stream;
  }
}
