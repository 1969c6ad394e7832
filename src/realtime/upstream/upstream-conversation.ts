import type { Machine } from '../../base/driver.ts';
import { randomText } from '../../base/ids.ts';
import type { CommittedTurn, Item, ModelConfig, ModelEvent, ResponseRequest, Uplink } from '../model.ts';
import { ConversationHistory, type HistoryEntry } from './conversation-history.ts';
import { InputTranscripts } from './input-transcripts.ts';
import { type LinkId, LinkKeeper, type LinkOptions, type LinkOutput } from './link-keeper.ts';
import { MessageBudget } from './message-budget.ts';
import type { UpstreamProfile } from './profile.ts';
import { ASK_KEY, type Ask, ResponseAsks } from './response-asks.ts';
import { type OpenResponse, ResponseReader } from './response-reader.ts';
import type { SentEvent } from './sent-events.ts';
import { type Fields, idOf, numberOf, objectOf, readServerEvent, type ServerEvent, textOf } from './server-event.ts';
import { readServerFault, type ServerFault } from './server-fault.ts';
import { detectionOf, ServerTurns } from './server-turns.ts';
import type { TurnDetectionFields } from './session-shape.ts';
import { StreamUplink } from './stream-uplink.ts';
import { TurnUplink } from './turn-uplink.ts';
import { UpstreamSender } from './upstream-sender.ts';
import { readRateLimits } from './usage-shape.ts';

/** What the shell has to do, or is told. */
export type UpstreamOutput =
  | { readonly type: 'connect'; readonly link: LinkId }
  | { readonly type: 'disconnect'; readonly link: LinkId }
  | { readonly type: 'ping'; readonly link: LinkId }
  | { readonly type: 'send'; readonly link: LinkId; readonly message: string }
  | { readonly type: 'event'; readonly event: ModelEvent }
  /** Something a server should not do, for the metrics. */
  | { readonly type: 'strange'; readonly what: string }
  /** The life of connections, for log and metrics. */
  | { readonly type: 'link'; readonly what: 'ready' | 'refreshed' | 'lost' | 'gave_up'; readonly reason?: string };

export interface ConversationOptions {
  readonly profile: UpstreamProfile;
  readonly links: LinkOptions;
  /** How the model is where nobody says otherwise. */
  readonly config: ModelConfig;
  /** Audio of so many milliseconds a message. */
  readonly appendMs: number;
  /** Who takes turns: the session, or the server. Default `gateway`. */
  readonly turns?: 'gateway' | 'upstream';
  /** The model speaks first, told so by these words; undefined: it waits for the caller. */
  readonly greeting: { readonly instructions?: string | undefined } | undefined;
  /** 0 to 1, for pauses between tries. */
  readonly random: () => number;
  /** Never passed on in anybody's text. */
  readonly secret?: string | undefined;
}

/** Another session than the one that began the sentence. */
const CONTINUE =
  'The line to you was interrupted in the middle of your last answer. Go on exactly where it stopped, in the same language, ' +
  'without greeting, apology or repetition.';

/** A response that was refused because another one runs is asked for again so often. */
const MOST_REFUSALS = 3;

/** A turn's transcript, or an item's name, is waited for so long before a fresh session may take over. */
const ACKNOWLEDGED_MS = 8000;

/** A server whose clock disagrees with ours by an hour must not make us leave at once. */
const LEAST_SESSION_MS = 60_000;

/**
 * One conversation with a Realtime-compatible server, whichever of its sessions carries it: what the session asks goes in,
 * messages for the server come out, and the other way round. Keeps what another session of the server needs to go on:
 * configuration, history, the turn that is being spoken, responses that were asked for. No I/O.
 */
export class UpstreamConversation implements Machine<UpstreamOutput> {
  readonly #options: ConversationOptions;
  readonly #outputs: UpstreamOutput[] = [];
  readonly #links: LinkKeeper;
  readonly #history = new ConversationHistory();
  readonly #asks = new ResponseAsks();
  readonly #budget = new MessageBudget();
  readonly #reader: ResponseReader;
  readonly #uplink: TurnUplink;
  /** Where the server takes the turns. */
  readonly #stream: StreamUplink | undefined;
  readonly #turns: ServerTurns | undefined;
  readonly #transcripts: InputTranscripts;
  readonly #sender: UpstreamSender;
  #config: ModelConfig;
  /** The newest commit: the caller may go on with that turn. */
  #lastCommit: { readonly turn: CommittedTurn; readonly entry: HistoryEntry } | undefined;
  /** Until then the names and words of what was sent last are waited for, before a fresh session may take over. */
  #acknowledgedBy: number | undefined;
  #greeted = false;
  #closed = false;

