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
  Uplink,
  UplinkWhileSpeaking,
} from '../model.ts';
import { DEFAULT_LINK_OPTIONS, type LinkId, type LinkOptions } from './link-keeper.ts';
import type { UpstreamProfile } from './profile.ts';
import { UpstreamConversation, type UpstreamOutput } from './upstream-conversation.ts';
import type { UpstreamMetrics } from './upstream-metrics.ts';
import { UpstreamSocket } from './upstream-socket.ts';
import { upstreamUrl } from './upstream-url.ts';

export interface UpstreamDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics?: UpstreamMetrics | undefined;
}

export interface UpstreamOptions {
  /** `https://api.openai.com/v1`, `wss://…/realtime?model=…`, `ws://127.0.0.1:8080/v1`. */
  readonly url: string;
  readonly profile: UpstreamProfile;
  readonly model?: string | undefined;
  readonly apiKey?: string | undefined;
  /** Sent with the upgrade beside the profile's own. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Certificates to trust beside the system's, as PEM: another gateway's own. */
  readonly ca?: string | undefined;
  /** How the model is where the session does not say otherwise: its own instructions, its own voice. */
  readonly config?: Partial<ModelConfig>;
  /** The model speaks first when the call is answered, unless the call's owner leaves the first word to somebody else. */
  readonly greet?: boolean;
  /** What the greeting shall be; replaces the model's instructions for that one response. */
  readonly greeting?: string | undefined;
  /** The caller's audio goes in messages of so many milliseconds: 20 to 200, default 40. */
  readonly appendMs?: number;
  readonly links?: Partial<LinkOptions>;
  /** Who takes turns: the gateway (default), or the server, which then hears the caller all the time. */
  readonly turns?: 'gateway' | 'upstream';
  /** What a server that takes turns hears while we speak. */
  readonly uplinkWhileSpeaking?: UplinkWhileSpeaking;
}

/** 40 ms: half the messages of 20 ms, and later by 20 ms only where a turn ends within a frame of its last message. */
const DEFAULT_APPEND_MS = 40;

const PLAIN: ModelConfig = { outputModality: 'audio', tools: [], toolChoice: 'auto', maxOutputTokens: 'inf', transcription: null };

/** Any server that speaks the Realtime protocol over WebSocket, as a model: one connection a conversation. */
export class UpstreamModel implements RealtimeModel {
  readonly name: string;
  readonly takesTurns: boolean;
  readonly uplinkWhileSpeaking: UplinkWhileSpeaking;
  readonly #deps: UpstreamDeps;
  readonly #options: UpstreamOptions;
  readonly #url: string;

  /** @throws GatewayError ERR_CONFIG for an address that is none */
  constructor(deps: UpstreamDeps, options: UpstreamOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#url = upstreamUrl(options.url, options.profile, options.model);
    const appendMs = options.appendMs ?? DEFAULT_APPEND_MS;
    if (!(appendMs >= 20 && appendMs <= 200)) throw new GatewayError('ERR_CONFIG', 'audio goes to a model in messages of 20 to 200 ms');
    this.takesTurns = options.turns === 'upstream';
    this.uplinkWhileSpeaking = options.uplinkWhileSpeaking ?? 'auto';
    this.name = options.model === undefined ? options.profile.name : `${options.profile.name}/${options.model}`;
  }

