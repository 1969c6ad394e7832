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

  /** The flow that a request of ours takes; by UDP where a peer wants a transport that we do not have. */
  flowTo(hop: Hop): Flow {
    if (hop.flow?.open) return hop.flow;
    return this.#of(hop.transport).flowTo({ address: hop.address, port: hop.port });
  }

  /** Where we listen on this transport, for Via and Contact. */
  portOf(transport: SipListener['transport']): number {
    return this.#of(transport).listener.port;
  }

  /** Have we a socket of the family of this address? */
  reaches(address: string): boolean {
    return speaksTo(this.#first.listener.address, address);
  }

  close(): void {
    for (const transport of this.#all) transport.close();
  }

  #of(transport: SipListener['transport']): Transport {
    return this.#all.find(({ listener }) => listener.transport === transport) ?? this.#first;
  }
}
