import { stagesOf, type TurnLatency, type TurnStage } from './turn-latency.ts';

/** A server event of the Realtime API; what is not known here is only listed. */
export type ServerEvent = Readonly<Record<string, unknown>> & { readonly type: string };

/** Who has the floor. */
export type Floor = 'listening' | 'caller' | 'thinking' | 'agent';

export interface Turn {
  readonly id: string;
  readonly who: 'caller' | 'agent' | 'note';
  readonly text: string;
  /** The words are not known: what was said was not written down. */
  readonly unwritten: boolean;
  readonly interrupted: boolean;
  /** Nothing more comes of it. */
  readonly over: boolean;
  /** How long it was heard, in milliseconds. */
  readonly spokenMs?: number;
  readonly latency?: TurnLatency;
  /** What the gateway says of the same: where the time went. */
  readonly stages?: readonly TurnStage[];
}

/** A page that is open all day keeps the newest. */
const MOST_TURNS = 200;

/** What was said, and whose turn it is, as the events tell it. */
export class Conversation {
  readonly #turns = new Map<string, Turn>();
  #floor: Floor = 'listening';
  #newestAgentItem: string | undefined;
  /** Where in the caller's audio the turn begins that goes on, and when the agent began to be heard. */
  #callerFromMs: number | undefined;
  #agentSince: number | undefined;
  #responses = new Set<string>();
  #notes = 0;

  get floor(): Floor {
    return this.#floor;
  }

  /** Is a response being made? */
  get responds(): boolean {
    return this.#responses.size > 0;
  }

  get turns(): readonly Turn[] {
    return [...this.#turns.values()];
  }

  note(text: string): void {
    this.#notes += 1;
    this.#put(`note-${this.#notes}`, { who: 'note', text, unwritten: false, over: true });
  }

  /** The answer that is heard now took so long. */
  addLatency(latency: TurnLatency): void {
    const id = this.#newestAgentItem;
    if (id !== undefined) this.#put(id, { latency });
  }

  /** @param now milliseconds of any one clock */
  handle(event: ServerEvent, now = performance.now()): void {
    const itemId = text(event, 'item_id');
    switch (event.type) {
      case 'input_audio_buffer.speech_started':
        this.#floor = 'caller';
        this.#callerFromMs = number(event, 'audio_start_ms');
        break;
      case 'input_audio_buffer.speech_stopped':
        this.#callerSpoke(itemId, number(event, 'audio_end_ms'));
        break;
      case 'input_audio_buffer.committed':
        this.#floor = 'thinking';
        if (itemId) this.#put(itemId, { who: 'caller', over: true });
        break;
      case 'conversation.item.input_audio_transcription.delta':
        if (itemId) this.#append(itemId, text(event, 'delta'));
        break;
      case 'conversation.item.input_audio_transcription.completed':
        if (itemId) this.#put(itemId, { text: text(event, 'transcript'), unwritten: false });
        break;
      case 'conversation.item.added':
      case 'conversation.item.done':
        this.#item(event['item'], event.type === 'conversation.item.done');
        break;
      case 'response.output_audio_transcript.delta':
      case 'response.output_text.delta':
        if (itemId) this.#append(itemId, text(event, 'delta'));
        break;
      case 'conversation.item.truncated':
        if (itemId && this.#turns.has(itemId))
          this.#put(itemId, { interrupted: true, over: true, spokenMs: number(event, 'audio_end_ms') ?? 0 });
        break;
      case 'turn.latency':
        // It comes with the first sound of the answer, which is the newest item.
        if (this.#newestAgentItem !== undefined) this.#put(this.#newestAgentItem, { stages: stagesOf(event) });
        break;
      case 'conversation.item.deleted':
        if (itemId) this.#turns.delete(itemId);
        break;
      default:
        this.#followResponse(event, now);
        break;
    }
  }

  #followResponse(event: ServerEvent, now: number): void {
    switch (event.type) {
      case 'response.created':
        this.#responses.add(responseId(event));
        break;
      case 'response.done':
        this.#responses.delete(responseId(event));
        if (this.#floor === 'thinking') this.#floor = 'listening';
        break;
      case 'output_audio_buffer.started':
        this.#floor = 'agent';
        this.#agentSince = now;
        break;
      case 'output_audio_buffer.stopped':
      case 'output_audio_buffer.cleared':
        if (this.#floor === 'agent') this.#floor = 'listening';
        this.#agentSpoke(now);
        break;
      default:
        break;
    }
  }

  #callerSpoke(itemId: string, endMs: number | undefined): void {
    const fromMs = this.#callerFromMs;
    if (itemId && fromMs !== undefined && endMs !== undefined) this.#put(itemId, { who: 'caller', spokenMs: endMs - fromMs });
  }

  #agentSpoke(now: number): void {
    const id = this.#newestAgentItem;
    const since = this.#agentSince;
    if (since !== undefined && id !== undefined && !this.#turns.get(id)?.over) this.#put(id, { spokenMs: now - since, over: true });
    this.#agentSince = undefined;
  }

  #item(item: unknown, done: boolean): void {
    if (!isRecord(item) || typeof item['id'] !== 'string') return;
    const { id, type, role } = item;
    if (type === 'function_call') {
      this.#put(id, { who: 'note', text: `The agent uses ${String(item['name'])}`, unwritten: false, over: true });
      return;
    }
    if (type !== 'message' || role === 'system') return;
    const who = role === 'assistant' ? 'agent' : 'caller';
    if (who === 'agent') this.#newestAgentItem = id;
    const words = wordsOf(item['content']);
    // What is spoken is not over when all of it is made, but when all of it was heard.
    const over = done && (who === 'caller' || !hasSound(item['content']));
    this.#put(id, { who, ...(over && { over }), ...(words === '' ? {} : { text: words, unwritten: false }) });
  }

  #append(id: string, delta: string): void {
    this.#put(id, { text: (this.#turns.get(id)?.text ?? '') + delta, unwritten: false });
  }

  #put(id: string, change: Partial<Turn>): void {
    const before = this.#turns.get(id) ?? { id, who: 'agent', text: '', unwritten: true, interrupted: false, over: false };
    this.#turns.set(id, { ...before, ...change });
    if (this.#turns.size <= MOST_TURNS) return;
    for (const oldest of this.#turns.keys()) {
      this.#turns.delete(oldest);
      break;
    }
  }
}

function wordsOf(content: unknown): string {
  if (!Array.isArray(content)) return '';
  return content
    .map((part: unknown) => (isRecord(part) ? text(part, 'text') || text(part, 'transcript') : ''))
    .filter((words) => words !== '')
    .join(' ');
}

function hasSound(content: unknown): boolean {
  return Array.isArray(content) && content.some((part: unknown) => isRecord(part) && part['type'] === 'output_audio');
}

function text(from: Readonly<Record<string, unknown>>, key: string): string {
  const value = from[key];
  return typeof value === 'string' ? value : '';
}

function number(from: Readonly<Record<string, unknown>>, key: string): number | undefined {
  const value = from[key];
  return typeof value === 'number' ? value : undefined;
}

function responseId(event: ServerEvent): string {
  const { response } = event;
  return isRecord(response) ? text(response, 'id') : '';
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
