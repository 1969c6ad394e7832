import { sourceOf } from '../base/addresses.ts';
import type { StreamSocket } from '../base/tcp.ts';
import type { ClientAddress } from '../ownership/client-address.ts';
import { MAX_PAYLOAD_BYTES } from '../ownership/inner-frame.ts';
import { FrameReader, writeFrame } from './frame-reader.ts';

/** Why a connection ended. */
export type TcpClose =
  /** The client's own doing. */
  | 'left'
  /** Its first frame was no check for a session of ours, or did not come in time. */
  | 'no_check'
  | 'late'
  /** A frame larger than any packet of WebRTC, or than any check where one should be. */
  | 'too_large'
  /** The owner of the session never answered. */
  | 'unanswered'
  /** The session is over. */
  | 'gone'
  | 'idle'
  /** Does not read what it is sent. */
  | 'slow'
  /** Gave way to others. */
  | 'crowded'
  | 'bad_address'
  | 'shutdown';

/** A check with everything RFC 8445 knows is 200 bytes. Other protocols, TLS among them, show by it that they are not at home here. */
const MAX_FIRST_FRAME_BYTES = 1024;

/** With a look every half second a stranger is out within 5 s. */
const FIRST_CHECK_MS = 4500;
/** As the flow table has it: the owner of a session answers a check at once, and a client that is there checks every few seconds. */
const UNANSWERED_MS = 10_000;
const IDLE_MS = 60_000;

/** The kernel's own buffer is full by then, which is seconds of audio: what is late by so much is of no use any more. */
const MAX_QUEUED_MEDIA_BYTES = 8192;
/** Handshakes and data channels would be sent again, but are worth waiting for. */
const MAX_QUEUED_BYTES = 65_536;
/** A connection that could not take all it was given for so long is no way to talk. */
const SLOW_MS = 10_000;

/** One client over TCP: what it has shown of itself, and how long it may stay. */
export class TcpClient {
  readonly address: ClientAddress;
  /** Who it is counted with. */
  readonly source: string;
  readonly stream: StreamSocket;
  readonly reader = new FrameReader(MAX_FIRST_FRAME_BYTES);
  /** stranger → asked, by a check that names a session of ours → answered, by its owner. */
  state: 'stranger' | 'asked' | 'answered' | 'closed' = 'stranger';
  /** When the last whole frame came: dripping bytes is no sign of life. */
  heardAt: number;
  /** Frames that may still come until the next look. */
  allowance: number;
  paused = false;
  readonly #openedAt: number;
  /** Since when something has been queued, as far as anybody looked. */
  #queuedSince: number | undefined;

  constructor(address: ClientAddress, stream: StreamSocket, options: { readonly now: number; readonly allowance: number }) {
    this.address = address;
    this.source = sourceOf(address.address);
    this.stream = stream;
    this.#openedAt = this.heardAt = options.now;
    this.allowance = options.allowance;
  }

  /** It has shown a frame that may lead somewhere. */
  met(now: number): void {
    this.state = 'asked';
    this.heardAt = now;
    this.reader.maxFrameBytes = MAX_PAYLOAD_BYTES;
  }

  /** Sends a datagram. False when it was dropped, because too much is queued; media first. */
  send(datagram: Uint8Array): boolean {
    const limit = isMedia(datagram) ? MAX_QUEUED_MEDIA_BYTES : MAX_QUEUED_BYTES;
    if (datagram.length > MAX_PAYLOAD_BYTES || this.stream.queuedBytes > limit) return false;
    this.stream.write(writeFrame(datagram));
    return true;
  }

  /** Why it must go now, if it must. */
  overdue(now: number): TcpClose | undefined {
    if (this.state === 'stranger') return now - this.#openedAt > FIRST_CHECK_MS ? 'late' : undefined;
    if (this.state === 'asked' && now - this.#openedAt > FIRST_CHECK_MS + UNANSWERED_MS) return 'unanswered';
    if (now - this.heardAt > IDLE_MS) return 'idle';
    if (this.stream.queuedBytes === 0) this.#queuedSince = undefined;
    else this.#queuedSince ??= now;
    return this.#queuedSince !== undefined && now - this.#queuedSince > SLOW_MS ? 'slow' : undefined;
  }
}

/** RTP and RTCP, by the first byte (RFC 7983 §7). */
function isMedia(datagram: Uint8Array): boolean {
  const first = datagram[0] ?? 0;
  return first >= 128 && first <= 191;
}
