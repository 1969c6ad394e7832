import type { TurnLatency } from './turn-latency.ts';

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
  readonly latency?: TurnLatency;
}

/** A page that is open all day keeps the newest. */
const MOST_TURNS = 200;

/** What was said, and whose turn it is, as the events tell it. */
export class Conversation {
  readonly #turns = new Map<string, Turn>();
  #floor: Floor = 'listening';
  #newestAgentItem: string | undefined;
  #notes = 0;

  get floor(): Floor {
    return this.#floor;
  }

  get turns(): readonly Turn[] {
    return [...this.#turns.values()];
  }

  note(text: string): void {
    this.#notes += 1;
    this.#put(`note-${this.#notes}`, { who: 'note', text, unwritten: false });
  }

  /** The answer that is heard now took so long. */
  addLatency(latency: TurnLatency): void {
    const id = this.#newestAgentItem;
    if (id !== undefined) this.#put(id, { latency });
  }

  handle(event: ServerEvent): void {
    const itemId = text(event, 'item_id');
    switch (event.type) {
      case 'input_audio_buffer.speech_started':
        this.#floor = 'caller';
        break;
      case 'input_audio_buffer.committed':
        this.#floor = 'thinking';
        if (itemId) this.#put(itemId, { who: 'caller' });
        break;
      case 'conversation.item.input_audio_transcription.delta':
        if (itemId) this.#append(itemId, text(event, 'delta'));
        break;
      case 'conversation.item.input_audio_transcription.completed':
        if (itemId) this.#put(itemId, { text: text(event, 'transcript'), unwritten: false });
        break;
      case 'conversation.item.added':
      case 'conversation.item.done':
        this.#item(event['item']);
        break;
      case 'response.output_audio_transcript.delta':
      case 'response.output_text.delta':
        if (itemId) this.#append(itemId, text(event, 'delta'));
        break;
      case 'output_audio_buffer.started':
        this.#floor = 'agent';
        break;
      case 'output_audio_buffer.stopped':
      case 'output_audio_buffer.cleared':
        if (this.#floor === 'agent') this.#floor = 'listening';
        break;
      case 'conversation.item.truncated':
        if (itemId && this.#turns.has(itemId)) this.#put(itemId, { interrupted: true });
        break;
      case 'response.done':
        if (this.#floor === 'thinking') this.#floor = 'listening';
        break;
      case 'conversation.item.deleted':
        if (itemId) this.#turns.delete(itemId);
        break;
      case 'call.ended':
        this.#floor = 'listening';
        break;
      default:
        break;
    }
  }

  #item(item: unknown): void {
    if (!isRecord(item) || typeof item['id'] !== 'string') return;
    const { id, type, role } = item;
    if (type === 'function_call') {
      this.#put(id, { who: 'note', text: `The agent uses ${String(item['name'])}`, unwritten: false });
      return;
    }
    if (type !== 'message' || role === 'system') return;
    const who = role === 'assistant' ? 'agent' : 'caller';
    if (who === 'agent') this.#newestAgentItem = id;
    const words = wordsOf(item['content']);
    this.#put(id, { who, ...(words === '' ? {} : { text: words, unwritten: false }) });
  }

  #append(id: string, delta: string): void {
    this.#put(id, { text: (this.#turns.get(id)?.text ?? '') + delta, unwritten: false });
  }

  #put(id: string, change: Partial<Turn>): void {
    const before = this.#turns.get(id) ?? { id, who: 'agent', text: '', unwritten: true, interrupted: false };
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

function text(from: Readonly<Record<string, unknown>>, key: string): string {
  const value = from[key];
  return typeof value === 'string' ? value : '';
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
