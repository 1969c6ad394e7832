#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { formatEndpoint } from './base/addresses.ts';
import { systemClock } from './base/clock.ts';
import { GatewayError } from './base/errors.ts';
import { localAddressTowards } from './base/local-address.ts';
import { createLog, type Logger } from './base/log.ts';
import { commandHelp, commandOf, commandsText } from './commands.ts';
import type { Config } from './config/config.ts';
import { ConfigError } from './config/faults.ts';
import { helpText } from './config/help.ts';
import { type Loaded, loadConfig, questionOf } from './config/load.ts';
import { printConfig } from './config/print.ts';
import { type Gateway, startGateway } from './gateway.ts';

/*
 * The command line. What people read goes to standard output: one line a door, and what to dial. The log goes to standard
 * error as JSON lines.
 */

/** Exit codes: the gateway could not start or found itself broken; the configuration is wrong. */
const FAILED = 1;
const BAD_CONFIG = 2;

/** From the second signal to the exit it takes 2 s at the most: so long for the calls, so long to close files, the rest to exit. */
const HANG_UP_MS = 1200;
const STOP_MS = 600;

/**
 * A signal so soon after the first is the same one: npm hands on what the terminal, or a service manager, has sent to both of us. It comes within
 * milliseconds; nobody means two by it.
 */
const SAME_SIGNAL_MS = 200;

/** Stands for "somebody outside" (RFC 5737): nothing is sent there. */
const SOMEBODY = '192.0.2.1';

function say(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
}

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
  return version;
}

/** Settles with `promise`, or after `ms` if that comes first. */
function atMost(promise: Promise<unknown>, ms: number): Promise<unknown> {
  const bound = new Promise<void>((resolve) => {
    systemClock.setTimer(ms, resolve);
  });
  return Promise.race([promise, bound]);
}

/** Follows the signals: the first one drains, the second one hangs up. Both end with exit code 0. */
class Shutdown {
  readonly #log: Logger;
  readonly #drainMs: number;
  #gateway: Gateway | undefined;
  #signals = 0;
  #firstAt = 0;
  #leaving: Promise<void> | undefined;

  constructor(log: Logger, drainMs: number) {
    this.#log = log;
    this.#drainMs = drainMs;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => this.#onSignal(signal));
  }

  /** Gives it what to shut down. A signal that came while the gateway started takes effect now. */
  attach(gateway: Gateway): void {
    this.#gateway = gateway;
    if (this.#signals > 0) void this.#drain(gateway);
  }

  #onSignal(signal: string): void {
    const now = systemClock.now();
    if (this.#signals === 0) this.#firstAt = now;
    else if (now - this.#firstAt < SAME_SIGNAL_MS) return;
    this.#signals += 1;
    if (this.#signals > 2) return;
    this.#log.info({ signal }, this.#signals === 1 ? 'draining' : 'hanging up');
    if (!this.#gateway) {
      if (this.#signals === 2) process.exit(0);
    } else if (this.#signals === 1) void this.#drain(this.#gateway);
    else void this.#hangUp(this.#gateway);
  }

  async #drain(gateway: Gateway): Promise<void> {
    await atMost(gateway.drain(), this.#drainMs).catch((err: unknown) => this.#log.error({ err }, 'draining failed'));
    if (this.#signals < 2) await this.#hangUp(gateway);
  }

  /** Once, whoever asks first: a second one would find everything stopped and exit while the first still closes files. */
  #hangUp(gateway: Gateway): Promise<void> {
    this.#leaving ??= this.#leave(gateway);
    return this.#leaving;
  }

  async #leave(gateway: Gateway): Promise<void> {
    await atMost(gateway.hangUpAll(), HANG_UP_MS).catch((err: unknown) => this.#log.error({ err }, 'hanging up failed'));
    await atMost(gateway.stop(), STOP_MS).catch((err: unknown) => this.#log.error({ err }, 'stopping failed'));
    this.#log.info('stopped');
    process.exit(0);
  }
}

function announce(gateway: Gateway, config: Config): void {
  const width = Math.max(...gateway.doors.map(({ name }) => name.length));
  for (const { name, detail } of gateway.doors) say(`${name.padEnd(width)}  ${detail}`);
  const sip = gateway.doors.find(({ name }) => name === 'sip');
  const port = /:(\d+)(?!\S)/.exec(sip?.detail ?? '')?.[1];
  const host = config.publicAddress ?? localAddressTowards(config.bind, SOMEBODY);
  if (port !== undefined) say(`dial sip:agent@${formatEndpoint({ address: host, port: Number(port) })}`);
}

async function run(argv: readonly string[], { config, settings }: Loaded): Promise<void> {
  const log = createLog(config.logLevel, process.stderr);
  const die = (kind: string) => (err: unknown) => {
    // Nobody knows what state is left, so nothing is tidied up: whoever restarts the process gets a clean one.
    log.fatal({ err }, kind);
    process.exit(FAILED);
  };
  process.on('uncaughtException', die('uncaught exception'));
  process.on('unhandledRejection', die('unhandled rejection'));
  const shutdown = new Shutdown(log, config.drainS * 1000);
  const gateway = await startGateway(config, { settings, load: () => loadConfig(argv) });
  process.on('SIGHUP', () => void gateway.reload());
  announce(gateway, config);
  shutdown.attach(gateway);
}

async function main(argv: readonly string[]): Promise<void> {
  const command = commandOf(argv);
  if (command) {
    const words = argv.slice(1);
    if (words.includes('--help') || words.includes('-h')) return say(commandHelp(command));
    const { text, code } = await command.run(words, systemClock, say);
    say(text);
    process.exitCode = code;
    return;
  }
  const question = questionOf(argv);
  if (question === 'help') return say(`${helpText()}\n${commandsText()}`);
  if (question === 'version') return say(version());
  const loaded = loadConfig(argv);
  if (question === 'print-config') return say(printConfig(loaded.settings));
  await run(argv, loaded);
}

// Whoever read the output has gone (`| head`): no reason to end calls.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

main(process.argv.slice(2)).catch((error: unknown) => {
  const isConfig = error instanceof ConfigError;
  const text = error instanceof GatewayError ? error.message : String(error instanceof Error ? error.stack : error);
  process.stderr.write(isConfig ? `${text}\n` : `ringdown: ${text}\n`);
  process.exit(isConfig ? BAD_CONFIG : FAILED);
});
