import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from './child.mjs';

const LOOPBACK = '127.0.0.1';

/** The whole gateway, all roles in one process of its own, on free ports of loopback. */
export class Gateway {
  #child;
  #data;
  /** Where SIP is spoken. */
  sip;

  /** @param options.probe note the times of every stage; @param options.nodeFlags e.g. `--cpu-prof` */
  static async start({ flags = [], probe = false, nodeFlags = [] } = {}) {
    const gateway = new Gateway();
    gateway.#data = mkdtempSync(join(tmpdir(), 'ringdown-bench-'));
    const doors = ['--bind', LOOPBACK, '--sip-port', '0', '--http-port', '0', '--relay-port', '0', '--rtp-ports', '0'];
    const args = [...doors, '--data', gateway.#data, '--max-calls', '1000', '--sip-rate', '0', ...flags];
    const env = { RINGDOWN_CONFIG: undefined, BENCH_PROBE: probe ? '1' : '' };
    gateway.#child = new Child('./gateway-child.mjs', {
      args,
      env,
      execArgv: ['--max-semi-space-size=4', '--enable-source-maps', ...nodeFlags],
    });
    const [, port] = await gateway.#child.printed(/^dial sip:agent@[^:]+:(\d+)$/m);
    gateway.sip = { address: LOOPBACK, port: Number(port) };
    return gateway;
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

  async stop() {
    await this.#child.stop();
    rmSync(this.#data, { recursive: true, force: true });
  }
}

/** CPU between two `figures`, in milliseconds. */
export function cpuBetween(before, after) {
  return (after.cpu.user + after.cpu.system - before.cpu.user - before.cpu.system) / 1000;
}
