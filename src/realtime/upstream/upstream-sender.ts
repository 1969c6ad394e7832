import { randomText } from '../../base/ids.ts';
import type { ModelConfig } from '../model.ts';
import { type ConversationHistory, type HistoryEntry, heardItem } from './conversation-history.ts';
import { wireItem } from './item-shape.ts';
import type { UpstreamProfile } from './profile.ts';
import { ASK_KEY, type Ask } from './response-asks.ts';
import { type SentEvent, SentEvents } from './sent-events.ts';
import { type Fields, idOf, textOf } from './server-event.ts';
import { sessionFields, ToldSession, type TurnDetectionFields, wireResponse } from './session-shape.ts';

/** As many pairs as the reference allows in a response's metadata. */
const MOST_METADATA = 16;

/** What a session of the server is told, in its words, and which of the names it gives back are whose. */
export class UpstreamSender {
  readonly #profile: UpstreamProfile;
  readonly #history: ConversationHistory;
  readonly #put: (message: string) => void;
  #told = new ToldSession();
  #sent = new SentEvents();
  /** Commits and items that the server has not named yet, in the order they were sent. */
  #commits: HistoryEntry[] = [];
  #creates: HistoryEntry[] = [];

  /** @param put sends a message, or forgets it where no server listens: the next one is told everything */
  constructor(profile: UpstreamProfile, history: ConversationHistory, put: (message: string) => void) {
    this.#profile = profile;
    this.#history = history;
    this.#put = put;
  }

  /** Has the server not said yet how it calls something of ours? */
  get awaitsNames(): boolean {
    return this.#commits.length > 0 || this.#creates.length > 0;
  }

  /** Another session, which has been told nothing. */
  begin(): void {
    this.#told = new ToldSession();
    this.#sent = new SentEvents();
    this.#commits = [];
    this.#creates = [];
    this.#history.forgetNames();
  }

  /** What changed since it was told last. */
  session(config: ModelConfig, detection: TurnDetectionFields): void {
    const session = this.#told.update(sessionFields(config, this.#profile, detection), this.#profile.dialect);
    if (session) this.#send(undefined, { type: 'session.update', session });
  }

  /** The server has ended this turn itself. @param upstreamId undefined: it tells the name with the commit */
  taken(entry: HistoryEntry, upstreamId: string | undefined): void {
    if (upstreamId !== undefined) this.#history.name(entry, upstreamId);
    else this.#commits.push(entry);
  }

  /** The audio that was appended is this turn. */
  commit(entry: HistoryEntry): void {
    this.#commits.push(entry);
    this.#send({ item: entry }, { type: 'input_audio_buffer.commit' });
  }

  /** @param previousUpstreamId the server's id of the item before it; undefined: at the end */
  create(entry: HistoryEntry, previousUpstreamId?: string): void {
    const { dialect, supports } = this.#profile;
    // The id of an item that was deleted there is not used again.
    const ownId = entry.asText ? `item_${randomText(20)}` : entry.id;
    const id = supports.createItemIds ? ownId : undefined;
    const item = wireItem(heardItem(entry), id, dialect);
    if (Array.isArray(item['content']) && item['content'].length === 0) return;
    entry.asText = entry.speech !== undefined;
    if (id !== undefined) this.#history.name(entry, id);
    else this.#creates.push(entry);
    const previous = previousUpstreamId === undefined ? {} : { previous_item_id: previousUpstreamId };
    this.#send({ item: entry }, { type: 'conversation.item.create', ...previous, item });
  }

