import { type DataChannelHandlers, DataChannels, MAX_MESSAGE_BYTES, type NegotiatedChannel, type PeerChannel } from './data-channels.ts';
import { PayloadId } from './dcep.ts';
import type { OutgoingMessage, SctpAssociation, SctpCloseReason } from './sctp-association.ts';
import type { SctpInits } from './sctp-init.ts';
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
  /** SCTP begins with the end of DTLS, not with the first channel. */
  readonly isEager?: boolean;
  /** Of the descriptions (SNAP): there is no handshake of SCTP. */
  readonly inits?: SctpInits;
  readonly negotiated?: readonly NegotiatedChannel[];
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
    this.#wanted = options.isEager === true || options.inits !== undefined || options.negotiated !== undefined;
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
    if (!this.#association) this.#load();
    else if (this.#options.inits) this.#association.establish();
    else this.#association.connect();
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
    const association = this.#associate(sctpClass, this.#options.inits);
    for (const packet of this.#early.splice(0)) association.handlePacket(packet);
    if (this.#wanted && this.#secured) this.#connect();
  }

  #associate(sctpClass: WeriftSctpClass, inits: SctpInits | undefined): SctpAssociation {
    const channels = this.#ensureChannels();
    const { remotePort = SCTP_PORT } = this.#options;
    const association = new WeriftAssociation(
      sctpClass,
      { localPort: SCTP_PORT, remotePort, maxMessageBytes: MAX_MESSAGE_BYTES, ...(inits && { inits }) },
      {
        send: (packet) => this.#handlers.send(packet),
        onConnected: () => channels.handleConnected(),
        onMessage: (streamId, payloadId, data) => channels.handleMessage(streamId, payloadId, data),
        onReset: (streamIds) => channels.handleReset(streamIds),
        onClosed: (reason) => this.#end(reason),
        onRestart: (packet, unheard) => this.#restart(sctpClass, packet, unheard),
        onFault: (error) => this.#fault(error),
      },
    );
    this.#association = association;
    channels.attach(association);
    return association;
  }

  /** The far side does without SNAP after all: the same by a handshake, and what it has not heard once more. */
  #restart(sctpClass: WeriftSctpClass, packet: Buffer, unheard: readonly OutgoingMessage[]): void {
    if (this.#state !== 'open') return;
    const association = this.#associate(sctpClass, undefined);
    for (const { streamId, payloadId, data, ordered } of unheard) {
      // Requests are made anew for every channel that waits.
      if (payloadId !== PayloadId.dcep) association.send(streamId, payloadId, data, ordered);
    }
    association.handlePacket(packet);
  }

  #ensureChannels(): DataChannels {
    const { dtlsRole, maxSendBytes = DEFAULT_MAX_SEND_BYTES, negotiated = [] } = this.#options;
    this.#channels ??= new DataChannels({ dtlsRole, maxSendBytes, negotiated }, this.#handlers);
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
