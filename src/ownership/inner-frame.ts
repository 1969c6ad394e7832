import { createHmac, timingSafeEqual } from 'node:crypto';
import { CLIENT_ADDRESS_BYTES, ClientAddress, type ClientKey, type ClientRef, FLOW_ID_BYTES, readClientKey } from './client-address.ts';
import { findKey, type RelayKeys } from './cluster-keys.ts';
import type { NodeId } from './node-id.ts';

/**
 * The wire between relays and transceivers. One UDP datagram is
 *
 *   magic 8 ‖ version 4 ‖ key id 4 ‖ direction 8 ‖ sender node 24 ‖ receiver node 24 ‖ sender's boot id 64 ‖ counter 64
 *   frames, each: payload length 16 ‖ flags 8 ‖ client address 128 ‖ client port 16 ‖ payload
 *   MAC 64 (HMAC-SHA256 over all before it, truncated)
 *
 * The low four bits of flags are the kind of frame. Bit 4 says that the client comes over TCP: the first 32 bits of what the payload length
 * counts are then the number of its connection. The other bits are 0.
 */
export type FrameKind =
  /** A client's datagram, up or down, opaque. */
  | 'data'
  /** Down: the session of this flow is not here, forget it. */
  | 'gone'
  /** Up: a relay is alive; the payload says where clients reach it. */
  | 'hello'
  /** Down: the hello was heard. */
  | 'hello_ack'
  /** Down: this client belongs here; sent to a relay that has just booted, for flows on which we are silent. */
  | 'flow';

export type Direction = 'up' | 'down';

/** Up is relay to transceiver. In the MAC, so that nobody can throw a datagram back at its sender. */
const DIRECTIONS: Record<Direction, number> = { up: 1, down: 2 };
const KINDS: readonly (FrameKind | undefined)[] = [undefined, 'data', 'gone', 'hello', 'hello_ack', 'flow'];
const KIND_CODES: Record<FrameKind, number> = { data: 1, gone: 2, hello: 3, hello_ack: 4, flow: 5 };

const KIND_BITS = 0x0f;
const TCP_BIT = 0x10;

const MAGIC = 0x52;
const VERSION = 1;
const HEADER_BYTES = 25;
const FRAME_HEADER_BYTES = 3 + CLIENT_ADDRESS_BYTES;
/** 64 bits: one guess in 2^64, over a private wire, for packets that are authenticated again at their ends. */
const MAC_BYTES = 8;

/** Frames are put together up to this size: it fits any path of 1500 B with room for tunnels. A larger frame travels alone. */
export const COALESCED_BYTES = 1400;

/** No packet of WebRTC exceeds an MTU of 1500; a peer on loopback (MTU 65536) may send a whole DTLS flight in one datagram. */
export const MAX_PAYLOAD_BYTES = 8192;

/** Room for the payload length, so that length and MAC cannot be made to disagree. */
const MAX_DATAGRAM_BYTES = HEADER_BYTES + FRAME_HEADER_BYTES + FLOW_ID_BYTES + MAX_PAYLOAD_BYTES + MAC_BYTES;

export interface DatagramHeader {
  readonly direction: Direction;
  readonly sender: NodeId;
  readonly receiver: NodeId;
  /** Grows with each start of the sender (makeBootId). */
  readonly bootId: number;
  /** From 1, one more with each datagram of this boot, whoever receives it. */
  readonly counter: number;
}

const NO_CLIENT = new Uint8Array(CLIENT_ADDRESS_BYTES);

/** A safe integer that grows from one start of a process to the next: wall-clock milliseconds and 10 random bits (lasts until 2248). */
export function makeBootId(wallclock: number, random: number): number {
  return Math.floor(wallclock) * 1024 + (random & 1023);
}

/** Puts frames into one datagram. Copies payloads. */
export class DatagramWriter {
  #buffer = Buffer.allocUnsafe(COALESCED_BYTES);
  #end = HEADER_BYTES;

  get empty(): boolean {
    return this.#end === HEADER_BYTES;
  }

  /** Would this payload still go into the datagram? An empty one takes any payload up to MAX_PAYLOAD_BYTES. */
  fits(payload: Uint8Array, client: Uint8Array = NO_CLIENT): boolean {
    return this.empty ? payload.length <= MAX_PAYLOAD_BYTES : this.#endWith(payload, client) + MAC_BYTES <= COALESCED_BYTES;
  }

