import type { TransportAddress } from '../base/addresses.ts';
import type { ClientAddress } from './client-address.ts';
import type { NodeId } from './node-id.ts';
import type { RelayedPath, RelayLink } from './relay-link.ts';
import type { TransceiverLink } from './transceiver-link.ts';

/** Relay and transceiver in one process: each is called by the other, nothing is copied. */
export interface DirectLink {
  /** For the transceiver. */
  readonly relayLink: RelayLink;
  /** For the relay. */
  readonly transceiverLink: TransceiverLink;
}

/** @param options.endpoints where clients reach the relay of this process */
export function directLink(options: { readonly nodeId: NodeId; readonly endpoints: readonly TransportAddress[] }): DirectLink {
  const { nodeId, endpoints } = options;
  // A relay keeps one ClientAddress a flow: the path lives as long.
  const paths = new WeakMap<ClientAddress, DirectPath>();
  const relayLink: RelayLink = {
    onDatagram: undefined,
    candidates: endpoints,
    gone: (path) => {
      if (path instanceof DirectPath) transceiverLink.onGone?.(nodeId, path.client);
    },
    close: () => {
      relayLink.onDatagram = undefined;
    },
  };
  const transceiverLink: TransceiverLink = {
    onDatagram: undefined,
    onFlow: undefined,
    onGone: undefined,
    knows: (asked) => asked === nodeId,
    send: (_nodeId, client, datagram) => {
      let path = paths.get(client);
      if (!path) {
        path = new DirectPath(nodeId, client, transceiverLink);
        paths.set(client, path);
      }
      relayLink.onDatagram?.(datagram, path);
    },
    close: () => {
      transceiverLink.onDatagram = transceiverLink.onFlow = transceiverLink.onGone = undefined;
    },
  };
  return { relayLink, transceiverLink };
}

class DirectPath implements RelayedPath {
  readonly key: string;
  readonly address: string;
  readonly port: number;
  readonly client: ClientAddress;
  readonly #nodeId: NodeId;
  readonly #link: TransceiverLink;

  constructor(nodeId: NodeId, client: ClientAddress, link: TransceiverLink) {
    this.key = client.text;
    this.address = client.address;
    this.port = client.port;
    this.client = client;
    this.#nodeId = nodeId;
    this.#link = link;
  }

  send(datagram: Uint8Array): void {
    const buffer = Buffer.isBuffer(datagram) ? datagram : Buffer.from(datagram.buffer, datagram.byteOffset, datagram.byteLength);
    this.#link.onDatagram?.(this.#nodeId, this.client, buffer);
  }
}
