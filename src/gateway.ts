import { formatEndpoint } from './base/addresses.ts';
import { systemClock } from './base/clock.ts';
import { createLog } from './base/log.ts';
import { Metrics } from './base/metrics.ts';
import type { Config } from './config/config.ts';
import { CdrLog } from './control/cdr-log.ts';
import { HealthServer } from './control/health-server.ts';

/** The running gateway. */
export interface Gateway {
  /** What listens where, for people. */
  readonly doors: readonly { readonly name: string; readonly detail: string }[];
  readonly ready: boolean;
  /** Refuses new calls; resolves when none are left. */
  drain(): Promise<void>;
  /** BYE to all calls; takes 2 s at the most. */
  hangUpAll(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts what the roles of this process need. */
export async function startGateway(config: Config): Promise<Gateway> {
  const clock = systemClock;
  const log = createLog(config.logLevel, process.stderr);
  const metrics = new Metrics();
  let draining = false;
  const readiness = () => (draining ? { ready: false, reason: 'draining' } : { ready: true });
  const health = new HealthServer({ clock, log, metrics, readiness }, { bind: config.bind, port: config.http.port });
  const cdrs = new CdrLog({ clock, log, metrics }, { dataDir: config.dataDir });
  await cdrs.start();
  const http = await health.start();
  return {
    doors: [{ name: 'http', detail: `TCP ${formatEndpoint(http)}` }],
    get ready() {
      return readiness().ready;
    },
    async drain() {
      draining = true;
    },
    async hangUpAll() {
      draining = true;
    },
    async stop() {
      await Promise.all([health.stop(), cdrs.stop()]);
    },
  };
}
