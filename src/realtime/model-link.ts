import type { CallContext, CommittedTurn, ModelConnection, ModelEvent, RealtimeModel, ResponseRequest } from './model.ts';
import type { CutItem, Playout } from './playout.ts';

/** More open responses at once than any model has: the next one is refused. Out of band there may be as many more. */
const MOST_OPEN_RESPONSES = 8;

/** Requests that no response has answered yet: a model that answers none is not asked more. */
const MOST_REQUESTS = 16;

/** What was stopped: responses that were open, and items that were not said to their end. */
export interface Stopped {
  readonly responseIds: readonly string[];
  readonly cut: readonly CutItem[];
}

export interface ModelLinkOptions {
  /** Does what is stopped here have to be truncated at the model? Not where the far end plays, and says itself what it played. */
  readonly truncates: boolean;
}

/**
 * The model as the session has it: which responses are open, which are unwanted. What the model says of responses goes to
 * the playout here, and all of it that is wanted to the owner.
 */
export class ModelLink {
  readonly connection: ModelConnection;
  readonly #playout: Playout;
  readonly #onEvent: (event: ModelEvent, request?: ResponseRequest) => void;
  readonly #options: ModelLinkOptions;
  readonly #open = new Set<string>();
  /** Responses out of band: never played, interrupted by nobody. */
  readonly #side = new Set<string>();
  readonly #requests = new Map<string, { readonly request: ResponseRequest; wanted: boolean }>();
  /** The agent takes no part: whatever the model begins to say is cancelled. */
  isSilent = false;
  /** Commits that no response has answered yet. */
  #requested = false;
  /** The response that was asked for is cancelled before it had a name. */
  #unwanted = false;
  #closed = false;

  constructor(
    model: RealtimeModel,
    playout: Playout,
    onEvent: (event: ModelEvent, request?: ResponseRequest) => void,
    call?: CallContext,
    options: ModelLinkOptions = { truncates: true },
  ) {
    this.#playout = playout;
    this.#onEvent = onEvent;
    this.#options = options;
    this.connection = model.connect((event) => this.#handle(event), call);
  }

  /** Does the model owe more audio? */
  get isResponding(): boolean {
    return this.#open.size > 0;
  }

  /** Is a response of the conversation open, or asked for by a program? */
  get isBusy(): boolean {
    return this.#open.size > 0 || [...this.#requests.values()].some(({ request, wanted }) => wanted && request.conversation === 'auto');
  }

  get isFull(): boolean {
    let wanted = 0;
    for (const each of this.#requests.values()) if (each.wanted) wanted += 1;
    return wanted >= MOST_REQUESTS;
  }

  /** The response of the conversation that was opened last. */
  get openId(): string | undefined {
    return [...this.#open].at(-1);
  }

  isOpen(responseId: string): boolean {
    return this.#open.has(responseId) || this.#side.has(responseId);
  }

  commitTurn(turn: CommittedTurn): void {
    if (turn.respond ?? true) this.awaitAnswer();
    this.connection.commitTurn(turn);
  }

  /** The model answers a turn that it has taken itself. */
  awaitAnswer(): void {
    this.#requested = true;
    this.#unwanted = false;
  }

  /** Is this response one that the caller hears? */
  isSpoken(responseId: string): boolean {
    return this.#open.has(responseId);
  }

  /** A model that answers turns only does nothing. */
  respond(request: ResponseRequest): void {
    if (!this.connection.respond) return;
    this.#requests.set(request.requestId, { request, wanted: true });
    if (this.#requests.size > 2 * MOST_REQUESTS) this.#forgetRefused();
    this.connection.respond(request);
  }

  /** The model may answer something other than a turn. */
  expectResponse(): void {
    this.#unwanted = false;
  }

  /** Stops everything that is said or about to be said, and tells the model what of it was. */
  stopResponses(now: number): Stopped {
    this.#refusePending();
    const responseIds = [...this.#open];
    this.#open.clear();
    const cut = this.#playout.stop(now);
    for (const responseId of responseIds) {
      this.#playout.forget(responseId);
      this.connection.cancelResponse(responseId);
    }
    if (this.#options.truncates) for (const { itemId, sentMs } of cut) this.connection.truncate(itemId, sentMs);
    return { responseIds, cut };
  }

  /** Stops what is queued to be said, and tells the model what of it was; what comes later of open responses is said. */
  clearPlayout(now: number): Stopped {
    const cut = this.#playout.stop(now);
    if (this.#options.truncates) for (const { itemId, sentMs } of cut) this.connection.truncate(itemId, sentMs);
    return { responseIds: [], cut };
  }

  /** Nothing more comes of this response (undefined: of those that were asked for); what is queued of it is still said. */
  cancel(responseId: string | undefined): void {
    if (responseId === undefined) {
      this.#refusePending();
      return;
    }
    if (this.#open.delete(responseId)) this.#playout.seal(responseId);
    this.#side.delete(responseId);
    this.connection.cancelResponse(responseId);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.connection.close();
  }

  /** A model need not say what became of a request that was cancelled. */
  #forgetRefused(): void {
    for (const [requestId, { wanted }] of this.#requests) if (!wanted) this.#requests.delete(requestId);
  }

  #refusePending(): void {
    let pending = this.#requested;
    if (this.#requested) {
      this.#requested = false;
      this.#unwanted = true;
    }
    for (const each of this.#requests.values()) {
      if (!each.wanted || each.request.conversation === 'none') continue;
      each.wanted = false;
      pending = true;
    }
    if (pending) this.connection.cancelResponse(undefined);
  }

  #handle(event: ModelEvent): void {
    if (this.#closed) return;
    switch (event.type) {
      case 'response_started':
        this.#handleStarted(event);
        return;
      case 'audio':
        if (this.#open.has(event.responseId)) this.#playout.push(event.responseId, event.itemId, event.pcm);
        else if (!this.#side.has(event.responseId)) return;
        break;
      case 'item_started':
      case 'text':
      case 'transcript':
      case 'arguments':
      case 'item_done':
        if (!this.isOpen(event.responseId)) return;
        break;
      case 'response_done':
        if (this.#side.delete(event.responseId)) break;
        if (!this.#open.delete(event.responseId)) return;
        this.#playout.seal(event.responseId);
        break;
      case 'fault':
        if (event.requestId !== undefined) this.#requests.delete(event.requestId);
        break;
      case 'closed':
        for (const responseId of this.#open) this.#playout.seal(responseId);
        this.#open.clear();
        this.#side.clear();
        break;
      default:
        break;
    }
    this.#onEvent(event);
  }

  #handleStarted(event: Extract<ModelEvent, { readonly type: 'response_started' }>): void {
    const { responseId, requestId } = event;
    const asked = requestId === undefined ? undefined : this.#requests.get(requestId);
    if (requestId !== undefined) this.#requests.delete(requestId);
    const side = asked?.request.conversation === 'none';
    let wanted = asked?.wanted ?? true;
    if (!asked) {
      wanted = !this.#unwanted;
      this.#requested = false;
      this.#unwanted = false;
    }
    const group = side ? this.#side : this.#open;
    if (!wanted || (this.isSilent && !side) || group.size >= MOST_OPEN_RESPONSES) {
      this.connection.cancelResponse(responseId);
      return;
    }
    group.add(responseId);
    if (!side) this.#playout.open(responseId, event.live ?? false);
    this.#onEvent(event, asked?.request);
  }
}
