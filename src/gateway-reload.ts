import type { Config } from './config/config.ts';
import { ConfigError, type Fault } from './config/faults.ts';
import type { Loaded, Settings } from './config/load.ts';
import type { Key } from './config/schema.ts';
import type { ReloadOutcome } from './control/gateway-control.ts';

/** What can be others from now on without any call hearing of it. */
const LIVE: ReadonlySet<Key> = new Set<Key>([
  'trunks',
  'users',
  'stir',
  'routes',
  'alerts',
  'projects',
  'api-key',
  'callers',
  'model',
  'agent.transfer-target',
  'agent.callback-trunk',
  'log-level',
]);

/** What was in force, and what is to be. */
export interface Change {
  /** The running configuration with what may change live taken from the new one. */
  readonly config: Config;
  readonly applied: readonly Key[];
  /** Read, right, and not in force before the next start. */
  readonly needsRestart: readonly Key[];
}

/** Where the configuration comes from, and what of it was read last. */
export interface ConfigSource {
  readonly settings: Settings;
  /** @throws ConfigError with every fault there is */
  load(): Loaded;
}

/** What of a new configuration takes effect. Pure. */
export function changeOf(running: Config, before: Settings, { config: next, settings }: Loaded): Change {
  const changed = (Object.keys(settings.values) as Key[]).filter(
    (key) => JSON.stringify(before.values[key]) !== JSON.stringify(settings.values[key]),
  );
  // The digests of users hold the realm: new ones under the old realm would lock everybody out.
  const held = changed.includes('sip.realm');
  const isLive = (key: Key): boolean => LIVE.has(key) && !(held && key === 'users');
  const { trunks, users, stir, routes, alerts, projects, callers, model, agent, logLevel } = next;
  return {
    config: { ...running, trunks, stir, routes, alerts, projects, callers, model, agent, logLevel, ...(held ? {} : { users }) },
    applied: changed.filter(isLive),
    needsRestart: changed.filter((key) => !isLive(key)),
  };
}

/** A refusal as a program is told it. */
export function refusedReload(thrown: unknown): ReloadOutcome {
  if (thrown instanceof ConfigError) return { type: 'refused', faults: thrown.faults };
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const fault: Fault = { source: 'default', key: 'config', message };
  return { type: 'refused', faults: [fault] };
}

/** What was read last, as far as it is in force. */
export function keptSettings(before: Settings, next: Settings, needsRestart: readonly Key[]): Settings {
  const kept = Object.fromEntries(needsRestart.map((key) => [key, before.values[key]]));
  return { values: { ...next.values, ...kept }, source: (key) => (needsRestart.includes(key) ? before : next).source(key) };
}
