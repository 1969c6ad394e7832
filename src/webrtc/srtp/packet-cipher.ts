import type { KeystreamHolder } from './keystream.ts';

/** Top bit of the index word of an SRTCP packet: the packet is encrypted (RFC 3711 §3.4). */
export const SRTCP_ENCRYPTED = 0x80000000;
/** Length of the index word of an SRTCP packet. */
export const SRTCP_WORD_BYTES = 4;
/** Of every RTCP packet: header and sender's SSRC are never encrypted. */
export const RTCP_HEADER_BYTES = 8;

/** One direction of one profile. It knows no stream: who calls keeps index, replay window and keystream. */
export interface PacketCipher {
  /** Bytes that protection adds to an RTP packet. */
  readonly rtpOverhead: number;
  /** Bytes that protection adds to an RTCP packet, the index word included. */
  readonly rtcpOverhead: number;
  /** @param index roll-over counter ‖ sequence number */
  sealRtp(packet: Uint8Array, headerBytes: number, ssrc: number, index: number, holder: KeystreamHolder): Buffer;
  /** Decrypts in place and returns the part of `packet` that is the RTP packet; undefined when it is not authentic. */
  openRtp(packet: Buffer, headerBytes: number, ssrc: number, index: number, holder: KeystreamHolder): Buffer | undefined;
  sealRtcp(packet: Uint8Array, ssrc: number, index: number): Buffer;
  /** As openRtp; the packet is at least a header and `rtcpOverhead` long. */
  openRtcp(packet: Buffer, ssrc: number): Buffer | undefined;
  /** Flag ‖ index of an SRTCP packet that is at least a header and `rtcpOverhead` long. */
  rtcpWord(packet: Buffer): number;
}
