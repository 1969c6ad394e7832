import type { ModelEvent } from '../../../src/realtime/model.ts';
import { FirstByteEstimate } from '../../../src/realtime/pipeline/first-byte-estimate.ts';
import { PhraseBook } from '../../../src/realtime/pipeline/phrase-book.ts';
import { PipelineConversation, type PipelineOutput } from '../../../src/realtime/pipeline/pipeline-conversation.ts';
import { DEFAULT_TIMINGS, type PipelineOptions } from '../../../src/realtime/pipeline/pipeline-options.ts';
import { Quirks } from '../../../src/realtime/pipeline/quirks.ts';
import type { CallNote } from '../../../src/realtime/pipeline/service-call.ts';
import type { Stage } from '../../../src/realtime/pipeline/stage.ts';

const FRAME = new Int16Array(480).fill(500);

/** A request that the conversation made, and what becomes of it. */
export class ProbedRequest {
  readonly attempt: number;
  readonly stage: Stage;
  readonly body: string;
  readonly at: number;
  state: 'open' | 'aborted' | 'finished' | 'ended' = 'open';
  /** When it was aborted. */
  abortedAt: number | undefined;
  readonly #probe: PipelineProbe;

  constructor(probe: PipelineProbe, attempt: number, stage: Stage, body: string | Uint8Array) {
    this.#probe = probe;
    this.attempt = attempt;
    this.stage = stage;
    this.body = typeof body === 'string' ? body : Buffer.from(body).toString('latin1');
    this.at = probe.now;
  }

  // biome-ignore lint/suspicious/noExplicitAny: what was sent is looked into by tests
  get json(): any {
    return JSON.parse(this.body);
  }

  connect(): this {
    this.#probe.run((machine, now) => machine.handleConnected(this.attempt, now));
    return this;
  }

  head(contentType: string | undefined, status = 200): this {
    this.#probe.run((machine, now) => machine.handleHead(this.attempt, { status, contentType }, now));
    return this;
  }

  data(data: string | Uint8Array): this {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    this.#probe.run((machine, now) => machine.handleData(this.attempt, bytes, now));
    return this;
  }

  end(): this {
    this.state = 'ended';
    this.#probe.run((machine, now) => machine.handleEnd(this.attempt, now));
    return this;
  }

  fail(code: 'unreachable' | 'cut_off' = 'unreachable'): this {
    this.state = 'ended';
    this.#probe.run((machine, now) => machine.handleFailure(this.attempt, code, 'ECONNRESET', now));
    return this;
  }

  refuse(status: number, body = ''): this {
    return this.head('application/json', status).data(body).end();
  }

  /** The words of a turn. */
  hear(text: string): this {
    return this.head('application/json').data(JSON.stringify({ text })).end();
  }

  /** A piece of an answer. */
  delta(delta: unknown, finish: string | null = null): this {
    return this.data(`data: ${JSON.stringify({ choices: [{ delta, finish_reason: finish }] })}\n\n`);
  }

  /** A whole answer. */
  write(text: string): this {
    return this.head('text/event-stream').delta({ content: text }).delta({}, 'stop').data('data: [DONE]\n\n').end();
  }

  /** So much sound. */
  sound(ms: number, level = 1000): this {
    const pcm = new Int16Array(ms * 24).fill(level);
    return this.data(new Uint8Array(pcm.buffer));
  }

  speak(ms: number): this {
    return this.head('audio/pcm').sound(ms).end();
  }
}

const OPTIONS: PipelineOptions = {
  transcription: { url: 'http://t/v1', model: 'ears' },
  chat: { url: 'http://c/v1', model: 'mind' },
  speech: { url: 'http://s/v1', model: 'mouth', voice: 'alto' },
  patienceMs: 0,
};

