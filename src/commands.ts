import type { Clock } from './base/clock.ts';
import { CHECK_FLAGS, checkCommand } from './command-check.ts';
import { DIAL_FLAGS, dialCommand } from './command-dial.ts';
import { EXPLAIN_FLAGS, explainCommand } from './command-explain.ts';
import type { CommandFlag } from './command-line.ts';

/** What a command came to. */
export interface CommandResult {
  readonly text: string;
  readonly code: number;
}

interface Command {
  readonly usage: string;
  readonly help: string;
  readonly flags: readonly CommandFlag[];
  run(argv: readonly string[], clock: Clock, say: (line: string) => void): Promise<CommandResult>;
}

/** What `ringdown WORD` does beside running the gateway. */
const COMMANDS: Readonly<Record<string, Command>> = {
  explain: {
    usage: 'explain --invite FILE [--config FILE]',
    help: 'what would become of this request, and by which rule; sends nothing',
    flags: EXPLAIN_FLAGS,
    run: explainCommand,
  },
  check: {
    usage: 'check [--config FILE]',
    help: 'whether the configuration is right, and what in it is most likely not meant',
    flags: CHECK_FLAGS,
    run: async (argv) => checkCommand(argv),
  },
  dial: {
    usage: 'dial WHOM --trunk NAME [--config FILE]',
    help: 'places a test call and shows each message of it',
    flags: DIAL_FLAGS,
    run: dialCommand,
  },
};

export function commandOf(argv: readonly string[]): Command | undefined {
  const [word = ''] = argv;
  return Object.hasOwn(COMMANDS, word) ? COMMANDS[word] : undefined;
}

/** For --help. */
export function commandsText(): string {
  const lines = Object.values(COMMANDS).map(({ usage, help }) => `  ringdown ${usage}\n      ${help}`);
  return ['Commands (with --help for their flags):', ...lines].join('\n');
}

export function commandHelp({ usage, help, flags }: Command): string {
  const lines = flags.map(({ flag, takes, help: what }) => `  ${`--${flag}${takes === undefined ? '' : ` ${takes}`}`.padEnd(29)} ${what}`);
  return [
    `Usage: ringdown ${usage}`,
    '',
    `${help[0]?.toUpperCase() ?? ''}${help.slice(1)}.`,
    '',
    ...lines,
    '',
    'And all flags of the configuration: ringdown --help',
  ].join('\n');
}
