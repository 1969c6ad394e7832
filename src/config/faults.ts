import { GatewayError } from '../base/errors.ts';

/** One thing wrong with the configuration. */
export interface Fault {
  /** Where it stands: `ringdown.yaml:3`, `env RINGDOWN_SIP_PORT`, `flag --sip-port`, or `default`. */
  readonly source: string;
  /** The setting, or what was written in its place. */
  readonly key: string;
  /** What was given. Left out where it may be a secret: an unknown key may hold anything. */
  readonly value?: string;
  readonly message: string;
}

/** Everything that is wrong with the configuration, at once. Exit code 2. */
export class ConfigError extends GatewayError {
  readonly faults: readonly Fault[];

  constructor(faults: readonly Fault[]) {
    super('ERR_CONFIG', faults.map(formatFault).join('\n'));
    this.name = 'ConfigError';
    this.faults = faults;
  }
}

function formatFault({ source, key, value, message }: Fault): string {
  // An unknown flag or variable is its own key: it is named once.
  const where = source.endsWith(key) ? source : `${source}: ${key}`;
  return `${where}${value === undefined ? '' : ` = ${JSON.stringify(value)}`}: ${message}`;
}