  connect(onEvent: (event: ModelEvent) => void, call?: CallContext): ModelConnection {
    const { profile, apiKey, config, greet, greeting, appendMs, links, turns } = this.#options;
    const conversation = new UpstreamConversation({
      profile,
      links: { ...DEFAULT_LINK_OPTIONS, capMs: profile.capMinutes === undefined ? undefined : profile.capMinutes * 60_000, ...links },
      config: { ...PLAIN, ...config },
      appendMs: appendMs ?? DEFAULT_APPEND_MS,
      ...(turns && { turns }),
      get greeting() {
        return greet && (call?.speaksFirst ?? true) ? { instructions: greeting } : undefined;
      },
      random: Math.random,
      secret: apiKey,
    });
    const open = (handlers: ConstructorParameters<typeof UpstreamSocket>[1]): UpstreamSocket =>
      new UpstreamSocket(
        { url: this.#url, headers: this.#headers(), ca: this.#options.ca, handshakeTimeoutMs: links?.connectTimeoutMs ?? 3000 },
        handlers,
      );
    return new UpstreamConnection({ ...this.#deps, name: this.name, open }, conversation, onEvent);
  }

  #headers(): Record<string, string> {
    const { profile, apiKey, headers } = this.#options;
    const { header, prefix } = profile.auth;
    return { ...profile.headers, ...headers, ...(apiKey === undefined ? {} : { [header]: prefix + apiKey }) };
  }
}

interface ConnectionDeps extends UpstreamDeps {
  readonly name: string;
  readonly open: (handlers: ConstructorParameters<typeof UpstreamSocket>[1]) => UpstreamSocket;
}

/** One conversation: the machine, its sockets and its clock. */
class UpstreamConnection implements ModelConnection {
  readonly #deps: ConnectionDeps;
  readonly #onEvent: (event: ModelEvent) => void;
  readonly #machine: UpstreamConversation;
  readonly #driver: Driver<UpstreamOutput>;
  readonly #sockets = new Map<LinkId, UpstreamSocket>();
  readonly #warned = new Set<string>();
  #closed = false;

  constructor(deps: ConnectionDeps, machine: UpstreamConversation, onEvent: (event: ModelEvent) => void) {
    this.#deps = deps;
    this.#onEvent = onEvent;
    this.#machine = machine;
    this.#driver = new Driver(deps.clock, machine, (output) => this.#carryOut(output));
    this.#driver.run((now) => machine.start(now));
  }

  appendAudio(pcm: Int16Array): void {
    this.#driver.run(() => this.#machine.appendAudio(pcm));
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

  turnTaken(turn: CommittedTurn): void {
    this.#driver.run((now) => this.#machine.turnTaken(turn, now));
  }

  listen(how: Uplink, floorDb: number, again: boolean): void {
    this.#driver.run(() => this.#machine.listen(how, floorDb, again));
  }

  configure(config: ModelConfig): void {
    this.#driver.run((now) => this.#machine.configure(config, now));
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

  dtmf(): void {
    this.#driver.run((now) => this.#machine.discardTurn(now));
  }

  cancelResponse(responseId: string | undefined): void {
    this.#driver.run((now) => this.#machine.cancelResponse(responseId, now));
  }

  pause(): void {
    this.#driver.run((now) => this.#machine.pause(now));
  }

  resume(): void {
    this.#driver.run((now) => this.#machine.resume(now));
  }

  truncate(itemId: string, sentMs: number): void {
    this.#driver.run((now) => this.#machine.truncate(itemId, sentMs, now));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#driver.run(() => this.#machine.close());
    this.#driver.stop();
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }

  #carryOut(output: UpstreamOutput): void {
    switch (output.type) {
      case 'connect':
        this.#connect(output.link);
        break;
      case 'disconnect':
        this.#sockets.get(output.link)?.close();
        this.#sockets.delete(output.link);
        break;
      case 'send':
        this.#sockets.get(output.link)?.send(output.message);
        break;
      case 'ping':
        this.#sockets.get(output.link)?.ping();
        break;
      case 'event':
        if (!this.#closed) this.#onEvent(output.event);
        break;
      case 'strange':
        this.#deps.metrics?.strange.inc({ what: output.what });
        this.#warnOnce(output.what);
        break;
      case 'link':
        this.#noteLink(output.what, output.reason);
        break;
    }
  }

  #connect(link: LinkId): void {
    const { clock, open } = this.#deps;
    const run = (change: (now: number) => void): void => {
      if (!this.#closed) this.#driver.run(change);
    };
    try {
      const socket = open({
        onMessage: (text) => run((now) => this.#machine.handleMessage(link, text, now, clock.wallclock())),
        onBinary: () => run((now) => this.#machine.handleBinary(link, now)),
        onPong: () => run((now) => this.#machine.handleHeard(link, now)),
        onClosed: (reason, permanent) => run((now) => this.#machine.handleLinkFailure(link, reason, permanent, now)),
      });
      this.#sockets.set(link, socket);
    } catch (thrown) {
      // A header that may not be sent, a certificate that is none.
      this.#deps.log.error({ err: GatewayError.from(thrown).code }, 'model connection cannot be opened');
      soon(() => run((now) => this.#machine.handleLinkFailure(link, 'bad_options', true, now)));
    }
  }

  #noteLink(what: string, reason: string | undefined): void {
    const { log, metrics, name } = this.#deps;
    metrics?.links.inc({ event: what });
    if (what === 'lost' || what === 'gave_up')
      log.warn({ model: name, reason }, what === 'lost' ? 'model connection lost' : 'model given up');
    else log.debug({ model: name }, what === 'ready' ? 'model connected' : 'model session refreshed');
  }

  /** Once a conversation and kind: a server that sends nonsense sends much of it. */
  #warnOnce(what: string): void {
    if (this.#warned.has(what)) return;
    this.#warned.add(what);
    this.#deps.log.warn({ model: this.#deps.name, what }, 'strange model server');
  }
}
