import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child, type ChildEnd, SIGNALS_APART_MS } from './child.ts';
import { type Doors, doorNamed, parseDoors } from './doors.ts';
import { type Endpoint, endpointText, freePorts, LOOPBACK } from './endpoint.ts';
import { type MetricsText, readMetrics } from './metrics-text.ts';
import { type ProcessFigures, processFigures } from './process-figures.ts';
import { removeFolder, tempFolder } from './temp-folder.ts';
import { EventLog, elapse, eventually } from './wait.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** A line of the gateway's log. */
export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface GatewayProcessOptions {
  /** More flags, e.g. `['--max-calls', '2']`; they win over the defaults, which are any free ports on 127.0.0.1. */
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Kept by the caller; a new one that is removed at the end when left out. */
  readonly dataDir?: string;
  readonly name?: string;
}

/** The doors that keep their port over a restart; an inner port is fixed anyway. */
const DOOR_FLAGS = [
  ['sip', '--sip-port'],
  ['relay', '--relay-port'],
  ['http', '--http-port'],
] as const;

/** From start to the last door: modules load and Opus warms up on a busy machine. */
const START_MS = 50_000;

/** Flags for a gateway that nobody else can collide with. */
export function quietFlags(dataDir: string): string[] {
  return [
    ...['--bind', LOOPBACK],
    ...['--sip-port', '0'],
    ...['--http-port', '0'],
    ...['--relay-port', '0'],
    ...['--rtp-ports', '0'],
    ...['--data', dataDir],
  ];
}

/** A gateway, or a role of one, in a process of its own. */
export class GatewayProcess {
  readonly #options: GatewayProcessOptions;
  #child: Child;
  readonly dataDir: string;
  /** Of all its lives. */
  readonly log = new EventLog<LogLine>();
  doors: Doors = new Map();

  constructor(options: GatewayProcessOptions) {
    this.#options = options;
    this.dataDir = options.dataDir ?? tempFolder('data');
    this.#child = this.#spawn([]);
  }

  /** Starts it and waits until it serves. @throws Error with its last words when it does not */
  static async start(options: GatewayProcessOptions = {}): Promise<GatewayProcess> {
    const gateway = new GatewayProcess(options);
    await gateway.#ready();
    return gateway;
  }

  get pid(): number {
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#child.running;
  }

  get stdout(): readonly string[] {
    return this.#child.stdout.all;
  }

  /** Of its present life, as it was written. */
  get stderr(): readonly string[] {
    return this.#child.stderr.all;
  }

  get ended(): Promise<ChildEnd> {
    return this.#child.ended;
  }

  /** Where SIP is spoken. @throws Error when this process has no such door; the same for the others */
  get sip(): Endpoint {
    return doorNamed(this.doors, 'sip');
  }

  get relay(): Endpoint {
    return doorNamed(this.doors, 'relay');
  }

  get http(): Endpoint {
    return doorNamed(this.doors, 'http');
  }

  metrics(): Promise<MetricsText> {
    return readMetrics(this.http);
  }

  figures(): ProcessFigures {
    return processFigures(this.pid);
  }

  /** Waits for a line of the log with this message. */
  logged(message: string, deadlineMs = 5000): Promise<LogLine> {
    return this.log.find((line) => line.msg === message, deadlineMs, `the log line "${message}"`);
  }

  cdrs(): readonly Readonly<Record<string, unknown>>[] {
    return readJsonLines(join(this.dataDir, 'cdr.jsonl'));
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.signal(signal);
  }

  /** Ends it as a crash would. */
  kill(): Promise<ChildEnd> {
    return this.#child.kill();
  }

  /** Starts it again, after it has ended, with the same ports and data. */
  async restart(): Promise<void> {
    if (this.running) throw new Error('it still runs');
    const ports = DOOR_FLAGS.flatMap(([name, flag]) => {
      const port = this.doors.get(name)?.port;
      return port === undefined ? [] : [flag, String(port)];
    });
    this.#child = this.#spawn(ports);
    await this.#ready();
  }

