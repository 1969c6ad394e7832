import type { LookUp } from './trunk.ts';

/* RFC 3263 §4: what DNS says about where a SIP domain is. Without I/O, and without memory: what is not known yet is asked for. */

export type Transport = 'udp' | 'tcp' | 'tls';

export interface Question {
  readonly type: 'NAPTR' | 'SRV' | 'A' | 'AAAA';
  readonly name: string;
}

export interface NaptrRecord {
  readonly order: number;
  readonly preference: number;
  readonly flags: string;
  readonly service: string;
  readonly replacement: string;
}

export interface SrvRecord {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: string;
}

/** What came back. Records of another kind than was asked for are not among them. */
export type Answer =
  | { readonly type: 'NAPTR'; readonly records: readonly NaptrRecord[] }
  | { readonly type: 'SRV'; readonly records: readonly SrvRecord[] }
  | { readonly type: 'A' | 'AAAA'; readonly records: readonly string[]; readonly ttlS: number }
  /** There is no such name, or it has no such records. */
  | { readonly type: 'none' }
  /** Nobody could be asked, or nobody answered. */
  | { readonly type: 'failed'; readonly why: string };

/** One place where a domain can be reached. */
export interface Located {
  readonly address: string;
  readonly port: number;
  readonly transport: Transport;
  /** Lower ones first: NAPTR order and SRV priority together. */
  readonly rank: number;
  /** Among those of one rank (RFC 2782). */
  readonly weight: number;
  /** Places of the same number are one host with several addresses. */
  readonly host: number;
}

export type Location =
  /** Ask these, and then again. */
  | { readonly type: 'asks'; readonly questions: readonly Question[] }
  | { readonly type: 'located'; readonly places: readonly Located[]; readonly ttlS: number }
  | { readonly type: 'failed'; readonly why: string };

export interface LocateOptions {
  readonly lookUp: LookUp;
  /** Families that we have sockets for. */
  readonly families: readonly ('A' | 'AAAA')[];
}

/** Whoever has more than this has given somebody else's zone to us. */
const MAX_SERVICES = 8;
const MAX_HOSTS = 16;
const MAX_ADDRESSES = 8;

/** SRV and NAPTR records come without their TTL here: a change of them is to be seen within five minutes. */
const LONGEST_TTL_S = 300;
/** A name that changes every second is not asked for every second. */
const SHORTEST_TTL_S = 5;

const PORTS: Readonly<Record<Transport, number>> = { udp: 5060, tcp: 5060, tls: 5061 };
const SERVICES: Readonly<Record<string, Transport>> = { 'SIP+D2U': 'udp', 'SIP+D2T': 'tcp', 'SIPS+D2T': 'tls' };
const SRV_NAMES: Readonly<Record<Transport, string>> = { udp: '_sip._udp.', tcp: '_sip._tcp.', tls: '_sips._tcp.' };

/** The transport that is taken where neither DNS nor the configuration says one: encrypted last, for it needs a certificate that fits. */
const WITHOUT_NAPTR: readonly Transport[] = ['udp', 'tcp', 'tls'];

/** @param known the answers so far */
export function locate({ lookUp, families }: LocateOptions, known: (question: Question) => Answer | undefined): Location {
  const { host, port, transport } = lookUp;
  const wanted: Question[] = [];
  let why: string | undefined;
  const ask = (question: Question): Answer | undefined => {
    const answer = known(question);
    if (answer?.type === 'failed') why ??= answer.why;
    if (!answer && !wanted.some(({ type, name }) => type === question.type && name === question.name)) wanted.push(question);
    return answer;
  };
  const hosts =
    port === undefined ? serviceHosts(host, transport, ask) : [{ rank: 0, weight: 0, target: host, port, transport: transport ?? 'udp' }];
  const places: Located[] = [];
  let ttlS = LONGEST_TTL_S;
  for (const [index, each] of hosts.slice(0, MAX_HOSTS).entries()) {
    for (const type of families) {
      const answer = loopbackAnswer(each.target, type) ?? ask({ type, name: each.target });
      if (answer?.type !== 'A' && answer?.type !== 'AAAA') continue;
      ttlS = Math.min(ttlS, answer.ttlS);
      for (const address of answer.records.slice(0, MAX_ADDRESSES)) {
        places.push({ address, port: each.port, transport: each.transport, rank: each.rank, weight: each.weight, host: index });
      }
    }
  }
  if (wanted.length > 0) return { type: 'asks', questions: wanted };
  if (places.length > 0) return { type: 'located', places, ttlS: Math.max(SHORTEST_TTL_S, ttlS) };
  return { type: 'failed', why: why ?? 'DNS knows no address for it' };
}

