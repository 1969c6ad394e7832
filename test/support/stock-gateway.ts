import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { faultsOf } from '../unit/realtime/event-schemas.ts';
import type { Endpoint } from './endpoint.ts';
import { GatewayProcess, type GatewayProcessOptions } from './gateway-process.ts';
import { removeFolder, tempFolder } from './temp-folder.ts';
import { EventLog } from './wait.ts';

/** Keys of the two projects that a gateway for stock clients has. */
export const SHOP_KEY = 'sk-shop-0123456789';
export const BANK_KEY = 'sk-bank-0123456789';
export const PROJECTS = `projects: [{name: shop, keys: [${SHOP_KEY}]}, {name: bank, keys: [${BANK_KEY}]}]\n`;

/** An event that a client was told. */
export interface ToldEvent {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** What one client was told, each event held against what the packages know of it. */
export class ToldEvents extends EventLog<ToldEvent> {
  /** What is wrong with any of them, and errors of any kind. */
  readonly faults: string[] = [];

  override push(event: ToldEvent): void {
    this.faults.push(...faultsOf(event));
    super.push(event);
  }

  /** The first event of this type from number `from` on. */
  type(type: string, deadlineMs = 10_000, from = 0): Promise<ToldEvent> {
    return this.find((event) => event.type === type, deadlineMs, `${type}; seen: ${this.#seen()}`, from);
  }

  has(type: string): boolean {
    return this.all.some((event) => event.type === type);
  }

  #seen(): string {
    return this.all.map((event) => (event.type === 'error' ? JSON.stringify(event) : event.type)).join(', ');
  }
}

/** A client of package `openai` and what it was told. */
export interface StockSocket {
  readonly rt: OpenAIRealtimeWS;
  readonly told: ToldEvents;
  /** Settles with the close code. */
  readonly closed: Promise<number>;
}

/** A gateway in a process of its own, and the stock clients that are pointed at it: by base URL and authority, nothing else. */
export class StockGateway {
  readonly process: GatewayProcess;
  readonly #folder: string;

  private constructor(process: GatewayProcess, folder: string) {
    this.process = process;
    this.#folder = folder;
  }

  /** @param yaml its configuration file */
  static async start(yaml: string, { flags = [], ...options }: GatewayProcessOptions = {}): Promise<StockGateway> {
    const folder = tempFolder('stock');
    const config = join(folder, 'ringdown.yaml');
    writeFileSync(config, yaml);
    return new StockGateway(await GatewayProcess.start({ ...options, flags: ['--config', config, ...flags] }), folder);
  }

  get http(): Endpoint {
    return this.process.http;
  }

  get baseURL(): string {
    return `http://127.0.0.1:${this.http.port}/v1`;
  }

  /** Of a path below the API, e.g. `realtime?model=m`. */
  socketURL(path: string): string {
    return `ws://127.0.0.1:${this.http.port}/v1/${path}`;
  }

  /** File of the authority that the gateway made for itself. */
  get caFile(): string {
    return join(this.process.dataDir, 'certificates', 'ca.pem');
  }

  client(apiKey = SHOP_KEY): OpenAI {
    return new OpenAI({ apiKey, baseURL: this.baseURL });
  }

  /** The stock client's WebSocket: wss on the port of its base URL. */
  connect(props: { model: string } | { callID: string } | { intent: 'transcription' }, client = this.client()): StockSocket {
    const rt = new OpenAIRealtimeWS({ ...props, options: { ca: readFileSync(this.caFile, 'utf8') } }, client);
    const told = new ToldEvents();
    rt.on('event', (event) => told.push(event as unknown as ToldEvent));
    rt.on('error', (error) => told.faults.push(error.message));
    return { rt, told, closed: new Promise((resolve) => rt.socket.once('close', resolve)) };
  }

  async stop(): Promise<void> {
    await this.process.stop();
    removeFolder(this.#folder);
  }
}
