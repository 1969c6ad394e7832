import type { Given, GivenByKey } from './arguments.ts';
import type { Fault } from './faults.ts';
import { CONFIG_FLAG, ENVIRONMENT_PREFIX, environmentName, notBuilt, options } from './flags.ts';
import type { Key } from './schema.ts';
import { nearest } from './suggest.ts';

/** Read by the tests, not by the gateway, and often exported in the same shell. */
const OF_THE_TESTS = 'RINGDOWN_TEST_DATA';

// What Kubernetes puts into every pod beside a Service whose name begins with "ringdown".
const SERVICE_LINK_NAME = /_(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?)$/;
const SERVICE_LINK_VALUE = /^(?:tcp|udp|sctp):\/\//;

export interface Environment {
  readonly given: GivenByKey;
  readonly configFile?: string;
  readonly faults: readonly Fault[];
}

/** Reads the variables RINGDOWN_*. An empty one counts as not set, as compose files write it. */
export function readEnvironment(variables: Readonly<Record<string, string | undefined>>): Environment {
  const given = new Map<Key, Given>();
  const faults: Fault[] = [];
  let configFile: string | undefined;
  for (const [name, value] of Object.entries(variables)) {
    if (!name.startsWith(ENVIRONMENT_PREFIX) || !value || name === OF_THE_TESTS) continue;
    const option = options.find((each) => environmentName(each.flag) === name);
    if (option && SERVICE_LINK_VALUE.test(value)) faults.push(shadowed(name, option.key, value));
    else if (option) given.set(option.key, { value, source: `env ${name}` });
    else if (name === environmentName(CONFIG_FLAG)) configFile = value;
    else if (!SERVICE_LINK_NAME.test(name) && !SERVICE_LINK_VALUE.test(value)) faults.push(unknownVariable(name));
  }
  return { given, faults, ...(configFile === undefined ? {} : { configFile }) };
}

function shadowed(name: string, key: Key, value: string): Fault {
  return {
    source: `env ${name}`,
    key,
    value,
    message: 'set by Kubernetes for a Service of that name: set enableServiceLinks: false in the pod',
  };
}

function unknownVariable(name: string): Fault {
  const source = `env ${name}`;
  const later = notBuilt.find((each) => each.flag !== undefined && environmentName(each.flag) === name);
  if (later) return { source, key: name, message: `not built yet: ${later.what}` };
  const near = nearest(name, [...options.map((option) => environmentName(option.flag)), environmentName(CONFIG_FLAG)]);
  return { source, key: name, message: near ? `no such variable; did you mean ${near}?` : 'no such variable; see --help' };
}
