import type { Machine } from '../../base/driver.ts';
import { type CallArguments, readArguments } from './call-arguments.ts';
import type { AbortReason, FillerChoice, ToolCall, ToolDefinition, ToolNews } from './tool-source.ts';

/** Calls at once: models make two or three; each may hold a connection to another machine. */
export const MOST_RUNNING = 8;

/** Of a result, in characters: sixteen thousand tokens, more than a conversation by voice has use for. */
export const MOST_OUTPUT = 65_536;

/** Of what a source says of its progress, or of a failure. */
const MOST_MESSAGE = 1024;

const DEFAULT_TIMEOUT_MS = 30_000;
const MOST_TIMEOUT_MS = 3_600_000;

/** Somebody has to look at it and decide; the caller waits. */
const APPROVAL_MS = 120_000;

/** A model that is asked so often in a row without the caller having said anything calls tools for their own sake. */
const MOST_ASKED = 24;

/** Calls that a program runs itself, of the same response, are waited for so long: the program asks for the response then. */
const CLIENT_MS = 30_000;

/** It has given its results and will ask; if not by then, it leaves it to us. */
const CLIENT_ASKS_MS = 1000;

/** Responses with calls that are remembered. */
const MOST_BATCHES = 32;

/** How a call ended. */
export type ToolOutcome =
  | { readonly type: 'completed'; readonly output: string }
  | { readonly type: 'failed'; readonly code: string; readonly message: string };

/** What has to be done, or is told. */
export type DeskOutput =
  | { readonly type: 'start'; readonly call: ToolCall }
  | { readonly type: 'abort'; readonly call: ToolCall; readonly reason: AbortReason }
  /** A program has to agree: `approve(call.id, …)`. */
  | { readonly type: 'approval'; readonly call: ToolCall }
  | { readonly type: 'progress'; readonly call: ToolCall; readonly message: string }
  /** Once for each call that was handed in. */
  | { readonly type: 'settled'; readonly call: ToolCall; readonly outcome: ToolOutcome; readonly tookMs: number }
  /** What programs have not answered is waited for no longer. */
  | { readonly type: 'waited' }
  /** The model shall go on with what the tools said. */
  | { readonly type: 'ask' }
  /** Somebody has to know, for the metrics. */
  | { readonly type: 'strange'; readonly what: 'late_answer' | 'endless_calls' };

/** Something the caller waits for. */
export interface WaitingCall {
  readonly id: string;
  readonly since: number;
  /** undefined: as the session has it. */
  readonly filler: FillerChoice | undefined;
}

interface OpenCall {
  readonly call: ToolCall;
  readonly tool: ToolDefinition;
  readonly since: number;
  state: 'approval' | 'running';
  deadline: number;
  /** Shall the model be asked when it is over? */
  speaks: boolean;
  /** Known, and not told before its response is over. */
  outcome: ToolOutcome | undefined;
}

/** The calls of one response. */
interface Batch {
  /** The model still writes it. */
  open: boolean;
  /** A result is there that the model has not been asked to go on with. */
  owes: boolean;
  /** Of programs: unanswered, and until when they are waited for. */
  readonly clientCalls: Map<string, number>;
  clientUntil: number | undefined;
}

/**
 * The calls of tools that the gateway runs: each that is handed in is settled exactly once, whatever its source does, and the model is asked to
 * go on when all calls of a response are. A machine: no I/O, and no sources either.
 */
export class ToolDesk implements Machine<DeskOutput> {
  readonly #outputs: DeskOutput[] = [];
  readonly #calls = new Map<string, OpenCall>();
  readonly #batches = new Map<string, Batch>();
  #asked = 0;
  #closed = false;

  /** Does anything run, or wait for approval? */
  get isBusy(): boolean {
    return this.#calls.size > 0;
  }

  /** Is it a call that has no result yet? */
  has(id: string): boolean {
    return this.#calls.get(id)?.outcome === undefined && this.#calls.has(id);
  }

