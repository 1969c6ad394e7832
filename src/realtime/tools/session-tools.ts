import type { Clock } from '../../base/clock.ts';
import { Driver } from '../../base/driver.ts';
import type { Logger } from '../../base/log.ts';
import type { Counter } from '../../base/metrics.ts';
import type { CallWatch, WrittenCall } from '../conversation.ts';
import type { FunctionTool, Item, ResponseRequest } from '../model.ts';
import type { HostedCallItem } from '../record-item.ts';
import type { OutputPlace, ToolNewsEvent } from '../session-event.ts';
import { newItemId } from '../turn-record.ts';

import { ListingRecord, type ListingStage } from './listing-record.ts';
import { type DeskOutput, ToolDesk, type ToolOutcome, type WaitingCall } from './tool-desk.ts';
import type { RunningTool, ToolCall, ToolDefinition, ToolSource } from './tool-source.ts';

/** As many as a session object may have of its own; beyond it tools are not offered. */
const MOST_HOSTED_TOOLS = 128;

const NAME = /^[a-zA-Z0-9_-]{1,64}$/;

/** Failures that are told apart in the metrics; sources may name others. */
const KNOWN_FAILURES: ReadonlySet<string> = new Set([
  ...['timeout', 'cancelled', 'withdrawn', 'ended', 'not_approved', 'approval_timeout', 'invalid_arguments', 'too_many_calls'],
  ...['invalid_output', 'output_too_large', 'internal_error'],
]);

/** What tools need of the conversation they are called in. */
export interface ToolStage extends ListingStage {
  /** The call has its result. */
  readonly finishCall: (place: OutputPlace, result: Pick<HostedCallItem, 'output' | 'error'>) => void;
  /** Gives the model an item of which programs know nothing. */
  readonly inform: (item: Item) => void;
  /** Has the model go on. */
  readonly ask: () => void;
  /** A call begins or is over: the caller waits for something else, and perhaps the model can be asked now. */
  readonly onWaiting: () => void;
  readonly tell: (event: ToolNewsEvent) => void;
  /** A program has to agree to a call. `approve` has the same name for it. */
  readonly onApproval: (call: ToolCall) => void;
  /** Other tools are offered than before. */
  readonly onOffered: () => void;
}

export interface SessionToolsDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly calls?: Counter<'outcome'> | undefined;
}

interface Offer {
  readonly source: ToolSource;
  readonly tool: ToolDefinition;
}

/** The tools that the gateway runs in one session: offers them to the model, runs what it calls, and gives it the results. */
export class SessionTools implements CallWatch {
  readonly #deps: SessionToolsDeps;
  readonly #stage: ToolStage;
  readonly #desk = new ToolDesk();
  readonly #driver: Driver<DeskOutput>;
  readonly #listings: ListingRecord;
  readonly #running = new Map<string, RunningTool>();
  readonly #places = new Map<string, OutputPlace>();
  #sources: readonly ToolSource[] = [];
  #offers: ReadonlyMap<string, Offer> = new Map();
  /** Names that programs run themselves. */
  #own: ReadonlySet<string> = new Set();
  #ownTools: readonly FunctionTool[] = [];
  #asking = false;
  #begun = false;

  constructor(deps: SessionToolsDeps, stage: ToolStage) {
    this.#deps = deps;
    this.#stage = stage;
    this.#listings = new ListingRecord(stage);
    this.#driver = new Driver(deps.clock, this.#desk, (output) => this.#carryOut(output));
  }

  /** Programs that are there from the beginning are there now: they are told what other machines offer. */
  begin(): void {
    this.#begun = true;
    this.#listings.note(this.#sources);
  }

  /** Is anything offered? */
  get hasTools(): boolean {
    return this.#offers.size > 0;
  }

  /** Does a tool run, or wait for approval? */
  get isBusy(): boolean {
    return this.#desk.isBusy;
  }

  /** Whatever the caller waits for. */
  get waiting(): readonly WaitingCall[] {
    return this.#desk.waiting;
  }

  /** Sources whose tools are offered from now on. Those that are gone are closed, and their calls aborted. */
  setSources(sources: readonly ToolSource[]): void {
    const gone = this.#sources.filter((source) => !sources.includes(source));
    this.#sources = sources;
    for (const source of sources) source.onChanged = () => this.refresh();
    this.refresh();
    for (const source of gone) {
      source.onChanged = undefined;
      source.close();
    }
  }

