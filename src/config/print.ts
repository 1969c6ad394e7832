import { stringify } from 'yaml';
import { formatEndpoint } from '../base/addresses.ts';
import { shownAlerts } from './alerts.ts';
import { shownDrachtio } from './drachtio.ts';
import { settings as every, type FileKey, isFileKey } from './flags.ts';
import type { Settings } from './load.ts';
import { shownMcp } from './mcp.ts';
import { shownModel } from './model.ts';
import { shownProjects } from './projects.ts';
import { shownRegister } from './register.ts';
import { shownRoutes } from './routes.ts';
import type { Key, Values } from './schema.ts';
import { MASKED, maskedSecret } from './secrets.ts';
import { shownStir } from './stir.ts';
import { shownTools } from './tools.ts';
import { peerText } from './trunk-peer.ts';
import type { TrunkValues } from './trunks.ts';
import { shownUsers } from './users.ts';

/**
 * The effective configuration as YAML that can be used as ringdown.yaml, each line with the source of its value. Of secrets
 * it has only the names of the files they are in.
 */
export function printConfig({ values, source }: Settings): string {
  const lines: string[] = [];
  let section = '';
  // The keys of one section together, in the order of the table.
  const sections = [...new Set(every.map((option) => sectionOf(option.key)))];
  for (const option of sections.flatMap((name) => every.filter((each) => sectionOf(each.key) === name))) {
    const name = sectionOf(option.key);
    if (name !== section && name !== '') lines.push(`${name}:`);
    section = name;
    const indent = name === '' ? '' : '  ';
    const word = name === '' ? option.key : option.key.slice(name.length + 1);
    if (isFileKey(option.key)) {
      lines.push(...fileLines(option.key, values, source(option.key)));
      continue;
    }
    const value = values[option.key];
    if (option.key === 'api-key' && value !== undefined) lines.push(`api-key: "${MASKED}" # ${source(option.key)}`);
    else if (value === undefined) lines.push(`${indent}# ${word}: not set`);
    else if (isNotOpened(option.key, values)) lines.push(`${indent}# ${word}: ${valueText(option.key, value)}, not opened`);
    else lines.push(`${indent}${word}: ${yamlText(option.key, value)} # ${source(option.key)}`);
  }
  return `${lines.join('\n')}\n`;
}

/** Doors that are not there: their settings stand as comments, for a file that sets them would ask for the doors. */
function isNotOpened(key: Key, values: Values): boolean {
  if (key === 'sip.tls-port') return values['sip.tls-cert'] === undefined && values['tls.cert'] === undefined;
  if (key === 'sip.ws') return !(['sip', 'control'] as const).every((role) => values.roles.includes(role));
  return sectionOf(key) === 'node' && values['node.id'] === undefined;
}

/** A value that goes on one line. */
type Shown = NonNullable<Values[Exclude<Key, FileKey>]>;

/** Secrets are masked; a file with the mask in it is refused. */
function fileLines(key: FileKey, values: Values, source: string): string[] {
  const shown = {
    trunks: shownTrunks,
    users: shownUsers,
    stir: shownStir,
    alerts: shownAlerts,
    projects: shownProjects,
    routes: shownRoutes,
    model: shownModel,
    mcp: shownMcp,
    tools: shownTools,
    drachtio: shownDrachtio,
  }[key](values[key] as never);
  if (Array.isArray(shown) && shown.length === 0) return [`${key}: [] # ${source}`];
  const [, ...body] = stringify({ [key]: shown }, { lineWidth: 0 })
    .trimEnd()
    .split('\n');
  return [`${key}: # ${source}`, ...body];
}

function shownTrunks(trunks: readonly TrunkValues[]): unknown[] {
  return trunks.map(({ name, peer, password, auth, register, ...rest }) => ({
    name,
    peer: peerText(peer),
    ...(password === undefined ? {} : { password: maskedSecret(password) }),
    ...(auth === undefined ? {} : { auth: { ...auth, password: maskedSecret(auth.password) } }),
    ...(register === undefined ? {} : { register: shownRegister(register) }),
    ...rest,
  }));
}

function sectionOf(key: Key): string {
  return key.includes('.') ? (key.split('.')[0] ?? '') : '';
}

/** Quoted where YAML would take a path for a number or a comment. */
function yamlText(key: Key, value: Shown): string {
  const text = valueText(key, value);
  return (typeof value === 'number' && key !== 'node.id') || value === 'any' ? text : stringify(text, { lineWidth: 0 }).trimEnd();
}

/** A value as one writes it after a flag. */
export function valueText(key: Key, value: Shown): string {
  if (value === 'any') return '0';
  if (typeof value === 'number') return key === 'node.id' ? nodeIdText(value) : String(value);
  if (typeof value === 'string') return value;
  if ('first' in value) return `${value.first}-${value.last}`;
  return value
    .map((item) => (typeof item === 'string' ? item : `${'id' in item ? `${nodeIdText(item.id)}=` : ''}${formatEndpoint(item)}`))
    .join(',');
}

function nodeIdText(id: number): string {
  return id < 65536 ? String(id) : `${id >>> 16}.${id & 0xffff}`;
}
