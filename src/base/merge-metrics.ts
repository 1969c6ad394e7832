/**
 * Makes one text of the metrics of several processes, in Prometheus' format: what one name stands for is said once, and all its samples stand
 * together. The samples must differ in their labels.
 */
export function mergeMetrics(texts: readonly string[]): string {
  const families = new Map<string, string[]>();
  for (const text of texts) {
    let samples: string[] | undefined;
    for (const line of text.split('\n')) {
      const [, word, name] = /^# (HELP|TYPE) (\S+)/.exec(line) ?? [];
      if (name === undefined || word === undefined) {
        if (line !== '') samples?.push(line);
        continue;
      }
      const known = families.get(name);
      // The first process that has it says what it is.
      samples = known ?? [];
      if (!known) families.set(name, samples);
      if (!samples.some((each) => each.startsWith(`# ${word} `))) samples.push(line);
    }
  }
  return [...families.values()].map((lines) => `${lines.join('\n')}\n`).join('\n');
}
