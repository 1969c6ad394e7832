import type { Fault } from './faults.ts';
import { CONFIG_FLAG, notBuilt, options, QUESTIONS, type Question } from './flags.ts';
import type { Key } from './schema.ts';
import { nearest } from './suggest.ts';

/** A value as somebody wrote it, and where. */
export interface Given {
  readonly value: unknown;
  readonly source: string;
  /** The same of a part of a value, where it has lines of its own. */
  readonly sourceOf?: (path: readonly PropertyKey[]) => string;
}

export type GivenByKey = ReadonlyMap<Key, Given>;

export interface Arguments {
  readonly given: GivenByKey;
  readonly questions: ReadonlySet<Question>;
  /** The value of --config. */
  readonly configFile?: string;
  readonly faults: readonly Fault[];
}

/** Reads the command line: `--flag value` or `--flag=value`; of a flag given twice the last one counts. */
export function readArguments(argv: readonly string[]): Arguments {
  const given = new Map<Key, Given>();
  const questions = new Set<Question>();
  const faults: Fault[] = [];
  let configFile: string | undefined;

  for (let index = 0; index < argv.length; index += 1) {
    const argument = argv[index] ?? '';
    if (argument === '-h') {
      questions.add('help');
      continue;
    }
    if (!argument.startsWith('--')) {
      // Not shown: a stray word may be the value of a secret whose flag was mistyped.
      faults.push({ source: `argument ${index + 1}`, key: 'command line', message: 'every argument is a flag, --name VALUE; see --help' });
      continue;
    }
    const [flag = '', ...parts] = argument.slice(2).split('=');
    const attached = parts.length > 0 ? parts.join('=') : undefined;
    const question = QUESTIONS.find((name) => name === flag);
    if (question) {
      if (attached !== undefined) faults.push({ source: `flag --${flag}`, key: flag, value: attached, message: 'takes no value' });
      questions.add(question);
      continue;
    }
    const next = argv[index + 1];
    const value = attached ?? (next !== undefined && !next.startsWith('--') ? next : undefined);
    if (attached === undefined && value !== undefined) index += 1;

    const source = `flag --${flag}`;
    const option = options.find((each) => each.flag === flag);
    if (!option && flag !== CONFIG_FLAG) faults.push(unknownFlag(flag));
    else if (value === undefined)
      faults.push({ source, key: option?.key ?? flag, message: `needs a value: ${option?.allowed ?? 'the path of a file'}` });
    else if (option) given.set(option.key, { value, source });
    else configFile = value;
  }
  return { given, questions, faults, ...(configFile === undefined ? {} : { configFile }) };
}

function unknownFlag(flag: string): Fault {
  const source = `flag --${flag}`;
  const later = notBuilt.find((each) => each.flag === flag);
  if (later) return { source, key: flag, message: `not built yet: ${later.what}` };
  const near = nearest(flag, [...options.map((option) => option.flag), ...QUESTIONS, CONFIG_FLAG]);
  return { source, key: flag, message: near ? `no such flag; did you mean --${near}?` : 'no such flag; see --help' };
}
