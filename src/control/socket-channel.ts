import type { WebSocket } from 'ws';
import type { EventChannel, OpenedChannel } from '../leg/session-host.ts';

/**
 * What a client may leave unread: two minutes of speech as the model makes it at once (64 kB/s as base64). Whoever is farther behind does not read.
 */
const MAX_BUFFERED_BYTES = 8 * 1024 * 1024;
/** What the owner may say before the handshake is done: `session.created` and little else. */
const MAX_WAITING = 64;
/** RFC 6455 §5.5: a close frame has 125 bytes, two of them the code. */
const MAX_REASON_BYTES = 123;

/** RFC 6455 §7.4.1. */
export const closeCodes = { normal: 1000, goingAway: 1001, unsupportedData: 1003, internalError: 1011, tryAgainLater: 1013 } as const;

/** A WebSocket as a way for events. It is there before the handshake, so that a session that cannot be had is refused with an HTTP status. */
export class SocketChannel implements EventChannel {
  #socket: WebSocket | undefined;
  #opened: OpenedChannel | undefined;
  #waiting: string[] = [];
  #closing: { readonly code: number; readonly reason: string } | undefined;
  #gone = false;

  send(event: string): boolean {
    if (this.#gone || this.#closing) return true; // it will hear of the end soon enough
    if (!this.#socket) return this.#waiting.length < MAX_WAITING && this.#waiting.push(event) > 0;
    if (this.#socket.bufferedAmount + event.length > MAX_BUFFERED_BYTES) return false;
    this.#socket.send(event);
    return true;
  }

  close(code: number, reason: string): void {
    if (this.#gone || this.#closing) return;
    this.#closing = { code: isCloseCode(code) ? code : closeCodes.internalError, reason: clip(reason) };
    this.#sayClose();
  }

  /** The owner has taken the channel. */
  open(opened: OpenedChannel): void {
    this.#opened = opened;
    if (this.#gone) opened.close();
  }

  /** The handshake is done. */
  attach(socket: WebSocket): void {
    this.#socket = socket;
    for (const event of this.#waiting) socket.send(event);
    this.#waiting = [];
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      if (isBinary) this.close(closeCodes.unsupportedData, 'events are JSON text');
      else if (!this.#closing) this.#opened?.receive(data.toString('utf8'));
    });
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => this.lost());
    this.#sayClose();
  }

  /** The client has gone, before the handshake or after it. */
  lost(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#waiting = [];
    this.#opened?.close();
  }

  #sayClose(): void {
    if (this.#closing) this.#socket?.close(this.#closing.code, this.#closing.reason);
  }
}

/** Codes that may stand in a frame. */
function isCloseCode(code: number): boolean {
  return (code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006) || (code >= 3000 && code <= 4999);
}

function clip(reason: string): string {
  if (Buffer.byteLength(reason) <= MAX_REASON_BYTES) return reason;
  let end = MAX_REASON_BYTES;
  const bytes = Buffer.from(reason);
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1; // not in the middle of a character
  return bytes.toString('utf8', 0, end);
}
