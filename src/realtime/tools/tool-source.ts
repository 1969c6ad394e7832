/*
 * Where tools come from that the gateway runs for the model: the call's own (transfer, hang up …), and other machines. The model knows them as
 * plain functions; programs see their calls as the reference shows tools that the server runs (`mcp_call`), so that no client runs them too.
 */

/** What is to be heard while a tool runs and nobody speaks. */
export interface FillerChoice {
  readonly sound: 'none' | 'tone' | 'typing' | 'phrase';
  /** After so much silence. */
  readonly afterMs?: number | undefined;
  /** Of `phrase`: what is said. The prompt "One moment." when absent. */
  readonly text?: string | undefined;
}

/** One tool as a source offers it. */
export interface ToolDefinition {
  /** As the model calls it: `[a-zA-Z0-9_-]{1,64}`. Of two tools of one name the one that came first is offered. */
  readonly name: string;
  /** As programs see it; absent: the same. */
  readonly shownName?: string | undefined;
  readonly description?: string | undefined;
  /** JSON Schema of an object. Absent: a tool without parameters. */
  readonly parameters?: Readonly<Record<string, unknown>> | undefined;
  /** A call that has no result by then has failed. Default 30 s; at the most an hour. Waiting for approval does not count. */
  readonly timeoutMs?: number | undefined;
  /** Does a program have to agree before the tool runs? Default false. */
  readonly needsApproval?: boolean | undefined;
  /** What becomes of a call when the response that made it is cancelled: it ends, or goes on and its result is put down without a word. Default `finish`. */
  readonly whenCancelled?: 'abort' | 'finish' | undefined;
  /** Absent: as the session has it. */
  readonly filler?: FillerChoice | undefined;
}

/** A call of a tool, its arguments read. */
export interface ToolCall {
  /** Ours: the id of the item. */
  readonly id: string;
  /** The model's name for it. */
  readonly callId: string;
  readonly responseId: string;
  /** The tool's. */
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** What the source says of a call. After `done` or `failed` nothing is heard of it. */
export type ToolNews =
  /** Told to programs; it does not make the call live longer. */
  | { readonly type: 'progress'; readonly message?: string | undefined }
  /**
   * @param output for the model, as it is
   * @param silent the model is told when it speaks the next time, and is not asked to (default false)
   */
  | { readonly type: 'done'; readonly output: string; readonly silent?: boolean | undefined }
  /** `code`: a word like `busy`; `message`: a sentence for the model. No secrets: programs see both. */
  | { readonly type: 'failed'; readonly code: string; readonly message: string };

/** Why a call is not wanted any more. `timeout`: it took too long; `cancelled`: so was its response; `withdrawn`: its tool; `ended`: the session is over. */
export type AbortReason = 'timeout' | 'cancelled' | 'withdrawn' | 'ended';

/** A call that runs, as its owner holds it. */
export interface RunningTool {
  /** Nobody waits for it any more: what it says from now on is dropped. Called once at the most, and not after its last word. */
  abort(reason: AbortReason): void;
}

/** What another machine says that it offers. Each time it is said anew, it is another object. */
export type ToolListing =
  | { readonly state: 'in_progress' }
  | { readonly state: 'failed'; readonly code: string; readonly message: string }
  /** `tools`: in the reference's shape. */
  | { readonly state: 'completed'; readonly tools: readonly Readonly<Record<string, unknown>>[] };

/** Offers tools to one session, and runs them. No method throws. */
export interface ToolSource {
  /** What programs know it by: `[a-zA-Z0-9_-]{1,64}`. */
  readonly label: string;
  /** The tools it has now. */
  readonly tools: readonly ToolDefinition[];
  /** Of a source on another machine: programs are told of it. `onChanged` is called when it has changed, too. */
  readonly listing?: ToolListing | undefined;
  /** Set by whoever uses it; the source calls it when `tools` has changed. */
  onChanged: (() => void) | undefined;
  /** Runs a tool. `tell` may be called at once, and at any time later. */
  start(call: ToolCall, tell: (news: ToolNews) => void): RunningTool;
  /** The session is over, or does not want it any more. Its running calls were aborted before. Idempotent. */
  close(): void;
}

/** Tools of the gateway that a session object asks for, checked. Its JSON tells one from another. */
export type HostedTool = Readonly<Record<string, unknown>> & { readonly type: string };
