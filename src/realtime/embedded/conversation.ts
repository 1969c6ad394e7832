import { randomText } from '../../base/ids.ts';
import {
  type CallContext,
  type CommittedTurn,
  type Item,
  MODEL_RATE_HZ,
  type ModelConfig,
  type ModelConnection,
  type ModelEvent,
  type ResponseRequest,
} from '../model.ts';
import { type Answer, answerTo } from './answer.ts';
import { parrotOf } from './parrot.ts';
import { type Prompts, spokenNumber, textOf } from './prompts.ts';
import { TONE_PIECES, testTonePiece } from './test-tone.ts';
import { TurnRecorder } from './turn-recorder.ts';

/** Audio goes out in pieces of 200 ms, as from a service that streams. */
const PIECE_SAMPLES = 0.2 * MODEL_RATE_HZ;

/** Between two prompts that follow each other, 300 ms of breath. */
const BREATH = new Int16Array(0.3 * MODEL_RATE_HZ);

/** Items that wait for a response: more are not looked at. */
const MOST_UNANSWERED = 16;

/** `parrot` says turns back; `echo` the audio itself, as it comes; `tone` plays and hears nothing; `leaving` says goodbye. */
type Mode = 'parrot' | 'echo' | 'tone' | 'leaving';

export interface ConversationOptions {
  readonly call?: CallContext | undefined;
  /** URI that callers are transferred to. */
  readonly transferTarget?: string | undefined;
}

/** One caller with the embedded agent. */
export class EmbeddedConversation implements ModelConnection {
  readonly #prompts: Prompts;
  readonly #onEvent: (event: ModelEvent) => void;
  readonly #options: ConversationOptions;
  readonly #recorder = new TurnRecorder();
  #mode: Mode = 'parrot';
  #config: ModelConfig | undefined;
  /** What programs put into the conversation since the last response. */
  #unanswered: Item[] = [];
  /** The turn that was committed and not answered. */
  #heard: Int16Array | undefined;
  #closed = false;
  /** The response that is the echo, while it runs. */
  #echo: string | undefined;
  /** Whom the caller goes to when that is said. */
  #target: string | undefined;
  /** When all of this response is played, something follows. */
  #awaited: string | undefined;

  constructor(prompts: Prompts, onEvent: (event: ModelEvent) => void, options: ConversationOptions = {}) {
    this.#prompts = prompts;
    this.#onEvent = onEvent;
    this.#options = options;
  }

