import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as elapse } from 'node:timers/promises';
import { tone } from './tones.ts';
import { EventLog } from './wait.ts';

export type ServiceStage = 'transcription' | 'chat' | 'speech';

const STAGE_OF: Readonly<Record<string, ServiceStage>> = {
  '/v1/audio/transcriptions': 'transcription',
  '/v1/chat/completions': 'chat',
  '/v1/audio/speech': 'speech',
};

/** Does something with a request; how it is answered is its own affair. */
export type Behaviour = (asked: AskedService) => void | Promise<void>;

export interface ServicesScript {
  readonly transcription?: Behaviour;
  readonly chat?: Behaviour;
  readonly speech?: Behaviour;
}

/** One request, as a service got it. */
export class AskedService {
  readonly stage: ServiceStage;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly response: ServerResponse;
  /** performance.now() when all of it was there. */
  readonly at = performance.now();
  /** When the client went away before the answer was whole. */
  abortedAt: number | undefined;
  /** When the first and the last of the answer were written. */
  readonly wroteAt: number[] = [];
  /** Counts the requests of this stage, from 1 on. */
  readonly count: number;
  readonly #gone: (() => void)[] = [];

  constructor(stage: ServiceStage, request: IncomingMessage, body: Buffer, response: ServerResponse, count: number) {
    this.stage = stage;
    this.path = request.url ?? '';
    this.headers = request.headers;
    this.body = body;
    this.response = response;
    this.count = count;
    response.on('close', () => {
      if (response.writableFinished) return;
      this.abortedAt = performance.now();
      for (const tell of this.#gone) tell();
    });
  }

  get isGone(): boolean {
    return this.abortedAt !== undefined;
  }

  /** The body as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: what a client sent is looked into by tests
  get json(): any {
    return JSON.parse(this.body.toString());
  }

  /** A field of the form. */
  field(name: string): string | undefined {
    return new RegExp(`name="${name}"\\r\\n\\r\\n([^\\r]*)\\r\\n`).exec(this.body.toString('latin1'))?.[1];
  }

  /** The samples of the uploaded file. */
  get pcm(): Int16Array {
    const start = this.body.indexOf('RIFF');
    const bytes = this.body.readUInt32LE(start + 40);
    return new Int16Array(new Uint8Array(this.body.subarray(start + 44, start + 44 + bytes)).buffer);
  }

  head(contentType: string, status = 200, headers: Readonly<Record<string, string>> = {}): void {
    this.response.writeHead(status, { 'content-type': contentType, ...headers });
    this.response.flushHeaders();
  }

  write(data: string | Uint8Array): void {
    this.wroteAt.push(performance.now());
    this.response.write(data);
  }

  /** An event of a stream. */
  event(data: unknown): void {
    this.write(`data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`);
  }

  /** A delta of a streamed completion. */
  delta(delta: Readonly<Record<string, unknown>>, finish: string | null = null): void {
    this.event({ id: 'chatcmpl-1', object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish }] });
  }

  end(data?: string | Uint8Array): void {
    this.wroteAt.push(performance.now());
    this.response.end(data);
  }

  /** Settles when the client has gone away. */
  whenGone(): Promise<void> {
    return this.isGone ? Promise.resolve() : new Promise((resolve) => this.#gone.push(resolve));
  }
}

/** Three services on 127.0.0.1 that do as they are told. */
export class ScriptedServices {
  readonly asked = new EventLog<AskedService>();
  script: ServicesScript;
  connections = 0;
  readonly #http: Server;
  readonly #counts = new Map<ServiceStage, number>();
  #port = 0;