  /** Not part of the conversation any more, here and there. */
  remove(entry: HistoryEntry): void {
    this.#history.remove(entry);
    if (!this.#profile.supports.delete) return;
    if (entry.upstreamId !== undefined) this.#delete(entry.upstreamId);
    else entry.unwanted = true;
  }

  /** Of this item the caller has heard no more than that. */
  shorten(entry: HistoryEntry, heardMs: number): void {
    const { speech, upstreamId } = entry;
    const { supports } = this.#profile;
    const receivedMs = (speech?.receivedSamples ?? 0) / 24;
    const ms = Math.floor(Math.max(0, Math.min(heardMs, receivedMs)));
    if (ms === 0) {
      // Nobody has heard anything of it.
      this.remove(entry);
      if (supports.delete) return;
    } else if (speech) speech.heardMs = ms;
    if (entry.asText) this.#rewrite(entry);
    else if (supports.truncate && upstreamId !== undefined && speech) {
      const place = { item_id: upstreamId, content_index: speech.contentIndex };
      this.#send('quiet', { type: 'conversation.item.truncate', ...place, audio_end_ms: ms });
    }
  }

  /** What was appended and not committed is to be forgotten. */
  clear(): void {
    this.#send('quiet', { type: 'input_audio_buffer.clear' });
  }

  ask(ask: Ask): void {
    const fields = ask.request ? wireResponse(ask.request, this.#profile, (id) => this.#history.find(id)?.upstreamId) : {};
    if (ask.instructions !== undefined) fields['instructions'] = ask.instructions;
    ask.eventId = this.#sent.next({ ask });
    const metadata = ask.request?.metadata ?? {};
    if (Object.keys(metadata).length < MOST_METADATA) fields['metadata'] = { ...metadata, [ASK_KEY]: ask.eventId };
    this.#put(JSON.stringify({ type: 'response.create', event_id: ask.eventId, response: fields }));
  }

  /** @param upstreamId undefined: the one that was asked for */
  cancel(upstreamId: string | undefined): void {
    this.#send('quiet', { type: 'response.cancel', ...(upstreamId !== undefined && { response_id: upstreamId }) });
  }

  /** The server has made an item of the audio. */
  handleCommitted(upstreamId: string): void {
    if (!this.#history.findByUpstreamId(upstreamId)) this.#name(this.#commits.shift(), upstreamId);
  }

  /** An item is in the server's conversation: one of ours gets its name there. */
  handleAdded(wire: Fields): void {
    const id = idOf(wire, 'id');
    if (id === undefined || this.#history.findByUpstreamId(id)) return;
    const [type, role] = [textOf(wire, 'type'), textOf(wire, 'role')];
    const at = this.#creates.findIndex(({ item }) => item.type === type && (item.type !== 'message' || item.role === role));
    if (at >= 0) this.#name(this.#creates.splice(at, 1)[0], id);
    else if (type === 'message' && role === 'user') this.handleCommitted(id);
  }

  /** What the event was about that the server refused. */
  refused(eventId: string | undefined): SentEvent {
    const sent = this.#sent.take(eventId);
    if (typeof sent === 'object' && 'item' in sent) {
      this.#commits = this.#commits.filter((entry) => entry !== sent.item);
      this.#creates = this.#creates.filter((entry) => entry !== sent.item);
    }
    return sent;
  }

  #name(entry: HistoryEntry | undefined, upstreamId: string): void {
    if (entry?.unwanted) this.#delete(upstreamId);
    else if (entry) this.#history.name(entry, upstreamId);
  }

  #delete(upstreamId: string): void {
    this.#send('quiet', { type: 'conversation.item.delete', item_id: upstreamId });
  }

  /** A session that was told of this speech as a text is told the shorter text. */
  #rewrite(entry: HistoryEntry): void {
    const { createItemIds, delete: canDelete } = this.#profile.supports;
    if (!canDelete || !createItemIds || entry.upstreamId === undefined || !this.#history.has(entry.id)) return;
    this.#delete(entry.upstreamId);
    const before = this.#history.entryBefore(entry);
    this.create(entry, before ? this.#history.upstreamIdBefore(before.id) : 'root');
  }

  #send(about: SentEvent, message: Record<string, unknown>): void {
    this.#put(JSON.stringify({ ...message, event_id: this.#sent.next(about) }));
  }
}