/** What is shared by the calls of a model. */
export function shared(secret?: string) {
  const stage = (name: Stage) => ({ timings: DEFAULT_TIMINGS[name], estimate: new FirstByteEstimate(), secret });
  return {
    stages: { transcription: stage('transcription'), chat: stage('chat'), speech: stage('speech') },
    book: new PhraseBook(),
    quirks: new Quirks(),
    prompts: {
      fallback: { text: 'Sorry.', pcm: new Int16Array(2400).fill(1) },
      patience: { text: 'One moment.', pcm: new Int16Array(4800).fill(2) },
    },
  };
}

/** A conversation without services: time and answers are the test's. */
export class PipelineProbe {
  readonly machine: PipelineConversation;
  readonly requests: ProbedRequest[] = [];
  readonly events: ModelEvent[] = [];
  readonly spares: string[] = [];
  readonly notes: (readonly [Stage, CallNote])[] = [];
  now = 0;
  #heardMs = 0;

  constructor(options: Partial<PipelineOptions> = {}, common = shared(), speaksFirst = true) {
    this.machine = new PipelineConversation({ options: { ...OPTIONS, ...options }, ...common, speaksFirst });
  }

  run(change: (machine: PipelineConversation, now: number) => void): void {
    change(this.machine, this.now);
    for (let output = this.machine.pollOutput(); output; output = this.machine.pollOutput()) this.#take(output);
  }

  /** Time passes; what falls due is done when it does. */
  pass(ms: number): void {
    const until = this.now + ms;
    for (let at = this.machine.nextTimeout(); at !== undefined && at <= until; at = this.machine.nextTimeout()) {
      this.now = Math.max(this.now, at);
      this.run((machine, now) => machine.handleTimeout(now));
    }
    this.now = until;
  }

  /** The caller speaks for so long, and the turn is over. */
  turn(ms = 500, extra: { readonly respond?: boolean; readonly itemId?: string } = {}): void {
    const startMs = this.#heardMs;
    this.run((machine, now) => machine.speechStarted(startMs, now));
    this.hear(ms);
    this.run((machine, now) => machine.commitTurn({ startMs, endMs: this.#heardMs, ...extra }, now));
  }

  hear(ms: number): void {
    for (let n = 0; n < ms / 20; n++) this.machine.appendAudio(FRAME);
    this.#heardMs += ms;
  }

  get heardMs(): number {
    return this.#heardMs;
  }

  /** The newest request of a stage that is still open, or the one of this number among all of the stage. */
  request(stage: Stage, number?: number): ProbedRequest {
    const all = this.requests.filter((each) => each.stage === stage);
    const found = number === undefined ? all.filter(({ state }) => state === 'open').at(-1) : all[number - 1];
    if (!found) throw new Error(`no such request of ${stage}`);
    return found;
  }

  count(stage: Stage): number {
    return this.requests.filter((each) => each.stage === stage).length;
  }

  of<Type extends ModelEvent['type']>(type: Type): Extract<ModelEvent, { readonly type: Type }>[] {
    return this.events.filter((event) => event.type === type) as Extract<ModelEvent, { readonly type: Type }>[];
  }

  /** Milliseconds of audio so far. */
  get soundMs(): number {
    return this.of('audio').reduce((sum, { pcm }) => sum + pcm.length / 24, 0);
  }

  /** What is said so far, as events tell it. */
  get said(): string {
    return this.of('transcript')
      .map(({ delta }) => delta)
      .join('');
  }

  #take(output: PipelineOutput): void {
    if (output.type === 'request') this.requests.push(new ProbedRequest(this, output.attempt, output.stage, output.body));
    else if (output.type === 'event') this.events.push(output.event);
    else if (output.type === 'spare') this.spares.push(output.what);
    else if (output.type === 'note') this.notes.push([output.stage, output.note]);
    else {
      const request = this.requests.find(({ attempt }) => attempt === output.attempt);
      if (!request || request.state === 'ended') return;
      request.state = output.type === 'abort' ? 'aborted' : 'finished';
      request.abortedAt = this.now;
    }
  }
}
