import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { CommandFault } from '../session-event.ts';
import type { CallControl } from './call-control.ts';
import type { HostedTool, ToolSource } from './tool-source.ts';

/** What the sources of one session may use. */
export interface ToolContext {
  readonly clock: Clock;
  /** Of the session: its ids are bound. */
  readonly log: Logger;
  /** The call that the session is in. */
  readonly call: CallControl;
  /** Whose session it is. */
  readonly project: string;
  /** As programs know it: `rtc_…`. */
  readonly sessionId: string;
}

/** Where a session gets its tools from. One for all sessions of a process. */
export interface ToolCatalogue {
  /** The operator's, for every session. */
  standing(context: ToolContext): readonly ToolSource[];
  /** What an entry of a session object's `tools` stands for, `function` excepted; undefined: not for this catalogue. */
  open(tool: HostedTool, context: ToolContext): ToolSource | undefined;
  /** Why sessions of this project may not have it; undefined: they may, or it is not for this catalogue. */
  refuse?(tool: HostedTool, project: string): CommandFault | undefined;
}

/** Several catalogues as one. */
export function catalogueOf(catalogues: readonly ToolCatalogue[]): ToolCatalogue {
  return {
    standing: (context) => catalogues.flatMap((each) => each.standing(context)),
    open: (tool, context) => {
      for (const each of catalogues) {
        const source = each.open(tool, context);
        if (source) return source;
      }
      return undefined;
    },
    refuse: (tool, project) => {
      for (const each of catalogues) {
        const refusal = each.refuse?.(tool, project);
        if (refusal) return refusal;
      }
      return undefined;
    },
  };
}

/** The sources of one session: the operator's stay, those of the session object come and go with it. */
export class SessionSources {
  readonly #catalogue: ToolCatalogue | undefined;
  readonly #context: ToolContext;
  #standing: readonly ToolSource[];
  #opened: ReadonlyMap<string, ToolSource> = new Map();

  constructor(catalogue: ToolCatalogue | undefined, context: ToolContext) {
    this.#catalogue = catalogue;
    this.#context = context;
    this.#standing = catalogue?.standing(context) ?? [];
  }

  /** All of them: what the session object names first, in its order. */
  get all(): readonly ToolSource[] {
    const opened = [...this.#opened.values()];
    // Who names one of the operator's has it as he names it, and not beside that as everybody does.
    return [...opened, ...this.#standing.filter(({ label }) => !opened.some((each) => each.label === label))];
  }

  /** What the session object names from now on; what it named before and still does goes on. False: nothing has changed. */
  name(tools: readonly HostedTool[]): boolean {
    const opened = new Map<string, ToolSource>();
    for (const tool of tools) {
      const key = JSON.stringify(tool);
      const source = this.#opened.get(key) ?? this.#catalogue?.open(tool, this.#context);
      if (source) opened.set(key, source);
    }
    const before = [...this.#opened.keys()];
    const after = [...opened.keys()];
    const hidden = labelsOf(this.#opened);
    this.#opened = opened;
    this.#show(hidden);
    return before.length !== after.length || before.some((key, at) => key !== after[at]);
  }

  /** What was hidden is closed: those that are seen again are made anew, and those alone. */
  #show(hidden: ReadonlySet<string>): void {
    const hides = labelsOf(this.#opened);
    const returns = (label: string): boolean => hidden.has(label) && !hides.has(label);
    if (!this.#standing.some(({ label }) => returns(label))) return;
    const fresh = this.#catalogue?.standing(this.#context) ?? [];
    const standing = this.#standing.map((source) => (returns(source.label) ? fresh.find(({ label }) => label === source.label) : source));
    this.#standing = standing.filter((source) => source !== undefined);
    for (const source of fresh) if (!this.#standing.includes(source)) source.close();
  }
}

function labelsOf(opened: ReadonlyMap<string, ToolSource>): ReadonlySet<string> {
  return new Set([...opened.values()].map(({ label }) => label));
}
