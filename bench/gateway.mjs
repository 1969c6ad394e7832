import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as elapse } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ENVIRONMENT, NODE_FLAGS } from './built.mjs';
import { Child } from './child.mjs';

const LOOPBACK = '127.0.0.1';
/** For trying flags of Node: the later of two wins. */
const MORE_FLAGS = process.env.BENCH_NODE_FLAGS?.split(' ') ?? [];
const LATENESS_PROBE = fileURLToPath(new URL('./lateness-probe.mjs', import.meta.url));

/** The whole gateway, all roles in one process of its own, on free ports of loopback. */
export class Gateway {
  #child;
  #data;
  /** Where SIP is spoken. */
  sip;

  /**
   * @param options.probe note the times of every stage; @param options.lateness note how late the beat is, in the workers as well;
   * @param options.nodeFlags e.g. `--cpu-prof`
   */
  static async start({ flags = [], probe = false, lateness = false, nodeFlags = [] } = {}) {
    const gateway = new Gateway();
    gateway.#data = mkdtempSync(join(tmpdir(), 'ringdown-bench-'));
    const doors = ['--bind', LOOPBACK, '--sip-port', '0', '--http-port', '0', '--relay-port', '0', '--rtp-ports', '0'];
    const args = [...doors, '--data', gateway.#data, '--max-calls', '1000', '--sip-rate', '0', ...flags];
    const env = { ...ENVIRONMENT, RINGDOWN_CONFIG: undefined, BENCH_PROBE: probe ? '1' : '', BENCH_LATENESS: gateway.#data };
    gateway.#child = new Child('./gateway-child.mjs', {
      args,
      env,
      execArgv: [...NODE_FLAGS, ...(lateness ? ['--import', LATENESS_PROBE] : []), ...nodeFlags, ...MORE_FLAGS],
    });
    const [, port] = await gateway.#child.printed(/^dial sip:agent@[^:]+:(\d+)$/m);
    gateway.sip = { address: LOOPBACK, port: Number(port) };
    return gateway;
  }

  /** Port of one of its doors: `http`, `relay`. */
  async door(name) {
    const [, port] = await this.#child.printed(new RegExp(`^${name} .*:(\\d+)(?!\\S)`, 'm'));
    return Number(port);
  }

  get pid() {
    return this.#child.pid;
  }

  /** CPU time and memory of the process, threads included; `gc` collects garbage first. */
  figures(gc = false) {
    return this.#child.ask({ ask: 'figures', gc });
  }

  /** What the probe has noted since it was asked last. */
  probed() {
    return this.#child.ask({ ask: 'probe' });
  }

  /** Begins anew, without the pause that handing over takes. */
  forgetProbed() {
    return this.#child.ask({ ask: 'forget' });
  }

  /** The gateway's process and its workers. */
  get pids() {
    const children = readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8').trim();
    return [this.pid, ...(children === '' ? [] : children.split(' ').map(Number))];
  }

  /** Milliseconds that each frame left after its beat, since they were asked for last; of all processes. */
  async lateness() {
    const files = this.pids.map((pid) => [pid, join(this.#data, `${pid}`)]);
    for (const [pid, file] of files) {
      rmSync(file, { force: true });
      process.kill(pid, 'SIGUSR2');
    }
    while (files.some(([, file]) => !existsSync(file))) await elapse(10);
    await elapse(20); // the last one may still be written
    return files.flatMap(([, file]) => {
      const bytes = readFileSync(file);
      return Array.from(new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4));
    });
  }

  /** The call records written so far. */
  records() {
    const files = readdirSync(this.#data).filter((name) => name.endsWith('.jsonl'));
    return files.flatMap((name) =>
      readFileSync(join(this.#data, name), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line)),
    );
  }

  async stop() {
    await this.#child.stop();
    rmSync(this.#data, { recursive: true, force: true });
  }
}

/** CPU between two `figures`, in milliseconds. */
export function cpuBetween(before, after) {
  return (after.cpu.user + after.cpu.system - before.cpu.user - before.cpu.system) / 1000;
}
