import { accessSync, constants, statSync } from 'node:fs';
import { speaksTo } from '../base/local-address.ts';
import type { Fault } from './faults.ts';
import type { Key, Role, Values } from './schema.ts';

/** The settings that could be read, and where each came from. A setting with a fault of its own is missing. */
export interface Readable {
  readonly values: Partial<Values>;
  source(key: Key): string;
  /** Of a part of it. */
  sourceOf(key: Key, path: readonly PropertyKey[]): string;
}

/** What is wrong between settings that are each right by themselves. */
export function checkTogether(settings: Readable): Fault[] {
  return [
    checkPorts,
    checkRtpPorts,
    checkFamilies,
    checkNode,
    checkWorkers,
    checkKeyFile,
    checkTrunks,
    checkTls,
    checkSipTls,
    checkSipSockets,
    checkRoutes,
    checkUsers,
    checkMusic,
    checkStir,
  ].flatMap((check) => check(settings));
}

/** The roles that carry calls: a process without one of them needs others. */
const CALL_ROLES: readonly Role[] = ['sip', 'relay', 'transceiver'];

function has(values: Partial<Values>, role: Role): boolean {
  return values.roles?.includes(role) ?? true;
}

/** The fixed ports this process opens. UDP and TCP count as one: SIP, relay and nodes speak both. */
function openPorts({ values }: Readable): [Key, number | undefined][] {
  const ports: [Key, number | undefined][] = [['http.port', values['http.port']]];
  if (has(values, 'sip')) ports.push(['sip.port', values['sip.port']]);
  const tlsPort = values['sip.tls-port'];
  if (has(values, 'sip') && hasSipCertificate(values) && tlsPort !== 'off') ports.push(['sip.tls-port', tlsPort]);
  if (has(values, 'relay')) ports.push(['relay.port', values['relay.port']]);
  if (values['node.id'] !== undefined) ports.push(['node.inner-port', values['node.inner-port']]);
  return ports.filter(([, port]) => port !== undefined && port !== 0);
}

function checkPorts(settings: Readable): Fault[] {
  const faults: Fault[] = [];
  const taken = new Map<number, Key>();
  for (const [key, port] of openPorts(settings)) {
    if (port === undefined) continue;
    const other = taken.get(port);
    if (other) faults.push(fault(settings, key, `the same port as ${other} (${settings.source(other)}); give each its own`, port));
    taken.set(port, key);
  }
  return faults;
}

function checkRtpPorts(settings: Readable): Fault[] {
  const { values } = settings;
  const range = values['rtp.ports'];
  if (range === undefined || range === 'any' || !has(values, 'sip')) return [];
  const faults: Fault[] = [];
  const shown = `${range.first}-${range.last}`;
  const slices = Math.max(1, values.workers ?? 0);
  const calls = Math.floor((range.last - range.first + 1) / 2 / slices) * slices;
  const maxCalls = values['max-calls'];
  if (maxCalls !== undefined && calls < maxCalls) {
    const message = `room for ${calls} calls (two ports each), and max-calls is ${maxCalls} (${settings.source('max-calls')})`;
    faults.push(fault(settings, 'rtp.ports', message, shown));
  }
  for (const [key, port] of openPorts(settings)) {
    if (port === undefined || key === 'http.port' || port < range.first || port > range.last) continue;
    faults.push(fault(settings, key, `lies within rtp.ports ${shown} (${settings.source('rtp.ports')})`, port));
  }
  return faults;
}

/** Sockets bound to IPv4 reach nobody over IPv6, and those bound to one IPv6 address nobody over IPv4. */
function checkFamilies(settings: Readable): Fault[] {
  const { bind, 'public-address': publicAddress, 'node.nodes': nodes = [] } = settings.values;
  if (bind === undefined) return [];
  const message = `of a family that bind ${bind} (${settings.source('bind')}) does not speak; :: speaks both`;
  const faults: Fault[] = [];
  if (publicAddress !== undefined && !speaksTo(bind, publicAddress)) faults.push(fault(settings, 'public-address', message, publicAddress));
  const unreached = nodes.find(({ address }) => !speaksTo(bind, address));
  if (unreached) faults.push(fault(settings, 'node.nodes', message, unreached.address));
  return faults;
}

const NODE_KEYS = ['node.id', 'node.cluster-key-file', 'node.nodes'] as const;

