import type { Endpoint } from '../../../src/base/addresses.ts';
import type { StreamListener, StreamSocket } from '../../../src/base/tcp.ts';

/** A connection that is a list: bytes are handed in, what is written is kept. */
export class FakeStream implements StreamSocket {
  readonly remote: Endpoint;
  readonly #onWrite: (text: string) => void;
  queuedBytes = 0;
  onData: ((chunk: Buffer) => void) | undefined;
  onClose: (() => void) | undefined;
  onConnect: (() => void) | undefined;
  written = '';
  paused = false;
  /** How it ended, if it did. */
  ended: 'ended' | 'destroyed' | 'by peer' | undefined;
  #failures: (() => void)[] = [];

  constructor(remote: Endpoint, onWrite: (text: string) => void = () => undefined) {
    this.remote = remote;
    this.#onWrite = onWrite;
  }

  receive(bytes: string | Buffer): void {
    this.onData?.(Buffer.from(bytes as string));
  }

  write(bytes: Uint8Array, onFailed?: () => void): void {
    if (this.ended) {
      onFailed?.();
      return;
    }
    if (onFailed) this.#failures.push(onFailed);
    const text = Buffer.from(bytes).toString();
    this.written += text;
    this.#onWrite(text);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  end(): void {
    this.ended ??= 'ended';
  }

  destroy(): void {
    this.ended ??= 'destroyed';
  }

  /** The peer closes or resets it, or refuses one of ours; what was written and is not on its way yet fails. */
  close({ undelivered = false } = {}): void {
    this.ended = 'by peer';
    if (undelivered) for (const failed of this.#failures.splice(0)) failed();
    this.onClose?.();
  }
}

export class FakeListener implements StreamListener {
  readonly local: Endpoint;
  onConnection: ((socket: StreamSocket) => void) | undefined;

  constructor(local: Endpoint) {
    this.local = local;
  }

  close(): void {
    this.onConnection = undefined;
  }
}
