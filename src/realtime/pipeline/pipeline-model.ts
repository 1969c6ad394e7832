import { type Clock, soon } from '../../base/clock.ts';
import { Driver } from '../../base/driver.ts';
import { GatewayError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type {
  CallContext,
  CommittedTurn,
  Item,
  ModelConfig,
  ModelConnection,
  ModelEvent,
  RealtimeModel,
  ResponseRequest,
} from '../model.ts';
import type { StageSettings } from './call-board.ts';
import { FirstByteEstimate } from './first-byte-estimate.ts';
import { PhraseBook } from './phrase-book.ts';
import { PipelineConversation, type PipelineOutput } from './pipeline-conversation.ts';
import type { PipelineMetrics } from './pipeline-metrics.ts';
import { DEFAULT_TIMINGS, type PipelineOptions } from './pipeline-options.ts';
import type { SparePrompts } from './pipeline-response.ts';
import { Quirks } from './quirks.ts';
import type { CallNote } from './service-call.ts';
import { type OpenRequest, ServiceClient } from './service-client.ts';
import { serviceUrl } from './service-url.ts';
import { isPermanent, STAGES, type Stage } from './stage.ts';

export interface PipelineDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly prompts: SparePrompts;
  readonly metrics?: PipelineMetrics | undefined;
}

interface Service {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
}

/** A model made of services in a row: transcription, chat, speech. Nothing is contacted before a call is answered. */
export class PipelineModel implements RealtimeModel {
  readonly name: string;
  readonly language: string | undefined;
  readonly #deps: PipelineDeps;
  readonly #options: PipelineOptions;
  readonly #services: Readonly<Record<Stage, Service>>;
  readonly #stages: Readonly<Record<Stage, StageSettings>>;
  readonly #client: ServiceClient;
  readonly #book = new PhraseBook();
  readonly #quirks = new Quirks();

  /** @throws GatewayError ERR_CONFIG for an address that is none */
  constructor(deps: PipelineDeps, options: PipelineOptions) {
    this.language = options.transcription.language;
    this.#deps = deps;
    this.#options = options;
    this.#services = forEachStage((stage) => {
      const { url, apiKey } = options[stage];
      const at = serviceUrl(url, stage);
      return { url: at, headers: apiKey === undefined ? {} : keyHeader(at, apiKey) };
    });
    this.#stages = forEachStage((stage) => ({
      timings: { ...DEFAULT_TIMINGS[stage], ...options.timings?.[stage] },
      estimate: new FirstByteEstimate(),
      secret: options[stage].apiKey,
    }));
    this.#client = new ServiceClient(deps.clock);
    this.name = `pipeline/${options.chat.model}`;
  }

  connect(onEvent: (event: ModelEvent) => void, call?: CallContext): ModelConnection {
    const conversation = new PipelineConversation({
      options: this.#options,
      stages: this.#stages,
      book: this.#book,
      quirks: this.#quirks,
      prompts: this.#deps.prompts,
      get speaksFirst() {
        return call?.speaksFirst ?? true;
      },
    });
    const parts = { ...this.#deps, name: this.name, client: this.#client, services: this.#services };
    return new PipelineConnection(parts, conversation, onEvent);
  }

  /** Closes the connections that are kept; conversations that run open their own again. */
  close(): void {
    this.#client.close();
  }
}

/** Azure has a header of its own. */
function keyHeader({ hostname }: URL, key: string): Record<string, string> {
  return hostname.endsWith('.azure.com') ? { 'api-key': key } : { authorization: `Bearer ${key}` };
}

function forEachStage<T>(make: (stage: Stage) => T): Record<Stage, T> {
  return Object.fromEntries(STAGES.map((stage) => [stage, make(stage)])) as Record<Stage, T>;
}

interface ConnectionDeps extends PipelineDeps {
  readonly name: string;
  readonly client: ServiceClient;
  readonly services: Readonly<Record<Stage, Service>>;
}

/** One conversation: the machine, its requests and its clock. */
class PipelineConnection implements ModelConnection {
  readonly #deps: ConnectionDeps;
  readonly #machine: PipelineConversation;
  readonly #onEvent: (event: ModelEvent) => void;
  readonly #driver: Driver<PipelineOutput>;
  readonly #requests = new Map<number, OpenRequest>();
  readonly #warned = new Set<string>();
  #closed = false;

  constructor(deps: ConnectionDeps, machine: PipelineConversation, onEvent: (event: ModelEvent) => void) {
    this.#deps = deps;
    this.#machine = machine;
    this.#onEvent = onEvent;
    this.#driver = new Driver(deps.clock, machine, (output) => this.#carryOut(output));
  }