  /** Whatever the caller waits for: calls of ours and of programs, the oldest first. */
  get waiting(): readonly WaitingCall[] {
    const own = [...this.#calls.values()].filter(({ outcome }) => outcome === undefined);
    const theirs = [...this.#batches.values()].flatMap(({ clientCalls }) => [...clientCalls]);
    return [
      ...own.map(({ call, tool, since }) => ({ id: call.id, since, filler: tool.filler })),
      ...theirs.map(([id, since]) => ({ id, since, filler: undefined })),
    ];
  }

  pollOutput(): DeskOutput | undefined {
    return this.#outputs.shift();
  }

  nextTimeout(): number | undefined {
    let at = Number.POSITIVE_INFINITY;
    for (const { deadline, outcome } of this.#calls.values()) if (outcome === undefined) at = Math.min(at, deadline);
    for (const { clientUntil } of this.#batches.values()) if (clientUntil !== undefined) at = Math.min(at, clientUntil);
    return at === Number.POSITIVE_INFINITY ? undefined : at;
  }

  handleTimeout(now: number): void {
    for (const open of [...this.#calls.values()]) {
      if (open.outcome !== undefined || now < open.deadline) continue;
      if (open.state === 'approval') this.#fail(open, 'approval_timeout', 'Nobody has approved the call in time.', now);
      else {
        this.#outputs.push({ type: 'abort', call: open.call, reason: 'timeout' });
        this.#fail(open, 'timeout', 'The tool did not answer in time.', now);
      }
    }
    for (const [responseId, batch] of this.#batches) {
      if (batch.clientUntil === undefined || now < batch.clientUntil) continue;
      batch.clientUntil = undefined;
      batch.clientCalls.clear();
      this.#outputs.push({ type: 'waited' });
      this.#forgetIfOver(responseId);
    }
  }

  /** The model has called a tool: the call is whole. @param text of its arguments, as the model wrote it */
  handleCall(call: Omit<ToolCall, 'arguments'>, tool: ToolDefinition, text: string, now: number): void {
    if (this.#closed || this.#calls.has(call.id)) return;
    this.#batchOf(call.responseId);
    const read: CallArguments = readArguments(text);
    const whole: ToolCall = { ...call, arguments: read.type === 'object' ? read.value : {} };
    const state = tool.needsApproval ? 'approval' : 'running';
    const limitMs = state === 'approval' ? APPROVAL_MS : timeoutOf(tool);
    const open: OpenCall = { call: whole, tool, since: now, state, deadline: now + limitMs, speaks: true, outcome: undefined };
    const isFull = [...this.#calls.values()].filter(({ outcome }) => outcome === undefined).length >= MOST_RUNNING;
    this.#calls.set(call.id, open);
    if (read.type === 'fault') this.#fail(open, 'invalid_arguments', read.message, now);
    else if (isFull) this.#fail(open, 'too_many_calls', `No more than ${MOST_RUNNING} tools run at a time.`, now);
    else this.#outputs.push({ type: state === 'approval' ? 'approval' : 'start', call: whole });
  }

  /** The same response has called a tool that a program runs. */
  handleClientCall(responseId: string, callId: string, now: number): void {
    if (this.#closed) return;
    const batch = this.#batchOf(responseId);
    batch.clientCalls.set(callId, now);
    batch.clientUntil = now + CLIENT_MS;
  }

  /** A program has given the result of its call. */
  handleClientResult(callId: string, now: number): void {
    for (const batch of this.#batches.values()) {
      if (batch.clientCalls.delete(callId) && batch.clientCalls.size === 0) batch.clientUntil = now + CLIENT_ASKS_MS;
    }
  }

  /** What a source says of a call. */
  handleNews(id: string, news: ToolNews, now: number): void {
    const open = this.#calls.get(id);
    if (open?.state !== 'running' || open.outcome !== undefined) {
      if (!this.#closed) this.#outputs.push({ type: 'strange', what: 'late_answer' });
      return;
    }
    switch (news.type) {
      case 'progress':
        this.#outputs.push({ type: 'progress', call: open.call, message: cut(news.message) });
        break;
      case 'done':
        open.speaks &&= !news.silent;
        if (typeof news.output !== 'string') this.#fail(open, 'invalid_output', 'The tool gave no text.', now);
        else if (news.output.length > MOST_OUTPUT)
          this.#fail(open, 'output_too_large', `The tool answered with ${news.output.length} characters.`, now);
        else this.#settle(open, { type: 'completed', output: news.output }, now);
        break;
      case 'failed':
        this.#fail(open, cut(news.code), cut(news.message), now);
        break;
    }
  }

  /** A program's word on a call that waits for it; false when none does. */
  approve(id: string, approved: boolean, reason: string | undefined, now: number): boolean {
    const open = this.#calls.get(id);
    if (open?.state !== 'approval' || open.outcome !== undefined) return false;
    if (approved) {
      open.state = 'running';
      open.deadline = now + timeoutOf(open.tool);
      this.#outputs.push({ type: 'start', call: open.call });
    } else this.#fail(open, 'not_approved', cut(reason) || 'The call was not approved.', now);
    return true;
  }

  /** The model has said all of a response. */
  handleResponseDone(responseId: string, now: number): void {
    const batch = this.#batches.get(responseId);
    if (!batch?.open) return;
    batch.open = false;
    for (const open of [...this.#calls.values()]) {
      if (open.call.responseId === responseId && open.outcome) this.#tell(open, open.outcome, now);
    }
    this.#forgetIfOver(responseId);
  }

  /** Somebody has cancelled a response before it was over: nobody speaks of its calls any more. */
  handleResponseStopped(responseId: string, now: number): void {
    if (!this.#batches.has(responseId)) return;
    for (const open of [...this.#calls.values()]) {
      if (open.call.responseId !== responseId) continue;
      open.speaks = false;
      const aborts = open.state === 'approval' || (open.tool.whenCancelled ?? 'finish') === 'abort';
      if (open.outcome === undefined && aborts) this.#abort(open, 'cancelled', 'The caller said something else.', now);
    }
    this.handleResponseDone(responseId, now);
  }

  /** These tools are there no more. */
  handleWithdrawn(isGone: (name: string) => boolean, now: number): void {
    for (const open of [...this.#calls.values()]) {
      if (open.outcome === undefined && isGone(open.tool.name)) this.#abort(open, 'withdrawn', 'The tool is not there any more.', now);
    }
  }

  /** The model was asked to say something, by whomever: it knows what the tools have said so far. @param byCaller it answers the caller */
  handleAsked(byCaller: boolean): void {
    if (byCaller) this.#asked = 0;
    for (const [responseId, batch] of this.#batches) {
      batch.owes = false;
      if (batch.clientCalls.size === 0) batch.clientUntil = undefined;
      this.#forgetIfOver(responseId);
    }
  }

  /** Nobody speaks and nothing is being made: what the model owes is asked for. */
  handleFree(): void {
    let owes = false;
    for (const [responseId, batch] of this.#batches) {
      if (!batch.owes || batch.clientUntil !== undefined || this.#isRunning(responseId)) continue;
      batch.owes = false;
      owes = true;
      this.#forgetIfOver(responseId);
    }
    if (!owes) return;
    this.#asked += 1;
    if (this.#asked <= MOST_ASKED) this.#outputs.push({ type: 'ask' });
    else if (this.#asked === MOST_ASKED + 1) this.#outputs.push({ type: 'strange', what: 'endless_calls' });
  }

  /** The session is over: what runs is aborted and settled, and nothing follows. */
  close(now: number): void {
    if (this.#closed) return;
    for (const open of [...this.#calls.values()]) {
      open.speaks = false;
      if (open.outcome) this.#tell(open, open.outcome, now);
      else {
        if (open.state === 'running') this.#outputs.push({ type: 'abort', call: open.call, reason: 'ended' });
        this.#tell(open, { type: 'failed', code: 'ended', message: 'The session is over.' }, now);
      }
    }
    this.#closed = true;
    this.#batches.clear();
  }

  #abort(open: OpenCall, reason: AbortReason, message: string, now: number): void {
    if (open.state === 'running') this.#outputs.push({ type: 'abort', call: open.call, reason });
    this.#fail(open, reason, message, now);
  }

  #fail(open: OpenCall, code: string, message: string, now: number): void {
    this.#settle(open, { type: 'failed', code, message }, now);
  }

  #settle(open: OpenCall, outcome: ToolOutcome, now: number): void {
    open.outcome = outcome;
    if (!this.#batches.get(open.call.responseId)?.open) this.#tell(open, outcome, now);
  }

  #tell(open: OpenCall, outcome: ToolOutcome, now: number): void {
    const { call, speaks, since } = open;
    this.#calls.delete(call.id);
    this.#outputs.push({ type: 'settled', call, outcome, tookMs: now - since });
    const batch = this.#batches.get(call.responseId);
    if (batch && speaks) batch.owes = true;
    this.#forgetIfOver(call.responseId);
  }

  #isRunning(responseId: string): boolean {
    return [...this.#calls.values()].some(({ call, speaks }) => call.responseId === responseId && speaks);
  }

  #batchOf(responseId: string): Batch {
    let batch = this.#batches.get(responseId);
    if (batch) return batch;
    batch = { open: true, owes: false, clientCalls: new Map(), clientUntil: undefined };
    this.#batches.set(responseId, batch);
    if (this.#batches.size > MOST_BATCHES) this.#batches.delete(this.#batches.keys().next().value ?? '');
    return batch;
  }

  #forgetIfOver(responseId: string): void {
    const batch = this.#batches.get(responseId);
    if (!batch || batch.open || batch.owes || batch.clientUntil !== undefined) return;
    for (const { call } of this.#calls.values()) if (call.responseId === responseId) return;
    this.#batches.delete(responseId);
  }
}

function timeoutOf({ timeoutMs = DEFAULT_TIMEOUT_MS }: ToolDefinition): number {
  return Math.min(Math.max(1, timeoutMs), MOST_TIMEOUT_MS);
}

function cut(text: string | undefined): string {
  return typeof text === 'string' ? text.slice(0, MOST_MESSAGE) : '';
}
