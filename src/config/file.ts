import { readFileSync } from 'node:fs';
import { isMap, isNode, isScalar, isSeq, LineCounter, type Pair, parseDocument, type YAMLMap } from 'yaml';
import type { Given, GivenByKey } from './arguments.ts';
import type { Fault } from './faults.ts';
import { notBuilt, options, settings } from './flags.ts';
import type { Key } from './schema.ts';
import { nearest } from './suggest.ts';

export interface ConfigFile {
  readonly given: GivenByKey;
  readonly faults: readonly Fault[];
}

/**
 * Reads the settings of a YAML file, each with the line it stands on.
 * @param name how faults call the file
 * @param mustExist false for the default file, which need not be there
 */
export function readConfigFile(path: string, name: string, mustExist: boolean): ConfigFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && !mustExist) return { given: new Map(), faults: [] };
    const message = code === 'ENOENT' ? 'there is no such file' : `cannot be read (${code})`;
    return { given: new Map(), faults: [{ source: name, key: 'config', message }] };
  }
  return parseConfig(text, name);
}

/** The settings in the text of a YAML file. */
function parseConfig(text: string, name: string): ConfigFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true });
  const at = (offset: number) => `${name}:${lines.linePos(offset).line}`;
  const faults: Fault[] = [...document.errors, ...document.warnings].map((error) => ({
    source: at(error.pos[0]),
    key: 'YAML',
    message: error.message,
  }));
  const given = new Map<Key, Given>();
  if (faults.length > 0 || document.contents === null || (isScalar(document.contents) && document.contents.value === null))
    return { given, faults };
  if (!isMap(document.contents)) return { given, faults: [{ source: at(0), key: 'YAML', message: 'the file must be a map of settings' }] };

  const readMap = (map: YAMLMap, prefix: string): void => {
    for (const pair of map.items as Pair[]) {
      const word = isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
      const path = prefix === '' ? word : `${prefix}.${word}`;
      const source = at(isNode(pair.key) ? (pair.key.range?.[0] ?? 0) : 0);
      const option = settings.find((each) => each.key === path);
      const value = isNode(pair.value) ? pair.value.toJS(document) : pair.value;
      if (option && value !== null) given.set(option.key, { value, source, sourceOf: (parts) => at(offsetOf(pair, parts)) });
      if (option) continue;
      const isSection = settings.some((each) => each.key.startsWith(`${path}.`));
      if (!isSection) faults.push(unknownKey(path, word, source));
      else if (isMap(pair.value)) readMap(pair.value, path);
      else if (value !== null) faults.push({ source, key: path, message: `must be a map: ${sectionKeys(path)}` });
    }
  };
  readMap(document.contents, '');
  return { given, faults };
}

/** Where a part of a setting begins: the part, or the nearest thing around it that is there. */
function offsetOf(pair: Pair, parts: readonly PropertyKey[]): number {
  let offset = isNode(pair.key) ? (pair.key.range?.[0] ?? 0) : 0;
  let node: unknown = pair.value;
  for (const part of parts) {
    if (isMap(node)) {
      const found = (node.items as Pair[]).find(({ key }) => isScalar(key) && String(key.value) === String(part));
      if (!found) break;
      if (isNode(found.key)) offset = found.key.range?.[0] ?? offset;
      node = found.value;
    } else if (isSeq(node)) {
      node = node.items[Number(part)];
      if (isNode(node)) offset = node.range?.[0] ?? offset;
    } else break;
  }
  return offset;
}

function sectionKeys(section: string): string {
  const keys = settings.filter((option) => option.key.startsWith(`${section}.`)).map((option) => option.key.slice(section.length + 1));
  return keys.join(', ');
}

function unknownKey(path: string, word: string, source: string): Fault {
  const later = notBuilt.find((each) => each.key === path || each.flag === path);
  if (later) return { source, key: path, message: `not built yet: ${later.what}` };
  // Whoever knows the flag writes its name: --sip-port is sip.port here.
  const byFlag = options.find((option) => option.flag === word);
  const near =
    byFlag?.key ??
    nearest(
      path,
      settings.map((option) => option.key),
    );
  return { source, key: path, message: near ? `no such key; did you mean ${near}?` : 'no such key; see --help' };
}
