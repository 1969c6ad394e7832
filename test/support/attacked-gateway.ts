import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { createLog } from '../../src/base/log.ts';
import { Metrics } from '../../src/base/metrics.ts';
import { type ClusterKeys, deriveDoorKeys, parseClusterKeys } from '../../src/ownership/cluster-keys.ts';
import { DoorLegHost } from '../../src/ownership/door-leg-host.ts';
import { MemoryDirectory } from '../../src/ownership/memory-directory.ts';
import { makeIncarnation } from '../../src/ownership/node-id.ts';
import { type Endpoint, freePorts, LOOPBACK } from './endpoint.ts';
import { GatewayProcess, type GatewayProcessOptions } from './gateway-process.ts';
import { removeFolder, tempFolder } from './temp-folder.ts';
import { eventually } from './wait.ts';
import { WebCaller, type WebCallerOptions } from './web-caller.ts';

/**
 * A gateway in a process of its own, with all its doors open: phones dial it as always, and because it is a node, WebRTC
 * peers of the test reach its transceiver through its relay; their offers go in by the node door, whose key the test knows.
 */
export class AttackedGateway {
  readonly process: GatewayProcess;
  readonly keys: ClusterKeys;
  /** UDP and TCP. */
  readonly inner: Endpoint;
  readonly #host: DoorLegHost;
  readonly #folder: string;
  readonly #pid: number;

  private constructor(process: GatewayProcess, keys: ClusterKeys, inner: Endpoint, folder: string) {
    this.process = process;
    this.keys = keys;
    this.inner = inner;
    this.#folder = folder;
    this.#pid = process.pid;
    this.#host = new DoorLegHost(
      {
        keys: deriveDoorKeys(keys),
        clock: systemClock,
        log: createLog('silent'),
        directory: new MemoryDirectory([{ nodeId: 1, inner }]),
        metrics: new Metrics(),
      },
      { self: { nodeId: 2, incarnation: makeIncarnation() }, status: () => ({ roles: ['sip'], draining: false, load: 0 }) },
    );
  }

  static async start({ flags = [], ...options }: GatewayProcessOptions = {}): Promise<AttackedGateway> {
    const folder = tempFolder('node');
    const keyFile = join(folder, 'cluster.key');
    const keyText = `1:${randomBytes(32).toString('base64')}\n`;
    writeFileSync(keyFile, keyText, { mode: 0o600 });
    const [innerPort = 0] = await freePorts(1);
    const inner = { address: LOOPBACK, port: innerPort };
    const node = ['--node-id', '1', '--nodes', `1=${LOOPBACK}:${innerPort}`, '--inner-port', `${innerPort}`, '--cluster-key-file', keyFile];
    const process = await GatewayProcess.start({ ...options, flags: [...node, ...flags] });
    const attacked = new AttackedGateway(process, parseClusterKeys(keyText), inner, folder);
    await eventually(() => attacked.#host.ready, 5000, 'the node door');
    return attacked;
  }

  get sip(): Endpoint {
    return this.process.sip;
  }

  get relay(): Endpoint {
    return this.process.relay;
  }

  get http(): Endpoint {
    return this.process.http;
  }

  /** Is it the process that was started, and did nothing go uncaught? */
  get unharmed(): boolean {
    return this.process.running && this.process.pid === this.#pid && !this.process.log.all.some(({ level }) => level >= 50);
  }

  /** Opens a session for a WebRTC peer of the test. It connects at once unless told otherwise. */
  webCaller(options: WebCallerOptions = {}): Promise<WebCaller> {
    return WebCaller.open(this.#host, options);
  }

  async stop(): Promise<void> {
    this.#host.stop();
    await this.process.stop();
    removeFolder(this.#folder);
  }
}
