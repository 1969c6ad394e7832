import type { Machine } from '../../base/driver.ts';
import { randomText } from '../../base/ids.ts';
import {
  type CommittedTurn,
  type ContentPart,
  type Item,
  MODEL_RATE_HZ,
  type ModelConfig,
  type ModelEvent,
  type ResponseRequest,
} from '../model.ts';
import { ConversationHistory, type HistoryEntry } from '../upstream/conversation-history.ts';
import { BurstWords } from './burst-words.ts';
import { CallBoard, type CallOutput, type StageSettings } from './call-board.ts';
import { InputTranscription, type Transcript } from './input-transcription.ts';
import type { MessageWriter } from './message-writer.ts';
import type { PhraseBook } from './phrase-book.ts';
import { PhraseFetcher } from './phrase-fetcher.ts';
import type { PipelineOptions } from './pipeline-options.ts';
import { PipelineResponse, type SparePrompts } from './pipeline-response.ts';
import { Preparation } from './preparation.ts';
import type { Quirks } from './quirks.ts';
import type { VoiceManner } from './speech-request.ts';
import { isPermanent, type Stage, type StageFault, type StageFaultCode } from './stage.ts';
import { TurnAudio } from './turn-audio.ts';

/** What the shell has to do, or is told. */
export type PipelineOutput =
  | CallOutput
  | { readonly type: 'event'; readonly event: ModelEvent }
  /** Something else was said than an answer, for the metrics. */
  | { readonly type: 'spare'; readonly what: 'fallback' | 'patience' };

export interface PipelineConversationOptions {
  readonly options: PipelineOptions;
  readonly stages: Readonly<Record<Stage, StageSettings>>;
  readonly book: PhraseBook;
  readonly quirks: Quirks;
  readonly prompts: SparePrompts;
  /** Does the agent say the first word? Asked when the call is answered. */
  readonly speaksFirst: boolean;
}

/** The words of callers are told until somebody says that nobody wants them. */
const PLAIN: ModelConfig = { outputModality: 'audio', tools: [], toolChoice: 'auto', maxOutputTokens: 'inf', transcription: {} };

/** What chat is told of a turn in which nobody spoke: somebody wants the silence answered. */
const SILENT = '(The caller is silent.)';

/** Responses that wait for the one that is made. */
const MOST_WAITING = 8;

/** Out of band, at once. */
const MOST_BESIDE = 4;

/** Messages that may still be cut: those that may still be played. */
const MOST_SPOKEN = 16;

/** So many answers failed one after the other: the services are gone, or set up wrongly, and the caller had better call again. */
const MOST_FAILED = 4;
const MOST_FAILED_FOR_GOOD = 2;

/** Audio that a program puts into the conversation: a minute, as base64. */
const MOST_AUDIO_CHARS = 4_000_000;

interface Ask {
  readonly kind: 'turn' | 'request' | 'greeting';
  readonly entry?: HistoryEntry;
  readonly request?: ResponseRequest;
}

/** One conversation with services in a row: what the session asks goes in, requests come out, and the other way round. No I/O. */
export class PipelineConversation implements Machine<PipelineOutput> {
  readonly #options: PipelineConversationOptions;
  readonly #outputs: PipelineOutput[] = [];
  readonly #board: CallBoard;
  readonly #history = new ConversationHistory();
  readonly #audio = new TurnAudio();
  readonly #inputs: InputTranscription;
  readonly #bursts: BurstWords;
  readonly #phrases: PhraseFetcher;
  readonly #asks: Ask[] = [];
  readonly #beside = new Set<PipelineResponse>();
  readonly #spoken: MessageWriter[] = [];
  readonly #transcripts = new WeakMap<HistoryEntry, Transcript>();
  #config: ModelConfig;
  #current: { readonly ask: Ask; readonly response: PipelineResponse } | undefined;
  /** A turn that may be over, and what would be its answer. */
  #preparation: Preparation | undefined;
  #lastCommit: { readonly startMs: number; readonly entry: HistoryEntry } | undefined;
  #failed = 0;
  #failedForGood = 0;
  #answered = false;
  #closed = false;

