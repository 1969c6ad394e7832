import { type DataChannelHandlers, DataChannels, MAX_MESSAGE_BYTES, type PeerChannel } from './data-channels.ts';
import type { SctpAssociation, SctpCloseReason } from './sctp-association.ts';
import { WeriftAssociation } from './werift-association.ts';
import { loadSctp, type WeriftSctpClass } from './werift-sctp.ts';

/** What may arrive while the SCTP code loads for the first time (150–200 ms): INIT and its repetitions. */
const MAX_EARLY_PACKETS = 32;

/** The port of every WebRTC stack (RFC 8841 §5.1 lets it differ). */
const SCTP_PORT = 5000;

/** What a far side takes that does not say (RFC 8841 §6.1). */
const DEFAULT_MAX_SEND_BYTES = 64 * 1024;

export interface DataTransportOptions {
  readonly dtlsRole: 'client' | 'server';
  /** a=sctp-port of the far side. */
  readonly remotePort?: number;
  /** a=max-message-size of the far side; 0 means any. */
  readonly maxSendBytes?: number;
}

export interface DataTransportHandlers extends DataChannelHandlers {
  /** A packet, to go into one DTLS record. */
  send(packet: Buffer): void;
  /** No more channels on this peer. */
  onEnded(reason: SctpCloseReason): void;
  onFault(error: unknown): void;
}

export interface DataSnapshot {
  readonly state: 'idle' | 'loading' | 'connecting' | 'connected' | 'closed';
  readonly channels: number;
  readonly bufferedBytes: number;
  readonly droppedPackets: number;
  readonly droppedMessages: number;
  /** Something inside threw: werift on a packet that the filter let through, or a handler of the owner. */
  readonly faults: number;
}

/** The data side of a peer: nothing but this object until the first channel is wanted by either side, then SCTP. */
export class DataTransport {
  readonly #options: DataTransportOptions;
  readonly #handlers: DataTransportHandlers;
  #channels: DataChannels | undefined;
  #association: SctpAssociation | undefined;
  #state: 'idle' | 'loading' | 'open' | 'closed' = 'idle';
  #early: Buffer[] = [];
  #dropped = 0;
  #faults = 0;
  #secured = false;
  #wanted = false;

  constructor(options: DataTransportOptions, handlers: DataTransportHandlers) {
    this.#options = options;
    this.#handlers = handlers;
  }

  /** DTLS is up: packets may leave. */
  handleSecured(): void {
    this.#secured = true;
    if (this.#wanted) this.#connect();
  }

  handlePacket(packet: Buffer): void {
    if (this.#association) {
      this.#association.handlePacket(packet);
    } else if (this.#state === 'closed' || this.#early.length >= MAX_EARLY_PACKETS) {
      this.#dropped += 1;
    } else {
      this.#early.push(packet);
      this.#load();
    }
  }

  open(label: string, options?: { protocol?: string; ordered?: boolean }): PeerChannel | undefined {
    if (this.#state === 'closed') return undefined;
    const channel = this.#ensureChannels().open(label, options);
    if (channel) this.#wanted = true;
    if (channel && this.#secured) this.#connect();
    return channel;
  }

  send(channel: PeerChannel, message: string | Uint8Array): boolean {
    return this.#channels?.send(channel, message) ?? false;
  }

  closeChannel(channel: PeerChannel): void {
    this.#channels?.close(channel);
  }

  close(): void {
    this.#end('closed');
  }

  snapshot(): DataSnapshot {
    const open = this.#association?.connected ? 'connected' : 'connecting';
    return {
      state: this.#state === 'open' ? open : this.#state,
      channels: this.#channels?.size ?? 0,
      bufferedBytes: this.#channels?.bufferedBytes ?? 0,
      droppedPackets: this.#dropped + (this.#association?.droppedPackets ?? 0),
      droppedMessages: this.#channels?.droppedMessages ?? 0,
      faults: this.#faults,
    };
  }

  /** Whoever opens a channel sends INIT; both may. */
  #connect(): void {
    if (this.#association) this.#association.connect();
    else this.#load();
  }

  #load(): void {
    if (this.#state !== 'idle') return;
    this.#state = 'loading';
    loadSctp().then(
      (sctpClass) => this.#start(sctpClass),
      (error: unknown) => {
        this.#fault(error);
        this.#end('ended');
      },
    );
  }

  #start(sctpClass: WeriftSctpClass): void {
    if (this.#state !== 'loading') return;
    this.#state = 'open';
    const channels = this.#ensureChannels();
    const { remotePort = SCTP_PORT } = this.#options;
    const association = new WeriftAssociation(
      sctpClass,
      { localPort: SCTP_PORT, remotePort, maxMessageBytes: MAX_MESSAGE_BYTES },
      {
        send: (packet) => this.#handlers.send(packet),
        onConnected: () => channels.handleConnected(),
        onMessage: (streamId, payloadId, data) => channels.handleMessage(streamId, payloadId, data),
        onReset: (streamIds) => channels.handleReset(streamIds),
        onClosed: (reason) => this.#end(reason),
        onFault: (error) => this.#fault(error),
      },
    );
    this.#association = association;
    channels.attach(association);
    for (const packet of this.#early.splice(0)) association.handlePacket(packet);
    if (this.#wanted && this.#secured) association.connect();
  }

  #ensureChannels(): DataChannels {
    const { dtlsRole, maxSendBytes = DEFAULT_MAX_SEND_BYTES } = this.#options;
    this.#channels ??= new DataChannels({ dtlsRole, maxSendBytes }, this.#handlers);
    return this.#channels;
  }

  #fault(error: unknown): void {
    this.#faults += 1;
    this.#handlers.onFault(error);
  }

  #end(reason: SctpCloseReason): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#early = [];
    this.#association?.close();
    this.#channels?.handleClosed();
    this.#handlers.onEnded(reason);
  }
}