  /** SIGTERM and again: hang up and end. Killed when that takes longer than `graceMs`. */
  async stop(graceMs = 4000): Promise<ChildEnd> {
    const giveUpAt = performance.now() + graceMs;
    // Signals that are sent together arrive as one, so the second one waits a little.
    while (this.running && performance.now() < giveUpAt) {
      this.signal('SIGTERM');
      await Promise.race([this.ended, elapse(SIGNALS_APART_MS)]);
    }
    const end = await (this.running ? this.kill() : this.ended);
    if (this.#options.dataDir === undefined) removeFolder(this.dataDir);
    return end;
  }

  /** The end of what it wrote, for a failing test. */
  lastWords(): string {
    return this.#child.lastWords();
  }

  #spawn(moreFlags: readonly string[]): Child {
    const { flags = [], env, name = 'ringdown' } = this.#options;
    // As users run it; test/support/build.ts keeps it up to date.
    const built = ['--max-semi-space-size=4', '--enable-source-maps', join(ROOT, 'dist/main.js')];
    const args = [...built, ...quietFlags(this.dataDir), ...flags, ...moreFlags];
    // Settings of the machine's own gateway are no settings of this one; nor is a ringdown.yaml where the tests run.
    const foreign = Object.keys(process.env).filter((variable) => variable.startsWith('RINGDOWN_'));
    const cleared = Object.fromEntries(foreign.map((variable) => [variable, undefined]));
    const child = new Child(process.execPath, args, { cwd: this.dataDir, env: { ...cleared, ...env }, name });
    child.stderr.follow((line) => {
      const parsed = parseLogLine(line);
      if (parsed) this.log.push(parsed);
    });
    return child;
  }

  async #ready(): Promise<void> {
    await this.#child.line(/^http\s/, START_MS);
    const isReady = async (): Promise<boolean> => {
      // Doors are announced together, but their lines may come in pieces.
      this.doors = parseDoors(this.#child.stdout.all);
      const response = await fetch(`http://${endpointText(this.http)}/readyz`);
      await response.arrayBuffer();
      return response.status === 200;
    };
    await eventually(isReady, START_MS, `${this.#child.name} to be ready`);
    this.doors = parseDoors(this.#child.stdout.all);
  }
}

export function parseLogLine(line: string): LogLine | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return undefined;
  }
}

export function readJsonLines(path: string): Record<string, unknown>[] {
  if (!existsSync(path)) return [];
  // What follows the last line end is being written.
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Record<string, unknown>);
}

export type ApartRole = 'sip' | 'relay' | 'transceiver';

export interface RolesApart extends Readonly<Record<ApartRole, GatewayProcess>> {
  /** Flags each role was started with: for starting one again elsewhere. */
  readonly flags: Readonly<Record<ApartRole, readonly string[]>>;
  stop(): Promise<void>;
}

export interface RolesApartOptions extends GatewayProcessOptions {
  /** Where all their doors are; 127.0.0.1 unless given. */
  readonly address?: string;
}

/** The three roles in three processes that know each other by a static list of nodes and share a new key. */
export async function startRolesApart({ address = LOOPBACK, ...options }: RolesApartOptions = {}): Promise<RolesApart> {
  const folder = tempFolder('cluster');
  const keyFile = join(folder, 'cluster.key');
  writeFileSync(keyFile, `1:${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  const roles: readonly ApartRole[] = ['transceiver', 'relay', 'sip'];
  const ports = await freePorts(roles.length, address);
  const nodes = roles.map((_, n) => `${n + 1}=${endpointText({ address, port: ports[n] ?? 0 })}`).join(',');
  const flagsOf = (role: ApartRole): string[] => {
    const n = roles.indexOf(role);
    const node = [
      ...['--node-id', String(n + 1)],
      ...['--nodes', nodes],
      ...['--inner-port', String(ports[n])],
      ...['--cluster-key-file', keyFile],
    ];
    return ['--roles', role, '--bind', address, ...node, ...(options.flags ?? [])];
  };
  const start = (role: ApartRole): Promise<GatewayProcess> =>
    GatewayProcess.start({ ...options, flags: flagsOf(role), name: `ringdown ${role}` });
  // Together: one may wait for the others before it is ready.
  const started = await Promise.allSettled(roles.map(start));
  const failure = started.find((each) => each.status === 'rejected');
  const running = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  if (failure) {
    await Promise.all(running.map((each) => each.stop()));
    throw failure.reason;
  }
  const [transceiver, relay, sip] = running as [GatewayProcess, GatewayProcess, GatewayProcess];
  return {
    ...{ transceiver, relay, sip },
    flags: { transceiver: flagsOf('transceiver'), relay: flagsOf('relay'), sip: flagsOf('sip') },
    async stop() {
      await Promise.all([sip, relay, transceiver].map((each) => each.stop()));
      removeFolder(folder);
    },
  };
}
