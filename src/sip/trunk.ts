import type { Endpoint } from '../base/addresses.ts';
import type { StirPolicy } from './identity/stir.ts';
import type { NumberRules } from './rewrite-number.ts';

/** How many calls a trunk may carry; each direction is counted by itself. */
export interface TrunkCaps {
  /** At the same time, ringing ones included. */
  readonly concurrent: number;
  /** New calls a second. */
  readonly perSecond: number;
  /** New calls from midnight to midnight UTC. */
  readonly perDay: number;
  /** Seconds a call may last from its answer on. */
  readonly durationS: number;
}

/** User, password and realm of digest authentication. */
export interface TrunkLogin {
  readonly username: string;
  readonly password: string;
  readonly realm: string;
  /** What is offered and taken, the preferred first; both, when absent. */
  readonly algorithms?: readonly ('SHA-256' | 'MD5')[];
}

/** A name and what is known besides it. */
export interface LookUp {
  readonly host: string;
  /** With it no SRV record is looked for (RFC 3263 §4.2). */
  readonly port?: number;
  /** Without it DNS says (§4.1). */
  readonly transport?: 'udp' | 'tcp' | 'tls';
}

/** Certificates towards one trunk. */
export interface TrunkTls {
  readonly caFile?: string;
  readonly certificateFile?: string;
  readonly keyFile?: string;
  /** What its certificate has to name; its host when absent. */
  readonly name?: string;
}

/** A neighbour that calls go to and come from: a carrier or a PBX, as configured. */
export interface Trunk {
  readonly name: string;
  /** Where its calls are sent: a literal address, or the name in `lookUp`. */
  readonly peer: Endpoint;
  /** Where DNS says nothing else. */
  readonly transport: 'udp' | 'tcp' | 'tls';
  /** When the peer is a name: what DNS is asked (RFC 3263). */
  readonly lookUp?: LookUp;
  /** Over TLS: files and name. */
  readonly tls?: TrunkTls;
  readonly username?: string;
  readonly password?: string;
  /** The only realm that gets an answer, when set. */
  readonly realm?: string;
  /** Addresses and networks (CIDR) its calls come from, besides the peer's. */
  readonly addresses: readonly string[];
  /** What its INVITEs must authenticate with; nothing when absent. */
  readonly auth?: TrunkLogin;
  /** Seconds between OPTIONS that ask whether it is there; nobody asks when absent. */
  readonly keepAliveS?: number;
  readonly caps: TrunkCaps;
  /** What may be dialled: exact, or a prefix that ends in `*`. Nothing when empty. */
  readonly destinations: readonly string[];
  /** Whether 3xx responses are followed, within `destinations`. */
  readonly redirects: 'refuse' | 'follow';
  /** Whether its calls may transfer us to somebody, within `destinations`. */
  readonly refer: 'refuse' | 'allow';
  /** Where we say that its calls come to us. */
  readonly register?: TrunkRegister;
  /** How numbers are rewritten on the way in and out. */
  readonly numbers?: NumberRules;
  /** What is done about the identity of its callers; as for strangers when absent. */
  readonly stir?: StirPolicy;
  /** Where it, or a part of it, stands in the configuration. */
  readonly at?: (...path: readonly PropertyKey[]) => string;
}

/** What a registration at a trunk takes (RFC 3261 §10.2). */
export interface TrunkRegister {
  /** Tried in turns. */
  readonly registrars: readonly Endpoint[];
  /** Host of the address that is registered. */
  readonly domain: string;
  readonly username: string;
  readonly authUsername: string;
  readonly password: string | undefined;
  readonly expiresS: number;
  /** Whether the Contact is what the registrar saw of us, or what we know ourselves. */
  readonly contact: 'learned' | 'local';
  /** Seconds between CRLF that keep a NAT open; 0 for none. */
  readonly keepAliveS: number;
}

/** Why a call is not placed or not taken. */
export type TrunkRefusal =
  | 'no_such_trunk'
  | 'bad_destination'
  | 'destination_refused'
  /** It does not answer. */
  | 'trunk_down'
  | 'cap_concurrent'
  | 'cap_per_second'
  | 'cap_per_day'
  | 'not_a_trunk'
  /** A user that is not there, or has no phone that is registered. */
  | 'no_such_user'
  /** Not among what the user may call. */
  | 'not_permitted';

/** SIP status of a refusal: 503 where another time may do, 403 where none will. */
export function trunkRefusalStatus(refusal: TrunkRefusal): 403 | 404 | 503 {
  if (refusal === 'cap_concurrent' || refusal === 'cap_per_second' || refusal === 'trunk_down') return 503;
  return refusal === 'no_such_trunk' || refusal === 'bad_destination' || refusal === 'no_such_user' ? 404 : 403;
}

/** As what a program is told of a refusal. */
export function trunkRefusalError(refusal: TrunkRefusal): 'ERR_NOT_FOUND' | 'ERR_FORBIDDEN' | 'ERR_OVERLOADED' | 'ERR_NODE_UNREACHABLE' {
  switch (refusal) {
    case 'no_such_trunk':
    case 'bad_destination':
    case 'no_such_user':
      return 'ERR_NOT_FOUND';
    case 'trunk_down':
      return 'ERR_NODE_UNREACHABLE';
    case 'cap_concurrent':
    case 'cap_per_second':
      return 'ERR_OVERLOADED';
    default:
      return 'ERR_FORBIDDEN';
  }
}
