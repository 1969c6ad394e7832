import { ConfigError } from './config/faults.ts';
import { QUESTIONS } from './config/flags.ts';

/** A flag of a command beside those of the configuration. */
export interface CommandFlag {
  readonly flag: string;
  /** What stands after it; nothing when absent. */
  readonly takes?: string;
  readonly help: string;
}

/** What stands behind a command's name. */
export interface CommandLine {
  /** Words that are no flags. */
  readonly words: readonly string[];
  readonly flags: ReadonlyMap<string, string>;
  /** What is left for the configuration. */
  readonly rest: readonly string[];
}

/** Takes a command's own flags and words out of the command line. @throws ConfigError for a flag without its value, and for too many words */
export function readCommandLine(argv: readonly string[], own: readonly CommandFlag[], mostWords: number): CommandLine {
  const words: string[] = [];
  const flags = new Map<string, string>();
  const rest: string[] = [];
  for (let index = 0; index < argv.length; index += 1) {
    const argument = argv[index] ?? '';
    if (!argument.startsWith('--')) {
      words.push(argument);
      continue;
    }
    const [name = '', ...attached] = argument.slice(2).split('=');
    const flag = own.find((each) => each.flag === name);
    const next = argv[index + 1];
    const takesNext = attached.length === 0 && next !== undefined && !next.startsWith('--');
    if (!flag) {
      rest.push(argument);
      // Every setting takes a value; questions do not.
      if (takesNext && !QUESTIONS.some((question) => question === name)) {
        rest.push(next);
        index += 1;
      }
      continue;
    }
    if (flag.takes === undefined) {
      flags.set(name, '');
      continue;
    }
    if (!takesNext && attached.length === 0) throw fault(`--${name}`, `needs a value: ${flag.takes}`);
    flags.set(name, attached.length > 0 ? attached.join('=') : (next ?? ''));
    if (takesNext) index += 1;
  }
  if (words.length > mostWords)
    throw fault(`argument ${words[mostWords]}`, mostWords === 0 ? 'this command takes flags only' : 'too many words');
  return { words, flags, rest };
}

function fault(source: string, message: string): ConfigError {
  return new ConfigError([{ source, key: 'command line', message }]);
}

/** Of one that is read from a command's own flag. */
export function flagFault(flag: string, message: string): ConfigError {
  return fault(`--${flag}`, message);
}
