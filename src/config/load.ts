import { resolve } from 'node:path';
import { type Given, readArguments } from './arguments.ts';
import { checkTogether } from './checks.ts';
import { type Config, configOf } from './config.ts';
import { readEnvironment } from './environment.ts';
import { ConfigError, type Fault } from './faults.ts';
import { readConfigFile } from './file.ts';
import { isFileKey, type Question, settings } from './flags.ts';
import { type Key, schema, type Values } from './schema.ts';
import { readSecret } from './secrets.ts';

/** Every setting with its value and where the value comes from. */
export interface Settings {
  readonly values: Values;
  /** `default`, `ringdown.yaml:3`, `env RINGDOWN_SIP_PORT` or `flag --sip-port`. */
  source(key: Key): string;
}

export interface Loaded {
  readonly config: Config;
  readonly settings: Settings;
}

/** The world around the command line; tests give their own. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly directory: string;
}

/** The default file; it need not be there. */
const DEFAULT_FILE = 'ringdown.yaml';

/** What the command line asks instead of a run, if anything. Asked before anything is checked: --help always answers. */
export function questionOf(argv: readonly string[]): Question | undefined {
  const { questions } = readArguments(argv);
  return (['help', 'version', 'print-config'] as const).find((question) => questions.has(question));
}

/**
 * The configuration: defaults, under the file, under the environment, under the flags. This is the only place that reads the
 * process's environment.
 * @throws ConfigError with every fault there is
 */
export function loadConfig(argv: readonly string[], surroundings: Surroundings = { env: process.env, directory: process.cwd() }): Loaded {
  const flags = readArguments(argv);
  const environment = readEnvironment(surroundings.env);
  const fileName = flags.configFile ?? environment.configFile;
  const file = readConfigFile(resolve(surroundings.directory, fileName ?? DEFAULT_FILE), fileName ?? DEFAULT_FILE, fileName !== undefined);

  const given = new Map<Key, Given>([...file.given, ...environment.given, ...flags.given]);
  const source = (key: Key) => given.get(key)?.source ?? 'default';
  const sourceOf = (key: Key, path: readonly PropertyKey[]) => given.get(key)?.sourceOf?.(path) ?? source(key);
  const { values, faults } = readValues(given);
  const all = [...file.faults, ...environment.faults, ...flags.faults, ...faults, ...checkTogether({ values, source, sourceOf })];
  if (all.length > 0) throw new ConfigError(all);
  const complete = values as Values; // no faults: every key of the schema was read
  const config = configOf(complete, {
    sourceOf,
    secret: (value, key, path, least) => {
      const read = readSecret(value, surroundings, least);
      if ('text' in read) return read.text;
      all.push({ source: sourceOf(key, path), key: partName(key, path), message: read.fault });
      return '';
    },
    fault: (key, path, message) => {
      all.push({ source: sourceOf(key, path), key: partName(key, path), message });
    },
  });
  if (all.length > 0) throw new ConfigError(all);
  return { config, settings: { values: complete, source } };
}

function readValues(given: ReadonlyMap<Key, Given>): { values: Partial<Values>; faults: Fault[] } {
  const faults: Fault[] = [];
  const values: Record<string, unknown> = {};
  for (const { key, allowed } of settings) {
    const from = given.get(key);
    const read = schema[key].safeParse(from?.value);
    if (read.success) {
      values[key] = read.data;
      continue;
    }
    // An unknown key of the whole section, too, has a line of its own.
    const parts = read.error.issues.filter(({ path, code }) => path.length > 0 || code === 'unrecognized_keys');
    if (from?.sourceOf && parts.length > 0) {
      faults.push(...parts.flatMap((issue) => partFaults(key, from, issue)));
      continue;
    }
    const details = read.error.issues.flatMap((issue) =>
      issue.code === 'custom' && issue.message !== 'Invalid input' ? [issue.message] : [],
    );
    const message = [...details, `allowed: ${allowed}`].join('; ');
    const value = mayHoldSecrets(key) ? {} : { value: shown(from?.value) };
    faults.push({ source: from?.source ?? 'default', key, ...value, message });
  }
  return { values: values as Partial<Values>, faults };
}

/** Faults of a part of a value, each at its own line. What stands there is not shown: it may be a password, or next to one. */
function partFaults(
  key: Key,
  from: Given,
  issue: { readonly path: readonly PropertyKey[]; readonly message: string; readonly code?: string },
): Fault[] {
  const words = 'keys' in issue && Array.isArray(issue.keys) ? (issue.keys as string[]) : [];
  const paths = words.length > 0 ? words.map((word) => [...issue.path, word]) : [issue.path];
  return paths.map((path) => ({
    source: from.sourceOf?.(path) ?? from.source,
    key: partName(key, path),
    message: words.length > 0 ? 'no such key' : issue.message,
  }));
}

/** `routes[0].webhook.secrets[1]`. */
function partName(key: Key, path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => (typeof part === 'number' ? `${text}[${part}]` : `${text}.${String(part)}`), key);
}

/** No fault shows the value of such a setting. */
function mayHoldSecrets(key: Key): boolean {
  return key === 'api-key' || isFileKey(key);
}

/** Long enough to recognise what was written, short enough for a line. */
const MAX_SHOWN = 100;

function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}