  appendAudio(pcm: Int16Array): void {
    this.#machine.appendAudio(pcm);
  }

  start(): void {
    this.#driver.run((now) => this.#machine.answer(now));
  }

  speechStarted(startMs: number): void {
    this.#driver.run((now) => this.#machine.speechStarted(startMs, now));
  }

  commitTurn(turn: CommittedTurn): void {
    this.#driver.run((now) => this.#machine.commitTurn(turn, now));
  }

  prepareTurn(turn: CommittedTurn): void {
    this.#driver.run((now) => this.#machine.prepareTurn(turn, now));
  }

  findWords(startMs: number, endMs: number): void {
    this.#driver.run((now) => this.#machine.findWords(startMs, endMs, now));
  }

  dropPreparation(): void {
    this.#driver.run((now) => this.#machine.dropPreparation(now));
  }

  configure(config: ModelConfig): void {
    this.#machine.configure(config);
  }

  addItem(item: Item, previousItemId?: string): void {
    this.#driver.run((now) => this.#machine.addItem(item, previousItemId, now));
  }

  removeItem(itemId: string): void {
    this.#driver.run((now) => this.#machine.removeItem(itemId, now));
  }

  respond(request: ResponseRequest): void {
    this.#driver.run((now) => this.#machine.respond(request, now));
  }

  phrase(text: string): Int16Array | undefined {
    let pcm: Int16Array | undefined;
    this.#driver.run((now) => {
      pcm = this.#machine.phrase(text, now);
    });
    return pcm;
  }

  dtmf(): void {
    this.#driver.run((now) => this.#machine.discardTurn(now));
  }

  cancelResponse(responseId: string | undefined): void {
    this.#driver.run((now) => this.#machine.cancelResponse(responseId, now));
  }

  truncate(itemId: string, sentMs: number): void {
    this.#machine.truncate(itemId, sentMs);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#machine.close();
    this.#driver.stop();
    for (const request of this.#requests.values()) request.abort();
    this.#requests.clear();
  }

  #carryOut(output: PipelineOutput): void {
    switch (output.type) {
      case 'request':
        this.#request(output);
        break;
      case 'abort':
      case 'finish':
        this.#requests.get(output.attempt)?.[output.type]();
        this.#requests.delete(output.attempt);
        break;
      case 'event':
        if (!this.#closed) this.#onEvent(output.event);
        break;
      case 'spare':
        this.#deps.metrics?.spares.inc({ what: output.what });
        break;
      case 'note':
        this.#note(output.stage, output.note);
        break;
    }
  }

  #request({ attempt, stage, ...request }: Extract<PipelineOutput, { readonly type: 'request' }>): void {
    const { client, services, log } = this.#deps;
    const { url, headers } = services[stage];
    const machine = this.#machine;
    const run = (change: (now: number) => void): void => {
      if (!this.#closed) this.#driver.run(change);
    };
    try {
      const open = client.open(url, headers, request, {
        onConnected: () => run((now) => machine.handleConnected(attempt, now)),
        onHead: (status, contentType) => run((now) => machine.handleHead(attempt, { status, contentType }, now)),
        onData: (bytes) => run((now) => machine.handleData(attempt, bytes, now)),
        onEnd: () => this.#forget(attempt, () => run((now) => machine.handleEnd(attempt, now))),
        onFailed: (code, detail) => this.#forget(attempt, () => run((now) => machine.handleFailure(attempt, code, detail, now))),
      });
      this.#requests.set(attempt, open);
    } catch (thrown) {
      // A header that may not be sent.
      log.error({ err: GatewayError.from(thrown).code, stage }, 'request to a service cannot be made');
      soon(() => run((now) => machine.handleFailure(attempt, 'refused', undefined, now)));
    }
  }

  #forget(attempt: number, then: () => void): void {
    this.#requests.delete(attempt);
    then();
  }

  #note(stage: Stage, note: CallNote): void {
    const { metrics, log, name, services } = this.#deps;
    if (note.what === 'answered') metrics?.firstWordMs.observe({ stage }, note.afterMs);
    if (note.what !== 'attempt_failed') {
      metrics?.requests.inc({ stage, event: note.what });
      return;
    }
    const { fault } = note;
    metrics?.requests.inc({ stage, event: fault.code });
    // Once a conversation and kind: what fails, fails often.
    if (this.#warned.has(stage + fault.code)) return;
    this.#warned.add(stage + fault.code);
    const { origin, pathname } = services[stage].url;
    const fields = { model: name, stage, code: fault.code, status: fault.status, url: origin + pathname };
    if (isPermanent(fault)) log.error(fields, 'model service is set up wrongly');
    else log.warn(fields, 'model service failed');
  }
}
