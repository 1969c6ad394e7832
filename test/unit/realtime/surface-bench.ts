import { expect } from 'vitest';
import { createLog, type Logger } from '../../../src/base/log.ts';
import type { Leg } from '../../../src/leg/leg.ts';
import type { Item, ModelConfig, ModelConnection, ModelEvent, RealtimeModel, ResponseRequest } from '../../../src/realtime/model.ts';
import { Session } from '../../../src/realtime/session.ts';
import type { SessionMetrics } from '../../../src/realtime/session-metrics.ts';
import type { SessionDeps } from '../../../src/realtime/session-options.ts';
import { checkSession } from '../../../src/realtime/surface/check-session.ts';
import { RealtimeSurface, type SurfaceChannel } from '../../../src/realtime/surface/realtime-surface.ts';
import type { ToolCatalogue } from '../../../src/realtime/tools/tool-catalogue.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { faultsOf } from './event-schemas.ts';

export type Json = Record<string, unknown>;

/** A model that notes what it is told, and says what the test says. */
class NotingModel implements RealtimeModel, ModelConnection {
  readonly name = 'noting';
  readonly told: unknown[][] = [];
  readonly configs: ModelConfig[] = [];
  readonly requests: ResponseRequest[] = [];
  heardSamples = 0;
  emit: (event: ModelEvent) => void = () => {};
  onRespond: ((request: ResponseRequest) => void) | undefined;
  onCommit: ((itemId: string) => void) | undefined;
  onAudio: ((pcm: Int16Array) => void) | undefined;

  connect(onEvent: (event: ModelEvent) => void): ModelConnection {
    this.emit = onEvent;
    return this;
  }

  /** A whole spoken response. */
  say(responseId: string, ms: number, options: { text?: string; done?: boolean; requestId?: string } = {}): void {
    this.emit({ type: 'response_started', responseId, requestId: options.requestId });
    const itemId = `${responseId}_item`;
    if (options.text) this.emit({ type: 'transcript', responseId, itemId, contentIndex: 0, delta: options.text });
    if (ms > 0) this.emit({ type: 'audio', responseId, itemId, pcm: new Int16Array(ms * 24).fill(1000) });
    if (options.done ?? true) this.emit({ type: 'response_done', responseId, status: 'completed' });
  }

  appendAudio(pcm: Int16Array): void {
    this.heardSamples += pcm.length;
    this.onAudio?.(pcm);
  }
  start(): void {
    this.told.push(['start']);
  }
  speechStarted(startMs: number): void {
    this.told.push(['speechStarted', startMs]);
  }
  commitTurn(turn: { startMs: number; endMs: number; itemId?: string; respond?: boolean }): void {
    this.told.push(['commitTurn', turn.startMs, turn.endMs, turn.respond]);
    this.onCommit?.(turn.itemId ?? '');
  }
  configure(config: ModelConfig): void {
    this.configs.push(config);
  }
  addItem(item: Item, previousItemId?: string): void {
    this.told.push(['addItem', item, previousItemId]);
  }
  removeItem(itemId: string): void {
    this.told.push(['removeItem', itemId]);
  }
  respond(request: ResponseRequest): void {
    this.requests.push(request);
    this.onRespond?.(request);
  }
  dtmf(digit: string): void {
    this.told.push(['dtmf', digit]);
  }
  cancelResponse(responseId: string | undefined): void {
    this.told.push(['cancelResponse', responseId]);
  }
  truncate(itemId: string, sentMs: number): void {
    this.told.push(['truncate', itemId, sentMs]);
  }
  close(): void {
    this.told.push(['close']);
  }
}

/** A client on a channel: every event it gets is held against the reference's own typings and schemas. */
export class BenchClient {
  readonly events: Json[] = [];
  readonly channel: SurfaceChannel;
  closed: [number, string] | undefined;
  reads = true;
  readonly refused: boolean;

  constructor(surface: RealtimeSurface, ephemeral = false) {
    const opened = surface.open(
      {
        send: (text) => {
          if (this.reads) this.#take(text);
          return this.reads;
        },
        close: (code, reason) => {
          this.closed = [code, reason];
        },
      },
      { ephemeral },
    );
    this.refused = opened === undefined;
    this.channel = opened ?? { receive: () => {}, close: () => {} };
  }

  send(event: Json): this {
    this.channel.receive(JSON.stringify(event));
    return this;
  }

  /** Types of the events that came since the last look. */
  types(): string[] {
    return this.take().map(({ type }) => String(type));
  }

  /** The events that came since the last look. */
  take(): Json[] {
    return this.events.splice(0);
  }

  last(type: string): Json {
    const event = this.events.findLast((each) => each['type'] === type);
    expect(event, `no ${type} among ${this.events.map((each) => each['type']).join(', ')}`).toBeDefined();
    return event ?? {};
  }