  /** What the model is offered in all. @param own what programs run; of these nothing is hidden by a tool of ours */
  offered(own: readonly FunctionTool[]): readonly FunctionTool[] {
    this.#ownTools = own;
    this.#own = new Set(own.map(({ name }) => name));
    const hosted = [...this.#offers.values()].filter(({ tool }) => !this.#own.has(tool.name));
    return [...own, ...hosted.map(({ tool }) => functionOf(tool))];
  }

  hostOf(name: string): { readonly label: string; readonly shownName: string } | undefined {
    const offer = this.#own.has(name) ? undefined : this.#offers.get(name);
    return offer && { label: offer.source.label, shownName: offer.tool.shownName ?? name };
  }

  handleWritten({ place, callId, name, arguments: text, hosted }: WrittenCall): void {
    this.#driver.run((now) => {
      if (!hosted) {
        this.#desk.handleClientCall(place.responseId, callId, now);
        return;
      }
      const offer = this.#offers.get(name);
      this.#places.set(place.itemId, place);
      const call = { id: place.itemId, callId, responseId: place.responseId, name };
      this.#desk.handleCall(call, offer?.tool ?? { name }, text, now);
    });
    this.#stage.onWaiting();
  }

  handleOver(responseId: string, stopped: boolean): void {
    this.#driver.run((now) => {
      if (stopped) this.#desk.handleResponseStopped(responseId, now);
      else this.#desk.handleResponseDone(responseId, now);
    });
  }

  /** A response that a program asks for out of band has the program's tools alone: what it says is heard by nobody, so it moves no call. */
  restrict(request: ResponseRequest): ResponseRequest {
    if (request.conversation === 'auto' || !this.hasTools || request.config?.tools) return request;
    return { ...request, config: { ...request.config, tools: this.#ownTools } };
  }

  /** A program has put an item into the conversation. */
  handleItem(item: Item): void {
    if (item.type !== 'function_call_output') return;
    this.#driver.run((now) => this.#desk.handleClientResult(item.call_id, now));
    this.#stage.onWaiting();
  }

  /** The model was asked to say something. */
  handleAsked(): void {
    this.#desk.handleAsked(!this.#asking);
  }

  /** The model could be asked now. */
  handleFree(): void {
    this.#driver.run(() => this.#desk.handleFree());
  }

  /** A program's word on a call that waits for it; false when none does. */
  approve(callId: string, approved: boolean, reason?: string): boolean {
    let known = false;
    this.#driver.run((now) => {
      known = this.#desk.approve(callId, approved, reason, now);
    });
    return known;
  }

  close(): void {
    this.#driver.run((now) => this.#desk.close(now));
    this.#driver.stop();
    for (const source of this.#sources) {
      source.onChanged = undefined;
      source.close();
    }
    this.#sources = [];
    this.#offers = new Map();
  }

  /** Which tools a source has may change with the call. */
  refresh(): void {
    if (this.#begun) this.#listings.note(this.#sources);
    const offers = new Map<string, Offer>();
    for (const source of this.#sources) {
      for (const tool of source.tools) {
        if (offers.has(tool.name) || offers.size >= MOST_HOSTED_TOOLS || !NAME.test(tool.name)) continue;
        offers.set(tool.name, { source, tool });
      }
    }
    const before = this.#offers;
    this.#offers = offers;
    const isGone = (name: string): boolean => before.get(name)?.source !== offers.get(name)?.source;
    this.#driver.run((now) => this.#desk.handleWithdrawn(isGone, now));
    this.#stage.onOffered();
  }

  #carryOut(output: DeskOutput): void {
    switch (output.type) {
      case 'start':
        this.#start(output.call);
        break;
      case 'abort': {
        const running = this.#running.get(output.call.id);
        this.#running.delete(output.call.id);
        running?.abort(output.reason);
        break;
      }
      case 'approval':
        this.#stage.onApproval(output.call);
        break;
      case 'progress': {
        const place = this.#places.get(output.call.id);
        if (place) this.#stage.tell({ type: 'tool_progress', ...place, message: output.message });
        break;
      }
      case 'settled':
        this.#settle(output.call, output.outcome);
        break;
      case 'ask':
        this.#asking = true;
        this.#stage.ask();
        this.#asking = false;
        break;
      case 'waited':
        this.#stage.onWaiting();
        break;
      case 'strange':
        this.#deps.calls?.inc({ outcome: output.what });
        this.#deps.log.debug({ what: output.what }, 'a tool does what it should not');
        break;
    }
  }

  #start(call: ToolCall): void {
    const { source } = this.#offers.get(call.name) ?? {};
    const place = this.#places.get(call.id);
    if (place) this.#stage.tell({ type: 'tool_started', ...place });
    const tell = (news: Parameters<Parameters<ToolSource['start']>[1]>[0]): void =>
      this.#driver.run((now) => this.#desk.handleNews(call.id, news, now));
    if (!source) {
      tell({ type: 'failed', code: 'withdrawn', message: 'The tool is not there any more.' });
      return;
    }
    try {
      const running = source.start(call, tell);
      // It may be over already.
      if (this.#desk.has(call.id)) this.#running.set(call.id, running);
    } catch (thrown) {
      this.#deps.log.error({ err: thrown, source: source.label }, 'tool failed');
      tell({ type: 'failed', code: 'internal_error', message: 'The tool failed.' });
    }
  }

  #settle(call: ToolCall, outcome: ToolOutcome): void {
    this.#running.delete(call.id);
    const place = this.#places.get(call.id);
    this.#places.delete(call.id);
    if (outcome.type === 'completed') this.#deps.calls?.inc({ outcome: 'completed' });
    else this.#deps.calls?.inc({ outcome: KNOWN_FAILURES.has(outcome.code) ? outcome.code : 'failed' });
    if (!place) return;
    const failed = outcome.type === 'failed' ? outcome : undefined;
    const output = failed
      ? JSON.stringify({ error: { code: failed.code, message: failed.message } })
      : (outcome as { output: string }).output;
    this.#stage.inform({ type: 'function_call_output', id: newItemId(), status: 'completed', call_id: call.callId, output });
    this.#stage.finishCall(
      place,
      failed
        ? { output: null, error: { type: 'tool_execution_error', message: `${failed.code}: ${failed.message}` } }
        : { output, error: null },
    );
    this.#stage.onWaiting();
  }
}

function functionOf({ name, description, parameters }: ToolDefinition): FunctionTool {
  return {
    type: 'function',
    name,
    ...(description === undefined ? {} : { description }),
    parameters: parameters ?? { type: 'object', properties: {} },
  };
}
