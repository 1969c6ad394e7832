import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { tone } from './tones.ts';
import { EventLog } from './wait.ts';

/** A client's event as it came, or one of ours. */
export type WireEvent = Readonly<Record<string, unknown>> & { readonly type: string };

/** What a client asked for with response.create. */
export interface ResponseAsk {
  readonly eventId: string | undefined;
  readonly response: Readonly<Record<string, unknown>>;
}

/** A response as it is played; its events are sent by the caller of these methods, in any wrong order it likes. */
export interface UpstreamScript {
  /** Says or does something for a response.create. Default: 400 ms of 440 Hz with the words "Hello there." */
  readonly respond?: (session: UpstreamSession, ask: ResponseAsk) => void;
  /** What a turn said; undefined: nothing is written down. */
  readonly transcribe?: (session: UpstreamSession) => string | undefined;
  /** Called with each event before it is obeyed; `true`: it is not. */
  readonly intercept?: (session: UpstreamSession, event: WireEvent) => boolean;
  /** Instead of session.created. */
  readonly greet?: (session: UpstreamSession) => void;
  /** Refuses the upgrade with this status. */
  readonly refuse?: (request: IncomingMessage, count: number) => number | undefined;
}

export interface UpstreamServerOptions extends UpstreamScript {
  /** Event names of the preview. Default `ga`. */
  readonly dialect?: 'ga' | 'beta';
  /** Items keep the ids that clients give them. Default true. */
  readonly keepsItemIds?: boolean;
  /** Samples a second of what it says. */
  readonly rateHz?: number;
  /** Unix seconds that session.created says. */
  readonly expiresAt?: number;
}

const BETA_NAMES = new Map([
  ['response.output_audio.delta', 'response.audio.delta'],
  ['response.output_audio.done', 'response.audio.done'],
  ['response.output_audio_transcript.delta', 'response.audio_transcript.delta'],
  ['response.output_audio_transcript.done', 'response.audio_transcript.done'],
  ['response.output_text.delta', 'response.text.delta'],
  ['response.output_text.done', 'response.text.done'],
  ['conversation.item.added', 'conversation.item.created'],
]);

/** A Realtime server for tests on 127.0.0.1: records what clients say, and answers by a script. */
export class ScriptedUpstream {
  readonly #http: Server;
  readonly #sockets: WebSocketServer;
  /** Every session, in the order of their connections. */
  readonly sessions = new EventLog<UpstreamSession>();
  /** Upgrades that were asked for, refused ones too. */
  readonly upgrades: IncomingMessage[] = [];
  options: UpstreamServerOptions;
  #port = 0;

