import { GatewayError } from '../../base/errors.ts';
import type { Devices, DialOptions, OffersByDevice, OutboundCall } from '../engine.ts';
import { rewriteOutbound } from '../rewrite-number.ts';
import { type Trunk, trunkRefusalError } from '../trunk.ts';
import type { TrunkBook } from '../trunk-book.ts';
import type { TrunkHop } from '../trunk-hops.ts';
import { USERS_TRUNK, userOfDestination } from '../user.ts';
import { ForkedCall } from './forked-call.ts';
import { OutboundInvite } from './outbound-invite.ts';
import type { OutboundServices } from './outbound-services.ts';
import type { UserContact } from './registrar.ts';
import { sentHeaderLines } from './sent-headers.ts';
import { uriHost } from './uri.ts';
import type { HeaderLine } from './write-response.ts';

/** Longer than any phone rings before a mailbox takes the call. */
const RING_MS = 60_000;
/** Proxies give up after three minutes; what rings for five is a mistake. */
const LONGEST_RING_MS = 300_000;

/** As trunks have it where nothing is said. */
const LONGEST_USER_CALL_S = 14_400;

/** All calls that this engine has placed. */
export class OutboundCalls {
  readonly #services: OutboundServices;
  readonly #book: TrunkBook;
  readonly #calls = new Set<OutboundInvite>();

  readonly #contactsOf: (user: string) => readonly UserContact[];

  /** @param contactsOf where a user's phones are */
  constructor(services: OutboundServices, book: TrunkBook, contactsOf: (user: string) => readonly UserContact[] = () => []) {
    this.#services = services;
    this.#book = book;
    this.#contactsOf = contactsOf;
  }

  get size(): number {
    return this.#calls.size;
  }

  /** @throws GatewayError as SipEngine.dial() */
  dial(options: DialOptions): OutboundCall {
    if (this.#services.takesNoCalls) throw new GatewayError('ERR_OVERLOADED', 'this process takes no calls');
    const trunk = this.#book.find(options.trunk);
    const from = options.from === undefined ? (trunk?.username ?? 'ringdown') : rewriteOutbound(options.from, 'caller', trunk?.numbers);
    const headers = sentHeaderLines(options.headers ?? []);
    if (!/^\+?[A-Za-z0-9_.!~*-]{1,64}$/.test(from)) throw new GatewayError('ERR_NOT_FOUND', 'from must be a number or a name');
    const user = options.trunk === USERS_TRUNK ? userOfDestination(options.destination) : undefined;
    if (user !== undefined) return this.#dialUser(user, options, { from, headers });
    const admission = this.#book.admitOutbound(options.trunk, options.destination);
    if ('refusal' in admission) throw new GatewayError(trunkRefusalError(admission.refusal), admission.detail);
    try {
      const reached = (hops: readonly TrunkHop[]): TrunkHop[] => hops.filter(({ address }) => this.#services.reaches(address));
      const hops = reached(admission.hops);
      if (hops.length === 0)
        throw new GatewayError('ERR_NODE_UNREACHABLE', 'the destination has an address of a family that is not listened on');
      const call: OutboundInvite = new OutboundInvite(this.#services, {
        admission: { ...admission, hops },
        peers: this.#book.hopsTo(admission.trunk),
        hopsTo: (destination) => reached(this.#book.hopsTo(admission.trunk, destination)),
        from,
        headers,
        ringTimeoutMs: Math.min(options.ringTimeoutMs ?? RING_MS, LONGEST_RING_MS),
        onGone: () => this.#calls.delete(call),
      });
      this.#calls.add(call);
      this.#start(call, options.offer(call.localAddress));
      return call;
    } catch (thrown) {
      admission.lease.release();
      throw thrown;
    }
  }

  /** By what a user is registered: a browser by WebSocket. */
  devicesOf({ trunk, destination }: Pick<DialOptions, 'trunk' | 'destination'>): Devices {
    const user = trunk === USERS_TRUNK ? userOfDestination(destination) : undefined;
    const contacts = user === undefined ? [] : this.#contactsOf(user).filter(({ hop }) => this.#services.reaches(hop.address));
    const browsers = contacts.filter(({ hop }) => isWebSocket(hop)).length;
    if (browsers === 0) return 'phones';
    return browsers === contacts.length ? 'browsers' : 'all';
  }

  /** Every phone of a user: those of one q ring together (RFC 3261 §16.5). */
  #dialUser(user: string, options: DialOptions, { from, headers }: { from: string; headers: readonly HeaderLine[] }): OutboundCall {
    const groups = new Map<number, OutboundInvite[]>();
    for (const { uri, q, hop, routes } of this.#contactsOf(user)) {
      if (!this.#services.reaches(hop.address) || !rings(hop, options.devices)) continue;
      const destination = { key: uri, uri, endpoint: { address: hop.address, port: hop.port } };
      const call: OutboundInvite = new OutboundInvite(this.#services, {
        admission: { trunk: userTrunk(hop), destination, hops: [], lease: { release: () => undefined } },
        from,
        headers: [...routes, ...headers],
        ringTimeoutMs: Math.min(options.ringTimeoutMs ?? RING_MS, LONGEST_RING_MS),
        hop,
        onGone: () => this.#calls.delete(call),
      });
      this.#calls.add(call);
      groups.set(q, [...(groups.get(q) ?? []), call]);
    }
    const [first] = groups.values();
    if (!first?.[0]) throw new GatewayError('ERR_NOT_FOUND', 'no phone of this user is registered');
    const forked = new ForkedCall([...groups.values()], `sip:${user}@${uriHost(first[0].localAddress)}`);
    this.#start(forked, options.offer(forked.localAddress));
    return forked;
  }

  #start(call: OutboundInvite | ForkedCall, offer: string | Promise<string | OffersByDevice>): void {
    if (typeof offer === 'string') {
      this.#services.clock.setTimer(0, () => call.start(offer)); // so that nothing is called back before dial() has returned
      return;
    }
    offer.then(
      (sdp) => call.start(sdp),
      () => call.cancel(),
    );
  }

  /** The engine stops. */
  stop(): void {
    for (const call of this.#calls) call.abandon();
    this.#calls.clear();
  }
}

function isWebSocket({ transport }: UserContact['hop']): boolean {
  return transport === 'ws' || transport === 'wss';
}

/** Is it one of those devices? */
function rings(hop: UserContact['hop'], devices: Devices = 'phones'): boolean {
  return devices === 'all' || isWebSocket(hop) === (devices === 'browsers');
}

/** What a call to a user has of a trunk: no credentials, no list, four hours at the most. */
function userTrunk({ address, port }: UserContact['hop']): Trunk {
  return {
    name: USERS_TRUNK,
    peer: { address, port },
    transport: 'udp', // the way it registered is what counts
    addresses: [],
    caps: { concurrent: 1, perSecond: 1, perDay: 1, durationS: LONGEST_USER_CALL_S },
    destinations: [],
    redirects: 'refuse',
    refer: 'refuse',
  };
}
