import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { faultsOf } from '../unit/realtime/event-schemas.ts';
import { type Endpoint, freePorts } from './endpoint.ts';
import { GatewayProcess } from './gateway-process.ts';
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

/** How the gateway runs: in one process, with workers, or each role by itself. */
export type StockMode = 'one' | 'workers' | 'apart';

/** A gateway in processes of its own, and the stock clients that are pointed at it: by base URL and authority, nothing else. */
export class StockGateway {
  /** The process that programs speak to. */
  readonly process: GatewayProcess;
  /** The process that phones speak to. */
  readonly phones: GatewayProcess;
  readonly #all: readonly GatewayProcess[];
  readonly #folder: string;

  private constructor(all: readonly GatewayProcess[], folder: string) {
    this.#all = all;
    this.#folder = folder;
    this.process = all.at(-1) as GatewayProcess;
    this.phones = all[0] as GatewayProcess;
  }

  /** @param yaml its configuration file */
  static async start(yaml: string, mode: StockMode = 'one'): Promise<StockGateway> {
    const folder = tempFolder('stock');
    const config = join(folder, 'ringdown.yaml');
    writeFileSync(config, yaml);
    const flags = ['--config', config, '--sip-rate', '0'];
    if (mode === 'apart') return new StockGateway(await startApart(folder, flags), folder);
    const workers = mode === 'workers' ? ['--workers', '2'] : [];
    return new StockGateway([await GatewayProcess.start({ flags: [...flags, ...workers] })], folder);
  }

  /** All that its processes have written. */
  get lines(): readonly string[] {
    return this.#all.flatMap(({ stderr, stdout }) => [...stderr, ...stdout]);
  }

  /** Its call records, as they stand in the file. */
  get records(): readonly string[] {
    return this.#all.flatMap((each) => each.cdrs().map((record) => JSON.stringify(record)));
  }

  get sip(): Endpoint {
    return this.phones.sip;
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
    await Promise.all(this.#all.map((each) => each.stop()));
    removeFolder(this.#folder);
  }
}

/** Four processes that know each other by a static list of nodes; the one that phones speak to first, the one for programs last. */
async function startApart(folder: string, flags: readonly string[]): Promise<GatewayProcess[]> {
  const keyFile = join(folder, 'cluster.key');
  writeFileSync(keyFile, `1:${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  const roles = ['sip', 'relay', 'transceiver', 'control'];
  const ports = await freePorts(roles.length);
  const nodes = roles.map((_, n) => `${n + 1}=127.0.0.1:${ports[n]}`).join(',');
  const starting = roles.map((role, n) => {
    const node = ['--node-id', `${n + 1}`, '--nodes', nodes, '--inner-port', `${ports[n]}`, '--cluster-key-file', keyFile];
    return GatewayProcess.start({ flags: ['--roles', role, ...node, ...flags], name: `ringdown ${role}` });
  });
  const started = await Promise.allSettled(starting);
  const running = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  if (running.length === roles.length) return running;
  await Promise.all(running.map((each) => each.stop()));
  throw started.find((each) => each.status === 'rejected')?.reason;
}
