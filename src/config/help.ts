import { CONFIG_FLAG, environmentName, type Option, options } from './flags.ts';
import { valueText } from './print.ts';
import { schema, type Values } from './schema.ts';

/** The text of --help. */
export function helpText(): string {
  const lines = [
    'Usage: ringdown [flags]   (in a checkout: npm start -- [flags])',
    '',
    'Answers phone calls with a realtime voice agent. Works without any flag.',
  ];
  for (const group of [...new Set(options.map((option) => option.group))]) {
    lines.push('', `${group}:`);
    for (const option of options.filter((each) => each.group === group)) {
      lines.push(line(`--${option.flag} ${option.takes}`, `${option.help}${defaultNote(option)}`));
    }
  }
  lines.push('', 'Configuration:');
  lines.push(line(`--${CONFIG_FLAG} FILE`, 'settings in YAML (./ringdown.yaml if it is there)'));
  lines.push(line('--print-config', 'show every setting and where its value comes from, and exit'));
  lines.push(line('--help, -h', 'this text'), line('--version', 'the version'));
  lines.push(
    '',
    `Each flag is also an environment variable (--sip-port: ${environmentName('sip-port')}). A flag wins over the variable, the`,
  );
  lines.push('variable over the file. docs/configuration.md has every setting with the reason for its default.', '');
  return lines.join('\n');
}

/** Wide enough for the longest flag with its value. */
const COLUMN = 29;

function line(name: string, text: string): string {
  return `  ${name.padEnd(COLUMN)} ${text}`;
}

function defaultNote(option: Option): string {
  const value = defaultOf(option);
  return value === undefined ? '' : ` (${value})`;
}

/** The default of a setting as one would write it; undefined when it has none. */
export function defaultOf({ key }: Option): string | undefined {
  const value = schema[key].parse(undefined) as Values[typeof key];
  return value === undefined ? undefined : valueText(key, value);
}
