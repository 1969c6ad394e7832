import { randomText } from '../base/ids.ts';
import type { EventChannel } from '../leg/session-host.ts';
import type { PeerChannel } from '../webrtc/sctp/data-channels.ts';

/** The label of the reference's data channel. */
export const EVENTS_LABEL = 'oai-events';

/** What takes a client's events. */
export interface ChannelEnd {
  receive(event: string): void;
  /** The client has gone. */
  close(): void;
}

/** Who a data channel is opened to. */
export interface ChannelOwner {
  /** Undefined: it takes no more. */
  open(channel: EventChannel): ChannelEnd | undefined;
}

/** What is needed of the peer. */
export interface ChannelPeer {
  sendMessage(channel: PeerChannel, message: string): boolean;
  closeChannel(channel: PeerChannel): void;
}

/**
 * Lets a browser's data channel in to its session: the one that is called as the reference calls it, and no second one beside it.
 * Others are closed: nobody would ever say anything on them.
 */
export class ChannelDoor {
  readonly #peer: ChannelPeer;
  readonly #owner: ChannelOwner;
  readonly #maxEventBytes: number;
  #channel: PeerChannel | undefined;
  #end: ChannelEnd | undefined;

  /** @param options.maxEventBytes what the browser takes in one message; 0 and infinity mean any */
  constructor(peer: ChannelPeer, owner: ChannelOwner, { maxEventBytes }: { readonly maxEventBytes: number }) {
    this.#peer = peer;
    this.#owner = owner;
    this.#maxEventBytes = maxEventBytes === 0 ? Number.POSITIVE_INFINITY : maxEventBytes;
  }

  opened(channel: PeerChannel): void {
    if (channel.label !== EVENTS_LABEL || this.#channel) {
      this.#peer.closeChannel(channel);
      return;
    }
    this.#channel = channel;
    const end = this.#owner.open({
      send: (event) => this.#send(channel, event),
      close: () => this.#peer.closeChannel(channel),
    });
    // It may have been closed already.
    if (end && this.#channel === channel) this.#end = end;
    else if (end) end.close();
    else this.#peer.closeChannel(channel);
  }

  /** Text is an event. Bytes are taken for one, too: what they are not the session answers with an error. */
  receive(channel: PeerChannel, message: string | Buffer): void {
    if (channel === this.#channel) this.#end?.receive(typeof message === 'string' ? message : message.toString('utf8'));
  }

  closed(channel: PeerChannel): void {
    if (channel !== this.#channel) return;
    const end = this.#end;
    this.#channel = undefined;
    this.#end = undefined;
    end?.close();
  }

  #send(channel: PeerChannel, event: string): boolean {
    if (channel !== this.#channel) return false;
    if (event.length * 3 <= this.#maxEventBytes || Buffer.byteLength(event) <= this.#maxEventBytes)
      return this.#peer.sendMessage(channel, event);
    // Closing the channel would take the browser more than this one event.
    return this.#peer.sendMessage(channel, tooLarge(this.#maxEventBytes));
  }
}

function tooLarge(maxBytes: number): string {
  return JSON.stringify({
    type: 'error',
    event_id: `event_${randomText(21)}`,
    error: {
      type: 'server_error',
      code: 'event_too_large',
      message: `An event was left out: it is longer than the ${maxBytes} bytes that this data channel takes.`,
      param: null,
      event_id: null,
    },
  });
}
