import type { JSONRPCMessage, MessageExtraInfo, Transport, TransportSendOptions } from '@modelcontextprotocol/client';
import type { Clock } from '../../base/clock.ts';
import { McpFault } from './mcp-fault.ts';

/** Messages a server may send: answers, progress, and news of its tools. So many at once, and so many a second for ever. */
const BURST_MESSAGES = 500;
const MESSAGES_A_SECOND = 20;

/** A transport whose server is cut off when it sends more messages than any conversation has use for. */
export class BoundedTransport implements Transport {
  onclose?: (() => void) | undefined;
  onerror?: ((error: Error) => void) | undefined;
  onmessage?: (<Message extends JSONRPCMessage>(message: Message, extra?: MessageExtraInfo) => void) | undefined;
  readonly #inner: Transport;
  readonly #clock: Clock;
  #tokens = BURST_MESSAGES;
  #filledAt: number;
  #isClosed = false;

  constructor(inner: Transport, clock: Clock) {
    this.#inner = inner;
    this.#clock = clock;
    this.#filledAt = clock.now();
    inner.onmessage = (message, extra) => {
      if (!this.#isClosed && this.#admits()) this.onmessage?.(message, extra);
    };
    inner.onerror = (error) => this.onerror?.(error);
    inner.onclose = () => this.#close();
  }

  get hasPerRequestStream(): boolean {
    return this.#inner.hasPerRequestStream ?? false;
  }

  get sessionId(): string | undefined {
    return this.#inner.sessionId;
  }

  start(): Promise<void> {
    return this.#inner.start();
  }

  send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    return this.#inner.send(message, options);
  }

  async close(): Promise<void> {
    await this.#inner.close();
    this.#close();
  }

  setProtocolVersion(version: string): void {
    this.#inner.setProtocolVersion?.(version);
  }

  setSupportedProtocolVersions(versions: string[]): void {
    this.#inner.setSupportedProtocolVersions?.(versions);
  }

  #admits(): boolean {
    const now = this.#clock.now();
    this.#tokens = Math.min(BURST_MESSAGES, this.#tokens + ((now - this.#filledAt) * MESSAGES_A_SECOND) / 1000);
    this.#filledAt = now;
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return true;
    }
    this.onerror?.(new McpFault('flood', 'The server sends more messages than anybody reads.'));
    this.#close();
    this.#inner.close().catch(() => {});
    return false;
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.onclose?.();
  }
}