  constructor(options: ConversationOptions) {
    const { profile } = options;
    this.#options = options;
    this.#config = options.config;
    this.#links = new LinkKeeper(options.links, options.random);
    const emit = (event: ModelEvent): void => this.#emit(event);
    this.#sender = new UpstreamSender(profile, this.#history, (message) => this.#put(message));
    this.#reader = new ResponseReader({
      ...{ profile, history: this.#history, emit },
      count: (what) => this.#count(what),
      unheard: (entry, heardMs) => this.#sender.shorten(entry, heardMs),
      settled: () => this.#asks.settled(),
    });
    this.#transcripts = new InputTranscripts(this.#history, emit);
    const put = (message: string): void => this.#put(message);
    this.#uplink = new TurnUplink(profile, options.appendMs, put, (samples) => this.#stream?.skip(samples));
    if (options.turns !== 'upstream') return;
    this.#stream = new StreamUplink(profile, options.appendMs, put);
    this.#turns = new ServerTurns(this.#stream, emit);
  }

  pollOutput(): UpstreamOutput | undefined {
    return this.#outputs.shift();
  }

  nextTimeout(): number | undefined {
    if (this.#closed) return undefined;
    const links = this.#links.nextTimeout() ?? Number.POSITIVE_INFINITY;
    const asks = (this.#links.ready === undefined ? undefined : this.#asks.nextTimeout()) ?? Number.POSITIVE_INFINITY;
    const quiet = (this.#links.wantsQuiet ? this.#acknowledgedBy : undefined) ?? Number.POSITIVE_INFINITY;
    const at = Math.min(links, asks, quiet);
    return at === Number.POSITIVE_INFINITY ? undefined : at;
  }

  handleTimeout(now: number): void {
    if (this.#acknowledgedBy !== undefined && now >= this.#acknowledgedBy) this.#acknowledgedBy = undefined;
    this.#links.handleTimeout(now);
    this.#settle(now);
  }

  /** Opens the first connection: before the call is answered, so that the greeting is fast. */
  start(now: number): void {
    this.#links.start(now);
    this.#settle(now);
  }

  /** The leg is answered. */
  answer(now: number): void {
    const { greeting } = this.#options;
    if (this.#closed || this.#greeted) return;
    this.#greeted = true;
    if (greeting) this.#ask('greeting', { instructions: greeting.instructions });
    this.#settle(now);
  }

  /** The caller talks to a person: no server is needed. What was said stays known. */
  pause(now: number): void {
    if (this.#closed) return;
    this.#stream?.stop();
    this.#handleLost(now);
    this.#links.pause();
    this.#settle(now);
  }

  /** The agent is wanted again: the next session of the server is told all of it. */
  resume(now: number): void {
    if (this.#closed) return;
    this.#links.resume(now);
    this.#settle(now);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#links.close();
    this.#drainLinks(0);
  }

  // ---- the session ----

  appendAudio(pcm: Int16Array): void {
    if (this.#closed) return;
    this.#uplink.append(pcm, this.#sendsTurns);
    this.#stream?.append(pcm);
  }

  /** How the caller is heard by a server that takes the turns. */
  listen(how: Uplink, floorDb: number, again: boolean): void {
    if (!this.#closed) this.#stream?.listen(how, floorDb, again);
  }

  speechStarted(startMs: number, now: number): void {
    if (this.#closed) return;
    if (this.#asks.dropContinuations(now)) this.#sender.cancel(undefined);
    const last = this.#lastCommit;
    const resumes = last !== undefined && last.turn.startMs === startMs;
    // Where the first part of a turn cannot be replaced by the whole, the rest is given.
    const replaces = this.#options.profile.supports.delete && this.#uplink.keeps(startMs);
    const fromMs = resumes && !replaces ? last.turn.endMs : startMs;
    this.#uplink.begin(startMs, fromMs, this.#sendsTurns);
    this.#settle(now);
  }

  /** The server has ended a turn, which is this one of the session's. */
  turnTaken({ startMs, endMs, itemId }: CommittedTurn, now: number): void {
    if (this.#closed) return;
    const { pcm } = this.#uplink.finish(startMs, endMs, false);
    const entry = turnEntry(itemId, pcm);
    this.#history.add(entry);
    this.#lastCommit = undefined;
    this.#acknowledgedBy = now + ACKNOWLEDGED_MS;
    if (this.#links.ready !== undefined) this.#sender.taken(entry, this.#turns?.takeEndedId());
    this.#settle(now);
  }

  commitTurn(turn: CommittedTurn, now: number): void {
    if (this.#closed) return;
    const ready = this.#links.ready !== undefined;
    const resumed = this.#lastCommit?.turn.startMs === turn.startMs ? this.#lastCommit.entry : undefined;
    if (this.#detection) this.#stream?.flush();
    const { pcm, rest } = this.#uplink.finish(turn.startMs, turn.endMs, this.#sendsTurns);
    if (resumed && !rest) this.#sender.remove(resumed);
    const entry = turnEntry(turn.itemId, pcm, rest ? resumed : undefined);
    this.#history.add(entry);
    this.#lastCommit = { turn, entry };
    this.#acknowledgedBy = now + ACKNOWLEDGED_MS;
    if (ready) this.#sender.commit(entry);
    if (turn.respond !== false) this.#ask('turn', {});
    this.#settle(now);
  }

  configure(config: ModelConfig, now: number): void {
    this.#config = { ...this.#options.config, ...config };
    if (this.#links.ready !== undefined) {
      const had = this.#stream?.isStarted ?? false;
      this.#sender.session(this.#config, this.#detection);
      if (this.#detection && !had) this.#stream?.start(this.#uplink.spoken());
      else if (!this.#detection) this.#stream?.pause();
    }
    this.#settle(now);
  }

  addItem(item: Item, previousItemId: string | undefined, now: number): void {
    if (this.#closed) return;
    const entry: HistoryEntry = { id: item.id, upstreamId: undefined, item };
    // What comes after the newest item needs no name for it, which the server may not have given yet.
    const last = previousItemId === undefined || this.#history.entries.at(-1)?.id === previousItemId;
    const named =
      previousItemId === undefined || previousItemId === 'root' ? previousItemId : this.#history.upstreamIdBefore(previousItemId);
    this.#history.add(entry, previousItemId);
    this.#acknowledgedBy = now + ACKNOWLEDGED_MS;
    if (this.#links.ready !== undefined) this.#sender.create(entry, last ? undefined : named);
    this.#settle(now);
  }

  removeItem(itemId: string, now: number): void {
    const entry = this.#history.find(itemId);
    if (this.#closed || !entry) return;
    this.#sender.remove(entry);
    this.#settle(now);
  }

  respond(request: ResponseRequest, now: number): void {
    if (this.#closed) return;
    const { requestId } = request;
    if (request.conversation === 'none' && !this.#options.profile.supports.outOfBand) {
      const message = 'this model gives no responses outside of the conversation';
      this.#emit({ type: 'fault', code: 'unsupported', message, param: 'response.conversation', requestId });
    } else if (this.#asks.isFull) {
      this.#emit({ type: 'fault', code: 'too_many_responses', message: 'too many responses are asked for at once', requestId });
    } else this.#ask('request', { request });
    this.#settle(now);
  }

  /** A key was pressed: the turn that was being spoken is not going to be committed. */
  discardTurn(now: number): void {
    if (this.#closed) return;
    this.#uplink.discard(this.#sendsTurns);
    if (this.#detection && this.#links.ready !== undefined) this.#sender.clear();
    this.#settle(now);
  }

  cancelResponse(responseId: string | undefined, now: number): void {
    if (this.#closed) return;
    const open = responseId === undefined ? undefined : this.#reader.cancel(responseId);
    if (open) this.#sendCancel(open, now);
    else for (const { ask, told } of this.#asks.cancel(responseId, now)) this.#tellCancelled(ask, told);
    this.#settle(now);
  }

  truncate(itemId: string, sentMs: number, now: number): void {
    const entry = this.#history.find(itemId);
    if (this.#closed || !entry?.speech) return;
    this.#sender.shorten(entry, sentMs);
    this.#settle(now);
  }

  // ---- the server ----

  /** @param permanent another try would fail the same way: refused key, unknown model */
  handleLinkFailure(link: LinkId, reason: string, permanent: boolean, now: number): void {
    this.#links.handleFailure(link, reason, permanent, now);
    this.#settle(now);
  }

  /** A pong, or a message that is no text. */
  handleHeard(link: LinkId, now: number): void {
    this.#links.handleHeard(link, now);
  }

  handleBinary(link: LinkId, now: number): void {
    if (this.#closed || !this.#links.knows(link)) return;
    this.#links.handleHeard(link, now);
    this.#handleBad(link, 'binary', now);
    this.#settle(now);
  }

  /** @param wallclock Unix milliseconds: servers say so when a session ends */
  handleMessage(link: LinkId, message: string, now: number, wallclock: number): void {
    if (this.#closed || !this.#links.knows(link)) return;
    this.#links.handleHeard(link, now);
    if (!this.#budget.takeMessage(now)) this.#links.handleFailure(link, 'flood', false, now);
    else {
      const event = readServerEvent(message, this.#options.profile.eventNames);
      if ('fault' in event) this.#handleBad(link, event.fault, now);
      else this.#handleEvent(link, event, now, wallclock);
    }
    this.#settle(now);
  }

  #handleBad(link: LinkId, what: string, now: number): void {
    this.#count(what);
    if (!this.#budget.takeBad()) this.#links.handleFailure(link, 'garbage', false, now);
  }

  #handleEvent(link: LinkId, event: ServerEvent, now: number, wallclock: number): void {
    if (event.type === 'error') {
      this.#handleError(link, event.fields, now);
      return;
    }
    if (event.type === 'session.created' || event.type === 'conversation.created') {
      const expiresAt = numberOf(objectOf(event.fields, 'session') ?? {}, 'expires_at');
      const leftMs = expiresAt === undefined ? undefined : expiresAt * 1000 - wallclock;
      this.#links.handleGreeting(link, leftMs !== undefined && leftMs > LEAST_SESSION_MS ? leftMs : undefined, now);
      return;
    }
    if (!this.#links.isCurrent(link) || this.#links.ready !== link) return;
    if (event.type === 'response.created') this.#handleCreated(event.fields, now);
    else if (!this.#reader.handle(event) && !this.#transcripts.handle(event) && !this.#turns?.handle(event))
      this.#handleConversation(event);
  }

  #handleConversation({ type, fields }: ServerEvent): void {
    switch (type) {
      case 'input_audio_buffer.committed': {
        const id = idOf(fields, 'item_id');
        if (id !== undefined) this.#sender.handleCommitted(id);
        break;
      }
      case 'conversation.item.added':
        this.#sender.handleAdded(objectOf(fields, 'item') ?? {});
        break;
      case 'rate_limits.updated': {
        const limits = readRateLimits(fields);
        if (limits.length > 0) this.#emit({ type: 'rate_limits', limits });
        break;
      }
      default:
        if (!EXPECTED.has(type)) this.#count('unknown_type');
    }
  }

  #handleCreated(fields: Fields, now: number): void {
    const wire = objectOf(fields, 'response') ?? {};
    const upstreamId = idOf(wire, 'id');
    if (upstreamId === undefined) {
      this.#count('bad_shape');
      return;
    }
    const eventId = textOf(objectOf(wire, 'metadata') ?? {}, ASK_KEY);
    const outOfBand = Object.hasOwn(wire, 'conversation_id') && wire['conversation_id'] === null;
    // Some servers say nothing of the conversation, whichever it is.
    const ask = this.#asks.answered({ eventId, outOfBand }) ?? this.#asks.answered({ eventId: undefined, outOfBand: !outOfBand });
    const response = this.#reader.begin(upstreamId, ask, ask?.outOfBand ?? outOfBand);
    if (!response && ask && !ask.cancelled) this.#tellFailed(ask, { code: 'server_error', message: 'the model answers too much at once' });
    // The cancellation may have come before the server knew what to cancel.
    if (response?.cancelled) this.#sendCancel(response, now);
  }

  #handleError(link: LinkId, fields: Fields, now: number): void {
    const { fault, eventId, kind } = readServerFault(fields, this.#options.secret);
    if (!this.#budget.takeError()) this.#links.handleFailure(link, 'error_storm', false, now);
    else if (kind === 'permanent' || kind === 'ends_session') this.#links.handleFailure(link, fault.code, kind === 'permanent', now);
    else if (this.#links.ready !== link) this.#links.handleFailure(link, 'refused', false, now);
    else this.#handleRefusal(this.#refused(eventId, kind === 'response'), fault, now);
  }

  /** What was refused. Some servers do not say: then it is the response that was asked for, where the error sounds like one. */
  #refused(eventId: string | undefined, aboutResponse: boolean): SentEvent {
    if (eventId !== undefined || !aboutResponse) return this.#sender.refused(eventId);
    const { unanswered } = this.#asks;
    return unanswered && { ask: unanswered };
  }

  #handleRefusal(sent: SentEvent, why: ServerFault, now: number): void {
    if (sent === 'quiet') this.#count('refused');
    else if (!sent) this.#fault(why);
    else if ('item' in sent) {
      // Its audio stays ours when it was a turn: the next session gets it.
      if (!sent.item.pcm) this.#history.remove(sent.item);
      this.#fault({ ...why, itemId: sent.item.id });
    } else if (sent.ask.cancelled) this.#asks.refused(sent.ask);
    else if (why.code === 'conversation_already_has_active_response' && sent.ask.refusals < MOST_REFUSALS)
      this.#asks.postpone(sent.ask, now);
    else {
      this.#asks.refused(sent.ask);
      this.#tellFailed(sent.ask, why);
    }
  }

  // ---- what goes out ----

  #ask(kind: Ask['kind'], ask: Pick<Ask, 'request' | 'instructions' | 'responseId'>, first = false): void {
    const outOfBand = ask.request?.conversation === 'none';
    this.#asks.add({ kind, outOfBand, eventId: undefined, refusals: 0, cancelled: false, ...ask }, first);
  }

  #sendCancel(response: OpenResponse, now: number): void {
    if (!response.outOfBand) this.#asks.cancelling(now);
    this.#sender.cancel(response.upstreamId);
  }

  #tellCancelled(ask: Ask, told: boolean): void {
    if (told) this.#sender.cancel(undefined);
    const responseId = ask.responseId ?? `resp_${randomText(20)}`;
    if (ask.request) this.#emit({ type: 'response_started', responseId, requestId: ask.request.requestId });
    if (ask.request || ask.responseId !== undefined) this.#emit({ type: 'response_done', responseId, status: 'cancelled' });
  }

  /** Each commit is answered, and each request. */
  #tellFailed(ask: Ask, why: ServerFault): void {
    if (ask.request) {
      this.#emit({ type: 'fault', ...why, requestId: ask.request.requestId });
      return;
    }
    const responseId = ask.responseId ?? `resp_${randomText(20)}`;
    if (ask.responseId === undefined) this.#emit({ type: 'response_started', responseId });
    this.#emit({ type: 'response_done', responseId, status: 'failed', error: { code: why.code, message: why.message } });
  }

  /** How the server takes turns; null: the session does. */
  get #detection(): TurnDetectionFields {
    return this.#stream ? detectionOf(this.#config, this.#options.profile) : null;
  }

  /** Is a turn sent while it is spoken? Not where all is. */
  get #sendsTurns(): boolean {
    return this.#links.ready !== undefined && !this.#stream?.isStarted;
  }

  #put(message: string): void {
    const link = this.#links.ready;
    if (link !== undefined) this.#outputs.push({ type: 'send', link, message });
  }

  // ---- connections ----

  /** After every change: what follows for connections, and for responses that wait. */
  #settle(now: number): void {
    this.#drainLinks(now);
    if (this.#closed) return;
    if (this.#links.wantsQuiet && this.#isQuiet()) {
      this.#links.handleQuiet();
      this.#drainLinks(now);
    }
    if (this.#links.ready === undefined) return;
    for (let ask = this.#takeAsk(now); ask; ask = this.#takeAsk(now)) {
      if (!ask.outOfBand) this.#reader.abandonCancelled();
      this.#sender.ask(ask);
    }
  }

  #takeAsk(now: number): Ask | undefined {
    return this.#asks.take(this.#reader.isSpeaking, now);
  }

  #isQuiet(): boolean {
    if (this.#uplink.isSpeaking || !this.#asks.isEmpty || !this.#reader.isEmpty) return false;
    if (this.#acknowledgedBy === undefined) return true;
    return !this.#sender.awaitsNames && !(this.#config.transcription && this.#transcripts.isAwaited(this.#lastCommit?.entry));
  }

  #drainLinks(now: number): void {
    for (let output = this.#links.pollOutput(); output; output = this.#links.pollOutput()) this.#carryOut(output, now);
  }

  #carryOut(output: LinkOutput, now: number): void {
    switch (output.type) {
      case 'connect':
      case 'disconnect':
      case 'ping':
        this.#outputs.push(output);
        break;
      case 'adopted':
        this.#outputs.push({ type: 'link', what: output.refreshed ? 'refreshed' : 'ready' });
        this.#tellEverything();
        break;
      case 'lost':
        this.#outputs.push({ type: 'link', what: 'lost', reason: output.reason });
        this.#stream?.stop();
        this.#handleLost(now);
        break;
      case 'gave_up':
        this.#closed = true;
        this.#outputs.push({ type: 'link', what: 'gave_up', reason: output.reason });
        this.#emit({ type: 'closed', reason: output.reason });
        break;
    }
  }

  /** What the lost session was saying is said by the next one: again, where the caller has nothing of it, or from there on. */
  #handleLost(now: number): void {
    this.#asks.requeue();
    for (const { id, ask, outOfBand, state } of this.#reader.lose()) {
      if (state === 'whole' || (outOfBand && state === 'begun')) continue;
      if (state === 'begun')
        this.#ask('continuation', { instructions: [this.#config.instructions ?? '', CONTINUE].join('\n\n').trim() }, true);
      else this.#ask(ask?.kind ?? 'continuation', { request: ask?.request, instructions: ask?.instructions, responseId: id }, true);
    }
    if (this.#uplink.isSpeaking) this.#asks.dropContinuations(now);
    this.#settle(now);
  }

  /** A session that knows nothing yet: configuration, what was said, and what is being said. */
  #tellEverything(): void {
    this.#stream?.stop();
    this.#sender.begin();
    const entries = this.#history.replayable();
    const detection = this.#detection;
    // Turns of before are no speech that it should hear.
    this.#sender.session(this.#config, entries.some(({ pcm }) => pcm) ? null : detection);
    for (const entry of entries) {
      if (!entry.pcm) this.#sender.create(entry);
      else if (this.#uplink.replay(entry.pcm)) this.#sender.commit(entry);
    }
    this.#sender.session(this.#config, detection);
    if (detection) this.#stream?.start(this.#uplink.spoken());
    else this.#uplink.resume();
  }

  // ---- to the session ----

  #fault(fault: ServerFault & { readonly itemId?: string }): void {
    this.#count('error');
    if (this.#budget.takeFault()) this.#emit({ type: 'fault', ...fault });
  }

  #emit(event: ModelEvent): void {
    this.#outputs.push({ type: 'event', event });
  }

  #count(what: string): void {
    this.#outputs.push({ type: 'strange', what });
  }
}

function turnEntry(itemId: string | undefined, pcm: Int16Array, prior?: HistoryEntry): HistoryEntry {
  const id = itemId ?? `item_${randomText(20)}`;
  const item: Item = { type: 'message', id, role: 'user', status: 'completed', content: [{ type: 'input_audio', transcript: null }] };
  return { id, upstreamId: undefined, item, pcm, prior };
}

/** Known, and nothing to do: turns are ours, and so is what these acknowledge. */
const EXPECTED = new Set([
  'session.updated',
  'input_audio_buffer.cleared',
  'input_audio_buffer.speech_started',
  'input_audio_buffer.speech_stopped',
  'input_audio_buffer.timeout_triggered',
  'output_audio_buffer.started',
  'output_audio_buffer.stopped',
  'output_audio_buffer.cleared',
  'conversation.item.done',
  'conversation.item.deleted',
  'conversation.item.truncated',
  'conversation.item.retrieved',
]);
