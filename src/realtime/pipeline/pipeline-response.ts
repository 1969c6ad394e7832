import type { Item, ModelConfig, ModelEvent, ResponseUsage } from '../model.ts';
import type { ConversationHistory } from '../upstream/conversation-history.ts';
import type { CallBoard } from './call-board.ts';
import { type ChatEvent, ChatReader } from './chat-reader.ts';
import { chatRequest } from './chat-request.ts';
import { MessageWriter } from './message-writer.ts';
import type { Phrase, PhraseBook } from './phrase-book.ts';
import { DEFAULT_PATIENCE_MS, type PipelineOptions } from './pipeline-options.ts';
import type { Quirks } from './quirks.ts';
import { SentenceSplitter } from './sentence-splitter.ts';
import type { ServiceCall, StageTimings } from './service-call.ts';
import { SpeechLine, type SpeechLineHooks } from './speech-line.ts';
import type { VoiceManner } from './speech-request.ts';
import type { StageFault } from './stage.ts';
import { WrittenCalls } from './written-calls.ts';

/** What is said when nothing else can be: the sound of it needs no service. */
export interface SparePrompts {
  readonly fallback: Phrase;
  readonly patience: Phrase;
}

export interface ResponseDeps {
  readonly options: PipelineOptions;
  readonly board: CallBoard;
  readonly book: PhraseBook;
  readonly quirks: Quirks;
  readonly prompts: SparePrompts;
  readonly history: ConversationHistory;
  readonly emit: (event: ModelEvent) => void;
  /** Something was said instead of an answer. */
  readonly onSpare: (what: 'fallback' | 'patience') => void;
  readonly onOver: (response: PipelineResponse, fault: StageFault | undefined, now: number) => void;
}

export interface ResponsePlan {
  readonly responseId: string;
  readonly requestId: string | undefined;
  readonly outOfBand: boolean;
  readonly config: ModelConfig;
  readonly manner: VoiceManner;
}

/** Longer answers end here: an hour of speech. */
const MOST_CHARS = 65_536;

/** The fallback is said in the agent's own voice only if that comes at once. */
const RESCUE: Partial<StageTimings> = { connectMs: 400, hedgeMs: 400, firstMs: 800, idleMs: 600, totalMs: 10_000 };

type Outcome = { readonly status: 'completed' | 'cancelled' } | { readonly status: 'incomplete'; readonly reason: string };

/** One answer: what chat writes, said sentence by sentence while it writes on. */
export class PipelineResponse {
  readonly plan: ResponsePlan;
  readonly message: MessageWriter;
  readonly #deps: ResponseDeps;
  readonly #splitter = new SentenceSplitter();
  readonly #calls: WrittenCalls;
  #line: SpeechLine;
  #chat: ServiceCall<ChatEvent> | undefined;
  #state: 'waiting' | 'writing' | 'written' | 'rescuing' | 'over' = 'waiting';
  /** What went wrong; what was written before is said first. */
  #fault: StageFault | undefined;
  #outcome: Outcome = { status: 'completed' };
  #usage: ResponseUsage | undefined;
  #chars = 0;
  #heardBy = 0;
  #prepared: boolean;
  /** Calls that were written before it was released. */
  #items: readonly Item[] = [];

  /** @param prepared it is no part of the conversation before `release` */
  constructor(deps: ResponseDeps, plan: ResponsePlan, now: number, prepared = false) {
    this.#deps = deps;
    this.plan = plan;
    this.#heardBy = now;
    this.message = new MessageWriter(plan.responseId, deps.emit, plan.outOfBand || prepared ? undefined : deps.history);
    this.#prepared = prepared;
    this.#calls = new WrittenCalls(plan.responseId, deps.emit);
    this.#line = new SpeechLine(this.#lineDeps(), plan.manner, this.#lineHooks(true));
    deps.emit({ type: 'response_started', responseId: plan.responseId, requestId: plan.requestId });
  }

  /** Nothing has been asked of chat yet. */
  get isWaiting(): boolean {
    return this.#state === 'waiting';
  }