  appendAudio(pcm: Int16Array): void {
    this.#recorder.append(pcm);
    if (this.#echo !== undefined) this.#audio(this.#echo, pcm.slice());
  }

  start(): void {
    if (this.#options.call?.speaksFirst ?? true) this.#say(this.#prompts.hello, BREATH, this.#prompts.menu);
  }

  speechStarted(startMs: number): void {
    this.#recorder.beginTurn(startMs);
  }

  commitTurn({ startMs, endMs, itemId, respond = true }: CommittedTurn): void {
    const said = this.#recorder.endTurn(startMs, endMs);
    if (!respond) this.#heard = said;
    else if (this.#mode === 'parrot') this.#parrot(said);
    else this.#say();
    if (itemId !== undefined && this.#config?.transcription) {
      const message = 'The embedded agent does not understand speech.';
      this.#emit({ type: 'input_transcript_failed', itemId, code: 'transcription_unavailable', message });
    }
  }

  configure(config: ModelConfig): void {
    this.#config = config;
  }

  addItem(item: Item): void {
    this.#unanswered.push(item);
    if (this.#unanswered.length > MOST_UNANSWERED) this.#unanswered.shift();
  }

  removeItem(itemId: string): void {
    this.#unanswered = this.#unanswered.filter(({ id }) => id !== itemId);
  }

  respond(request: ResponseRequest): void {
    const config = { tools: [], toolChoice: 'auto', outputModality: 'audio', ...this.#config, ...request.config } as const;
    const heard = this.#heard;
    const answer = answerTo(request, this.#unanswered, config, heard !== undefined);
    if (request.conversation === 'auto') {
      this.#unanswered = [];
      this.#heard = undefined;
    }
    this.#give(answer, heard, { requestId: request.requestId, written: config.outputModality === 'text' });
  }

  #give(answer: Answer, heard: Int16Array | undefined, how: Manner): void {
    switch (answer.type) {
      case 'call':
        this.#call(answer.name, answer.arguments, how);
        break;
      case 'write':
        this.#write(answer.text, how);
        break;
      case 'parrot':
        this.#parrot(heard ?? new Int16Array(0), how);
        break;
      case 'introduce':
        this.#utter([this.#prompts.hello], how);
        break;
    }
  }

  dtmf(digit: string): void {
    if (this.#mode === 'leaving') return;
    this.#recorder.forgetTurn();
    switch (digit) {
      case '1':
        this.#become('parrot');
        this.#say(this.#prompts.parrot);
        break;
      case '2':
        this.#become('echo');
        this.#awaited = this.#say(this.#prompts.echo);
        break;
      case '3':
        this.#become('tone');
        this.#awaited = this.#say(...Array<Int16Array>(TONE_PIECES).fill(testTonePiece()));
        break;
      case '4':
        this.#become('parrot');
        this.#say(...this.#figures());
        break;
      case '5':
        this.#transfer();
        break;
      case '9':
        this.#callBack();
        break;
      case '#':
        this.#become('leaving');
        this.#say(this.#prompts.goodbye);
        this.#emit({ type: 'hangup' });
        break;
      default:
        this.#become('parrot');
        this.#say(this.#prompts.menu, BREATH, this.#prompts.more);
    }
  }

  /** The caller is still here when it comes to nothing. */
  transferred(state: 'accepted' | 'progress' | 'succeeded' | 'failed'): void {
    if (state !== 'failed' || this.#mode !== 'leaving') return;
    this.#become('parrot');
    this.#say(this.#prompts.unavailable);
  }

  #transfer(): void {
    const target = this.#options.transferTarget;
    if (target === undefined) {
      this.#become('parrot');
      this.#say(this.#prompts.unavailable);
      return;
    }
    this.#become('leaving');
    this.#awaited = this.#say(this.#prompts.transfer);
    this.#target = target;
  }

  #callBack(): void {
    if (!this.#options.call?.mayCallBack) {
      this.#become('parrot');
      this.#say(this.#prompts.unavailable);
      return;
    }
    this.#become('leaving');
    this.#say(this.#prompts.callback);
    this.#emit({ type: 'call_back' });
  }

  /** How long, how many turns, how fast, how much lost; each number digit by digit. */
  #figures(): Int16Array[] {
    const prompts = this.#prompts;
    const figures = this.#options.call?.statistics();
    if (!figures) return [prompts.unavailable];
    const { durationMs, turns, responseMs, lostPercent } = figures;
    const answered = responseMs === undefined ? [] : [...spokenNumber(prompts, responseMs), prompts.milliseconds, BREATH];
    return [
      ...[...spokenNumber(prompts, durationMs / 1000), prompts.seconds, BREATH],
      ...[...spokenNumber(prompts, turns), prompts.turns, BREATH],
      ...answered,
      ...[...spokenNumber(prompts, lostPercent), prompts.percent],
    ];
  }

  cancelResponse(responseId: string | undefined): void {
    if (responseId === this.#echo) this.#echo = undefined;
    if (responseId === this.#awaited) {
      this.#awaited = undefined;
      this.#target = undefined;
    }
  }

  /** It does not remember what it said. */
  truncate(): void {}

  played(responseId: string): void {
    if (this.#closed || responseId !== this.#awaited) return;
    this.#awaited = undefined;
    if (this.#target !== undefined) {
      this.#emit({ type: 'transfer', target: this.#target });
      this.#target = undefined;
    } else if (this.#mode === 'echo') this.#startEcho();
    else this.#become('parrot');
  }

  close(): void {
    this.#closed = true;
    this.#echo = undefined;
  }

  /** Turns belong to the parrot; echo and tone would only be interrupted by them. */
  #become(mode: Mode): void {
    if (this.#echo !== undefined) this.#emit({ type: 'response_done', responseId: this.#echo, status: 'completed' });
    this.#echo = undefined;
    this.#awaited = undefined;
    this.#mode = mode;
    this.#emit({ type: 'turn_detection', enabled: mode === 'parrot' });
  }

  #startEcho(): void {
    this.#echo = this.#nextId();
    this.#emit({ type: 'response_started', responseId: this.#echo, live: true });
  }

  #say(...parts: readonly Int16Array[]): string {
    return this.#utter(parts, { written: this.#config?.outputModality === 'text' });
  }

  /** Nobody knows what was said, so nothing can be written of it. */
  #parrot(said: Int16Array, how: Manner = { written: this.#config?.outputModality === 'text' }): void {
    const seconds = (said.length / MODEL_RATE_HZ).toFixed(1);
    if (how.written) this.#write(`I heard ${seconds} seconds of audio. I do not understand speech.`, how);
    else this.#utter([parrotOf(said)], how);
  }

  /** A whole response at once; the playout has the time for it. */
  #utter(parts: readonly Int16Array[], { requestId, written }: Manner): string {
    const responseId = this.#nextId();
    this.#emit({ type: 'response_started', responseId, requestId });
    const item = messageOf(responseId);
    if (parts.some((part) => part.length > 0)) {
      this.#emit({ type: 'item_started', responseId, item });
      for (const [index, part] of parts.entries()) {
        const text = textOf(part);
        const delta = index === 0 ? (text ?? '') : ` ${text ?? ''}`;
        if (text) this.#emit({ type: written ? 'text' : 'transcript', responseId, itemId: item.id, contentIndex: 0, delta });
        if (written) continue;
        for (let at = 0; at < part.length; at += PIECE_SAMPLES) this.#audio(responseId, part.subarray(at, at + PIECE_SAMPLES));
      }
      this.#emit({ type: 'item_done', responseId, item: { ...item, status: 'completed' } });
    }
    this.#emit({ type: 'response_done', responseId, status: 'completed' });
    return responseId;
  }

  #write(text: string, { requestId }: Manner): void {
    const responseId = this.#nextId();
    const item = messageOf(responseId);
    this.#emit({ type: 'response_started', responseId, requestId });
    this.#emit({ type: 'item_started', responseId, item });
    this.#emit({ type: 'text', responseId, itemId: item.id, contentIndex: 0, delta: text });
    this.#emit({ type: 'item_done', responseId, item: { ...item, status: 'completed' } });
    this.#emit({ type: 'response_done', responseId, status: 'completed' });
  }

  #call(name: string, args: string, { requestId }: Manner): void {
    const responseId = this.#nextId();
    const item = {
      type: 'function_call',
      id: itemIdOf(responseId),
      status: 'in_progress',
      call_id: `call_${randomText(16)}`,
      name,
      arguments: '',
    } as const;
    this.#emit({ type: 'response_started', responseId, requestId });
    this.#emit({ type: 'item_started', responseId, item });
    this.#emit({ type: 'arguments', responseId, itemId: item.id, delta: args });
    this.#emit({ type: 'item_done', responseId, item: { ...item, arguments: args, status: 'completed' } });
    this.#emit({ type: 'response_done', responseId, status: 'completed' });
  }

  #audio(responseId: string, pcm: Int16Array): void {
    this.#emit({ type: 'audio', responseId, itemId: itemIdOf(responseId), pcm });
  }

  #nextId(): string {
    return `resp_${randomText(16)}`;
  }

  #emit(event: ModelEvent): void {
    if (!this.#closed) this.#onEvent(event);
  }
}

/** How a response is given. */
interface Manner {
  /** As text, not as speech. */
  readonly written: boolean;
  readonly requestId?: string | undefined;
}

/** A response has one item here. */
function itemIdOf(responseId: string): string {
  return responseId.replace('resp_', 'item_');
}

function messageOf(responseId: string): Item {
  return { type: 'message', id: itemIdOf(responseId), role: 'assistant', status: 'in_progress', content: [] };
}
