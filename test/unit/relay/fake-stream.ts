import type { Endpoint } from '../../../src/base/addresses.ts';
import type { StreamListener, StreamSocket } from '../../../src/base/tcp.ts';

/** A TCP connection that keeps what is written to it; a test is its far end. */
export class FakeStream implements StreamSocket {
  readonly remote: Endpoint;
  onData: ((chunk: Buffer) => void) | undefined;
  onClose: (() => void) | undefined;
  onConnect: (() => void) | undefined;
  readonly written: Buffer[] = [];
  /** What the far end has not read, as far as a test says. */
  queuedBytes = 0;
  paused = false;
  destroyed = false;

  constructor(remote: Endpoint) {
    this.remote = remote;
  }

  /** The far end sends. */
  receive(...chunks: readonly Uint8Array[]): void {
    for (const chunk of chunks) this.onData?.(Buffer.from(chunk));
  }

  write(bytes: Uint8Array): void {
    this.written.push(Buffer.from(bytes));
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  end(): void {
    this.destroy();
  }

  destroy(): void {
    this.destroyed = true;
    this.onClose?.();
  }
}

/** A TCP port whose callers are made up. */
export class FakeListener implements StreamListener {
  readonly local: Endpoint = { address: '192.0.2.1', port: 3478 };
  onConnection: ((socket: StreamSocket) => void) | undefined;
  closed = false;

  connect(address = '192.0.2.7', port = 5000): FakeStream {
    const stream = new FakeStream({ address, port });
    this.onConnection?.(stream);
    return stream;
  }

  close(): void {
    this.closed = true;
  }
}
