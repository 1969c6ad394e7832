import type { TlsOptions } from 'node:tls';
import { addressList, isListed } from '../../base/address-list.ts';
import type { Endpoint } from '../../base/addresses.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { DoorHandlers, Doors } from '../embedded/engine-doors.ts';
import type { Transport } from '../embedded/flow.ts';
import { Transports } from '../embedded/transports.ts';
import type { SipListener } from '../engine.ts';
import { DrachtioLink } from './drachtio-link.ts';
import { DrachtioWire } from './drachtio-wire.ts';

export interface DrachtioOptions {
  /** Where servers come to with a new call; nobody can when absent. */
  readonly listen?: Endpoint;
  /** Addresses and networks (CIDR) of the servers that may come. */
  readonly allowed: readonly string[];
  /** Servers that we go to, for calls that we place. */
  readonly servers: readonly Endpoint[];
  readonly secret: string;
  /** Ours, towards servers that come by TLS. */
  readonly tls?: TlsOptions;
  /** Authorities of servers that we reach over TLS; over plain TCP when absent. */
  readonly serverCa?: string;
}

/** Nobody listens here: SIP's sockets are the server's. Says that peers of both families are reached. */
const OF_THE_SERVER: Endpoint = { address: '::', port: 5060 };

/** What an engine sends and receives by when drachtio servers have the sockets. */
export class DrachtioDoors implements Doors {
  readonly transports: Transports;
  /** Where servers come to. */
  readonly at: Endpoint | undefined;
  readonly #link: DrachtioLink;

  private constructor(link: DrachtioLink, wire: DrachtioWire, at: Endpoint | undefined) {
    this.#link = link;
    this.at = at;
    this.transports = new Transports(transport(wire, 'udp'), transport(wire, 'tcp'), transport(wire, 'tls'));
  }

  /** @throws GatewayError ERR_PORT_IN_USE */
  static async open(
    deps: { readonly clock: Clock; readonly log: Logger },
    handlers: DoorHandlers,
    options: DrachtioOptions,
  ): Promise<DrachtioDoors> {
    const { clock, log } = deps;
    const wire: DrachtioWire = new DrachtioWire({
      clock,
      dialling: () => link.dialling,
      request: (...all) => link.request(...all),
      release: (socket) => link.release(socket),
      onRequest: (message, source, flow) => handlers.onRead(message, source, flow),
      onResponse: (message) => handlers.onRead(message, undefined, undefined),
    });
    const { listen, servers, secret, tls, serverCa } = options;
    const allowed = addressList(options.allowed);
    const link: DrachtioLink = new DrachtioLink(
      { clock, log, onRequest: (request, response) => wire.handleRequest(request, response), onLost: (socket) => wire.lost(socket) },
      {
        ...{ servers, secret, mayConnect: (address) => address !== '' && isListed(allowed, address) },
        ...(listen ? { listen } : {}),
        ...(tls ? { tls } : {}),
        ...(serverCa === undefined ? {} : { serverCa }),
      },
    );
    return new DrachtioDoors(link, wire, await link.start());
  }

  get connections(): Doors['connections'] {
    return { tcp: this.#link.connections, tls: 0, sockets: 0 };
  }

  /** Is there a server by which calls can be placed? */
  get dials(): boolean {
    return this.#link.dialling !== undefined;
  }

  close(): void {
    this.#link.stop();
  }
}

function transport(wire: DrachtioWire, name: SipListener['transport']): Transport {
  return { listener: { ...OF_THE_SERVER, transport: name }, flowTo: (remote) => wire.flow(remote, name), close: () => undefined };
}
