import { PayloadId, parseDcep, writeAck, writeOpen } from './dcep.ts';
import type { SctpAssociation } from './sctp-association.ts';

/** `oai-events` and a few more; each costs stream state in both directions. */
const MAX_CHANNELS = 8;

/** Waiting for the network: four of the largest messages. Beyond, the owner is told no. */
const MAX_BUFFERED_BYTES = 1024 * 1024;

/** The largest message taken in, and what our descriptions say in a=max-message-size. */
export const MAX_MESSAGE_BYTES = 256 * 1024;

export interface PeerChannel {
  readonly id: number;
  readonly label: string;
  readonly protocol: string;
  readonly ordered: boolean;
  readonly state: 'connecting' | 'open' | 'closed';
}

export interface DataChannelHandlers {
  /** A channel can be written: the far side opened it, or acknowledged ours. */
  onOpen(channel: PeerChannel): void;
  onMessage(channel: PeerChannel, message: string | Buffer): void;
  onClosed(channel: PeerChannel): void;
}

/** A channel that both sides made without asking (RFC 8831 §6.4 leaves how to the application). */
export interface NegotiatedChannel {
  /** 0 to 65534. */
  readonly id: number;
  readonly label: string;
  readonly protocol?: string;
  readonly ordered?: boolean;
}

export interface DataChannelOptions {
  /** Stream ids of our channels: even for the DTLS client, odd for the server (RFC 8832 §6). */
  readonly dtlsRole: 'client' | 'server';
  /** The far side's a=max-message-size; 0 means any. */
  readonly maxSendBytes: number;
  readonly negotiated?: readonly NegotiatedChannel[];
}

type Channel = { -readonly [K in keyof PeerChannel]: PeerChannel[K] } & { readonly isNegotiated?: boolean };

/** Data channels (RFC 8831, RFC 8832) on one association: opens them, accepts a bounded number, tells text from bytes. */
export class DataChannels {
  readonly #options: DataChannelOptions;
  readonly #handlers: DataChannelHandlers;
  readonly #channels = new Map<number, Channel>();
  #association: SctpAssociation | undefined;
  #connected = false;
  #droppedMessages = 0;

  constructor(options: DataChannelOptions, handlers: DataChannelHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    for (const { id, label, protocol = '', ordered = true } of (options.negotiated ?? []).slice(0, MAX_CHANNELS))
      this.#channels.set(id, { id, label, protocol, ordered, state: 'connecting', isNegotiated: true });
  }

  /** Messages that fit no channel, no format or no limit. */
  get droppedMessages(): number {
    return this.#droppedMessages;
  }

  get bufferedBytes(): number {
    return this.#association?.bufferedBytes ?? 0;
  }

  get size(): number {
    return this.#channels.size;
  }

  attach(association: SctpAssociation): void {
    this.#association = association;
  }

  /** Opens a channel; the request leaves once the association is up. Undefined when there are too many, or the name is too long. */
  open(label: string, { protocol = '', ordered = true }: { protocol?: string; ordered?: boolean } = {}): PeerChannel | undefined {
    if (this.#channels.size >= MAX_CHANNELS || Buffer.byteLength(label) > 256 || Buffer.byteLength(protocol) > 256) return undefined;
    let id = this.#options.dtlsRole === 'client' ? 0 : 1;
    while (this.#channels.has(id)) id += 2;
    const channel: Channel = { id, label, protocol, ordered, state: 'connecting' };
    this.#channels.set(id, channel);
    if (this.#connected) this.#request(channel);
    return channel;
  }

  /** False when the channel is not open, the message too large, or too much is waiting already. */
  send(channel: PeerChannel, message: string | Uint8Array): boolean {
    const association = this.#association;
    const ours = this.#channels.get(channel.id);
    if (!association || ours !== channel || ours.state !== 'open') return false;
    const text = typeof message === 'string';
    const data = text ? Buffer.from(message) : Buffer.from(message.buffer, message.byteOffset, message.byteLength);
    const { maxSendBytes } = this.#options;
    if ((maxSendBytes > 0 && data.length > maxSendBytes) || association.bufferedBytes + data.length > MAX_BUFFERED_BYTES) return false;
    // SCTP cannot carry nothing: an empty message is one byte by another name (RFC 8831 §6.6).
    if (data.length === 0) {
      association.send(ours.id, text ? PayloadId.stringEmpty : PayloadId.binaryEmpty, Buffer.alloc(1), ours.ordered);
    } else {
      association.send(ours.id, text ? PayloadId.string : PayloadId.binary, data, ours.ordered);
    }
    return true;
  }

  close(channel: PeerChannel): void {
    const ours = this.#channels.get(channel.id);
    if (ours !== channel) return;
    this.#association?.resetStream(ours.id);
    this.#forget(ours);
  }

  handleConnected(): void {
    this.#connected = true;
    for (const channel of [...this.#channels.values()]) {
      if (channel.isNegotiated) this.#opened(channel);
      else if (channel.state === 'connecting') this.#request(channel);
    }
  }

  handleMessage(streamId: number, payloadId: number, data: Buffer): void {
    if (payloadId === PayloadId.dcep) {
      this.#handleDcep(streamId, data);
      return;
    }
    const channel = this.#channels.get(streamId);
    const message = channel && decode(payloadId, data);
    if (!channel || message === undefined || data.length > MAX_MESSAGE_BYTES) {
      this.#droppedMessages += 1;
      return;
    }
    this.#opened(channel); // user data before the acknowledgement says as much (RFC 8832 §6)
    this.#handlers.onMessage(channel, message);
  }

  handleReset(streamIds: readonly number[]): void {
    for (const id of streamIds) {
      const channel = this.#channels.get(id);
      if (channel) this.#forget(channel);
    }
  }

  /** The association ended: so did every channel. */
  handleClosed(): void {
    this.#connected = false;
    for (const channel of [...this.#channels.values()]) this.#forget(channel);
  }

  #handleDcep(streamId: number, data: Buffer): void {
    const message = parseDcep(data);
    const channel = this.#channels.get(streamId);
    if (message?.type === 'ack' && channel) {
      this.#opened(channel);
    } else if (message?.type === 'open' && !channel && this.#channels.size < MAX_CHANNELS) {
      const { label, protocol, ordered } = message;
      const accepted: Channel = { id: streamId, label, protocol, ordered, state: 'connecting' };
      this.#channels.set(streamId, accepted);
      this.#association?.send(streamId, PayloadId.dcep, writeAck(), true);
      this.#opened(accepted);
    } else {
      this.#droppedMessages += 1;
      if (message?.type === 'open' && !channel) this.#association?.resetStream(streamId);
    }
  }

  #request(channel: Channel): void {
    this.#association?.send(channel.id, PayloadId.dcep, writeOpen(channel), true);
  }

  #opened(channel: Channel): void {
    if (channel.state !== 'connecting') return;
    channel.state = 'open';
    this.#handlers.onOpen(channel);
  }

  #forget(channel: Channel): void {
    this.#channels.delete(channel.id);
    channel.state = 'closed';
    this.#handlers.onClosed(channel);
  }
}

function decode(payloadId: number, data: Buffer): string | Buffer | undefined {
  switch (payloadId) {
    case PayloadId.string:
      return data.toString('utf8');
    case PayloadId.binary:
      return data;
    case PayloadId.stringEmpty:
      return '';
    case PayloadId.binaryEmpty:
      return Buffer.alloc(0);
    default:
      return undefined;
  }
}