  private constructor(options: UpstreamServerOptions) {
    this.options = options;
    this.#http = createServer((_request, response) => void response.writeHead(404).end());
    this.#sockets = new WebSocketServer({
      noServer: true,
      handleProtocols: (protocols) => (protocols.has('realtime') ? 'realtime' : false),
    });
    this.#http.on('upgrade', (request, socket, head) => {
      socket.on('error', () => {});
      this.upgrades.push(request);
      const status = this.options.refuse?.(request, this.upgrades.length);
      if (status !== undefined) {
        const page = '<!DOCTYPE html><title>Welcome</title>';
        socket.end(
          `HTTP/1.1 ${status} No\r\nContent-Type: text/html\r\nContent-Length: ${page.length}\r\nConnection: close\r\n\r\n${page}`,
        );
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (ws) => {
        const session = new UpstreamSession(ws, request, () => this.options);
        this.sessions.push(session);
        session.begin();
      });
    });
  }

  static async start(options: UpstreamServerOptions = {}): Promise<ScriptedUpstream> {
    const server = new ScriptedUpstream(options);
    await new Promise<void>((resolve) => server.#http.listen(0, '127.0.0.1', resolve));
    server.#port = (server.#http.address() as AddressInfo).port;
    return server;
  }

  /** For the `url` of a model: `ws://127.0.0.1:PORT/v1`. */
  get url(): string {
    return `ws://127.0.0.1:${this.#port}/v1`;
  }

  /** Session number `n`, from 1 on; waits for it. */
  async session(n: number, deadlineMs = 5000): Promise<UpstreamSession> {
    await this.sessions.reach(n, deadlineMs, 'sessions at the model server');
    return this.sessions.all[n - 1] as UpstreamSession;
  }

  async stop(): Promise<void> {
    for (const session of this.sessions.all) session.drop();
    this.#sockets.close();
    this.#http.closeAllConnections();
    await new Promise<void>((resolve) => this.#http.close(() => resolve()));
  }
}

interface ServedItem {
  readonly id: string;
  readonly item: Readonly<Record<string, unknown>>;
  /** Of what was said aloud. */
  audioMs?: number;
}

export interface SayOptions {
  /** At the server's rate. */
  readonly pcm?: Int16Array;
  readonly transcript?: string;
  /** Audio of one message; default 100 ms. */
  readonly chunkMs?: number;
}

/** One client of the server. */
export class UpstreamSession {
  readonly #ws: WebSocket;
  readonly #options: () => UpstreamServerOptions;
  /** URL and headers of the upgrade. */
  readonly request: IncomingMessage;
  /** Everything the client sent, in order. */
  readonly received = new EventLog<WireEvent>();
  /** The conversation as this server has it. */
  readonly items: ServedItem[] = [];
  readonly session: Record<string, unknown> = {};
  closed = false;
  /** Settles when the connection is over, with its close code. */
  readonly ended: Promise<number>;
  #buffer: Buffer[] = [];
  /** Audio of the turn that was committed last, as bytes. */
  committed: Buffer = Buffer.alloc(0);
  #count = 0;
  #active: { readonly id: string; cancelled: boolean } | undefined;
  #stalled = false;

  constructor(ws: WebSocket, request: IncomingMessage, options: () => UpstreamServerOptions) {
    this.#ws = ws;
    this.request = request;
    this.#options = options;
    ws.on('message', (data) => this.#handle(JSON.parse(String(data)) as WireEvent));
    ws.on('error', () => {});
    this.ended = new Promise((resolve) => {
      ws.on('close', (code) => {
        this.closed = true;
        resolve(code);
      });
    });
  }

  begin(): void {
    const { greet, expiresAt } = this.#options();
    if (greet) greet(this);
    else
      this.send('session.created', { session: { id: this.nextId('sess'), ...(expiresAt === undefined ? {} : { expires_at: expiresAt }) } });
  }

  nextId(prefix: string): string {
    this.#count += 1;
    return `${prefix}_${this.#count}`;
  }

  /** Sends an event under the name its dialect has for it. */
  send(type: string, fields: Readonly<Record<string, unknown>> = {}): void {
    const name = this.#options().dialect === 'beta' ? (BETA_NAMES.get(type) ?? type) : type;
    this.sendRaw(JSON.stringify({ type: name, event_id: this.nextId('event'), ...fields }));
  }

  /** Sends anything: garbage as text, or a binary frame. */
  sendRaw(data: string | Buffer): void {
    if (!this.#stalled && this.#ws.readyState === this.#ws.OPEN) this.#ws.send(data);
  }

  error(code: string, eventId?: string): void {
    this.send('error', { error: { type: 'invalid_request_error', code, message: `refused: ${code}`, event_id: eventId ?? null } });
  }

  /** Reads nothing any more, not even pings. */
  stopReading(): void {
    this.#ws.pause();
  }

  /** Says nothing any more. */
  stall(): void {
    this.#stalled = true;
  }

  /** RST instead of a close. */
  drop(): void {
    this.#ws.terminate();
  }

  close(code: number, reason = ''): void {
    this.#ws.close(code, reason);
  }

  /** Events of this type so far. */
  all(type: string): readonly WireEvent[] {
    return this.received.all.filter((event) => event.type === type);
  }

  /** The first event of this type from number `from` on; waits for it. */
  expect(type: string, deadlineMs = 5000, from = 0): Promise<WireEvent> {
    return this.received.find((event) => event.type === type, deadlineMs, `${type} at the model server`, from);
  }

  // ---- responses ----

  /** A whole spoken response. Returns its ids. */
  say(ask: ResponseAsk, options: SayOptions = {}): { readonly responseId: string; readonly itemId: string } {
    const begun = this.beginSpeech(ask);
    this.speak(begun, options.pcm ?? tone(440, 400, { rateHz: this.#options().rateHz ?? 24_000 }), options.chunkMs);
    this.endSpeech(begun, options.transcript ?? 'Hello there.');
    return begun;
  }

  beginResponse(ask: ResponseAsk): string {
    const id = this.nextId('resp');
    const outOfBand = ask.response['conversation'] === 'none';
    if (!outOfBand) this.#active = { id, cancelled: false };
    const conversation = outOfBand ? null : 'conv_1';
    this.send('response.created', {
      response: {
        id,
        object: 'realtime.response',
        status: 'in_progress',
        output: [],
        conversation_id: conversation,
        metadata: ask.response['metadata'] ?? null,
      },
    });
    return id;
  }

  beginSpeech(ask: ResponseAsk): { readonly responseId: string; readonly itemId: string } {
    const responseId = this.beginResponse(ask);
    const itemId = this.nextId('item');
    const item = { id: itemId, type: 'message', role: 'assistant', status: 'in_progress', content: [] };
    this.items.push({ id: itemId, item, audioMs: 0 });
    this.send('response.output_item.added', { response_id: responseId, output_index: 0, item });
    this.send('conversation.item.added', { item });
    return { responseId, itemId };
  }

  speak(ids: { readonly responseId: string; readonly itemId: string }, pcm: Int16Array, chunkMs = 100): void {
    const rateHz = this.#options().rateHz ?? 24_000;
    const step = (rateHz * chunkMs) / 1000;
    for (let at = 0; at < pcm.length; at += step) {
      const piece = pcm.subarray(at, at + step);
      this.send('response.output_audio.delta', {
        ...this.#place(ids),
        delta: Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength).toString('base64'),
      });
    }
    const served = this.items.find(({ id }) => id === ids.itemId);
    if (served) served.audioMs = (served.audioMs ?? 0) + (pcm.length * 1000) / rateHz;
  }

  write(ids: { readonly responseId: string; readonly itemId: string }, delta: string): void {
    this.send('response.output_audio_transcript.delta', { ...this.#place(ids), delta });
  }

  endSpeech(ids: { readonly responseId: string; readonly itemId: string }, transcript: string): void {
    this.write(ids, transcript);
    this.send('response.output_audio.done', this.#place(ids));
    this.send('response.output_audio_transcript.done', { ...this.#place(ids), transcript });
    const item = {
      id: ids.itemId,
      type: 'message',
      role: 'assistant',
      status: 'completed',
      content: [{ type: 'output_audio', transcript }],
    };
    this.send('response.output_item.done', { response_id: ids.responseId, output_index: 0, item });
    this.done(ids.responseId, [item]);
  }

  /** A response that calls a function. */
  callFunction(ask: ResponseAsk, name: string, args: string): { readonly responseId: string; readonly callId: string } {
    const responseId = this.beginResponse(ask);
    const [id, callId] = [this.nextId('item'), this.nextId('call')];
    const item = { id, type: 'function_call', call_id: callId, name, arguments: '', status: 'in_progress' };
    this.items.push({ id, item });
    this.send('response.output_item.added', { response_id: responseId, output_index: 0, item });
    for (const delta of [args.slice(0, 3), args.slice(3)]) {
      this.send('response.function_call_arguments.delta', {
        response_id: responseId,
        item_id: id,
        output_index: 0,
        call_id: callId,
        delta,
      });
    }
    this.send('response.function_call_arguments.done', {
      response_id: responseId,
      item_id: id,
      output_index: 0,
      call_id: callId,
      name,
      arguments: args,
    });
    const whole = { ...item, arguments: args, status: 'completed' };
    this.send('response.output_item.done', { response_id: responseId, output_index: 0, item: whole });
    this.done(responseId, [whole]);
    return { responseId, callId };
  }

  done(responseId: string, output: readonly unknown[] = [], status = 'completed', details: unknown = null): void {
    if (this.#active?.id === responseId) this.#active = undefined;
    const usage = { total_tokens: 30, input_tokens: 10, output_tokens: 20 };
    this.send('response.done', { response: { id: responseId, status, status_details: details, output, usage } });
  }

  /** Was the response that runs cancelled? */
  get isCancelled(): boolean {
    return this.#active?.cancelled ?? true;
  }

  #place({ responseId, itemId }: { readonly responseId: string; readonly itemId: string }): Record<string, unknown> {
    return { response_id: responseId, item_id: itemId, output_index: 0, content_index: 0 };
  }

  // ---- what a real server does by itself ----

  #handle(event: WireEvent): void {
    this.received.push(event);
    if (this.#options().intercept?.(this, event)) return;
    const eventId = typeof event['event_id'] === 'string' ? event['event_id'] : undefined;
    switch (event.type) {
      case 'session.update':
        Object.assign(this.session, event['session']);
        this.send('session.updated', { session: this.session });
        break;
      case 'input_audio_buffer.append':
        this.#buffer.push(Buffer.from(String(event['audio']), 'base64'));
        break;
      case 'input_audio_buffer.clear':
        this.#buffer = [];
        this.send('input_audio_buffer.cleared');
        break;
      case 'input_audio_buffer.commit':
        this.#commit(eventId);
        break;
      case 'conversation.item.create':
        this.#create(event['item'] as Readonly<Record<string, unknown>>);
        break;
      case 'conversation.item.delete':
        this.#delete(String(event['item_id']), eventId);
        break;
      case 'conversation.item.truncate':
        this.#truncate(event, eventId);
        break;
      case 'response.create':
        this.#respond({ eventId, response: (event['response'] ?? {}) as Readonly<Record<string, unknown>> });
        break;
      case 'response.cancel':
        this.#cancel(eventId);
        break;
      default:
        this.error('unknown_event', eventId);
    }
  }

  #commit(eventId: string | undefined): void {
    this.committed = Buffer.concat(this.#buffer);
    this.#buffer = [];
    if (this.committed.length === 0) {
      this.error('input_audio_buffer_commit_empty', eventId);
      return;
    }
    const id = this.nextId('item');
    const item = { id, type: 'message', role: 'user', status: 'completed', content: [{ type: 'input_audio', transcript: null }] };
    this.items.push({ id, item });
    this.send('input_audio_buffer.committed', { item_id: id, previous_item_id: this.items.at(-2)?.id ?? null });
    this.send('conversation.item.added', { item });
    const transcript = this.#options().transcribe?.(this);
    if (transcript !== undefined) {
      this.send('conversation.item.input_audio_transcription.completed', { item_id: id, content_index: 0, transcript });
    }
  }

  #create(given: Readonly<Record<string, unknown>>): void {
    const named = this.#options().keepsItemIds ?? true;
    const id = named && typeof given['id'] === 'string' ? given['id'] : this.nextId('item');
    const item = { status: 'completed', ...given, id };
    this.items.push({ id, item });
    this.send('conversation.item.added', { item });
  }

  #delete(itemId: string, eventId: string | undefined): void {
    const at = this.items.findIndex(({ id }) => id === itemId);
    if (at < 0) {
      this.error('item_delete_invalid_item_id', eventId);
      return;
    }
    this.items.splice(at, 1);
    this.send('conversation.item.deleted', { item_id: itemId });
  }

  #truncate(event: WireEvent, eventId: string | undefined): void {
    const item = this.items.find(({ id }) => id === event['item_id']);
    const ms = Number(event['audio_end_ms']);
    if (item?.audioMs === undefined || ms > item.audioMs || !Number.isInteger(ms)) {
      this.error('invalid_value', eventId);
      return;
    }
    item.audioMs = ms;
    this.send('conversation.item.truncated', { item_id: item.id, content_index: 0, audio_end_ms: ms });
  }

  #respond(ask: ResponseAsk): void {
    if (this.#active && ask.response['conversation'] !== 'none') {
      this.error('conversation_already_has_active_response', ask.eventId);
      return;
    }
    const { respond } = this.#options();
    if (respond) respond(this, ask);
    else this.say(ask);
  }

  #cancel(eventId: string | undefined): void {
    if (!this.#active || this.#active.cancelled) {
      this.error('response_cancel_not_active', eventId);
      return;
    }
    this.#active.cancelled = true;
    this.done(this.#active.id, [], 'cancelled', { type: 'cancelled', reason: 'client_cancelled' });
  }
}
