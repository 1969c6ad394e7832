import { join } from 'node:path';
import { type Doors, doorNamed, parseDoors } from './doors.ts';
import type { Endpoint } from './endpoint.ts';
import {
  GatewayProcess,
  type LogLine,
  parseLogLine,
  quietFlags,
  type RolesApart,
  readJsonLines,
  startRolesApart,
} from './gateway-process.ts';
import { type MetricsText, readMetrics } from './metrics-text.ts';
import { removeFolder, tempFolder } from './temp-folder.ts';
import { EventLog } from './wait.ts';

/**
 * How the gateway runs for a test: in this process (fast, faults show in the test), in one of its own (as users run it) or
 * with its roles in three.
 */
export type GatewayMode = 'here' | 'process' | 'apart';

export interface GatewayOptions {
  readonly mode?: GatewayMode;
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** A running gateway, however it runs. */
export interface GatewayUnderTest {
  readonly mode: GatewayMode;
  readonly sip: Endpoint;
  /** SIP over TLS, where a test gave it a certificate. */
  readonly sips: Endpoint;
  readonly relay: Endpoint;
  /** Of the process that speaks SIP. */
  readonly http: Endpoint;
  /** Log lines of all its processes. */
  readonly log: EventLog<LogLine>;
  /** The processes by role; in mode `process` each role is the same one, in mode `here` there are none. */
  readonly processes: Pick<RolesApart, 'sip' | 'relay' | 'transceiver'> | undefined;
  /** Of the process that speaks SIP. */
  metrics(): Promise<MetricsText>;
  /** Waits for a log line of any of its processes. */
  logged(message: string, deadlineMs?: number): Promise<LogLine>;
  cdrs(): readonly Readonly<Record<string, unknown>>[];
  /** Refuses new calls; resolves when the last one is over. Only in mode `here`; elsewhere send SIGTERM. */
  drain(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a gateway on free ports of 127.0.0.1 with a data folder of its own. */
export async function gatewayUnderTest(options: GatewayOptions = {}): Promise<GatewayUnderTest> {
  switch (options.mode ?? 'here') {
    case 'here':
      return startHere(options);
    case 'process': {
      const gateway = await GatewayProcess.start(options);
      return overProcesses('process', { sip: gateway, relay: gateway, transceiver: gateway }, async () => {
        await gateway.stop();
      });
    }
    case 'apart': {
      const roles = await startRolesApart(options);
      return overProcesses('apart', roles, () => roles.stop());
    }
  }
}

function overProcesses(
  mode: GatewayMode,
  processes: Pick<RolesApart, 'sip' | 'relay' | 'transceiver'>,
  stop: () => Promise<void>,
): GatewayUnderTest {
  const { sip, relay, transceiver } = processes;
  const log = new EventLog<LogLine>();
  for (const each of new Set([sip, relay, transceiver])) each.log.follow((line) => log.push(line));
  return {
    mode,
    processes,
    log,
    sip: sip.sip,
    get sips() {
      return doorNamed(sip.doors, 'sips');
    },
    relay: relay.relay,
    http: sip.http,
    metrics: () => sip.metrics(),
    logged: (message, deadlineMs = 5000) => log.find((line) => line.msg === message, deadlineMs, `the log line "${message}"`),
    cdrs: () => [...new Set([sip, relay, transceiver])].flatMap((each) => each.cdrs()),
    drain: () => Promise.reject(new Error('drain a gateway process with SIGTERM')),
    stop,
  };
}

async function startHere({ flags = [], env = {} }: GatewayOptions): Promise<GatewayUnderTest> {
  const dataDir = tempFolder('data');
  const { loadConfig } = await import('../../src/config/load.ts');
  const { startGateway } = await import('../../src/gateway.ts');
  const { config } = loadConfig([...quietFlags(dataDir), ...flags], { env, directory: dataDir });
  const log = new EventLog<LogLine>();
  const release = takeLog(log);
  const gateway = await startGateway(config).catch((error: unknown) => {
    release();
    throw error;
  });
  const doors: Doors = parseDoors(gateway.doors.map(({ name, detail }) => `${name} ${detail}`));
  const http = doorNamed(doors, 'http');
  return {
    mode: 'here',
    processes: undefined,
    log,
    http,
    get sip() {
      return doorNamed(doors, 'sip');
    },
    get sips() {
      return doorNamed(doors, 'sips');
    },
    get relay() {
      return doorNamed(doors, 'relay');
    },
    metrics: () => readMetrics(http),
    logged: (message, deadlineMs = 5000) => log.find((line) => line.msg === message, deadlineMs, `the log line "${message}"`),
    cdrs: () => readJsonLines(join(dataDir, 'cdr.jsonl')),
    drain: () => gateway.drain(),
    async stop() {
      await gateway.hangUpAll();
      await gateway.stop();
      release();
      removeFolder(dataDir);
    },
  };
}

/** The gateway logs to standard error: takes its JSON lines out of there, so that a test can ask for them. */
function takeLog(log: EventLog<LogLine>): () => void {
  const { write } = process.stderr;
  process.stderr.write = ((chunk: string | Uint8Array, ...rest: never[]): boolean => {
    const lines = chunk.toString().split('\n').map(parseLogLine);
    const found = lines.filter((line) => line !== undefined);
    for (const line of found) log.push(line);
    return found.length > 0 || write.call(process.stderr, chunk as string, ...rest);
  }) as typeof process.stderr.write;
  return () => {
    process.stderr.write = write;
  };
}