  /** Adds a frame that fits. `client` is the bytes of a ClientAddress; all zero for frames about no client. */
  add(kind: FrameKind, payload: Uint8Array, client: Uint8Array = NO_CLIENT): void {
    const end = this.#endWith(payload, client);
    if (end + MAC_BYTES > this.#buffer.length) this.#buffer = Buffer.allocUnsafe(end + MAC_BYTES); // only ever the first frame: nothing to keep
    const buffer = this.#buffer;
    const start = this.#end;
    const clientBytes = client.length;
    const length = payload.length + clientBytes - CLIENT_ADDRESS_BYTES;
    buffer[start] = length >>> 8;
    buffer[start + 1] = length & 0xff;
    buffer[start + 2] = clientBytes > CLIENT_ADDRESS_BYTES ? KIND_CODES[kind] | TCP_BIT : KIND_CODES[kind];
    for (let i = 0; i < clientBytes; i += 1) buffer[start + 3 + i] = client[i] ?? 0;
    buffer.set(payload, start + 3 + clientBytes);
    this.#end = end;
  }

  /** The finished datagram; the writer is empty again and keeps nothing of it. */
  seal(header: DatagramHeader, keys: Pick<RelayKeys, 'inner'>): Buffer {
    const { id, key } = keys.inner.current;
    const buffer = this.#buffer;
    const end = this.#end;
    buffer[0] = MAGIC;
    buffer[1] = (VERSION << 4) | id;
    buffer[2] = DIRECTIONS[header.direction];
    buffer.writeUIntBE(header.sender, 3, 3);
    buffer.writeUIntBE(header.receiver, 6, 3);
    writeSafeInteger(buffer, header.bootId, 9);
    writeSafeInteger(buffer, header.counter, 17);
    const mac = createHmac('sha256', key).update(buffer.subarray(0, end)).digest();
    for (let i = 0; i < MAC_BYTES; i += 1) buffer[end + i] = mac[i] ?? 0;
    // The kernel may still hold the last datagram, so its buffer is never written again.
    this.#buffer = Buffer.allocUnsafe(COALESCED_BYTES);
    this.#end = HEADER_BYTES;
    return buffer.subarray(0, end + MAC_BYTES);
  }

  #endWith(payload: Uint8Array, client: Uint8Array): number {
    return this.#end + 3 + client.length + payload.length;
  }
}

/**
 * Walks the frames of one datagram. One reader serves all datagrams of a socket: what it shows is valid until the next call.
 * Never throws: a datagram that is not ours opens as undefined, frames that do not add up end the walk.
 */
export class DatagramReader implements ClientRef {
  #datagram: Buffer = Buffer.alloc(0);
  #next = 0;
  #end = 0;
  #clientAt = 0;
  #overTcp = false;
  kind: FrameKind = 'data';
  /** The frame's payload: a view into the datagram. */
  payload: Buffer = this.#datagram;

  /** Checks shape and MAC and goes before the first frame. Replay is the caller's business. */
  open(datagram: Buffer, keys: Pick<RelayKeys, 'inner'>): DatagramHeader | undefined {
    this.#next = this.#end = 0;
    const end = datagram.length - MAC_BYTES;
    if (end < HEADER_BYTES || datagram.length > MAX_DATAGRAM_BYTES) return undefined;
    if (datagram[0] !== MAGIC || (datagram[1] ?? 0) >>> 4 !== VERSION) return undefined;
    const direction = datagram[2] === DIRECTIONS.up ? 'up' : datagram[2] === DIRECTIONS.down ? 'down' : undefined;
    const key = findKey(keys.inner, (datagram[1] ?? 0) & 0x0f);
    if (!direction || !key) return undefined;
    const mac = createHmac('sha256', key).update(datagram.subarray(0, end)).digest();
    if (!timingSafeEqual(mac.subarray(0, MAC_BYTES), datagram.subarray(end))) return undefined;
    const bootId = readSafeInteger(datagram, 9);
    const counter = readSafeInteger(datagram, 17);
    if (bootId === undefined || counter === undefined) return undefined;
    this.#datagram = datagram;
    this.#next = HEADER_BYTES;
    this.#end = end;
    return { direction, sender: datagram.readUIntBE(3, 3), receiver: datagram.readUIntBE(6, 3), bootId, counter };
  }

  /** Goes to the next frame; false at the end. Frames of a kind we do not know are stepped over. */
  next(): boolean {
    while (this.#next + FRAME_HEADER_BYTES <= this.#end) {
      const at = this.#next;
      const datagram = this.#datagram;
      const start = at + FRAME_HEADER_BYTES;
      const end = start + datagram.readUInt16BE(at);
      if (end > this.#end) break;
      this.#next = end;
      const flags = datagram[at + 2] ?? 0;
      const kind = KINDS[flags & KIND_BITS];
      const overTcp = (flags & TCP_BIT) !== 0;
      const payloadAt = overTcp ? start + FLOW_ID_BYTES : start;
      if (!kind || flags > (KIND_BITS | TCP_BIT) || payloadAt > end) continue;
      this.kind = kind;
      this.#clientAt = at + 3;
      this.#overTcp = overTcp;
      this.payload = datagram.subarray(payloadAt, end);
      return true;
    }
    this.#next = this.#end;
    return false;
  }

  /** Of the frame's client. */
  get key(): ClientKey {
    return readClientKey(this.#datagram, this.#clientAt, this.#overTcp);
  }

  resolve(): ClientAddress {
    return ClientAddress.read(this.#datagram, this.#clientAt, this.#overTcp);
  }
}

function writeSafeInteger(buffer: Buffer, value: number, offset: number): void {
  buffer.writeUInt32BE(Math.floor(value / 0x1_0000_0000), offset);
  buffer.writeUInt32BE(value >>> 0, offset + 4);
}

function readSafeInteger(buffer: Buffer, offset: number): number | undefined {
  const high = buffer.readUInt32BE(offset);
  return high > 0x1f_ffff ? undefined : high * 0x1_0000_0000 + buffer.readUInt32BE(offset + 4);
}
