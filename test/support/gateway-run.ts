import { resolve } from 'node:path';
import { Child, type ChildEnd } from './child.ts';
import { tempFolder } from './temp-folder.ts';

/** Any free port for every door, on loopback alone. */
export const FREE_PORTS = ['--bind', '127.0.0.1', '--sip-port', '0', '--http-port', '0', '--relay-port', '0', '--rtp-ports', '0'];

/** The gateway from its sources, as a command. */
export const FROM_SOURCE = [process.execPath, '--import', resolve('node_modules/tsx/dist/esm/index.mjs'), resolve('src/main.ts')];

/** The gateway as it is built, as a command; test/support/build.ts makes it. */
const BUILT = [process.execPath, '--max-semi-space-size=4', '--enable-source-maps', resolve('dist/main.js')];

/** Longest start on a busy machine, of the sources too: they are compiled on the way. */
const START_MS = 50_000;

export interface GatewayRunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Where it runs; a new empty folder unless given. */
  readonly folder?: string;
  /** What is run; the gateway as it is built unless given. */
  readonly command?: readonly string[];
}

/** The gateway as a process of its own, as a user starts it: what it prints, where its doors are, how it ends. */
export class GatewayRun {
  readonly folder: string;
  readonly child: Child;

  constructor(args: readonly string[], { env = {}, folder = tempFolder('run'), command = BUILT }: GatewayRunOptions = {}) {
    const [program = '', ...before] = command;
    this.folder = folder;
    this.child = new Child(program, [...before, ...args], { cwd: folder, env: { ...withoutSettings(), ...env }, name: 'the gateway' });
  }

  /** Lines of standard output: the doors. */
  get out(): readonly string[] {
    return this.child.stdout.all;
  }

  /** Lines of standard error: faults, and the log as JSON. */
  get err(): readonly string[] {
    return this.child.stderr.all;
  }

  /** The port of a door, once its line is printed. */
  async port(door: string): Promise<number> {
    const [, port] = await this.child.line(new RegExp(`^${door} .*:(\\d+)(?!\\S)`), START_MS);
    return Number(port);
  }

  /** The address of its HTTP door. */
  async url(): Promise<string> {
    return `http://127.0.0.1:${await this.port('http')}`;
  }

  end(deadlineMs = START_MS): Promise<ChildEnd> {
    return this.child.end(deadlineMs);
  }
}

/** Takes away the settings of the shell the tests run in. */
function withoutSettings(): Record<string, undefined> {
  const names = Object.keys(process.env).filter((name) => name.startsWith('RINGDOWN_') || name.startsWith('npm_') || name === 'NODE_ENV');
  return Object.fromEntries(names.map((name) => [name, undefined]));
}
