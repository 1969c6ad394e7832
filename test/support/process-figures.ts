import { readdirSync, readFileSync } from 'node:fs';
import { DeadlineError, eventually } from './wait.ts';

/** What a process uses, read from /proc. */
export interface ProcessFigures {
  readonly rssBytes: number;
  readonly fileDescriptors: number;
  readonly threads: number;
  /** User and system time since its start. */
  readonly cpuMs: number;
}

/** Clock ticks a second in /proc/<pid>/stat: 100 on every Linux there is. */
const TICKS_PER_S = 100;

/** @throws Error where there is no /proc, or no such process */
export function processFigures(pid = process.pid): ProcessFigures {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const number = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
  // The name in the second field may hold anything, so count from the bracket that ends it.
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return {
    rssBytes: number('VmRSS') * 1024,
    fileDescriptors: readdirSync(`/proc/${pid}/fd`).length,
    threads: number('Threads'),
    cpuMs: ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_S,
  };
}

/** What keeps this process alive, counted by kind: `UDPWrap`, `TCPSocketWrap`, `Timeout` … */
export function activeResources(): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

/** Kinds that come and go by themselves with I/O under way. */
const PASSING = new Set([
  'FSReqCallback',
  'FSReqPromise',
  'Immediate',
  'TickObject',
  'WriteWrap',
  'ShutdownWrap',
  'SendWrap',
  'GetAddrInfoReqWrap',
]);

/** Remembers what is in use now, to find later what was left behind. */
export class ResourceBaseline {
  readonly #before: Readonly<Record<string, number>>;

  constructor(before: Readonly<Record<string, number>>) {
    this.#before = before;
  }

  /** What is in use once everything that is being closed has been. */
  static async take(): Promise<ResourceBaseline> {
    for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve));
    return new ResourceBaseline(activeResources());
  }

  /** What there is more of than before, by kind. */
  leaked(): Readonly<Record<string, number>> {
    const more: Record<string, number> = {};
    for (const [kind, count] of Object.entries(activeResources())) {
      const extra = count - (this.#before[kind] ?? 0);
      if (extra > 0 && !PASSING.has(kind)) more[kind] = extra;
    }
    return more;
  }

  /** Waits until nothing is left over. @throws DeadlineError naming what stayed */
  async restored(deadlineMs = 5000): Promise<void> {
    // The wait itself holds a timer or two while it looks.
    const left = (): string[] =>
      Object.entries(this.leaked()).flatMap(([kind, count]) => (kind === 'Timeout' && count <= 2 ? [] : [`${count} ${kind}`]));
    await eventually(() => left().length === 0, deadlineMs, 'resources to be given back').catch(() => {
      throw new DeadlineError(`still in use after ${deadlineMs} ms: ${left().join(', ')}`);
    });
  }
}
