import type { Machine } from '../../base/driver.ts';
import { randomText } from '../../base/ids.ts';
import type { CommittedTurn, Item, ModelConfig, ModelEvent, ResponseRequest } from '../model.ts';
import { ConversationHistory, type HistoryEntry, heardItem } from './conversation-history.ts';
import { InputTranscripts } from './input-transcripts.ts';
import { wireItem } from './item-shape.ts';
import { type LinkId, LinkKeeper, type LinkOptions, type LinkOutput } from './link-keeper.ts';
import { MessageBudget } from './message-budget.ts';
import type { UpstreamProfile } from './profile.ts';
import { ASK_KEY, type Ask, ResponseAsks } from './response-asks.ts';
import { type OpenResponse, ResponseReader } from './response-reader.ts';
import { SentEvents } from './sent-events.ts';
import { type Fields, idOf, numberOf, objectOf, readServerEvent, type ServerEvent, textOf } from './server-event.ts';
import { sessionFields, ToldSession, wireResponse } from './session-shape.ts';
import { TurnUplink } from './turn-uplink.ts';
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

/** Error texts are for people. */
const MOST_MESSAGE_CHARS = 300;

/** Errors with these codes come again at every try. */
const PERMANENT = new Set([
  'invalid_api_key',
  'invalid_model',
  'model_not_found',
  'model_load_error',
  'insufficient_quota',
  'account_deactivated',
  'unsupported_country_region_territory',
]);

