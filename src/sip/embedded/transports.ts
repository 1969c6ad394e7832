import { isIP } from 'node:net';
import { speaksTo } from '../../base/local-address.ts';
import type { SipListener } from '../engine.ts';
import type { Flow, Hop, Transport } from './flow.ts';

/** The listening transports of one user agent. The first one is UDP, which all peers must speak (RFC 3261 §18). */
export class Transports {
  readonly #first: Transport;
  readonly #all: readonly Transport[];

  constructor(first: Transport, ...others: readonly Transport[]) {
    this.#first = first;
    this.#all = [first, ...others];
  }

  get listeners(): SipListener[] {
    return this.#all.map(({ listener }) => listener);
  }

  /** The flow that a request of ours takes. What cannot be dialled, a WebSocket that is gone or a name, fails at once. */
  flowTo(hop: Hop): Flow {
    if (hop.flow?.open) return hop.flow;
    const { address, port, transport } = hop;
    const found = this.#of(transport);
    if (!found || isIP(address) === 0) return nowhere(hop);
    return found.flowTo({ address, port }, transport === 'tls' ? (hop.tls ?? { profile: '', name: address }) : undefined);
  }

  /** Where we listen on this transport, for Via and Contact. */
  portOf(transport: SipListener['transport']): number {
    return (this.#of(transport) ?? this.#first).listener.port;
  }

  /** Have we a socket of the family of this address? */
  reaches(address: string): boolean {
    return speaksTo(this.#first.listener.address, address);
  }

  close(): void {
    for (const transport of this.#all) transport.close();
  }

  #of(transport: SipListener['transport']): Transport | undefined {
    return this.#all.find(({ listener }) => listener.transport === transport);
  }
}

function nowhere({ address, port, transport }: Hop): Flow {
  return { transport, reliable: true, remote: { address, port }, open: false, send: (_message, onFailed) => onFailed?.('no way there') };
}