  itemOf(event: Json | undefined): Json {
    return (event?.['item'] ?? {}) as Json;
  }

  error(): Json {
    return this.last('error')['error'] as Json;
  }

  #take(text: string): void {
    const event = JSON.parse(text) as Json;
    expect(faultsOf(event)).toEqual([]);
    this.events.push(event);
  }
}

export interface BenchOptions {
  readonly media?: 'phone' | 'browser' | 'websocket';
  readonly session?: Json;
  readonly ephemeral?: boolean;
  readonly model?: RealtimeModel;
  readonly answer?: 'at_once' | 'manual';
  readonly maxDurationMs?: number;
  readonly leg?: Partial<Leg>;
  readonly createVoiceDetector?: ConstructorParameters<typeof Session>[0]['createVoiceDetector'];
  readonly tools?: ToolCatalogue;
  readonly sounds?: SessionDeps['sounds'];
  readonly filler?: SessionDeps['filler'];
  readonly log?: Logger;
  readonly metrics?: SessionMetrics;
}

/** One session with its surface and a first client, on a clock that moves with the frames. */
export class SurfaceBench {
  readonly clock = new FakeClock(1000);
  readonly model = new NotingModel();
  readonly session: Session;
  readonly surface: RealtimeSurface;
  readonly client: BenchClient;
  readonly commands: string[] = [];
  readonly media: 'phone' | 'browser' | 'websocket';
  #voice = { voiced: false, levelDb: -70 };
  readonly #out = new Int16Array(480);
  /** The loudest sample of each frame towards the caller. */
  readonly heard: number[] = [];
  readonly #in = new Int16Array(480);

  /** Of the caller's frames. */
  set level(value: number) {
    this.#in.fill(value);
  }

  constructor(options: BenchOptions = {}) {
    this.media = options.media ?? 'phone';
    const log = options.log ?? createLog('silent');
    const streams = this.media === 'websocket';
    this.session = new Session(
      {
        clock: this.clock,
        log,
        model: options.model ?? this.model,
        createVoiceDetector: options.createVoiceDetector ?? (() => ({ process: () => this.#voice, free: () => {} })),
        tools: options.tools,
        sounds: options.sounds,
        filler: options.filler,
        ...(options.metrics ? { metrics: options.metrics } : {}),
      },
      { id: 'sess_test', streams, speaksFirst: false, project: 'shop', ...(options.answer ? { answer: options.answer } : {}) },
    );
    const checked = checkSession({ type: 'realtime', ...options.session });
    if ('fault' in checked) throw new Error(checked.fault.message);
    this.surface = new RealtimeSurface(
      { clock: this.clock, log, session: this.session },
      {
        sessionId: 'sess_test',
        media: this.media,
        settings: checked.session,
        ephemeral: options.ephemeral ?? false,
        refuseTool: (tool) => options.tools?.refuse?.(tool, 'shop'),
        ...(options.maxDurationMs === undefined ? {} : { maxDurationMs: options.maxDurationMs }),
      },
    );
    this.client = new BenchClient(this.surface);
    if (!streams) {
      this.session.attach({
        answer: () => void this.commands.push('answer'),
        reject: (cause) => void this.commands.push(`reject ${cause}`),
        hangup: (cause) => void this.commands.push(`hangup ${cause}`),
        report: () => {},
        ...options.leg,
      });
    }
    this.session.start();
    if (!streams && options.answer !== 'manual') this.session.handleLegEvent({ type: 'answered' });
  }

  voice(ms: number): this {
    this.#voice = { voiced: true, levelDb: -22 };
    return this.run(ms);
  }

  silence(ms: number): this {
    this.#voice = { voiced: false, levelDb: -70 };
    return this.run(ms);
  }

  /** A frame each way every 20 ms; a WebSocket's audio comes by events. */
  run(ms: number): this {
    for (let at = 0; at < ms; at += 20) {
      this.clock.advance(20);
      if (this.media !== 'websocket') this.session.handleUplink(this.#in, { concealed: false }, this.clock.now());
      else this.client.send({ type: 'input_audio_buffer.append', audio: Buffer.alloc(960).toString('base64') });
      this.session.pullDownlink(this.#out, this.clock.now());
      this.heard.push(this.#out.reduce((most, sample) => Math.max(most, sample), 0));
    }
    return this;
  }

  /** Time goes by, and nobody sends anything. */
  wait(ms: number): this {
    for (let at = 0; at < ms; at += 20) {
      this.clock.advance(20);
      this.session.pullDownlink(this.#out, this.clock.now());
      this.heard.push(this.#out.reduce((most, sample) => Math.max(most, sample), 0));
    }
    return this;
  }
}
