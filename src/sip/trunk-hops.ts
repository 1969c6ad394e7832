import type { Endpoint } from '../base/addresses.ts';
import type { Located } from './name-location.ts';
import type { LookUp, Trunk } from './trunk.ts';
import type { Destination } from './trunk-destination.ts';

/** One place that a request to a trunk may go to. */
export interface TrunkHop extends Endpoint {
  readonly transport: 'udp' | 'tcp' | 'tls';
  /** Over TLS: the trunk whose files are used, and what the certificate there has to name. */
  readonly tls?: { readonly profile: string; readonly name: string };
}

/** Who knows where names are. */
export interface Names {
  /** In the order in which to try them; nothing when that is not known. */
  placesOf(lookUp: LookUp): readonly Located[];
}

/**
 * Where a destination of a trunk is at the moment, the best place first; nothing while its name is not resolved. The certificate there has to name the domain
 * that was asked for, and not the host that DNS gave for it: DNS can be forged (RFC 5922 §4).
 */
export function hopsOf(trunk: Trunk, { endpoint, lookUp }: Pick<Destination, 'endpoint' | 'lookUp'>, names: Names | undefined): TrunkHop[] {
  const isPeer = endpoint === trunk.peer;
  const name = (isPeer ? trunk.tls?.name : undefined) ?? lookUp?.host ?? endpoint.address;
  const places = lookUp ? (names?.placesOf(lookUp) ?? []) : [{ ...endpoint, transport: trunk.transport }];
  return places.map(({ address, port, transport }) => ({
    ...{ address, port, transport },
    ...(transport === 'tls' ? { tls: { profile: trunk.name, name } } : {}),
  }));
}

/** The same for the trunk itself. */
export function peerHops(trunk: Trunk, names: Names | undefined): TrunkHop[] {
  return hopsOf(trunk, { endpoint: trunk.peer, ...(trunk.lookUp ? { lookUp: trunk.lookUp } : {}) }, names);
}