  private constructor(script: ServicesScript) {
    this.script = script;
    this.#http = createServer((request, response) => void this.#take(request, response));
    this.#http.on('connection', () => {
      this.connections += 1;
    });
  }

  static async start(script: ServicesScript = {}): Promise<ScriptedServices> {
    const services = new ScriptedServices(script);
    await new Promise<void>((resolve) => services.#http.listen(0, '127.0.0.1', resolve));
    services.#port = (services.#http.address() as AddressInfo).port;
    return services;
  }

  /** `http://127.0.0.1:PORT/v1`. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}/v1`;
  }

  of(stage: ServiceStage): AskedService[] {
    return this.asked.all.filter((each) => each.stage === stage);
  }

  /** Request number `count` of this stage, from 1 on; waits for it. */
  request(stage: ServiceStage, count = 1, deadlineMs = 5000): Promise<AskedService> {
    return this.asked.find((each) => each.stage === stage && each.count === count, deadlineMs, `request ${count} of ${stage}`);
  }

  /** Closes connections that wait for a request. */
  dropIdle(): void {
    this.#http.closeIdleConnections();
  }

  async stop(): Promise<void> {
    this.#http.closeAllConnections();
    await new Promise<void>((resolve) => this.#http.close(() => resolve()));
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.on('error', () => {});
    response.on('error', () => {});
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const stage = STAGE_OF[(request.url ?? '').split('?')[0] ?? ''];
    if (!stage) {
      response.writeHead(404, { 'content-type': 'application/json' }).end('{"detail":"Not Found"}');
      return;
    }
    const count = (this.#counts.get(stage) ?? 0) + 1;
    this.#counts.set(stage, count);
    const asked = new AskedService(stage, request, Buffer.concat(pieces), response, count);
    this.asked.push(asked);
    const behaviour = this.script[stage] ?? { transcription: hears('Hello.'), chat: writes('Hello back.'), speech: speaks() }[stage];
    await behaviour(asked);
  }
}

/** Understands this, after a while. */
export function hears(text: string, { afterMs = 0 } = {}): Behaviour {
  return async (asked) => {
    await elapse(afterMs);
    asked.head('application/json');
    asked.end(JSON.stringify({ text }));
  };
}

/** Understands it word by word, as a stream of events. */
export function hearsSlowly(words: readonly string[], everyMs = 20): Behaviour {
  return async (asked) => {
    asked.head('text/event-stream');
    for (const delta of words) {
      asked.event({ type: 'transcript.text.delta', delta });
      await elapse(everyMs);
    }
    asked.event({ type: 'transcript.text.done', text: words.join('') });
    asked.end();
  };
}

/** Writes this word by word. */
export function writes(text: string | ((asked: AskedService) => string), { afterMs = 0, wordMs = 0 } = {}): Behaviour {
  return async (asked) => {
    await elapse(afterMs);
    if (asked.isGone) return;
    asked.head('text/event-stream; charset=utf-8');
    asked.delta({ role: 'assistant', content: '' });
    for (const word of (typeof text === 'string' ? text : text(asked)).split(/(?<= )/)) {
      if (wordMs > 0) await elapse(wordMs);
      if (asked.isGone) return;
      asked.delta({ content: word });
    }
    asked.delta({}, 'stop');
    asked.event('[DONE]');
    asked.end();
  };
}

/** The sound of a text here: 440 Hz, so long. */
function soundOf(text: string, rateHz = 24_000, msPerChar = 20): Int16Array {
  return tone(440, Math.max(100, text.length * msPerChar), { rateHz });
}

/** Speaks, in pieces. */
export function speaks({ afterMs = 0, pieceMs = 200, everyMs = 0, rateHz = 24_000, msPerChar = 20 } = {}): Behaviour {
  return async (asked) => {
    await elapse(afterMs);
    if (asked.isGone) return;
    asked.head('audio/pcm');
    const pcm = soundOf(asked.json.input, rateHz, msPerChar);
    const bytes = new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength);
    const step = Math.round((pieceMs * rateHz) / 1000) * 2;
    for (let at = 0; at < bytes.length && !asked.isGone; at += step) {
      if (at > 0 && everyMs > 0) await elapse(everyMs);
      asked.write(bytes.subarray(at, at + step));
    }
    asked.end();
  };
}

/** Answers with this status. */
export function refuses(status: number, body = '{"error":{"message":"no"}}', contentType = 'application/json'): Behaviour {
  return (asked) => {
    asked.head(contentType, status, status >= 300 && status < 400 ? { location: '/elsewhere' } : {});
    asked.end(body);
  };
}

/** A web page with 200, as from a proxy or a wrong address. */
export function answersWithPage(): Behaviour {
  return (asked) => {
    asked.head('text/html; charset=utf-8');
    asked.end('<!DOCTYPE html><html><body>Welcome</body></html>');
  };
}

/** Says nothing at all. */
export function neverAnswers(): Behaviour {
  return () => {};
}

/** Breaks the connection, before or after so many bytes of sound or words. */
export function breaksOff(begin?: Behaviour): Behaviour {
  return async (asked) => {
    await begin?.(asked);
    asked.response.socket?.destroy();
  };
}

/** These in turn; the last one for all that follow. */
export function inTurn(...behaviours: readonly Behaviour[]): Behaviour {
  let next = 0;
  return (asked) => {
    const behaviour = behaviours[Math.min(next, behaviours.length - 1)];
    next += 1;
    return behaviour?.(asked);
  };
}