/** The server says that its session ends now. */
const ENDS_SESSION = new Set(['session_expired', 'session_limit_reached']);

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
  readonly #transcripts: InputTranscripts;
  #told = new ToldSession();
  #sent = new SentEvents();
  #config: ModelConfig;
  /** Commits and items that the server has not named yet, in the order they were sent. */
  #commits: HistoryEntry[] = [];
  #creates: HistoryEntry[] = [];
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
    const emit = (event: ModelEvent): void => void this.#outputs.push({ type: 'event', event });
    this.#reader = new ResponseReader({
      ...{ profile, history: this.#history, emit },
      count: (what) => this.#count(what),
      unheard: (entry, heardMs) => this.#shorten(entry, heardMs),
      settled: () => this.#asks.settled(),
    });
    this.#transcripts = new InputTranscripts(this.#history, emit);
    this.#uplink = new TurnUplink(profile, options.appendMs, (message) => this.#sendText(message));
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

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#links.close();
    this.#drainLinks(0);
  }

  // ---- the session ----

  appendAudio(pcm: Int16Array): void {
    if (this.#closed) return;
    this.#uplink.append(pcm, this.#links.ready !== undefined);
  }

  speechStarted(startMs: number, now: number): void {
    if (this.#closed) return;
    if (this.#asks.dropContinuations(now)) this.#send('quiet', { type: 'response.cancel' });
    const last = this.#lastCommit;
    const resumes = last !== undefined && last.turn.startMs === startMs;
    // Where the first part of a turn cannot be replaced by the whole, the rest is given.
    const replaces = this.#options.profile.supports.delete && this.#uplink.keeps(startMs);
    const fromMs = resumes && !replaces ? last.turn.endMs : startMs;
    this.#uplink.begin(startMs, fromMs, this.#links.ready !== undefined);
    this.#settle(now);
  }

  commitTurn(turn: CommittedTurn, now: number): void {
    if (this.#closed) return;
    const ready = this.#links.ready !== undefined;
    const resumed = this.#lastCommit?.turn.startMs === turn.startMs ? this.#lastCommit.entry : undefined;
    const { pcm, rest } = this.#uplink.finish(turn.startMs, turn.endMs, ready);
    if (resumed && !rest) this.#remove(resumed);
    const id = turn.itemId ?? `item_${randomText(20)}`;
    const entry: HistoryEntry = {
      id,
      upstreamId: undefined,
      item: { type: 'message', id, role: 'user', status: 'completed', content: [{ type: 'input_audio', transcript: null }] },
      pcm,
      prior: rest ? resumed : undefined,
    };
    this.#history.add(entry);
    this.#lastCommit = { turn, entry };
    this.#acknowledgedBy = now + ACKNOWLEDGED_MS;
    if (ready) this.#sendCommit(entry);
    if (turn.respond !== false) this.#ask('turn', {});
    this.#settle(now);
  }

  configure(config: ModelConfig, now: number): void {
    this.#config = { ...this.#options.config, ...config };
    if (this.#links.ready !== undefined) this.#sendSession();
    this.#settle(now);
  }

  addItem(item: Item, previousItemId: string | undefined, now: number): void {
    if (this.#closed) return;
    const entry: HistoryEntry = { id: item.id, upstreamId: undefined, item };
    const previous =
      previousItemId === undefined || previousItemId === 'root' ? previousItemId : this.#history.upstreamIdBefore(previousItemId);
    this.#history.add(entry, previousItemId);
    this.#acknowledgedBy = now + ACKNOWLEDGED_MS;
    if (this.#links.ready !== undefined) this.#sendCreate(entry, previous);
    this.#settle(now);
  }

  removeItem(itemId: string, now: number): void {
    const entry = this.#history.find(itemId);
    if (this.#closed || !entry) return;
    this.#remove(entry);
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
    this.#uplink.discard(this.#links.ready !== undefined);
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
    this.#shorten(entry, sentMs);
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
    else if (!this.#reader.handle(event) && !this.#transcripts.handle(event)) this.#handleConversation(event);
  }

  #handleConversation({ type, fields }: ServerEvent): void {
    switch (type) {
      case 'input_audio_buffer.committed': {
        const id = idOf(fields, 'item_id');
        if (id !== undefined) this.#name(this.#commits.shift(), id);
        break;
      }
      case 'conversation.item.added':
        this.#handleAdded(objectOf(fields, 'item') ?? {});
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

  /** An item is in the server's conversation: one of ours gets its name there. */
  #handleAdded(wire: Fields): void {
    const id = idOf(wire, 'id');
    if (id === undefined || this.#history.findByUpstreamId(id)) return;
    const [type, role] = [textOf(wire, 'type'), textOf(wire, 'role')];
    const at = this.#creates.findIndex(({ item }) => item.type === type && (item.type !== 'message' || item.role === role));
    if (at >= 0) this.#name(this.#creates.splice(at, 1)[0], id);
    else if (type === 'message' && role === 'user') this.#name(this.#commits.shift(), id);
  }

  #name(entry: HistoryEntry | undefined, upstreamId: string): void {
    if (!entry) return;
    if (entry.unwanted) {
      this.#send('quiet', { type: 'conversation.item.delete', item_id: upstreamId });
      return;
    }
    this.#history.name(entry, upstreamId);
  }

  #handleError(link: LinkId, fields: Fields, now: number): void {
    const error = objectOf(fields, 'error') ?? fields;
    const code = (textOf(error, 'code') ?? textOf(error, 'type') ?? 'server_error').slice(0, 64);
    const message = this.#clean(textOf(error, 'message') ?? 'the model reported an error');
    const param = textOf(error, 'param')?.slice(0, MOST_MESSAGE_CHARS);
    if (!this.#budget.takeError()) this.#links.handleFailure(link, 'error_storm', false, now);
    else if (PERMANENT.has(code) || ENDS_SESSION.has(code)) this.#links.handleFailure(link, code, PERMANENT.has(code), now);
    else if (this.#links.ready !== link) this.#links.handleFailure(link, 'refused', false, now);
    else this.#handleRefusal(this.#sent.take(idOf(error, 'event_id')), { code, message, ...(param !== undefined && { param }) }, now);
  }

  #handleRefusal(sent: ReturnType<SentEvents['take']>, why: { code: string; message: string; param?: string }, now: number): void {
    if (sent === 'quiet') {
      this.#count('refused');
      return;
    }
    if (sent && 'item' in sent) {
      // Its audio stays ours when it was a turn: the next session gets it.
      this.#commits = this.#commits.filter((entry) => entry !== sent.item);
      this.#creates = this.#creates.filter((entry) => entry !== sent.item);
      if (!sent.item.pcm) this.#history.remove(sent.item);
      this.#fault({ ...why, itemId: sent.item.id });
      return;
    }
    if (!sent) {
      this.#fault(why);
      return;
    }
    const { ask } = sent;
    if (ask.cancelled) this.#asks.refused(ask);
    else if (why.code === 'conversation_already_has_active_response' && ask.refusals < MOST_REFUSALS) this.#asks.postpone(ask, now);
    else {
      this.#asks.refused(ask);
      this.#tellFailed(ask, why);
    }
  }

  // ---- what goes out ----

  #ask(kind: Ask['kind'], ask: Pick<Ask, 'request' | 'instructions' | 'responseId'>, first = false): void {
    const outOfBand = ask.request?.conversation === 'none';
    this.#asks.add({ kind, outOfBand, eventId: undefined, refusals: 0, cancelled: false, ...ask }, first);
  }

  #sendAsk(ask: Ask): void {
    const { profile } = this.#options;
    const fields = ask.request ? wireResponse(ask.request, profile, (id) => this.#history.find(id)?.upstreamId) : {};
    if (ask.instructions !== undefined) fields['instructions'] = ask.instructions;
    ask.eventId = this.#sent.next({ ask });
    const metadata = ask.request?.metadata ?? {};
    // Sixteen pairs is what the reference allows.
    if (Object.keys(metadata).length < 16) fields['metadata'] = { ...metadata, [ASK_KEY]: ask.eventId };
    this.#sendText(JSON.stringify({ type: 'response.create', event_id: ask.eventId, response: fields }));
  }

  #sendCancel(response: OpenResponse, now: number): void {
    if (!response.outOfBand) this.#asks.cancelling(now);
    this.#send('quiet', { type: 'response.cancel', response_id: response.upstreamId });
  }

  #tellCancelled(ask: Ask, told: boolean): void {
    if (told) this.#send('quiet', { type: 'response.cancel' });
    const responseId = ask.responseId ?? `resp_${randomText(20)}`;
    if (ask.request) this.#emit({ type: 'response_started', responseId, requestId: ask.request.requestId });
    if (ask.request || ask.responseId !== undefined) this.#emit({ type: 'response_done', responseId, status: 'cancelled' });
  }

  /** Each commit is answered, and each request. */
  #tellFailed(ask: Ask, why: { code: string; message: string; param?: string }): void {
    if (ask.request) {
      this.#emit({ type: 'fault', ...why, requestId: ask.request.requestId });
      return;
    }
    const responseId = ask.responseId ?? `resp_${randomText(20)}`;
    if (ask.responseId === undefined) this.#emit({ type: 'response_started', responseId });
    this.#emit({ type: 'response_done', responseId, status: 'failed', error: { code: why.code, message: why.message } });
  }

  #sendSession(): void {
    const { profile } = this.#options;
    const session = this.#told.update(sessionFields(this.#config, profile), profile.dialect);
    if (session) this.#send(undefined, { type: 'session.update', session });
  }

  #sendCommit(entry: HistoryEntry): void {
    this.#commits.push(entry);
    this.#send({ item: entry }, { type: 'input_audio_buffer.commit' });
  }

  #sendCreate(entry: HistoryEntry, previousUpstreamId?: string): void {
    const { dialect, supports } = this.#options.profile;
    const id = supports.createItemIds ? (entry.asText ? `item_${randomText(20)}` : entry.id) : undefined;
    const item = wireItem(heardItem(entry), id, dialect);
    if ('content' in item && Array.isArray(item['content']) && item['content'].length === 0) return;
    entry.asText = entry.speech !== undefined;
    if (id !== undefined) this.#history.name(entry, id);
    else this.#creates.push(entry);
    const previous = previousUpstreamId === undefined ? {} : { previous_item_id: previousUpstreamId };
    this.#send({ item: entry }, { type: 'conversation.item.create', ...previous, item });
  }

  /** Not part of the conversation any more, here and there. */
  #remove(entry: HistoryEntry): void {
    this.#history.remove(entry);
    if (!this.#options.profile.supports.delete) return;
    if (entry.upstreamId !== undefined) this.#send('quiet', { type: 'conversation.item.delete', item_id: entry.upstreamId });
    else entry.unwanted = true;
  }

  /** Of this item the caller has heard no more than that. */
  #shorten(entry: HistoryEntry, heardMs: number): void {
    const { speech, upstreamId } = entry;
    const { supports } = this.#options.profile;
    const receivedMs = (speech?.receivedSamples ?? 0) / 24;
    const ms = Math.floor(Math.max(0, Math.min(heardMs, receivedMs)));
    if (ms === 0) {
      // Nobody has heard anything of it.
      this.#remove(entry);
      if (supports.delete) return;
    } else if (speech) speech.heardMs = ms;
    if (entry.asText) {
      this.#rewrite(entry);
      return;
    }
    if (!supports.truncate || upstreamId === undefined || !speech) return;
    const message = { type: 'conversation.item.truncate', item_id: upstreamId, content_index: speech.contentIndex, audio_end_ms: ms };
    this.#send('quiet', message);
  }

  /** A session that was told of this speech as a text is told the shorter text. */
  #rewrite(entry: HistoryEntry): void {
    const { createItemIds, delete: canDelete } = this.#options.profile.supports;
    if (!canDelete || !createItemIds || entry.upstreamId === undefined || !this.#history.has(entry.id)) return;
    this.#send('quiet', { type: 'conversation.item.delete', item_id: entry.upstreamId });
    const before = this.#history.entryBefore(entry);
    this.#sendCreate(entry, before ? this.#history.upstreamIdBefore(before.id) : 'root');
  }

  /** @param why what an error that names this event is about */
  #send(why: Parameters<SentEvents['next']>[0], message: Record<string, unknown>): void {
    this.#sendText(JSON.stringify({ ...message, event_id: this.#sent.next(why) }));
  }

  #sendText(message: string): void {
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
      this.#sendAsk(ask);
    }
  }

  #takeAsk(now: number): Ask | undefined {
    return this.#asks.take(this.#reader.isSpeaking, now);
  }

  #isQuiet(): boolean {
    if (this.#uplink.isSpeaking || !this.#asks.isEmpty || !this.#reader.isEmpty) return false;
    if (this.#acknowledgedBy === undefined) return true;
    const unnamed = this.#commits.length > 0 || this.#creates.length > 0;
    return !unnamed && !(this.#config.transcription && this.#transcripts.isAwaited(this.#lastCommit?.entry));
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
    this.#told = new ToldSession();
    this.#sent = new SentEvents();
    this.#commits = [];
    this.#creates = [];
    this.#history.forgetNames();
    this.#sendSession();
    for (const entry of this.#history.replayable()) {
      if (!entry.pcm) this.#sendCreate(entry);
      else if (this.#uplink.replay(entry.pcm)) this.#sendCommit(entry);
    }
    this.#uplink.resume();
  }

  // ---- to the session ----

  #fault(fault: { readonly code: string; readonly message: string; readonly param?: string; readonly itemId?: string }): void {
    this.#count('error');
    if (this.#budget.takeFault()) this.#emit({ type: 'fault', ...fault });
  }

  #emit(event: ModelEvent): void {
    this.#outputs.push({ type: 'event', event });
  }

  #count(what: string): void {
    this.#outputs.push({ type: 'strange', what });
  }

  #clean(text: string): string {
    const { secret } = this.#options;
    return (secret ? text.replaceAll(secret, '[key]') : text).slice(0, MOST_MESSAGE_CHARS);
  }
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