  /** Answers the conversation as it stands in these items. */
  write(items: readonly Item[], now: number): void {
    const { board, options, quirks } = this.#deps;
    this.#state = 'writing';
    this.#chat = board.open<ChatEvent>(
      'chat',
      {
        request: (retryOf) => {
          if (retryOf?.code === 'refused') quirks.plainChat = true;
          return chatRequest(options.chat, this.plan.config, items, quirks.plainChat);
        },
        reader: (type) => (type === 'text/event-stream' || type === 'application/json' ? new ChatReader(type) : undefined),
        adapt: ({ code }) => code === 'refused' && !quirks.plainChat,
        restart: () => !this.message.isOpen && this.#calls.isEmpty && this.#chars === 0,
        onEvent: (event, at) => this.#handleChat(event, at),
        onDone: (at) => this.#handleWritten(undefined, at),
        onFault: (fault, at) => this.#handleWritten(fault, at),
      },
      now,
    );
  }

  /** Says this, word for word. */
  say(text: string, now: number): void {
    this.#state = 'writing';
    const splitter = new SentenceSplitter();
    for (const sentence of [...splitter.push(text), ...splitter.flush()]) this.#speak(sentence, true, now);
    this.#handleWritten(undefined, now);
  }

  /** There is nothing to answer. */
  keepSilent(now: number): void {
    this.#handleWritten(undefined, now);
  }

  /** It cannot be answered. */
  fail(fault: StageFault, now: number): void {
    this.#handleWritten(fault, now);
  }

  cancel(now: number): void {
    if (this.#state === 'over') return;
    this.#outcome = { status: 'cancelled' };
    this.#fault = undefined;
    this.#end(now);
  }

  /** What was prepared is wanted, and heard from now on. */
  release(history: ConversationHistory, now: number): void {
    this.#prepared = false;
    this.#heardBy = Math.max(this.#heardBy, now);
    this.message.join(history);
    this.#rememberCalls();
  }

  nextTimeout(): number | undefined {
    if (this.#state === 'over') return undefined;
    const line = this.#line.nextTimeout() ?? Number.POSITIVE_INFINITY;
    const at = Math.min(line, this.#patienceAt());
    return at === Number.POSITIVE_INFINITY ? undefined : at;
  }

  handleTimeout(now: number): void {
    if (this.#state === 'over') return;
    this.#line.handleTimeout(now);
    if (now < this.#patienceAt()) return;
    const { options, book, prompts } = this.#deps;
    this.#deps.onSpare('patience');
    this.#sayPhrase(knownPhrase(book, options.patience, this.plan.manner) ?? prompts.patience, now);
  }

  #rememberCalls(): void {
    if (this.plan.outOfBand) return;
    for (const item of this.#items) this.#deps.history.add({ id: item.id, upstreamId: undefined, item });
    this.#items = [];
  }

  get #speaks(): boolean {
    return this.plan.config.outputModality === 'audio';
  }

  /** When a caller would think that the line is dead. */
  #patienceAt(): number {
    const patienceMs = this.#deps.options.patienceMs ?? DEFAULT_PATIENCE_MS;
    const awaited =
      this.#state !== 'over' && this.#state !== 'rescuing' && !this.#prepared && this.#speaks && !this.plan.outOfBand && patienceMs > 0;
    return awaited ? this.#heardBy + patienceMs : Number.POSITIVE_INFINITY;
  }

  #handleChat(event: ChatEvent, now: number): void {
    switch (event.type) {
      case 'text':
        this.#handleText(event.text, now);
        break;
      case 'call':
        if (!this.#calls.write(event)) this.#stopWriting({ status: 'incomplete', reason: 'max_output_tokens' }, now);
        break;
      case 'finish':
        if (event.reason === 'length') this.#outcome = { status: 'incomplete', reason: 'max_output_tokens' };
        if (event.reason === 'content_filter') this.#outcome = { status: 'incomplete', reason: 'content_filter' };
        break;
      case 'usage':
        this.#usage = event.usage;
        break;
      case 'alive':
        break;
    }
  }

  #handleText(text: string, now: number): void {
    this.#chars += text.length;
    if (this.#speaks) for (const sentence of this.#splitter.push(text)) this.#speak(sentence, false, now);
    else this.message.write(text);
    if (this.#chars > MOST_CHARS) this.#stopWriting({ status: 'incomplete', reason: 'max_output_tokens' }, now);
  }

  #speak(sentence: string, keep: boolean, now: number): void {
    if (!this.#speaks) {
      this.message.write(this.message.isOpen ? ` ${sentence}` : sentence);
      return;
    }
    this.message.open();
    this.#line.add(sentence, keep, now);
  }

  #stopWriting(outcome: Outcome, now: number): void {
    this.#outcome = outcome;
    this.#chat?.cancel();
    this.#handleWritten(undefined, now);
  }

  /** Nothing more is written. With a fault the last sentence may be half of one: it is not said. */
  #handleWritten(fault: StageFault | undefined, now: number): void {
    if (this.#state !== 'waiting' && this.#state !== 'writing') return;
    this.#state = 'written';
    this.#fault = fault;
    if (!fault) {
      if (this.#speaks) for (const sentence of this.#splitter.flush()) this.#speak(sentence, false, now);
      this.#items = this.#calls.finish();
      if (!this.#prepared) this.#rememberCalls();
    }
    this.#settle(now);
  }

  #handleLine(fault: StageFault | undefined, now: number): void {
    if (this.#state === 'over') return;
    if (fault) {
      this.#chat?.cancel();
      this.#line.cancel();
      this.#fault ??= fault;
      this.#state = 'written';
    }
    this.#settle(now);
  }

  #settle(now: number): void {
    if (this.#state !== 'written' || !this.#line.isEmpty) return;
    if (this.#fault && this.#speaks && !this.plan.outOfBand && !this.#prepared) this.#rescue(this.#fault, now);
    else this.#end(now);
  }

  /** Says that something went wrong: in the agent's voice if it is at hand, or comes at once, else in ours. */
  #rescue({ stage }: StageFault, now: number): void {
    const { options, book, prompts } = this.#deps;
    this.#state = 'rescuing';
    this.#deps.onSpare('fallback');
    const known = knownPhrase(book, options.fallback, this.plan.manner);
    if (options.fallback === undefined || known || stage === 'speech') {
      this.#sayPhrase(known ?? prompts.fallback, now);
      this.#end(now);
      return;
    }
    this.#line = new SpeechLine(this.#lineDeps(), this.plan.manner, this.#lineHooks(false), RESCUE);
    this.#line.add(options.fallback, true, now);
  }

  #handleRescue(fault: StageFault | undefined, now: number): void {
    if (this.#state !== 'rescuing') return;
    if (fault) this.#sayPhrase(this.#deps.prompts.fallback, now);
    if (fault || this.#line.isEmpty) this.#end(now);
  }

  #sayPhrase({ text, pcm }: Phrase, now: number): void {
    this.message.beginPassage(text, false);
    this.#sound(pcm, now);
    // What comes of the sentence later is not of this phrase.
    if (this.#line.isInSentence) this.message.said.begin('', true);
  }

  #sound(pcm: Int16Array, now: number): void {
    this.#heardBy = Math.max(this.#heardBy, now) + pcm.length / 24;
    this.message.sound(pcm);
  }

  #lineDeps(): ConstructorParameters<typeof SpeechLine>[0] {
    const { board, options, book, quirks } = this.#deps;
    return { board, speech: options.speech, book, quirks };
  }

  /** @param counts is what it says part of the conversation? */
  #lineHooks(counts: boolean): SpeechLineHooks {
    return {
      onBegin: (text) => this.message.beginPassage(text, counts),
      onSound: (pcm, now) => this.#sound(pcm, now),
      onProgress: (fault, now) => (counts ? this.#handleLine(fault, now) : this.#handleRescue(fault, now)),
    };
  }

  #end(now: number): void {
    this.#state = 'over';
    this.#chat?.cancel();
    this.#line.cancel();
    const { responseId } = this.plan;
    const fault = this.#fault;
    this.message.finish(this.#outcome.status === 'completed' && !fault ? 'completed' : 'incomplete');
    const usage = this.#usage === undefined ? {} : { usage: this.#usage };
    if (fault) {
      const error = { code: `${fault.stage}_${fault.code}`, message: fault.message };
      this.#deps.emit({ type: 'response_done', responseId, status: 'failed', error, ...usage });
    } else this.#deps.emit({ type: 'response_done', responseId, ...this.#outcome, ...usage });
    this.#deps.onOver(this, fault, now);
  }
}

function knownPhrase(book: PhraseBook, text: string | undefined, manner: VoiceManner): Phrase | undefined {
  const pcm = text === undefined ? undefined : book.get(text, manner);
  return text === undefined || !pcm ? undefined : { text, pcm };
}