  constructor(options: PipelineConversationOptions) {
    const { options: row, stages, book, quirks } = options;
    this.#options = options;
    this.#config = this.#merge(PLAIN);
    this.#board = new CallBoard(stages, (output) => this.#outputs.push(output));
    this.#inputs = new InputTranscription({
      ...{ board: this.#board, options: row.transcription, quirks },
      emit: (event, entry) => this.#emitOf(entry, event),
      isTold: () => this.#config.transcription !== null,
      onWords: (entry, words) => this.#tellWords(entry, words),
      onSettled: (entry, transcript, now) => this.#handleTranscript(entry, transcript, now),
    });
    this.#bursts = new BurstWords({ board: this.#board, options: row.transcription, quirks, emit: (event) => this.#emit(event) });
    this.#phrases = new PhraseFetcher({ board: this.#board, speech: row.speech, book, quirks });
  }

  pollOutput(): PipelineOutput | undefined {
    return this.#outputs.shift();
  }

  nextTimeout(): number | undefined {
    if (this.#closed) return undefined;
    let at = this.#board.nextTimeout() ?? Number.POSITIVE_INFINITY;
    for (const response of this.#responses()) at = Math.min(at, response.nextTimeout() ?? Number.POSITIVE_INFINITY);
    return at === Number.POSITIVE_INFINITY ? undefined : at;
  }

  handleTimeout(now: number): void {
    if (this.#closed) return;
    this.#board.handleTimeout(now);
    for (const response of this.#responses()) response.handleTimeout(now);
    this.#settle(now);
  }

  // ---- the session ----

  /** The leg is answered. */
  answer(now: number): void {
    if (this.#closed || this.#answered) return;
    this.#answered = true;
    const { greeting, fallback, patience } = this.#options.options;
    if (greeting !== undefined && this.#options.speaksFirst) this.#asks.push({ kind: 'greeting' });
    this.#settle(now);
    this.#phrases.fetch([fallback, patience], this.#manner(this.#config), now);
  }

  appendAudio(pcm: Int16Array): void {
    if (!this.#closed) this.#audio.append(pcm);
  }

  speechStarted(startMs: number, now: number): void {
    if (this.#closed) return;
    this.#bursts.cancel();
    this.#audio.begin(startMs);
    if (this.#lastCommit?.startMs !== startMs) return;
    this.#takeBack(this.#lastCommit.entry, now);
    this.#settle(now);
  }

  commitTurn(turn: CommittedTurn, now: number): void {
    if (this.#closed) return;
    const { startMs, endMs, itemId, respond = true } = turn;
    if (this.#lastCommit?.startMs === startMs) this.#takeBack(this.#lastCommit.entry, now);
    const pcm = this.#audio.finish(startMs, endMs);
    const id = itemId ?? `item_${randomText(20)}`;
    if (this.#preparation?.startMs === startMs && respond) {
      this.#release(this.#preparation, id, now);
      return;
    }
    this.dropPreparation(now);
    const entry = turnEntry(id, pcm !== undefined);
    this.#history.add(entry);
    this.#lastCommit = { startMs, entry };
    if (respond) this.#asks.push({ kind: 'turn', entry });
    if (pcm) this.#inputs.begin(entry, pcm, now);
    this.#settle(now);
  }

  /** The turn may be over: what would be said then is found out, and nothing told of it. */
  prepareTurn({ startMs, endMs }: CommittedTurn, now: number): void {
    this.dropPreparation(now);
    const pcm = this.#audio.peek(startMs, endMs);
    if (this.#closed || this.#current || this.#asks.length > 0 || this.#inputs.isPending || !pcm) return;
    const entry = turnEntry(`item_${randomText(20)}`, true);
    this.#preparation = new Preparation(startMs, entry);
    const ask: Ask = { kind: 'turn', entry };
    const response = this.#open(ask, now, this.#preparation);
    this.#preparation.response = response;
    this.#current = { ask, response };
    this.#inputs.begin(entry, pcm, now);
    this.#settle(now);
  }

  /** A voice over the agent's speech has paused: what it said decides whether it was meant. */
  findWords(startMs: number, endMs: number, now: number): void {
    if (!this.#closed) this.#bursts.find(this.#audio.lately(startMs, endMs), now);
  }

  /** It was not over. */
  dropPreparation(now: number): void {
    const preparation = this.#preparation;
    if (!preparation) return;
    // What comes next makes another sentence of it.
    if (preparation.toldWords) this.#emit({ type: 'caller_words', words: '' });
    this.#inputs.forget(preparation.entry);
    preparation.response?.cancel(now);
    this.#preparation = undefined;
    this.#settle(now);
  }

  configure(config: ModelConfig): void {
    this.#config = this.#merge(config);
  }

  addItem(item: Item, previousItemId: string | undefined, now: number): void {
    if (this.#closed) return;
    const pcm = audioOf(item);
    const entry: HistoryEntry = { id: item.id, upstreamId: undefined, item: pcm ? withoutAudio(item) : item };
    this.#history.add(entry, previousItemId);
    if (pcm) this.#inputs.begin(entry, pcm, now);
    this.#settle(now);
  }

  removeItem(itemId: string, now: number): void {
    const entry = this.#history.find(itemId);
    if (this.#closed || !entry) return;
    this.#inputs.forget(entry);
    this.#history.remove(entry);
    this.#settle(now);
  }

  respond(request: ResponseRequest, now: number): void {
    if (this.#closed) return;
    const { requestId } = request;
    const isFull = request.conversation === 'none' ? this.#beside.size >= MOST_BESIDE : this.#asks.length >= MOST_WAITING;
    if (isFull) this.#emit({ type: 'fault', code: 'too_many_responses', message: 'too many responses are asked for at once', requestId });
    else if (request.conversation === 'none') {
      const response = this.#open({ kind: 'request', request }, now);
      this.#beside.add(response);
      response.write(this.#itemsFor(request), now);
    } else this.#asks.push({ kind: 'request', request });
    this.#settle(now);
  }

  /** The sound of words that are always the same; when it is not there yet it is fetched for the next time. */
  phrase(text: string, now: number): Int16Array | undefined {
    const manner = this.#manner(this.#config);
    const pcm = this.#options.book.get(text, manner);
    if (!pcm && !this.#closed) this.#phrases.fetch([text], manner, now);
    return pcm;
  }

  /** A key was pressed: the turn that was being spoken is not going to be committed. */
  discardTurn(now: number): void {
    this.#audio.discard();
    this.dropPreparation(now);
  }

  cancelResponse(responseId: string | undefined, now: number): void {
    if (this.#closed) return;
    if (responseId === undefined) this.#dropAsks();
    else for (const response of this.#responses()) if (response.plan.responseId === responseId) response.cancel(now);
    this.#settle(now);
  }

  /** Of this item the caller has heard so much. */
  truncate(itemId: string, sentMs: number): void {
    const message = this.#spoken.find((each) => each.itemId === itemId);
    message?.said.cutAt(sentMs);
    message?.record();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#board.close();
  }

  // ---- the services ----

  handleConnected(attempt: number, now: number): void {
    this.#board.handleConnected(attempt, now);
  }

  handleHead(attempt: number, head: { readonly status: number; readonly contentType: string | undefined }, now: number): void {
    this.#board.handleHead(attempt, head, now);
    this.#settle(now);
  }

  handleData(attempt: number, bytes: Uint8Array, now: number): void {
    this.#board.handleData(attempt, bytes, now);
    this.#settle(now);
  }

  handleEnd(attempt: number, now: number): void {
    this.#board.handleEnd(attempt, now);
    this.#settle(now);
  }

  handleFailure(attempt: number, code: StageFaultCode, detail: string | undefined, now: number): void {
    this.#board.handleFailure(attempt, code, detail, now);
    this.#settle(now);
  }

  // ---- between them ----

  /** The caller went on: what was taken for all of the turn was not. */
  #takeBack(entry: HistoryEntry, now: number): void {
    this.#inputs.forget(entry);
    this.#history.remove(entry);
    const at = this.#asks.findIndex((ask) => ask.entry === entry);
    if (at >= 0) this.#asks.splice(at, 1);
    if (this.#current?.ask.entry === entry) this.#current.response.cancel(now);
  }

  /** The turn was over indeed. */
  #release(preparation: Preparation, id: string, now: number): void {
    const { startMs, response } = preparation;
    this.#preparation = undefined;
    const { entry, events } = preparation.release(id);
    const transcript = this.#transcripts.get(entry);
    if (!(transcript && 'text' in transcript && transcript.text === '')) this.#history.add(entry);
    this.#lastCommit = { startMs, entry };
    for (const event of events) this.#emit(event);
    response?.release(this.#history, now);
    this.#settle(now);
  }

  #handleTranscript(entry: HistoryEntry, transcript: Transcript, now: number): void {
    this.#transcripts.set(entry, transcript);
    if ('fault' in transcript && this.#preparation?.entry === entry) {
      // The commit, if it comes, finds out by itself.
      this.dropPreparation(now);
      return;
    }
    // Noise is not part of the conversation.
    if ('text' in transcript && transcript.text === '' && !hasMore(entry.item)) this.#history.remove(entry);
    if ('fault' in transcript) this.#tell(transcript.fault);
    this.#settle(now);
  }

  /** Opens the next response, and writes the one that waited for the words of turns. */
  #settle(now: number): void {
    if (this.#closed) return;
    if (!this.#current) {
      const ask = this.#asks.shift();
      if (ask) {
        this.#current = { ask, response: this.#open(ask, now) };
        if (ask.kind === 'greeting') this.#current.response.say(this.#options.options.greeting ?? '', now);
      }
    }
    const current = this.#current;
    if (!current?.response.isWaiting || this.#inputs.isPending) return;
    const { ask, response } = current;
    const transcript = ask.entry && this.#transcripts.get(ask.entry);
    if (transcript && 'fault' in transcript) response.fail(transcript.fault, now);
    else if (transcript?.text === '') response.keepSilent(now);
    else {
      const prepared = this.#preparation?.response === response ? [this.#preparation.entry.item] : [];
      response.write([...this.#itemsFor(ask.request), ...prepared], now);
    }
  }

  #open({ request }: Ask, now: number, preparation?: Preparation): PipelineResponse {
    const { options, book, quirks, prompts } = this.#options;
    const config = this.#merge({ ...this.#config, ...request?.config });
    const outOfBand = request?.conversation === 'none';
    const response = new PipelineResponse(
      {
        ...{ options, book, quirks, prompts, board: this.#board, history: this.#history },
        emit: (event) => this.#emitOf(preparation?.entry, event),
        onSpare: (what) => this.#outputs.push({ type: 'spare', what }),
        onOver: (over, fault, at) => this.#handleOver(over, fault, at),
      },
      { responseId: `resp_${randomText(20)}`, requestId: request?.requestId, outOfBand, config, manner: this.#manner(config) },
      now,
      preparation !== undefined,
    );
    if (outOfBand) return response;
    this.#spoken.push(response.message);
    if (this.#spoken.length > MOST_SPOKEN) this.#spoken.shift();
    return response;
  }

  #handleOver(response: PipelineResponse, fault: StageFault | undefined, now: number): void {
    this.#beside.delete(response);
    if (response !== this.#current?.response) return;
    const { ask } = this.#current;
    this.#current = undefined;
    if (this.#preparation?.response === response) {
      if (fault) this.dropPreparation(now);
      return;
    }
    if (!fault) {
      this.#failed = 0;
      this.#failedForGood = 0;
    } else {
      // What its turn lacked has been told.
      if (fault.stage !== 'transcription' || ask.kind !== 'turn') this.#tell(fault);
      this.#failed += 1;
      this.#failedForGood = isPermanent(fault) ? this.#failedForGood + 1 : 0;
      if (this.#failed >= MOST_FAILED || this.#failedForGood >= MOST_FAILED_FOR_GOOD) this.#giveUp(fault);
    }
    this.#settle(now);
  }

  #giveUp({ stage, code }: StageFault): void {
    this.close();
    this.#emit({ type: 'closed', reason: `${stage}_${code}` });
  }

  #dropAsks(): void {
    for (const { request } of this.#asks.splice(0)) {
      const responseId = `resp_${randomText(20)}`;
      this.#emit({ type: 'response_started', responseId, requestId: request?.requestId });
      this.#emit({ type: 'response_done', responseId, status: 'cancelled' });
    }
  }

  #responses(): PipelineResponse[] {
    return this.#current ? [this.#current.response, ...this.#beside] : [...this.#beside];
  }

  #itemsFor(request: ResponseRequest | undefined): readonly Item[] {
    if (!request?.input) return this.#history.replayable().map(({ item }) => item);
    return request.input.flatMap((each) => (each.type === 'item_reference' ? (this.#history.find(each.id)?.item ?? []) : [each]));
  }

  /** What a session leaves out is as it is configured. */
  #merge(config: ModelConfig): ModelConfig {
    const { instructions } = this.#options.options;
    return config.instructions === undefined && instructions !== undefined ? { ...config, instructions } : config;
  }

  #manner({ voice, speed }: ModelConfig): VoiceManner {
    const { speech } = this.#options.options;
    return { voice: voice ?? speech.voice, speed: speed ?? speech.speed };
  }

  #tell({ stage, code, message }: StageFault): void {
    this.#emit({ type: 'fault', code: `${stage}_${code}`, message });
  }

  /** The words of a turn that may be over say whether it is. */
  #tellWords(entry: HistoryEntry, words: string): void {
    if (this.#preparation?.entry !== entry || words === '') return;
    this.#preparation.toldWords = true;
    this.#emit({ type: 'caller_words', words });
  }

  /** What is told of a turn, unless it is only prepared for. */
  #emitOf(entry: HistoryEntry | undefined, event: ModelEvent): void {
    if (entry && this.#preparation?.entry === entry) this.#preparation.hold(event);
    else this.#emit(event);
  }

  #emit(event: ModelEvent): void {
    this.#outputs.push({ type: 'event', event });
  }
}

/** @param spoken else the silence is the turn */
function turnEntry(id: string, spoken: boolean): HistoryEntry {
  const content: ContentPart = spoken ? { type: 'input_audio', transcript: null } : { type: 'input_text', text: SILENT };
  return { id, upstreamId: undefined, item: { type: 'message', id, role: 'user', status: 'completed', content: [content] } };
}

/** What a program put in as sound. */
function audioOf(item: Item): Int16Array | undefined {
  if (item.type !== 'message' || item.role !== 'user') return undefined;
  for (const part of item.content) {
    if (part.type !== 'input_audio' || part.transcript || !part.audio || part.audio.length > MOST_AUDIO_CHARS) continue;
    const bytes = Buffer.from(part.audio, 'base64');
    const pcm = new Int16Array(bytes.length >> 1);
    for (let n = 0; n < pcm.length; n++) pcm[n] = bytes.readInt16LE(2 * n);
    return pcm.subarray(0, 60 * MODEL_RATE_HZ);
  }
  return undefined;
}

function withoutAudio(item: Item): Item {
  if (item.type !== 'message') return item;
  return { ...item, content: item.content.map((part) => (part.type === 'input_audio' ? { type: part.type, transcript: null } : part)) };
}

/** Is there anything but sound in it? */
function hasMore(item: Item): boolean {
  return item.type === 'message' && item.content.some(({ type }) => type !== 'input_audio');
}