interface ServiceHost {
  readonly rank: number;
  readonly weight: number;
  readonly target: string;
  readonly port: number;
  readonly transport: Transport;
}

/** The hosts of a domain: by NAPTR and SRV, by SRV, or the domain itself (RFC 3263 §4.1, §4.2). */
function serviceHosts(host: string, wanted: Transport | undefined, ask: (question: Question) => Answer | undefined): ServiceHost[] {
  const itself: ServiceHost = { rank: 0, weight: 0, target: host, port: PORTS[wanted ?? 'udp'], transport: wanted ?? 'udp' };
  if (loopbackAnswer(host, 'A')) return [itself];
  const services = wanted ? [{ name: `${SRV_NAMES[wanted]}${host}`, transport: wanted }] : namedServices(host, ask);
  if (!services) return [];
  const found: ServiceHost[] = [];
  let waits = false;
  let unknown = false;
  for (const [index, { name, transport }] of services.entries()) {
    const answer = ask({ type: 'SRV', name });
    waits ||= answer === undefined;
    unknown ||= answer?.type === 'failed';
    if (answer?.type !== 'SRV') continue;
    for (const { priority, weight, port, target } of answer.records) {
      // A dot says that the service is decidedly not there (RFC 2782).
      if (target !== '' && target !== '.' && port > 0) found.push({ rank: index * 65_536 + priority, weight, target, port, transport });
    }
  }
  if (waits) return [];
  if (found.length > 0) return found.sort((a, b) => a.rank - b.rank);
  // Whether there are records is not known: the name alone may lead to somebody's web site.
  return unknown ? [] : [itself];
}

/** The SRV names to ask, preferred first; undefined until NAPTR has answered. */
function namedServices(
  host: string,
  ask: (question: Question) => Answer | undefined,
): readonly { readonly name: string; readonly transport: Transport }[] | undefined {
  const answer = ask({ type: 'NAPTR', name: host });
  if (!answer) return undefined;
  const records = answer.type === 'NAPTR' ? answer.records : [];
  const services = records
    .slice(0, MAX_SERVICES)
    .flatMap((record) => {
      const transport = SERVICES[record.service.toUpperCase()];
      // Only records that lead to SRV ones (flag "s") mean a service of SIP (§4.1).
      return transport && record.flags.toLowerCase() === 's' && record.replacement !== '' ? [{ ...record, transport }] : [];
    })
    .sort((a, b) => a.order - b.order || a.preference - b.preference)
    .map(({ replacement, transport }) => ({ name: replacement.toLowerCase(), transport }));
  return services.length > 0 ? services : WITHOUT_NAPTR.map((transport) => ({ name: `${SRV_NAMES[transport]}${host}`, transport }));
}

/** This machine needs no resolver (RFC 6761 §6.3). */
function loopbackAnswer(name: string, type: 'A' | 'AAAA'): Answer | undefined {
  if (name !== 'localhost' && !name.endsWith('.localhost')) return undefined;
  return { type, records: [type === 'A' ? '127.0.0.1' : '::1'], ttlS: LONGEST_TTL_S };
}

/**
 * The order to try places in: by rank, within one rank by chance with the weights of their hosts (RFC 2782), a host's addresses together.
 * @param random of [0, 1)
 */
export function inOrder(places: readonly Located[], random: () => number): Located[] {
  const ordered: Located[] = [];
  for (const rank of [...new Set(places.map((place) => place.rank))].sort((a, b) => a - b)) {
    const left = new Map(places.filter((place) => place.rank === rank).map(({ host, weight }) => [host, weight]));
    while (left.size > 0) {
      const host = draw(left, random);
      left.delete(host);
      ordered.push(...places.filter((place) => place.host === host));
    }
  }
  return ordered;
}

/** One of the hosts; those without weight have a small chance, and all of it among themselves. */
function draw(weights: ReadonlyMap<number, number>, random: () => number): number {
  const byWeight = [...weights].sort(([, a], [, b]) => a - b);
  const sum = byWeight.reduce((total, [, weight]) => total + weight, 0);
  const [[only = 0] = []] = byWeight;
  if (sum === 0) return byWeight[Math.floor(random() * byWeight.length)]?.[0] ?? only;
  const pick = Math.floor(random() * (sum + 1));
  let running = 0;
  for (const [host, weight] of byWeight) {
    running += weight;
    if (running >= pick) return host;
  }
  return only;
}