function checkNode(settings: Readable): Fault[] {
  const { values } = settings;
  const missing = NODE_KEYS.filter((key) => settings.source(key) === 'default');
  if (missing.length === 0) return [];
  const absent = CALL_ROLES.filter((role) => !has(values, role));
  if (absent.length > 0) {
    return missing.map((key) =>
      fault(settings, key, `must be set when a process runs without ${absent.join(' and ')} (roles from ${settings.source('roles')})`),
    );
  }
  const set = [...NODE_KEYS, 'node.inner-port' as const].find((key) => settings.source(key) !== 'default');
  if (!set) return [];
  return missing.map((key) => fault(settings, key, `must be set too, since ${set} is (${settings.source(set)})`));
}

/** Workers carry whole calls: what stands before and behind them is in this process. */
function checkWorkers(settings: Readable): Fault[] {
  const { values } = settings;
  if (!values.workers) return [];
  const absent = CALL_ROLES.filter((role) => !has(values, role));
  const faults: Fault[] = [];
  if (absent.length > 0) {
    const message = `needs the roles sip, relay and transceiver; this process has no ${absent.join(' and no ')} (roles from ${settings.source('roles')})`;
    faults.push(fault(settings, 'workers', message, values.workers));
  }
  const node = NODE_KEYS.find((key) => settings.source(key) !== 'default');
  if (node) faults.push(fault(settings, 'workers', `a process that is one of several (${settings.source(node)}) has none`, values.workers));
  return faults;
}

/** A cluster key has 32 random bytes: the strength of the HMAC-SHA-256 keys derived from it. */
const MIN_KEY_FILE_BYTES = 32;

function checkKeyFile(settings: Readable): Fault[] {
  const path = settings.values['node.cluster-key-file'];
  if (path === undefined) return [];
  try {
    accessSync(path, constants.R_OK);
    const stat = statSync(path);
    if (!stat.isFile()) return [fault(settings, 'node.cluster-key-file', 'is not a file', path)];
    if (stat.size >= MIN_KEY_FILE_BYTES) return [];
    return [fault(settings, 'node.cluster-key-file', `holds ${stat.size} bytes; a key has at least ${MIN_KEY_FILE_BYTES}`, path)];
  } catch (error) {
    return [fault(settings, 'node.cluster-key-file', `cannot be read (${(error as NodeJS.ErrnoException).code})`, path)];
  }
}

/** Five minutes of WAV in stereo at 48 kHz. */
const MOST_MUSIC_BYTES = 60 * 1024 * 1024;

