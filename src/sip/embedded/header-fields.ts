import { splitElements } from './text.ts';

/** The header fields of one message, in their order. Values are unfolded wire text; nothing in them is parsed before it is asked for. */
export class HeaderFields {
  readonly #names: readonly string[];
  readonly #values: readonly string[];

  /** @param names canonical names, one for each value */
  constructor(names: readonly string[], values: readonly string[]) {
    this.#names = names;
    this.#values = values;
  }

  get size(): number {
    return this.#names.length;
  }

  /** Every field in its order: canonical name and value. */
  get entries(): readonly (readonly [name: string, value: string])[] {
    return this.#names.map((name, at) => [name, this.#values[at] ?? ''] as const);
  }

  /** First value of a field by its canonical name. */
  first(name: string): string | undefined {
    const at = this.#names.indexOf(name);
    return at === -1 ? undefined : this.#values[at];
  }

  /** The value of every field of this name. */
  all(name: string): string[] {
    const found: string[] = [];
    for (let at = this.#names.indexOf(name); at !== -1; at = this.#names.indexOf(name, at + 1)) found.push(this.#values[at] ?? '');
    return found;
  }

  count(name: string): number {
    let count = 0;
    for (let at = this.#names.indexOf(name); at !== -1; at = this.#names.indexOf(name, at + 1)) count += 1;
    return count;
  }

  /** All elements of a comma-separated field, over all its lines; undefined when a line has an empty element between others. */
  elements(name: string): string[] | undefined {
    const elements: string[] = [];
    for (const value of this.all(name)) {
      if (value === '') continue; // an empty Supported or Accept line lists nothing
      const split = splitElements(value);
      if (!split) return undefined;
      elements.push(...split);
    }
    return elements;
  }
}
