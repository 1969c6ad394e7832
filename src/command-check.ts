import { statSync } from 'node:fs';
import { addressList, isListed } from './base/address-list.ts';
import { type CommandFlag, readCommandLine } from './command-line.ts';
import type { Config } from './config/config.ts';
import { loadConfig } from './config/load.ts';
import { matches } from './control/route-table.ts';
import { createRoutes } from './gateway-routes.ts';
import type { Trunk } from './sip/trunk.ts';

/** Something that is allowed and most likely not meant. */
export interface Remark {
  /** `ringdown.yaml:12`, or `default`. */
  readonly at: string;
  readonly key: string;
  readonly message: string;
}

export const CHECK_FLAGS: readonly CommandFlag[] = [{ flag: 'strict', help: 'remarks are faults, too' }];

/** `ringdown check`: reads the configuration as a start would, opens nothing, and says what is most likely not meant. @throws ConfigError with every fault */
export function checkCommand(argv: readonly string[]): { readonly text: string; readonly code: number } {
  const { flags, rest } = readCommandLine(argv, CHECK_FLAGS, 0);
  const { config } = loadConfig(rest);
  const remarks = remarksOn(config);
  const lines = remarks.map(({ at, key, message }) => `${at}: ${key}: ${message}`);
  const many = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;
  const { trunks, users, routes } = config;
  const summary = `The configuration is right: ${many(trunks.length, 'trunk')}, ${many(users.length, 'user')}, ${many(routes.length, 'route')}`;
  const noted = remarks.length === 0 ? '.' : `, and ${many(remarks.length, 'remark')}.`;
  return { text: [...lines, `${summary}${noted}`].join('\n'), code: flags.has('strict') && remarks.length > 0 ? 1 : 0 };
}

/** @throws ConfigError for sessions of routes that are none */
function remarksOn(config: Config): Remark[] {
  createRoutes(config);
  return [...onTrunks(config), ...onRoutes(config), ...onUsers(config), ...onFiles(config)];
}

function onTrunks({ trunks, callers }: Config): Remark[] {
  const remarks: Remark[] = [];
  for (const [index, trunk] of trunks.entries()) {
    const note = (part: string, message: string): void =>
      void remarks.push({ at: placeOf(trunk, part), key: `trunks.${trunk.name}.${part}`, message });
    const shadowing = trunks.slice(0, index).find((earlier) => covers(earlier, trunk));
    if (shadowing)
      note(
        trunk.addresses.length > 0 ? 'addresses' : 'peer',
        `every call from there is taken for trunk ${shadowing.name}, which stands before it`,
      );
    if (trunk.destinations.includes('*')) note('destinations', '* lets any number be dialled: name the countries that are wanted');
    if (trunk.destinations.some((each) => /^\+?(?:00)?(?:1?900|882|883|979)/.test(each))) {
      note('destinations', 'holds premium-rate or satellite numbers, which is where stolen calls go');
    }
    if (trunk.password !== undefined && trunk.transport !== 'tls' && trunk.auth === undefined && isPublic(trunk)) {
      note('peer', `signalling to ${trunk.peer.address} is not encrypted: transport: tls keeps numbers and descriptions private`);
    }
  }
  if (callers === 'anyone' && trunks.some(({ destinations }) => destinations.length > 0)) {
    remarks.push({
      at: 'default',
      key: 'callers',
      message: 'anyone may call while calls can be placed: whoever the agent transfers is paid for here',
    });
  }
  return remarks;
}

function covers(earlier: Trunk, later: Trunk): boolean {
  const list = addressList(addressesOf(earlier));
  const own = addressesOf(later);
  return own.length > 0 && own.every((each) => isListed(list, each.split('/')[0] ?? ''));
}

function addressesOf({ lookUp, peer, addresses }: Trunk): string[] {
  return [...(lookUp ? [] : [peer.address]), ...addresses];
}

const PRIVATE = addressList(['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '127.0.0.0/8', 'fc00::/7', '::1']);

function isPublic({ lookUp, peer: { address } }: Trunk): boolean {
  return lookUp !== undefined || !isListed(PRIVATE, address);
}

/** A route that an earlier one always comes before. */
function onRoutes({ routes, trunks, users }: Config): Remark[] {
  const remarks: Remark[] = [];
  for (const [index, route] of routes.entries()) {
    const at = route.source ?? 'default';
    const key = `routes[${index}]`;
    const earlier = routes.findIndex(
      ({ number, trunk, user, caller, header, hours }, before) =>
        before < index &&
        caller === undefined &&
        header === undefined &&
        hours === undefined &&
        (trunk === undefined || trunk === route.trunk) &&
        (user === undefined || user === route.user) &&
        (number === undefined || (route.number !== undefined && matches(number, route.number.replaceAll('*', 'x')))),
    );
    if (earlier !== -1) remarks.push({ at, key, message: `never taken: routes[${earlier}] fits every call that this one fits` });
    if (route.trunk !== undefined && !trunks.some(({ name }) => name === route.trunk)) {
      remarks.push({ at, key: `${key}.trunk`, message: `no such trunk: ${route.trunk}` });
    }
    if (route.number !== undefined && /^\d{10,}$/.test(route.number)) {
      remarks.push({ at, key: `${key}.number`, message: `trunks that send +${route.number} do not fit it: "*${route.number}" fits both` });
    }
    if (route.user !== undefined && !/[*?]/.test(route.user) && !users.some(({ name }) => name === route.user)) {
      remarks.push({ at, key: `${key}.user`, message: `no such user: ${route.user}` });
    }
  }
  return remarks;
}

function onUsers({ users }: Config): Remark[] {
  return users.flatMap(({ name, calls, source = 'default' }) =>
    calls.length === 0 ? [{ at: source, key: `users.${name}.calls`, message: 'may call nobody' }] : [],
  );
}

/** Others of this machine can read what is only for us. */
const OTHERS_READ = 0o044;

function onFiles({ sip, tls, node }: Config): Remark[] {
  const files = [
    ['tls.key', tls?.keyFile],
    ['sip.tls-key', sip.tls?.keyFile],
    ['node.cluster-key-file', node?.clusterKeyFile],
  ] as const;
  return files.flatMap(([key, file]) => {
    try {
      const open = file !== undefined && (statSync(file).mode & OTHERS_READ) !== 0;
      return open ? [{ at: file, key, message: 'can be read by others of this machine: chmod 600' }] : [];
    } catch {
      return []; // a start says so
    }
  });
}

function placeOf(trunk: Trunk, part: string): string {
  return trunk.at?.(part) ?? 'default';
}