/** What is in it the gateway sees when it starts. */
function checkMusic(settings: Readable): Fault[] {
  const path = settings.values.tools?.music;
  if (path === undefined) return [];
  const source = settings.sourceOf('tools', ['music']);
  const wrong = (message: string): Fault[] => [{ source, key: 'tools.music', message, value: path }];
  if (!/\.(?:wav|ul|ulaw)$/i.test(path)) return wrong('must be a .wav (PCM), or a .ul or .ulaw (µ-law at 8 kHz) file');
  try {
    accessSync(path, constants.R_OK);
    const stat = statSync(path);
    if (!stat.isFile()) return wrong('is not a file');
    return stat.size > MOST_MUSIC_BYTES ? wrong(`is larger than ${MOST_MUSIC_BYTES} bytes`) : [];
  } catch (error) {
    return wrong(`cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

/** Who verifies needs somebody to trust. */
function checkStir(settings: Readable): Fault[] {
  const { stir, trunks = [] } = settings.values;
  if (!stir) return [];
  const faults: Fault[] = [];
  for (const [index, { stir: policy }] of trunks.entries()) {
    if ((policy !== 'report' && policy !== 'require') || stir.anchors !== undefined) continue;
    const message = `${policy} needs stir.anchors: whose certificates would be trusted?`;
    faults.push({ source: settings.sourceOf('trunks', [index, 'stir']), key: `trunks[${index}].stir`, message });
  }
  for (const part of ['anchors', 'ca'] as const) {
    const path = stir[part];
    if (path === undefined) continue;
    const wrong = (message: string): void => {
      faults.push({ source: settings.sourceOf('stir', [part]), key: `stir.${part}`, message, value: path });
    };
    try {
      accessSync(path, constants.R_OK);
      if (!statSync(path).isFile()) wrong('is not a file');
    } catch (error) {
      wrong(`cannot be read (${(error as NodeJS.ErrnoException).code})`);
    }
  }
  return faults;
}

function checkTrunks(settings: Readable): Fault[] {
  const { trunks, 'agent.callback-trunk': wanted } = settings.values;
  if (!trunks || wanted === undefined || trunks.some(({ name }) => name === wanted)) return [];
  const names = trunks.length === 0 ? 'there are none' : trunks.map(({ name }) => name).join(', ');
  return [fault(settings, 'agent.callback-trunk', `no such trunk (trunks: ${names})`, wanted)];
}

function checkTls(settings: Readable): Fault[] {
  const { 'tls.cert': certificate, 'tls.key': key } = settings.values;
  if ((certificate === undefined) === (key === undefined)) return [];
  const [set, missing] = certificate === undefined ? (['tls.key', 'tls.cert'] as const) : (['tls.cert', 'tls.key'] as const);
  return [fault(settings, missing, `must be set too, since ${set} is (${settings.source(set)})`)];
}

function hasSipCertificate(values: Partial<Values>): boolean {
  return values['sip.tls-cert'] !== undefined || values['tls.cert'] !== undefined;
}

function checkSipTls(settings: Readable): Fault[] {
  const { values } = settings;
  const { 'sip.tls-cert': certificate, 'sip.tls-key': key } = values;
  if ((certificate === undefined) !== (key === undefined)) {
    const [set, missing] =
      certificate === undefined ? (['sip.tls-key', 'sip.tls-cert'] as const) : (['sip.tls-cert', 'sip.tls-key'] as const);
    return [fault(settings, missing, `must be set too, since ${set} is (${settings.source(set)})`)];
  }
  if (hasSipCertificate(values)) return [];
  const useless = (['sip.tls-port', 'sip.tls-clients'] as const).find(
    (each) => settings.source(each) !== 'default' && values[each] !== 'off',
  );
  return useless ? [fault(settings, useless, 'needs a certificate: set tls.cert and tls.key, or sip.tls-cert and sip.tls-key')] : [];
}

/** A WebSocket is taken in by the HTTP port and spoken to by the engine: in one process. */
function checkSipSockets(settings: Readable): Fault[] {
  const { values } = settings;
  if (settings.source('sip.ws') === 'default' || values['sip.ws'] === 'off') return [];
  const absent = (['sip', 'control'] as const).filter((role) => !has(values, role));
  if (absent.length === 0 || absent.length === 2) return [];
  const message = `SIP over WebSocket needs the roles sip and control in one process; this one has no ${absent.join()} (roles from ${settings.source('roles')})`;
  return [fault(settings, 'sip.ws', message, String(values['sip.ws']))];
}

/** Users name trunks that are there. */
function checkUsers(settings: Readable): Fault[] {
  const { users = [], trunks } = settings.values;
  if (!trunks) return [];
  return users.flatMap(({ calls }, index) =>
    calls.flatMap((each, at): Fault[] => {
      if (typeof each === 'string' || trunks.some(({ name }) => name === each.trunk)) return [];
      const path = [index, 'calls', at, 'trunk'];
      return [{ source: settings.sourceOf('users', path), key: `users[${index}].calls[${at}].trunk`, message: 'no such trunk' }];
    }),
  );
}

/** Routes name trunks and projects that are there. */
function checkRoutes(settings: Readable): Fault[] {
  const { routes = [], trunks, projects } = settings.values;
  const faults: Fault[] = [];
  const at = (path: readonly PropertyKey[], name: string, message: string): void => {
    faults.push({ source: settings.sourceOf('routes', path), key: `routes[${String(path[0])}].${name}`, message });
  };
  const names = new Set([...(projects ?? []).map(({ name }) => name), 'default']);
  for (const [index, { trunk, project }] of routes.entries()) {
    if (trunks && trunk !== undefined && !trunks.some(({ name }) => name === trunk)) at([index, 'trunk'], 'trunk', 'no such trunk');
    if (projects && project !== undefined && !names.has(project)) at([index, 'project'], 'project', 'no such project');
  }
  return faults;
}

function fault(settings: Readable, key: Key, message: string, value?: string | number): Fault {
  return { source: settings.source(key), key, message, ...(value === undefined ? {} : { value: String(value) }) };
}
